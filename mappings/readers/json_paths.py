"""Paths into JSON beyond single values: repeating groups, and the fields that a path reads.

A pick in a path reads a field too: `phones[kind=home].number` reads `phones.kind` and `phones.number`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mappings.paths import compile_path, scalar, without_picks
from mappings.record import Getter, Group, PathError

_PICK = re.compile(r"\[([^\[\]=]+)=[^\[\]]*\]")
_LAST_PICK = re.compile(r"(.+)(\[[^\[\]=]+=[^\[\]]*\])")


def field_names(path: str) -> list[str]:
    """The names under which `fields` lists what `path` reads, that of its value last."""
    picked = [f"{without_picks(path[: pick.start()])}.{pick[1]}" for pick in _PICK.finditer(path)]
    return list(dict.fromkeys([*picked, without_picks(path)]))


def compile_items(path: str) -> Callable[[Any], list[Any]]:
    """A function from a JSON value to all items at `path`, [] when there are none. Raises PathError.

    As paths elsewhere, but that a pick at its end, as in `phones[kind=home]`, keeps every item that has the
    value, and not the first alone.
    """
    if last := _LAST_PICK.fullmatch(path):
        listed = compile_items(last[1])
        fits = compile_path(f"item{last[2]}")
        return lambda value: [item for item in listed(value) if fits({"item": item}) is not None]
    walk = compile_path(path)

    def items(value: Any) -> list[Any]:
        found = walk(value)
        if not isinstance(found, list):
            return [] if found is None else [found]
        flat: list[Any] = []
        for item in found:
            flat += item if isinstance(item, list) else [item]
        return [item for item in flat if item is not None]

    return items


def json_group(path: str, value: Getter = scalar, inside: str = "") -> Group:
    """The repeating part at `path`. Raises PathError.

    value: what a getter makes of what it finds; inside: the fields' name of the group around this one.
    """
    shown = f"{inside}.{path}" if inside else path

    def getter(relative: str) -> Getter:
        if relative == ".":
            return value
        walk = compile_path(_relative(relative))
        return lambda item: value(walk(item))

    def names(relative: str) -> list[str]:
        own = field_names(shown)
        return own if relative == "." else [*own[:-1], *field_names(f"{own[-1]}{relative}")]

    return Group(
        items=compile_items(path),
        getter=getter,
        group=lambda relative: json_group(_relative(relative), value, shown),
        names=names,
    )


def _relative(path: str) -> str:
    if not path.startswith("."):
        raise PathError("must start with a dot, as paths inside a group do")
    return path[1:]
