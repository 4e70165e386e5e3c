"""A checked mapping file compiled into record kinds and renderings.

Everything that can be known before a record comes is found here: unknown fields, functions and tables, fields
neither used nor ignored, elements that do not exist. All findings are given at once, with their lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.codes import CodeTable
from mappings.elements import Element
from mappings.expression import Compiler
from mappings.nodes import Condition, Node, Problem, as_text, required, shown
from mappings.record import Getter, PathError, Reader, Record, RecordError
from mappings.render import Rendering, compile_renderings
from mappings.result import Kind, Lineage, Mapped
from profiles.document import DataPath, Document
from profiles.outcome import Issue


@dataclass(frozen=True, slots=True)
class RecordKind:
    """One kind of record of a system, compiled. `fits` tells whether a record is of this kind."""

    name: str
    kind: Kind
    fits: Condition | None
    key: tuple[Node, ...]
    subject: tuple[Node, Node] | None
    recipient: Node | None
    local: tuple[tuple[str, Node], ...]
    resources: tuple[tuple[str, Node], ...]
    undeclared: Callable[[Any], list[str]]
    lineage: tuple[Lineage, ...]
    ignored: Mapping[str, str]

    def map(self, record: Record, reader: Reader) -> Mapped:
        """The FHIR content of `record`. Raises RecordError with every problem found in it."""
        values = record.values
        problems: list[Problem] = [
            (place, "structure", "holds a field that the mapping neither uses nor ignores")
            for place in self.undeclared(values)
        ]
        key = _key([node(values, problems) for node in self.key])
        subject = None
        if self.subject is not None:
            subject = (self.subject[0](values, problems), self.subject[1](values, problems))
        recipient = self.recipient(values, problems) if self.recipient is not None else None
        local = {}
        for name, node in self.local:
            value = node(values, problems)
            if value is not None:
                local[name] = value
        resources = {}
        for name, node in self.resources:
            made = node(values, problems)
            if made is not None:
                resources[name] = made
        if problems:
            raise RecordError(
                Issue("error", code, message, field=field, line=reader.place(record, field.partition(",")[0]))
                for field, code, message in problems
            )
        return Mapped(self.kind, key, subject, resources, recipient, local, self.lineage)


@dataclass(frozen=True, slots=True)
class Compiled:
    """The parts of a mapping that run."""

    kinds: tuple[RecordKind, ...]
    renderings: Mapping[str, tuple[Rendering, ...]]


def compile_mapping(document: Document, reader: Reader, tables: Mapping[str, CodeTable]) -> Compiled:
    """The mapping in `document` (which fits the schema), compiled. Raises DocumentError with all findings."""
    issues: list[Issue] = []
    data = document.data
    kinds = tuple(
        _compile_kind(document, name, section, reader, tables, issues)
        for name, section in data["records"].items()
    )
    if len(kinds) > 1:
        issues += [
            document.issue(("records", kind.name), "needs 'when': there are several kinds of record")
            for kind in kinds
            if kind.fits is None
        ]
    local = frozenset(name for section in data["records"].values() for name in section.get("local", {}))
    renderings = compile_renderings(document, data.get("render", {}), tables, local, issues)
    if issues:
        raise document.error(sorted(issues, key=lambda issue: issue.line or 0))
    return Compiled(kinds, renderings)


def _compile_kind(
    document: Document,
    name: str,
    section: Mapping[str, Any],
    reader: Reader,
    tables: Mapping[str, CodeTable],
    issues: list[Issue],
) -> RecordKind:
    where: DataPath = ("records", name)
    declared = frozenset(section["fields"])
    compiler = Compiler(
        document,
        _declared_only(reader, declared),
        tables,
        lambda text: declared.issuperset(reader.names(text)),
    )
    fits = compiler.condition((*where, "when"), section["when"], "record") if "when" in section else None

    def text(data: Any, *path: str | int, needed: bool = False) -> Node:
        """A value of the envelope around the resources, which is always text."""
        element = ".".join(str(step) for step in path)
        made = compiler.expression((*where, *path), data, element)
        node = as_text(made)
        return required(node, shown(made.fields), element) if needed else node

    subject = None
    if "subject" in section:
        system, value = section["subject"]["system"], section["subject"]["value"]
        subject = (
            text(system, "subject", "system", needed=True),
            text(value, "subject", "value", needed=True),
        )
    kind = RecordKind(
        name=name,
        kind=section["kind"],
        fits=fits,
        key=tuple(text(part, "key", index, needed=True) for index, part in enumerate(section["key"])),
        subject=subject,
        recipient=text(section["recipient"], "recipient") if "recipient" in section else None,
        local=tuple((key, text(data, "local", key)) for key, data in section.get("local", {}).items()),
        resources=tuple(
            (resource, _resource(compiler, (*where, "resources", resource), resource, content))
            for resource, content in section["resources"].items()
        ),
        undeclared=reader.undeclared(section["fields"]),
        lineage=tuple(dict.fromkeys(compiler.lineage)),
        ignored=section.get("ignored", {}),
    )
    issues += compiler.issues
    issues += _totality(document, where, section, {n for path in compiler.used for n in reader.names(path)})
    return kind


def _declared_only(reader: Reader, declared: frozenset[str]) -> Callable[[str], Getter]:
    def getter(path: str) -> Getter:
        made = reader.getter(path)
        missing = [name for name in reader.names(path) if name not in declared]
        if missing:
            raise PathError(f"reads {', '.join(missing)}, which 'fields' does not list")
        return made

    return getter


def _resource(compiler: Compiler, where: DataPath, name: str, content: Any) -> Node:
    """The template of a resource, or of several of one type. One that is not a list may be left out only
    where the record would still make sense: a Procedure."""
    kind = Element(name, repeats=False)
    if isinstance(content, list):
        parts = [
            compiler.template((*where, index), item, f"{name}[{index}]", kind)
            for index, item in enumerate(content)
        ]
        nodes = tuple(_typed(part.node, name) for part in parts)
        return lambda values, problems: _made(nodes, values, problems)
    part = compiler.template(where, content, name, kind)
    node = _typed(part.node, name)
    return node if name == "Procedure" else required(node, shown(part.fields), name)


def _made(nodes: tuple[Node, ...], values: Any, problems: list[Problem]) -> list[Any] | None:
    made = (node(values, problems) for node in nodes)
    return [resource for resource in made if resource is not None] or None


def _typed(inner: Node, name: str) -> Node:
    def node(values: Any, problems: list[Problem]) -> dict[str, Any] | None:
        made = inner(values, problems)
        return {"resourceType": name, **made} if made is not None else None

    return node


def _totality(document: Document, where: DataPath, section: Mapping[str, Any], used: set[str]) -> list[Issue]:
    """Every declared field is used, or ignored with a reason, and not both."""
    ignored = section.get("ignored", {})
    issues = [
        document.issue((*where, "fields", index), f"{field!r} is neither used nor under 'ignored'")
        for index, field in enumerate(section["fields"])
        if field not in used and field not in ignored
    ]
    for field in ignored:
        if field not in section["fields"]:
            issues.append(document.issue((*where, "ignored", field), "'fields' does not list this field"))
        elif field in used:
            issues.append(
                document.issue((*where, "ignored", field), "the field is used, so it is not ignored")
            )
    return issues


def _key(parts: list[str | None]) -> str:
    """The parts joined by bars, with bars inside a part escaped: no two records share a key by accident."""
    return "|".join((part or "").replace("\\", "\\\\").replace("|", "\\|") for part in parts)
