"""Paths into JSON: `client.name.first`, `name[use=official].given[0]`, `extension[url=https://…].valueCode`.

A step is a name; `[n]` picks an item of a list, `[path=value]` the first item that has that value at
the path, `[*]` all items. A list met without a pick stands for its first item, so that a path reads the same
whether or not an element repeats.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mappings.record import PathError, Rejected

Step = Callable[[Any], Any]

_STEP = re.compile(r"([^.\[\]]+)((?:\[[^\[\]]*\])*)(?:\.|$)")
_PICK = re.compile(r"\[([^\[\]]*)\]")


def compile_path(path: str) -> Step:
    """A function from a JSON value to what stands at `path`, or None. Raises PathError."""
    steps: list[Step] = []
    position = 0
    while position < len(path):
        found = _STEP.match(path, position)
        if not found or path.endswith("."):
            raise PathError("is not a path: names joined by dots, with [n], [name=value] or [*] after a name")
        steps.append(_member(found[1]))
        steps += [_pick(text) for text in _PICK.findall(found[2])]
        position = found.end()
    if not steps:
        raise PathError("is empty")
    return _chain(steps)


def without_picks(path: str) -> str:
    """`name[use=official].given[0]` as `name.given`: the field, whichever of its items is meant."""
    return _PICK.sub("", path)


def _chain(steps: list[Step]) -> Step:
    if len(steps) == 1:
        return steps[0]
    first, *rest = steps

    def walk(value: Any) -> Any:
        value = first(value)
        for step in rest:
            if value is None:
                return None
            value = step(value)
        return value

    return walk


def _member(name: str) -> Step:
    def member(value: Any) -> Any:
        if type(value) is list:
            value = value[0] if value else None
        if type(value) is _All:
            found = [each[name] for each in value if isinstance(each, dict) and name in each]
            return _All(found) if found else None
        return value.get(name) if isinstance(value, dict) else None

    return member


def word(value: Any) -> str:
    """A value as picks and conditions compare it: text as it stands, others by their JSON text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class _All(list[Any]):
    """Several values that the path walks on from at once."""


def _pick(text: str) -> Step:
    if text == "*":
        return _all
    if text.isdecimal() and text.isascii():
        return _item(int(text))
    inner, equals, wanted = text.partition("=")
    if not equals:
        raise PathError("has a pick that is neither [n], [name=value] nor [*]")
    if not re.fullmatch(r"[^.]+(\.[^.]+)*", inner):
        raise PathError("has a pick whose left side is not names joined by dots")
    return _match(inner.split("."), wanted)


def _all(value: Any) -> _All:
    if type(value) is _All:
        return _All(item for each in value for item in (each if isinstance(each, list) else [each]))
    return _All(value) if isinstance(value, list) else _All([value])


def _item(index: int) -> Step:
    def item(value: Any) -> Any:
        if isinstance(value, list):
            return value[index] if index < len(value) else None
        return value if index == 0 else None

    return item


def _match(names: list[str], wanted: str) -> Step:
    def match(value: Any) -> Any:
        items = value if isinstance(value, list) else [value]
        return next((item for item in items if _holds(item, names, wanted)), None)

    return match


def _holds(value: Any, names: list[str], wanted: str) -> bool:
    """Whether `wanted` stands at the end of `names` from `value`, in any item of the lists on the way."""
    if isinstance(value, list):
        return any(_holds(item, names, wanted) for item in value)
    if not names:
        return word(value) == wanted
    return isinstance(value, dict) and names[0] in value and _holds(value[names[0]], names[1:], wanted)


def scalar(value: Any) -> Any:
    """The value of a field that must be one value or a list of such: text trimmed, blank is None.

    Raises Rejected for an object or a list in a list.
    """
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, list):
        kept = [item for item in map(scalar, value) if item is not None]
        if any(isinstance(item, list) for item in kept):
            raise Rejected("structure", "is a list of lists where values are expected")
        return kept or None
    if isinstance(value, dict):
        raise Rejected("structure", "is an object where a value is expected")
    return value
