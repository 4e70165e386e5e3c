"""Expressions of a mapping, compiled once into plain functions.

An expression takes its value from the record. It has one of the keys `from`, `constant`, `first` and `join`:

    {from: birth_date, date: MM/DD/YYYY, required: true}
    {first: [PID-13.12, PID-13.1], phone: US}
    {join: [PID-13.6, PID-13.7], with: ""}
    {constant: home, when: {from: street, present: true}}
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any, TypeVar

from mappings import nodes
from mappings.codes import CodeTable
from mappings.conditions import compile_condition
from mappings.elements import Element
from mappings.functions import AGE_MAKES, FUNCTIONS, TEXT, build
from mappings.functions.argument import ArgumentError
from mappings.functions.people import years_between
from mappings.groups import Items, Paths, Scope, for_each
from mappings.line import Line
from mappings.nodes import Condition, Node, Part
from mappings.parts import resolved
from mappings.record import PathError
from mappings.result import Lineage
from profiles.document import DataPath, Document
from profiles.outcome import Issue

T = TypeVar("T")
_SOURCES = ("from", "first", "join", "constant")
_OPTIONS = ("with", "when", "required")
_NAMES = (*FUNCTIONS, "age")


class Expressions(ABC):
    """Compiles the expressions of one record kind or one rendering; templates stand around and inside them.

    `paths` finds a field of the format at hand; `is_field` knows a field's name where a constant stands,
    which is a slip; `typed` gives the FHIR type of a path in a record that is FHIR itself. Problems in the
    mapping are collected in `issues`, so that its author sees all of them at once; `lines`, `lineage` and
    `used` collect what reaches where.
    """

    def __init__(
        self,
        document: Document,
        paths: Paths,
        tables: Mapping[str, CodeTable],
        is_field: Callable[[str], bool],
        typed: Callable[[str], Element | None] = lambda _path: None,
    ) -> None:
        self._document = document
        self._scope = Scope(paths)
        self._tables = tables
        self._is_field = is_field
        self._typed = typed
        self._conditional = False
        self._asking = False  # whether a condition is being compiled: what it reads is only looked at
        self.issues: list[Issue] = []
        self.lines: list[Line] = []
        self.lineage: list[Lineage] = []
        self.used: set[str] = set()

    @abstractmethod
    def template(self, where: DataPath, data: Any, element: str, kind: Element | None = None) -> Part:
        """What an `each` makes of one item."""

    def expression(self, where: DataPath, data: Any, element: str, kind: Element | None = None) -> Part:
        """One value from the record: a source, at most one function, and a condition."""
        where, data = resolved(self._document, where, data)
        part = self._value(where, data, element, kind)
        name, argument = self._named(data) if isinstance(data, dict) else ("copy", None)
        with self.under(isinstance(data, dict) and "when" in data):
            self.note(where, element, kind, name, argument, data, part)
        return part

    def condition(self, where: DataPath, data: Any, element: str) -> Condition:
        """The condition at `where`; see `mappings.conditions`."""
        where, data = resolved(self._document, where, data)
        before, self._asking = self._asking, True
        made = compile_condition(self, where, data, element)
        self._asking = before
        return made

    def field(
        self, where: DataPath, data: Any, element: str, function: str, kind: Element | None = None
    ) -> Part:
        """A field's name, or an expression: a value of the element's `kind`, or of any for `function`."""
        where, data = resolved(self._document, where, data)
        if isinstance(data, dict):
            return self._value(where, data, element, kind)
        if not isinstance(data, str):
            wrong = "names a field, or is an expression with 'from', 'first', 'join' or 'constant'"
            self.wrong(where, "a path of digits stands in quotes" if isinstance(data, float) else wrong)
            return Part(nodes.constant(None), dynamic=True)
        shown = self._scope.show(data)
        self.lineage.append(Lineage(shown, "when" if self._asking else function, element))
        try:
            getter = self._scope.getter(data)
            self.used.update(self._scope.names(data))
        except PathError as fault:
            self.wrong(where, f"{data!r} {fault}")
            return Part(nodes.constant(None), dynamic=True)
        part = Part(nodes.get(getter, shown), dynamic=True, fields=(shown,), getter=getter)
        return self._copied(where, shown, part, kind)

    def entered(self, where: DataPath, path: Any) -> tuple[Scope, Items] | None:
        """The scope inside the group at `path`, and its items; None with a fault noted if there is none."""
        if not isinstance(path, str):
            self.wrong(where, "names a repeating group of the record")
            return None
        try:
            return self._scope.each(path)
        except PathError as fault:
            self.wrong(where, f"{path!r} {fault}")
            return None

    def inside(self, scope: Scope, make: Callable[[], T]) -> T:
        """What `make` gives while paths are read in `scope`."""
        outer, self._scope = self._scope, scope
        made = make()
        self._scope = outer
        return made

    def wrong(self, where: DataPath, message: str) -> None:
        """Notes a fault of the mapping at `where`."""
        self.issues.append(self._document.issue(where, message))

    # ---------------------------------------------------------------- expressions

    def _value(self, where: DataPath, data: Any, element: str, kind: Element | None) -> Part:
        if not isinstance(data, dict):
            return self.field(where, data, element, "copy", kind)
        functions = [key for key in data if key not in _SOURCES and key not in _OPTIONS]
        unknown = [key for key in functions if key not in _NAMES]
        for key in unknown:
            self.wrong((*where, key), f"unknown function {key!r}{hint(key, (*_NAMES, *_SOURCES, *_OPTIONS))}")
        if len(functions) > 1 and not unknown:
            self.wrong(where, "has two functions; put one expression into the 'from' of the other")
        if sum(key in data for key in _SOURCES) != 1:
            self.wrong(where, f"needs exactly one of {', '.join(_SOURCES)}")
        if data.get("required", True) is not True:
            self.wrong((*where, "required"), "is true or not there at all")
        name, argument = self._named(data)
        source = self._source(where, data, element, name, kind if name == "copy" and not unknown else None)
        node = source.node
        if name in _NAMES:
            self._must_fit((*where, name), name, kind)
            node = self._function((*where, name), name, argument, source, element)
        if "when" in data:
            node = nodes.only_when(self.condition((*where, "when"), data["when"], element), node)
        if "required" in data:
            node = nodes.required(node, nodes.shown(source.fields), element)
        return Part(node, source.dynamic or "when" in data, source.fields)

    def _named(self, data: Mapping[str, Any]) -> tuple[str, Any]:
        """The (first) function of an expression and its argument; copy and constant are functions here."""
        found = next((key for key in data if key in _NAMES), None)
        if found is not None:
            return found, data[found]
        return ("constant", data["constant"]) if "constant" in data else ("copy", None)

    def _source(
        self, where: DataPath, data: Mapping[str, Any], element: str, function: str, kind: Element | None
    ) -> Part:
        if "from" in data:
            return self.field((*where, "from"), data["from"], element, function, kind)
        if "constant" in data:
            return Part(nodes.constant(data["constant"]), dynamic=False)
        key = "first" if "first" in data else "join"
        items = data[key] if isinstance(data.get(key), list) else []
        if not items:
            self.wrong(where, f"'{key}' needs a list of fields or expressions")
        named = function if function != "copy" else key
        of_kind = kind if key == "first" else None
        parts = [
            self._item((*where, key, index), item, element, named, of_kind)
            for index, item in enumerate(items)
        ]
        fields = tuple(field for part in parts for field in part.fields)
        inner = tuple(part.node for part in parts)
        if key == "first":
            inner = tuple(
                nodes.first_item(node) if is_each(item) else node
                for node, item in zip(inner, items, strict=True)
            )
            return Part(nodes.first(inner), dynamic=True, fields=fields)
        if not isinstance(data.get("with"), str):
            self.wrong(where, "'join' needs 'with', the text between the parts")
        dynamic = tuple(part.dynamic for part in parts)
        node = nodes.join(inner, dynamic, data.get("with", ""), nodes.shown(fields))
        return self._copied(where, None, Part(node, dynamic=True, fields=fields), kind)

    def _item(self, where: DataPath, item: Any, element: str, function: str, kind: Element | None) -> Part:
        """A member of first or join: a field's name, an expression (a constant among them), or each."""
        where, item = resolved(self._document, where, item)
        if is_each(item):
            return self.each(where, item, element, kind)
        if isinstance(item, dict) and set(item) == {"constant"}:
            return Part(nodes.constant(item["constant"]), dynamic=False)
        return self.field(where, item, element, function, kind)

    def _function(self, where: DataPath, name: str, argument: Any, source: Part, element: str) -> Node:
        try:
            if name == "age":
                return self._age(where, argument, source, element)
            return nodes.apply(build(name, argument, self._tables), source, whole=FUNCTIONS[name].whole)
        except ArgumentError as fault:
            self.wrong(where, f"'{name}' {fault}")
            return source.node

    def _age(self, where: DataPath, argument: Any, source: Part, element: str) -> Node:
        if not isinstance(argument, dict) or set(argument) != {"formats", "on"}:
            raise ArgumentError("needs 'formats', and 'on': the field that holds the day")
        day = self.field((*where, "on"), argument["on"], element, "age")
        fields = nodes.shown((*source.fields, *day.fields))
        return nodes.apply_two(years_between(argument["formats"]), source.node, day.node, fields)

    def _copied(self, where: DataPath, path: Any, source: Part, kind: Element | None) -> Part:
        """What is copied must be of the element's kind: text, or in a FHIR record the same FHIR type."""
        if kind is None:
            return source
        same = self._typed(path) if isinstance(path, str) else None
        if same is not None:
            if same.type != kind.type and not {same.type, kind.type} <= TEXT:
                self.wrong(where, f"copies a {same.type}, and this is a {kind.type}")
            return source
        if not kind.is_text or kind.type not in TEXT | {"base64Binary", "xhtml"}:
            say = _which_makes(kind)
            self.wrong(where, f"copies text, and this is a {kind.type}{say}")
        return Part(nodes.copy_text(source), source.dynamic, source.fields)

    def _must_fit(self, where: DataPath, name: str, kind: Element | None) -> None:
        makes = AGE_MAKES if name == "age" else FUNCTIONS[name].makes if name in FUNCTIONS else None
        if kind is not None and makes is not None and kind.type not in makes:
            self.wrong(where, f"'{name}' does not make a {kind.type}{_which_makes(kind)}")

    def each(self, where: DataPath, data: Mapping[str, Any], element: str, kind: Element | None) -> Part:
        found = self.entered((*where, "each"), data["each"])
        if found is None:
            return Part(nodes.constant(None), dynamic=True)
        scope, items = found
        part = self.inside(scope, lambda: self.template((*where, "make"), data["make"], element, kind))
        return Part(for_each(items, part.node, scope.shown), dynamic=True, fields=part.fields)

    # ---------------------------------------------------------------- what is collected

    @contextmanager
    def under(self, conditional: bool) -> Iterator[None]:
        before, self._conditional = self._conditional, self._conditional or conditional
        yield
        self._conditional = before

    def note(
        self,
        where: DataPath,
        element: str,
        kind: Element | None,
        function: str,
        argument: Any,
        data: Any,
        part: Part,
    ) -> None:
        self.lines.append(
            Line(
                where=where,
                element=element,
                kind=kind,
                function=function,
                argument=argument,
                data=data,
                fields=part.fields,
                required=isinstance(data, dict) and "required" in data,
                conditional=self._conditional,
                repeated=self._scope.item is not None,
            )
        )


def hint(name: str, known: Any) -> str:
    """The known name that comes closest, as the end of a message."""
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _which_makes(kind: Element) -> str:
    fits = [name for name, known in FUNCTIONS.items() if known.makes and kind.type in known.makes]
    return f"; use {' or '.join(fits)}" if fits else ""


def is_each(data: Any) -> bool:
    return isinstance(data, dict) and set(data) == {"each", "make"}
