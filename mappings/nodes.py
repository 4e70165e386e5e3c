"""The running half of the mapping language: small functions that take a record's values and give a value.

Each is made once, from one expression of a mapping, by `mappings.expression`. They never raise for what a
record holds: problems go into the list that each is given, so that all of a record's are told at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mappings.functions.argument import text_of
from mappings.record import Getter, Rejected

Problem = tuple[str, str, str]
"""field, IssueType code, message"""
Node = Callable[[Any, list[Problem]], Any]
"""Takes the record's values and the list that collects problems; gives the value, or None for empty."""
Condition = Callable[[Any, list[Problem]], bool]


@dataclass(frozen=True, slots=True)
class Part:
    """A compiled piece: `dynamic` when it takes anything from the record, `fields` which ones.

    `getter` is set for a field and nothing more, so that a function on it needs one call less.
    """

    node: Node
    dynamic: bool
    fields: tuple[str, ...] = ()
    getter: Getter | None = None


def shown(fields: tuple[str, ...]) -> str:
    return ", ".join(dict.fromkeys(fields))


def as_text(part: Part) -> Node:
    """`part`, whose value must be one text or number, as text."""
    return apply(text_of, part, whole=True)


def text_already(value: Any) -> Any:
    """What is copied into a FHIR string must be a string, or a list of such."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return [text_already(item) for item in value]
    raise Rejected("value", "is not text; a number that is a name or code is copied with 'text: true'")


def constant(value: Any) -> Node:
    return lambda _values, _problems: value


def get(getter: Getter, field: str) -> Node:
    def node(values: Any, problems: list[Problem]) -> Any:
        try:
            return getter(values)
        except Rejected as fault:
            problems.append((field, fault.code, fault.message))
            return None

    return node


def apply(function: Callable[[Any], Any], source: Part, *, whole: bool = False) -> Node:
    """`function` of the source's value, of several values for each; a value that is empty stays empty.

    whole: the function takes several values as they are.
    """
    field, inner, getter = shown(source.fields), source.node, source.getter
    takes = function if whole else over_lists(function)
    if getter is not None:

        def direct(values: Any, problems: list[Problem]) -> Any:
            try:
                value = getter(values)
                if value is None:
                    return None
                return takes(value) if type(value) is list else function(value)
            except Rejected as fault:
                problems.append((field, fault.code, fault.message))
                return None

        return direct

    def node(values: Any, problems: list[Problem]) -> Any:
        value = inner(values, problems)
        if value is None:
            return None
        try:
            return takes(value)
        except Rejected as fault:
            problems.append((field, fault.code, fault.message))
            return None

    return node


def over_lists(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`function` of one value as a function that also takes several, each for itself."""

    def each(value: Any) -> Any:
        if type(value) is list:
            kept = [result for result in map(function, value) if result is not None]
            return kept or None
        return function(value)

    return each


def copy_text(source: Part) -> Node:
    """The source's value, which must be text or a list of texts."""
    field, getter = shown(source.fields), source.getter
    checked = apply(text_already, source, whole=True)
    if getter is None:
        return checked

    def direct(values: Any, problems: list[Problem]) -> Any:
        try:
            value = getter(values)
        except Rejected as fault:
            problems.append((field, fault.code, fault.message))
            return None
        return value if value is None or type(value) is str else checked(values, problems)

    return direct


def apply_two(function: Callable[[Any, Any], Any], one: Node, other: Node, field: str) -> Node:
    """`function` of two values; nothing where either is empty."""

    def node(values: Any, problems: list[Problem]) -> Any:
        first, second = one(values, problems), other(values, problems)
        if first is None or second is None:
            return None
        try:
            return function(first, second)
        except Rejected as fault:
            problems.append((field, fault.code, fault.message))
            return None

    return node


def required(inner: Node, field: str, element: str) -> Node:
    """`inner`, with a problem when it gives nothing and has not said why."""

    def node(values: Any, problems: list[Problem]) -> Any:
        before = len(problems)
        value = inner(values, problems)
        if value is None and len(problems) == before:
            problems.append((field, "required", f"is empty, and {element} needs it"))
        return value

    return node


def first(nodes: tuple[Node, ...]) -> Node:
    def node(values: Any, problems: list[Problem]) -> Any:
        for inner in nodes:
            value = inner(values, problems)
            if value is not None:
                return value
        return None

    return node


def first_item(inner: Node) -> Node:
    """The first of several values that `inner` gives."""

    def node(values: Any, problems: list[Problem]) -> Any:
        value = inner(values, problems)
        return value[0] if isinstance(value, list) else value

    return node


def join(nodes: tuple[Node, ...], dynamic: tuple[bool, ...], separator: str, field: str) -> Node:
    pairs = tuple(zip(nodes, dynamic, strict=True))

    def node(values: Any, problems: list[Problem]) -> str | None:
        texts: list[str] = []
        found = False
        for inner, from_record in pairs:
            value = inner(values, problems)
            if value is None:
                continue
            found = found or from_record
            try:
                texts += [text_of(item) for item in value] if isinstance(value, list) else [text_of(value)]
            except Rejected as fault:
                problems.append((field, fault.code, fault.message))
        return separator.join(texts) if found else None

    return node


def only_when(condition: Condition, inner: Node) -> Node:
    return lambda values, problems: inner(values, problems) if condition(values, problems) else None


def build_object(parts: list[tuple[str, Part]]) -> Node:
    """An object of its members that are not empty; with members from the record, nothing when all of these
    are empty."""
    fresh = _fresh({name: part.node(None, []) for name, part in parts if not part.dynamic})
    members = tuple((name, part.node) for name, part in parts if part.dynamic)
    if not members:
        return lambda _values, _problems: fresh()

    def node(values: Any, problems: list[Problem]) -> dict[str, Any] | None:
        made = fresh()
        constants = len(made)
        for name, inner in members:
            value = inner(values, problems)
            if value is not None:
                made[name] = value
        return made if len(made) > constants else None

    return node


def build_list(parts: list[Part]) -> Node:
    """A list of its members that are not empty; a member that is a list gives all of its items."""
    if not any(part.dynamic for part in parts):
        fresh = _anew([value for part in parts if (value := part.node(None, [])) is not None])
        return lambda _values, _problems: fresh() or None
    nodes = tuple(part.node for part in parts)

    def node(values: Any, problems: list[Problem]) -> list[Any] | None:
        made: list[Any] = []
        for inner in nodes:
            value = inner(values, problems)
            if type(value) is list:
                made += value
            elif value is not None:
                made.append(value)
        return made or None

    return node


def _fresh(constant: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """What gives this value anew each time, so that nobody who changes one record's resource changes all."""
    given = {name: value for name, value in constant.items() if value is not None}
    inner = tuple((name, _anew(value)) for name, value in given.items() if isinstance(value, dict | list))
    if not inner:
        return given.copy

    def fresh() -> dict[str, Any]:
        made = given.copy()
        for name, make in inner:
            made[name] = make()
        return made

    return fresh


def _anew(value: Any) -> Callable[[], Any]:
    if isinstance(value, dict):
        return _fresh(value)
    if isinstance(value, list):
        items = tuple(_anew(item) for item in value)
        return lambda: [item() for item in items]
    return lambda: value
