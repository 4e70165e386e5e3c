"""What a FHIRPath collection holds, and how R4's types say where an element stands in JSON.

An item is the JSON value itself wherever the type of a path is known when it is compiled. It is a `Node`
where the value alone would not say its type (a choice, a descendant) or where it is a primitive with an
extension. A bare resource, text, number or boolean of unknown type speaks for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from typing import Any

from profiles import r4


class Node:
    """A value with its type. `extra` is what JSON holds beside a primitive under `_name`."""

    __slots__ = ("extra", "type", "value")

    def __init__(self, value: Any, type_: str, extra: Mapping[str, Any] | None = None) -> None:
        self.value = value
        self.type = type_
        self.extra = extra


@dataclass(frozen=True, slots=True)
class Place:
    """Where an element stands in JSON: its property names with their types (several for a choice).

    `type` is the one type all its values have, or None when each has to say its own.
    """

    keys: Mapping[str, str]
    many: bool
    type: str | None


_PARENTS = {
    "code": "string",
    "id": "string",
    "markdown": "string",
    "url": "uri",
    "canonical": "uri",
    "oid": "uri",
    "uuid": "uri",
    "positiveInt": "integer",
    "unsignedInt": "integer",
    "Age": "Quantity",
    "Count": "Quantity",
    "Distance": "Quantity",
    "Duration": "Quantity",
    "SimpleQuantity": "Quantity",
    "BackboneElement": "Element",
    "DomainResource": "Resource",
    "System.Date": "System.DateTime",
}
_SYSTEM = {bool: "System.Boolean", str: "System.String", int: "System.Integer"}
_PLAIN = frozenset({*_SYSTEM.values(), "System.Decimal"})
_OPEN = frozenset({"Resource", "DomainResource"})
TEMPORAL = frozenset({"date", "dateTime", "instant", "time", "System.Date", "System.DateTime", "System.Time"})


def value_of(item: Any) -> Any:
    """The JSON value of an item; None for a primitive that has extensions only."""
    return item.value if item.__class__ is Node else item


def type_of(item: Any) -> str | None:
    """The type of an item that says its own."""
    if item.__class__ is Node:
        name: str = item.type
        return name
    if isinstance(item, dict):
        return item.get("resourceType")
    return _SYSTEM.get(item.__class__, "System.Decimal")


def boxed(items: Iterable[Any], type_: str | None) -> list[Any]:
    """Items of a known type as items that say their type themselves."""
    if type_ is None or type_ in _PLAIN or type_ in _OPEN or type_ in r4.resource_types():
        return list(items)
    return [item if item.__class__ is Node else Node(item, type_) for item in items]


@cache
def is_a(type_: str, wanted: str) -> bool:
    """Whether a type is another or derived from it. `Boolean` also means FHIR's own `boolean`."""
    wanted = wanted.removeprefix("FHIR.")
    if "System." + wanted == type_ or (wanted[:1].isupper() and wanted.lower() == type_.lower()):
        return True
    known: str | None = type_
    while known is not None:
        if known == wanted:
            return True
        known = _parent(known)
    return False


def known_type(name: str) -> bool:
    """Whether a name can be used with `is`, `as` and `ofType()`."""
    name = name.removeprefix("FHIR.")
    bare = name.removeprefix("System.")
    return (
        name in _PARENTS
        or name in r4.primitives()
        or bare in {"Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"}
        or bool(_elements(name))
    )


@cache
def place(type_: str, name: str) -> Place | None:
    """Where the element `name` of a type stands; None when the type has no such element."""
    elements = _elements("Element" if type_ in r4.primitives() else type_)
    element = elements.get(name) or elements.get(name + "[x]")
    if element is None:
        return None
    keys = {key: found.code for key, found in element.keys().items()}
    types = set(keys.values())
    only = types.pop() if len(types) == 1 else None
    return Place(keys, element.max != 1, None if only in _OPEN else only)


def children(item: Any) -> Iterator[Any]:
    """The elements directly below an item, each saying its type."""
    if item.__class__ is Node and item.extra is not None:
        yield from _of_object(item.extra, "Element")
    value = value_of(item)
    if isinstance(value, dict):
        yield from _of_object(value, value.get("resourceType") or type_of(item) or "Element")


def descendants(items: Iterable[Any]) -> list[Any]:
    """All elements below the items, at any depth; without recursion, so that depth costs nothing."""
    found: list[Any] = []
    waiting = list(items)
    while waiting:
        below = list(children(waiting.pop()))
        found += below
        waiting += below
    return found


def paired(value: Any, extra: Any, type_: str) -> list[Any]:
    """A primitive, or the primitives of a list, each with what stands beside it under `_name`."""
    values = value if isinstance(value, list) else [value]
    extras = extra if isinstance(extra, list) else [extra]
    return [
        one if beside is None else Node(one, type_, beside)
        for one, beside in zip_longest(values, extras)
        if one is not None or beside is not None
    ]


def _of_object(value: Mapping[str, Any], type_: str) -> Iterator[Any]:
    table = _types_by_key(type_)
    for key, content in value.items():
        name = key.removeprefix("_")
        found = table.get(name)
        if found is None or (name is not key and name in value):
            continue
        if name is not key or "_" + name in value:
            yield from boxed(paired(value.get(name), value.get("_" + name), found), found)
        elif isinstance(content, list):
            yield from boxed(content, found)
        else:
            yield content if found in _OPEN else Node(content, found)


@cache
def _types_by_key(type_: str) -> Mapping[str, str]:
    return {key: found.code for element in _elements(type_).values() for key, found in element.keys().items()}


@cache
def _elements(type_: str) -> Mapping[str, r4.Element]:
    try:
        return r4.elements(type_)
    except KeyError:
        return {}


def _parent(type_: str) -> str | None:
    if type_ in _PARENTS:
        return _PARENTS[type_]
    if type_ in {"Element", "Resource"} or type_.startswith("System."):
        return None
    elements = _elements(type_)
    if type_ in r4.resource_types():
        return "DomainResource" if "contained" in elements else "Resource"
    return "BackboneElement" if "modifierExtension" in elements else "Element"
