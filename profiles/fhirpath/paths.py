"""Paths: from an item to the elements of a name below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from profiles import r4
from profiles.fhirpath.closures import Code, One, Scope, constant, exists_of, single
from profiles.fhirpath.context import Context
from profiles.fhirpath.nodes import Node, Place, boxed, paired, place, type_of, value_of

NOTHING = constant((), None)


def this_of(scope: Scope) -> Code:
    """`$this`, and what a path without a beginning starts from."""
    if scope.spread:
        return Code(lambda this, _env: this, scope.type)
    return single(_this, scope.type)


def step(source: Code, name: str) -> Code:
    """`source.name`. An element that the type does not have is simply not there."""
    code, head = _step(source, name), source.head
    if head is None or code is NOTHING:
        return code
    exists = exists_of(code)
    return replace(code, head=head, exists=lambda this, env: head in this and exists(this, env))


def _step(source: Code, name: str) -> Code:
    if source.type is None:
        return _dynamic(source, name)
    found = place(source.type, name)
    if found is None:
        return NOTHING
    if source.type in r4.primitives():
        return _beside(source, name, found)
    if len(found.keys) > 1:
        return _choice(source, found)
    key, type_ = next(iter(found.keys.items()))
    plain = type_ not in r4.primitives()
    under = "" if plain else "_" + key
    if source.one is None:
        return _of_many(source, key, under, type_, found)
    if found.many:
        return _list(source.one, key, under, type_, found)
    return _plain(source.one, key, found.type) if plain else _primitive(source.one, key, under, type_)


def _this(this: Any, _env: Context) -> Any:
    return this


def _plain(parent: One, key: str, type_: str | None) -> Code:
    if parent is _this:
        own = single(lambda this, _env: this.get(key), type_, lambda this, _env: key in this)
        return replace(own, head=key)

    def one(this: Any, env: Context) -> Any:
        above = parent(this, env)
        return None if above is None else above.get(key)

    return single(one, type_)


def _primitive(parent: One, key: str, under: str, type_: str) -> Code:
    if parent is _this:

        def own(this: Any, _env: Context) -> Any:
            return Node(this.get(key), type_, this[under]) if under in this else this.get(key)

        return single(own, type_, lambda this, _env: key in this or under in this)

    def one(this: Any, env: Context) -> Any:
        above = parent(this, env)
        if above is None:
            return None
        return Node(above.get(key), type_, above[under]) if under in above else above.get(key)

    return single(one, type_)


def _list(parent: One, key: str, under: str, type_: str, found: Place) -> Code:
    def items(this: Any, env: Context) -> Sequence[Any]:
        above = parent(this, env)
        if above is None:
            return ()
        if under in above:
            return paired(above.get(key, ()), above[under], type_)
        values: Sequence[Any] = above.get(key, ())
        return values

    if parent is not _this:
        return Code(items, found.type)
    exists = (lambda this, _env: key in this or under in this) if under else (lambda this, _env: key in this)
    return Code(items, found.type, exists=exists, head=None if under else key)


def _of_many(source: Code, key: str, under: str, type_: str, found: Place) -> Code:
    above = source.items
    many = found.many

    def items(this: Any, env: Context) -> Sequence[Any]:
        out: list[Any] = []
        for item in above(this, env):
            if under in item:
                out += paired(item.get(key), item[under], type_)
            elif key in item:
                if many:
                    out += item[key]
                else:
                    out.append(item[key])
        return out

    return Code(items, found.type)


def _choice(source: Code, found: Place) -> Code:
    table = found.keys
    names = frozenset(table) | {"_" + key for key, type_ in table.items() if type_ in r4.primitives()}

    def pick(item: Any) -> Any:
        for key in item:
            if key in names:
                name = key.removeprefix("_")
                return Node(item.get(name), table[name], item.get("_" + name))
        return None

    if source.one is not None:
        parent = source.one
        if parent is _this:
            return single(
                lambda this, _env: pick(this), found.type, lambda this, _env: not names.isdisjoint(this)
            )

        def one(this: Any, env: Context) -> Any:
            above = parent(this, env)
            return None if above is None else pick(above)

        return single(one, found.type)
    items = source.items
    return Code(
        lambda this, env: [v for v in map(pick, items(this, env)) if v is not None],
        found.type,
    )


def _beside(source: Code, name: str, found: Place) -> Code:
    """The id and extensions of a primitive."""
    above = source.items

    def items(this: Any, env: Context) -> Sequence[Any]:
        out: list[Any] = []
        for item in above(this, env):
            if item.__class__ is Node and item.extra is not None and name in item.extra:
                content = item.extra[name]
                out += content if found.many else [content]
        return out

    return Code(items, found.type)


def _dynamic(source: Code, name: str) -> Code:
    """A step from items that each say their type; what it finds says its type as well."""
    above = source.items

    def items(this: Any, env: Context) -> Sequence[Any]:
        out: list[Any] = []
        for item in above(this, env):
            type_ = type_of(item)
            found = None if type_ is None else place(type_, name)
            if found is not None:
                _collect(item, found, out)
        return out

    return Code(items, None)


def _collect(item: Any, found: Place, out: list[Any]) -> None:
    value = value_of(item)
    if not isinstance(value, dict):
        value = item.extra if item.__class__ is Node and item.extra is not None else {}
    for key, type_ in found.keys.items():
        under = "_" + key
        if under in value:
            out += boxed(paired(value.get(key), value[under], type_), type_)
        elif key in value:
            content = value[key]
            out += boxed(content if found.many else [content], type_)
