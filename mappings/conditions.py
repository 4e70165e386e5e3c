"""Conditions of a mapping: when an expression, an object, a message or a record kind applies.

{from: field, is: value or list}     it has this value, or one of these; of several values one is enough
{from: field, only: [a, b]}          it has a value, and every one is among these
{from: field, present: true}         it is there (false: it is empty)
{each: group, every: condition}      every item of the group fits; so do no items at all
all: [...]   any: [...]   not: ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from mappings.groups import Items, Scope, every_item
from mappings.nodes import Condition, Node, Part, Problem
from mappings.paths import word
from profiles.document import DataPath

_TESTS = ("is", "only", "present")


class Reads(Protocol):
    """What compiling a condition needs of the compiler it is part of."""

    def condition(self, where: DataPath, data: Any, element: str) -> Condition:
        """A condition inside this one."""

    def field(self, where: DataPath, data: Any, element: str, function: str) -> Part:
        """A field's name, or an expression."""

    def entered(self, where: DataPath, path: Any) -> tuple[Scope, Items] | None:
        """The scope inside a group."""

    def inside(self, scope: Scope, make: Callable[[], Condition]) -> Condition:
        """What `make` gives while paths are read in `scope`."""

    def wrong(self, where: DataPath, message: str) -> None:
        """Notes a fault of the mapping."""


def compile_condition(reads: Reads, where: DataPath, data: Any, element: str) -> Condition:
    """The condition `data`, which stands at `where` and is about `element`; faults are noted in `reads`."""
    if not isinstance(data, dict):
        reads.wrong(where, "a condition is an object with 'from' and 'is' or 'present', or all, any, not")
        return _never
    if set(data) in ({"all"}, {"any"}):
        (key,) = data
        parts = [
            reads.condition((*where, key, index), item, element)
            for index, item in enumerate(as_list(data[key]))
        ]
        return _all_of(parts) if key == "all" else _any_of(parts)
    if set(data) == {"not"}:
        inner = reads.condition((*where, "not"), data["not"], element)
        return lambda values, problems: not inner(values, problems)
    if set(data) == {"each", "every"}:
        return _every(reads, where, data, element)
    if set(data) not in [{"from", test} for test in _TESTS]:
        reads.wrong(where, "a condition has 'from' and one of 'is' and 'present', or all, any, not")
        return _never
    return _test(reads, where, data, element)


def _test(reads: Reads, where: DataPath, data: Mapping[str, Any], element: str) -> Condition:
    node = reads.field((*where, "from"), data["from"], element, "when").node
    if "present" in data:
        if not isinstance(data["present"], bool):
            reads.wrong((*where, "present"), "is true or false")
        return _is_present(node, wanted=data["present"] is True)
    wanted = frozenset(word(value) for value in as_list(data.get("is", data.get("only"))))
    return _is_among(node, wanted) if "is" in data else _are_all_among(node, wanted)


def _every(reads: Reads, where: DataPath, data: Mapping[str, Any], element: str) -> Condition:
    found = reads.entered((*where, "each"), data["each"])
    if found is None:
        return _never
    scope, items = found
    inner = reads.inside(scope, lambda: reads.condition((*where, "every"), data["every"], element))
    return every_item(items, inner, scope.shown)


def as_list(data: Any) -> list[Any]:
    """What may be written alone or as a list, as a list."""
    return data if isinstance(data, list) else [data]


def _never(_values: Any, _problems: Any) -> bool:
    return False


def _all_of(parts: list[Condition]) -> Condition:
    return lambda values, problems: all(part(values, problems) for part in parts)


def _any_of(parts: list[Condition]) -> Condition:
    return lambda values, problems: any(part(values, problems) for part in parts)


def _is_present(node: Node, *, wanted: bool) -> Condition:
    return lambda values, problems: (node(values, problems) is not None) is wanted


def _is_among(node: Node, wanted: frozenset[str]) -> Condition:
    """Values compared as words; a list matches when one item does."""

    def condition(values: Any, problems: list[Problem]) -> bool:
        value = node(values, problems)
        return value in wanted if type(value) is str else not wanted.isdisjoint(_words(value))

    return condition


def _are_all_among(node: Node, wanted: frozenset[str]) -> Condition:
    """Whether there is a value and each one is wanted."""

    def condition(values: Any, problems: list[Problem]) -> bool:
        words = _words(node(values, problems))
        return bool(words) and wanted.issuperset(words)

    return condition


def _words(value: Any) -> list[str]:
    if value is None:
        return []
    return [word(item) for item in value] if isinstance(value, list) else [word(value)]
