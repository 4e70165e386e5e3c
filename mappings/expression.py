"""Expressions and templates of a mapping, compiled once into plain functions.

A template looks like what it makes: objects and lists stand for themselves, text and numbers are constants,
and an object that has one of the keys `from`, `constant`, `first` or `join` (these two with a list) is an
expression, which takes its value from the record:

    {from: birth_date, date: MM/DD/YYYY, required: true}
    {first: [PID-13.12, PID-13.1], phone: US}
    {join: [PID-13.6, PID-13.7], with: ""}
    {constant: home, when: {from: street, present: true}}

What is empty is left out. An object or list that takes anything from the record goes when all of that is
empty, so that an address without parts does not remain as `{use: home}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from mappings import nodes
from mappings.codes import CodeTable
from mappings.elements import Element
from mappings.functions import FUNCTIONS, ArgumentError, build
from mappings.nodes import Condition, Node, Part
from mappings.record import Getter, PathError
from mappings.result import Lineage
from profiles.document import DataPath, Document
from profiles.outcome import Issue

_SOURCES = ("from", "first", "join", "constant")
_OPTIONS = ("with", "when", "required")


class Compiler:
    """Compiles the templates of one record kind or one rendering.

    `getter` finds a field of the format at hand; `is_field` knows a field's name where a constant stands,
    which is a slip. Problems in the mapping are collected in `issues`, so that its author sees all of them at
    once; `lineage` and `used` collect what reaches where.
    """

    def __init__(
        self,
        document: Document,
        getter: Callable[[str], Getter],
        tables: Mapping[str, CodeTable],
        is_field: Callable[[str], bool],
    ) -> None:
        self._document = document
        self._getter = getter
        self._tables = tables
        self._is_field = is_field
        self.issues: list[Issue] = []
        self.lineage: list[Lineage] = []
        self.used: set[str] = set()

    def template(self, where: DataPath, data: Any, element: str, kind: Element | None = None) -> Part:
        """`data`, which stands at `where` in the mapping, as a part that makes `element` of type `kind`."""
        if isinstance(data, dict):
            if _is_expression(data):
                return self.expression(where, data, element, kind)
            return self._object(where, data, element, kind)
        if isinstance(data, list):
            return self._list(where, data, element, kind)
        if kind is not None and kind.members is not None:
            self._wrong(where, f"{kind.type} is an object, not a single value")
        if isinstance(data, str) and self._is_field(data):
            self._wrong(
                where, f"{data!r} is a field: write {{from: {data}}}, or {{constant: {data}}} for the word"
            )
        return Part(nodes.constant(data), dynamic=False)

    def expression(self, where: DataPath, data: Any, element: str, kind: Element | None = None) -> Part:
        """One value from the record: a source, at most one function, and a condition."""
        if not isinstance(data, dict):
            return self._field(where, data, element, "copy", kind)
        functions = [key for key in data if key not in _SOURCES and key not in _OPTIONS]
        unknown = [key for key in functions if key not in FUNCTIONS]
        for key in unknown:
            self._wrong(
                (*where, key), f"unknown function {key!r}{_hint(key, (*FUNCTIONS, *_SOURCES, *_OPTIONS))}"
            )
        if len(functions) > 1 and not unknown:
            self._wrong(where, "has two functions; put one expression into the 'from' of the other")
        if sum(key in data for key in _SOURCES) != 1:
            self._wrong(where, f"needs exactly one of {', '.join(_SOURCES)}")
        if data.get("required", True) is not True:
            self._wrong((*where, "required"), "is true or not there at all")
        name = functions[0] if functions and not unknown else "copy"
        source = self._source(where, data, element, name)
        node = source.node
        if name != "copy":
            node = self._function(where, data, name, source)
        elif kind is not None and kind.is_text and source.dynamic:
            node = nodes.apply(nodes.text_already, source)
        if "when" in data:
            node = nodes.only_when(self.condition((*where, "when"), data["when"], element), node)
        if "required" in data:
            node = nodes.required(node, nodes.shown(source.fields), element)
        return Part(node, source.dynamic or "when" in data, source.fields)

    def condition(self, where: DataPath, data: Any, element: str) -> Condition:
        """`{from: field, is: value or list}`, `{from: field, present: true}`, or all / any / not of such."""
        if not isinstance(data, dict):
            self._wrong(where, "a condition is an object with 'from' and 'is' or 'present', or all, any, not")
            return lambda _values, _problems: False
        if set(data) in ({"all"}, {"any"}):
            (key,) = data
            parts = [
                self.condition((*where, key, index), item, element)
                for index, item in enumerate(_as_list(data[key]))
            ]
            return nodes.all_of(parts) if key == "all" else nodes.any_of(parts)
        if set(data) == {"not"}:
            inner = self.condition((*where, "not"), data["not"], element)
            return lambda values, problems: not inner(values, problems)
        if set(data) not in ({"from", "is"}, {"from", "present"}):
            self._wrong(where, "a condition has 'from' and one of 'is' and 'present', or all, any, not")
            return lambda _values, _problems: False
        node = self._field((*where, "from"), data["from"], element, "when").node
        if "present" in data:
            if not isinstance(data["present"], bool):
                self._wrong((*where, "present"), "is true or false")
            return nodes.is_present(node, wanted=data["present"] is True)
        return nodes.is_among(node, frozenset(str(value) for value in _as_list(data["is"])))

    def _source(self, where: DataPath, data: Mapping[str, Any], element: str, function: str) -> Part:
        if "from" in data:
            return self._field((*where, "from"), data["from"], element, function)
        if "constant" in data:
            return Part(nodes.constant(data["constant"]), dynamic=False)
        key = "first" if "first" in data else "join"
        items = data[key] if isinstance(data.get(key), list) else []
        if not items:
            self._wrong(where, f"'{key}' needs a list of fields or expressions")
        named = function if function != "copy" else key
        parts = [self._item((*where, key, index), item, element, named) for index, item in enumerate(items)]
        fields = tuple(field for part in parts for field in part.fields)
        inner = tuple(part.node for part in parts)
        if key == "first":
            return Part(nodes.first(inner), dynamic=True, fields=fields)
        if not isinstance(data.get("with"), str):
            self._wrong(where, "'join' needs 'with', the text between the parts")
        dynamic = tuple(part.dynamic for part in parts)
        node = nodes.join(inner, dynamic, data.get("with", ""), nodes.shown(fields))
        return Part(node, dynamic=True, fields=fields)

    def _item(self, where: DataPath, item: Any, element: str, function: str) -> Part:
        """A member of first or join: a field's name, or an expression (a constant among them)."""
        if isinstance(item, dict) and set(item) == {"constant"}:
            return Part(nodes.constant(item["constant"]), dynamic=False)
        return self._field(where, item, element, function)

    def _field(
        self, where: DataPath, data: Any, element: str, function: str, kind: Element | None = None
    ) -> Part:
        if isinstance(data, dict):
            return self.expression(where, data, element, kind)
        if not isinstance(data, str):
            self._wrong(
                where, "names a field, or is an expression with 'from', 'first', 'join' or 'constant'"
            )
            return Part(nodes.constant(None), dynamic=True)
        self.used.add(data)
        self.lineage.append(Lineage(data, function, element))
        try:
            getter = self._getter(data)
        except PathError as fault:
            self._wrong(where, f"{data!r} {fault}")
            return Part(nodes.constant(None), dynamic=True)
        return Part(nodes.get(getter, data), dynamic=True, fields=(data,), getter=getter)

    def _function(self, where: DataPath, data: Mapping[str, Any], name: str, source: Part) -> Node:
        try:
            function = build(name, data[name], self._tables)
        except ArgumentError as fault:
            self._wrong((*where, name), f"'{name}' {fault}")
            return source.node
        return nodes.apply(function, source)

    def _object(self, where: DataPath, data: Mapping[str, Any], element: str, kind: Element | None) -> Part:
        members = kind.members if kind is not None else None
        if kind is not None and members is None:
            self._wrong(where, f"{kind.type} is a single value, not an object")
        condition = None
        if isinstance(data.get("when"), dict):
            condition = self.condition((*where, "when"), data["when"], element)
        parts: list[tuple[str, Part]] = []
        for name, value in data.items():
            if name == "when" and condition is not None:
                continue
            inner = members.get(name) if members is not None else None
            if members is not None and inner is None:
                self._wrong(
                    (*where, name),
                    f"{kind.type if kind else ''} has no element {name!r}{_hint(name, members)}",
                )
            place = f"{element}.{name}"
            if inner is not None and inner.repeats != isinstance(value, list):
                self._wrong(
                    (*where, name), "repeats: write a list" if inner.repeats else "does not repeat: no list"
                )
            parts.append((name, self.template((*where, name), value, place, inner)))
        node = nodes.build_object(parts)
        if condition is not None:
            node = nodes.only_when(condition, node)
        dynamic = condition is not None or any(part.dynamic for _, part in parts)
        return Part(node, dynamic, tuple(field for _, part in parts for field in part.fields))

    def _list(self, where: DataPath, data: list[Any], element: str, kind: Element | None) -> Part:
        parts = [
            self.template((*where, index), item, f"{element}[{index}]", kind)
            for index, item in enumerate(data)
        ]
        dynamic = any(part.dynamic for part in parts)
        fields = tuple(field for part in parts for field in part.fields)
        return Part(nodes.build_list(tuple(part.node for part in parts)), dynamic, fields)

    def _wrong(self, where: DataPath, message: str) -> None:
        self.issues.append(self._document.issue(where, message))


def _is_expression(data: Mapping[str, Any]) -> bool:
    """`first` and `join` with anything but a list are members of the object: a first name, for one."""
    return (
        "from" in data
        or "constant" in data
        or any(isinstance(data.get(key), list) for key in ("first", "join"))
    )


def _as_list(data: Any) -> list[Any]:
    return data if isinstance(data, list) else [data]


def _hint(name: str, known: Any) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
