"""The rules of a StructureMap that make what the templates of a record kind make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Final

from mappings.conditions import as_list
from mappings.elements import Element
from mappings.kind import RecordKind
from mappings.line import Line
from mappings.parts import resolved
from mappings.sections import read_sections
from mappings.structure_conditions import Inexpressible, fhirpath
from mappings.table import LocalMapping
from profiles import canonical, r4
from profiles.document import DataPath

RECORD: Final = "record"
BUNDLE: Final = "bundle"
_RETURNS: Final = {
    "code": "code",
    "coding": "Coding",
    "concept": "CodeableConcept",
    "safe_contact": "CodeableConcept",
}

Rule = dict[str, Any]


def concept_map_url(mapping: LocalMapping, table: str) -> str:
    """The canonical URL of a code table: its own, or one made of the system's name and the table's."""
    made = f"{canonical.BASE}/ConceptMap/{mapping.system}-{table}"
    return str(mapping.concept_maps[table].get("url", made))


class Export:
    """Walks the templates of a kind. `left` collects what has no form in the subset."""

    def __init__(self, mapping: LocalMapping, kind: RecordKind) -> None:
        self._mapping = mapping
        self._document = mapping.document
        self._section = next(one for one in read_sections(mapping.document, []) if one.name == kind.name)
        self._number = 0
        self.lines = {(line.where, line.element): line for line in kind.lines if line.kind is not None}
        self.left: list[tuple[Line, str]] = []

    def resources(self) -> Iterator[Rule]:
        """The rules of each resource."""
        for name, content in self._section.data.get("resources", {}).items():
            where = (*self._section.places["resources"], name)
            yield from self._rules(
                where, content, name, _At(Element(name, repeats=False), "", BUNDLE, RECORD)
            )

    def _rules(self, where: DataPath, data: Any, element: str, at: _At) -> Iterator[Rule]:
        """The rules that make the template `data`."""
        where, data = resolved(self._document, where, data)
        if isinstance(data, list):
            for index, item in enumerate(data):
                yield from self._rules((*where, index), item, f"{element}[{index}]", at)
        elif (line := self.lines.get((where, element))) is not None:
            yield from self._leaf(line, at)
        elif set(data) == {"each", "make"}:
            yield self._group(where, data, element, at)
        else:
            yield self._object(where, data, element, at)

    def _group(self, where: DataPath, data: Mapping[str, Any], element: str, at: _At) -> Rule:
        item = self._new("item")
        inner = replace(at, source=item)
        return {
            "name": self._new("each"),
            "source": [self._source(data["each"], at) | {"variable": item}],
            "rule": list(self._rules((*where, "make"), data["make"], element, inner)),
        }

    def _object(self, where: DataPath, data: Mapping[str, Any], element: str, at: _At) -> Rule:
        condition = data.get("when")
        rule: Rule = {"name": self._new(at.name or at.kind.type), "source": [{"context": at.source}]}
        try:
            rule["source"] = self._when((*where, "when"), [condition], at) or rule["source"]
        except Inexpressible as reason:
            self.left += [
                (line, str(reason))
                for (_, made), line in self.lines.items()
                if made.startswith(f"{element}.")
            ]
            return rule | {"documentation": f"not expressible: {reason}"}
        made = self._new(at.name or at.kind.type)
        rule["target"] = list(_created(at, made, self._new))
        members = at.kind.members or {}
        rule["rule"] = [
            inner
            for name, value in data.items()
            if name != "when" or not isinstance(condition, dict)
            for inner in self._rules(
                (*where, name),
                value,
                f"{element}.{name}",
                _At(members[name], name, made, at.source, at.kind.type),
            )
        ]
        return rule

    def _leaf(self, line: Line, at: _At) -> Iterator[Rule]:
        """The rule of an entry; where several fields are tried, one for each, with those before it empty."""
        to: dict[str, Any] = {"context": at.target, "contextType": "variable", "element": at.element}
        when = line.data.get("when") if isinstance(line.data, dict) else None
        try:
            fields = self._fields(line)
            transform, texts = self._transform(line)
            conditions = [
                self._when(
                    line.where, [when, *({"from": other, "present": False} for other in fields[:n])], at
                )
                for n in range(max(len(fields), 1))
            ]
        except Inexpressible as reason:
            self.left.append((line, str(reason)))
            source = [{"context": at.source}]
            said = f"not expressible: {reason}"
            yield {"name": self._new(at.name), "source": source, "target": [to], "documentation": said}
            return
        for field, condition in zip_longest(fields, conditions):
            values, parameters = [], texts
            if field is not None:
                value = self._new("value")
                needed = {"min": 1} if line.required and len(fields) == 1 else {}
                values = [self._source(field, at) | needed | {"variable": value}]
                parameters = [{"valueId": value}, *texts]
            yield {
                "name": self._new(at.name),
                "source": condition + values or [{"context": at.source}],
                "target": [to | {"transform": transform, "parameter": parameters}],
            }

    def _when(self, where: DataPath, data: list[Any], at: _At) -> list[dict[str, Any]]:
        """The source that holds the conditions in `data`; none where there is no condition."""
        parts = [
            fhirpath(self._document, where, one, inside=at.source != RECORD)
            for one in data
            if isinstance(one, dict)
        ]
        return [{"context": at.source, "condition": " and ".join(parts)}] if parts else []

    def _fields(self, line: Line) -> list[str]:
        """The fields that an entry tries in turn; none for a constant. Raises Inexpressible."""
        if line.function == "constant":
            return []
        data = line.data if isinstance(line.data, dict) else {"from": line.data}
        listed = data["first"] if "first" in data else [data.get("from")]
        fields = [resolved(self._document, line.where, one)[1] for one in listed]
        if not all(isinstance(field, str) for field in fields):
            raise Inexpressible("a value that is joined, or made in several steps")
        return fields

    def _transform(self, line: Line) -> tuple[str, list[dict[str, Any]]]:
        """The transform of a value and its parameters but for the value itself. Raises Inexpressible."""
        argument = line.argument
        match line.function:
            case "constant":
                return "copy", [_parameter(argument)]
            case "copy" | "text":
                return "copy", []
            case "code" | "coding" | "concept" | "safe_contact":
                url = concept_map_url(self._mapping, argument)
                return "translate", [{"valueString": url}, {"valueString": _RETURNS[line.function]}]
            case "date" if not isinstance(argument, dict):
                return "dateOp", [{"valueString": form} for form in as_list(argument)]
            case "datetime":
                forms = [*as_list(argument["formats"]), argument["zone"]]
                return "dateOp", [{"valueString": form} for form in forms]
        raise Inexpressible(f"the function '{line.function}'")

    def _source(self, path: str, at: _At) -> dict[str, Any]:
        """A field or group of the record, or of the item of a group that is at hand."""
        if path == ".":
            return {"context": at.source}
        context = at.source if path.startswith(".") else RECORD
        return {"context": context, "element": path.removeprefix(".")}

    def _new(self, name: str) -> str:
        self._number += 1
        return f"{name[0].lower()}{name[1:]}{self._number}".replace(".", "")


@dataclass(frozen=True, slots=True)
class _At:
    """Where a template stands: the element it makes, in which variable, from which.

    kind: the element's type; name: as JSON names it, empty for a resource; target: the variable of what is
    around it, of the type `owner`; source: the record, or the item of a group.
    """

    kind: Element
    name: str
    target: str
    source: str
    owner: str = ""

    @property
    def element(self) -> str:
        """The element's name, of a choice without its type."""
        return r4.by_key(self.owner)[self.name][0].name.removesuffix("[x]")


def _created(at: _At, variable: str, new: Callable[[str], str]) -> Iterator[dict[str, Any]]:
    """The target that makes an object; a resource stands in an entry of the Bundle."""
    context = at.target
    if not at.name:
        entry = new("entry")
        yield {"context": context, "contextType": "variable", "element": "entry", "variable": entry}
        context = entry
    made = {
        "context": context,
        "contextType": "variable",
        "element": at.element if at.name else "resource",
        "variable": variable,
    }
    if "." in at.kind.type:
        yield made  # a part of one resource, whose type has no name outside it
    else:
        yield made | {"transform": "create", "parameter": [{"valueString": at.kind.type}]}


def _parameter(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if isinstance(value, int):
        return {"valueInteger": value}
    return {"valueString" if isinstance(value, str) else "valueDecimal": value}
