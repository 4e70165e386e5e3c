"""Where a path of a mapping is read: in the record, or in an item of a repeating group of it.

Inside `each`, a path that starts with a dot is relative to the item; every other path is the record's. What
nodes are given there is the pair (item, record).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from mappings.nodes import Condition, Node, Problem
from mappings.record import Getter, Group, PathError, Rejected

_RELATIVE = "starts with a dot, which only paths inside an 'each' do"

Items = Callable[[Any], list[Any]]


class Paths(Protocol):
    """What a template's paths are looked up in; a Reader is one."""

    def getter(self, path: str) -> Getter:
        """How to get the value at `path`. Raises PathError."""

    def group(self, path: str) -> Group:
        """The repeating part at `path`. Raises PathError."""

    def names(self, path: str) -> list[str]:
        """The names under which `fields` lists what `path` reads."""


@dataclass(frozen=True, slots=True)
class Scope:
    """`shown` is the path of the group that is being read, empty for the record itself (`each: .`)."""

    record: Paths
    item: Group | None = None
    shown: str = ""

    def getter(self, path: str) -> Getter:
        """How to get `path` from what nodes are given here. Raises PathError."""
        if self.item is None:
            if path.startswith("."):
                raise PathError(_RELATIVE)
            return self.record.getter(path)
        if path.startswith("."):
            inner = self.item.getter(path)
            return lambda pair: inner(pair[0])
        outer = self.record.getter(path)
        return lambda pair: outer(pair[1])

    def names(self, path: str) -> list[str]:
        """The names under which `fields` lists what `path` reads."""
        if self.item is not None and path.startswith("."):
            return self.item.names(path)
        return self.record.names(path)

    def show(self, path: str) -> str:
        """`path` as people find it in the record: a relative one behind its group's."""
        if self.item is None or not path.startswith("."):
            return path
        return f"{self.shown}{path}" if self.shown else path[1:]

    def each(self, path: str) -> tuple[Scope, Items]:
        """The scope inside the group at `path`, and the pairs that its nodes are given. Raises PathError."""
        if self.item is None:
            if path == ".":
                return Scope(self.record, _itself(self.record)), lambda record: [(record, record)]
            if path.startswith("."):
                raise PathError(_RELATIVE)
            group = self.record.group(path)
            items = group.items
            return Scope(self.record, group, path), lambda record: [(item, record) for item in items(record)]
        if path.startswith("."):
            inner = self.item.group(path)
            return Scope(self.record, inner, self.show(path)), lambda pair: [
                (item, pair[1]) for item in inner.items(pair[0])
            ]
        outer = self.record.group(path)
        return Scope(self.record, outer, path), lambda pair: [
            (item, pair[1]) for item in outer.items(pair[1])
        ]


def _itself(record: Paths) -> Group:
    """The record as a group of one, so that a part with relative paths serves it too."""
    return Group(
        lambda values: [values],
        lambda path: record.getter(path[1:]),
        lambda path: record.group(path[1:]),
        lambda path: record.names(path[1:]),
    )


def for_each(items: Items, inner: Node, shown: str) -> Node:
    """What `inner` makes of every item that gives something, as a list."""

    def node(values: Any, problems: list[Problem]) -> list[Any] | None:
        made: list[Any] = []
        for pair in _pairs(items, values, problems, shown):
            value = inner(pair, problems)
            if isinstance(value, list):
                made += value
            elif value is not None:
                made.append(value)
        return made or None

    return node


def every_item(items: Items, inner: Condition, shown: str) -> Condition:
    """Whether every item fits; where there are none, they do."""
    return lambda values, problems: all(
        inner(pair, problems) for pair in _pairs(items, values, problems, shown)
    )


def _pairs(items: Items, values: Any, problems: list[Problem], shown: str) -> list[Any]:
    try:
        return items(values)
    except Rejected as fault:
        problems.append((shown, fault.code, fault.message))
        return []
