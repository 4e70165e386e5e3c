"""Element paths and building by allow-list: what no path names does not exist in what is built.

A path is element names joined by dots: `name[use=usual|official|-][0].given[0]`. `[key=a|b|-]` takes the
entries whose `key` is a or b or absent (`-`), `[0]` the first of them. An element chosen so carries the first
of the listed values and not its own, so that the choice itself tells nothing. `[key!=a|b]` takes the entries
whose `key` is neither; it carries nothing. Several brackets all have to fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeGuard

_PICK = re.compile(r"\[(?P<key>[A-Za-z]+)(?P<sign>!?=)(?P<values>[^\]]+)\]")
_SEGMENT = re.compile(
    rf"(?P<name>[A-Za-z]\w*)(?P<picks>(?:{re.sub(r'[?]P<[a-z]+>', '?:', _PICK.pattern)})*)"
    r"(?:\[(?P<index>\d+)\])?"
)
_ABSENT = "-"
# A dot inside [...] belongs to a value (a URL), not to the path.
_DOT = re.compile(r"\.(?![^\[]*\])")


@dataclass(frozen=True, slots=True)
class Pick:
    """Which entries of a list: those whose `key` is one of `values`, or (`fits` False) is none of them."""

    key: str
    values: tuple[str, ...]
    fits: bool = True


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of a path: an element, and which of its entries."""

    name: str
    picks: tuple[Pick, ...]
    index: int | None

    @property
    def key(self) -> str:
        """What its entries are told apart by; empty where all are taken."""
        return next((pick.key for pick in self.picks if pick.fits), "")

    @property
    def values(self) -> tuple[str, ...]:
        """The values of `key` that are taken."""
        return next((pick.values for pick in self.picks if pick.fits), ())


Tree = dict[Segment, "Tree"]


def parse(path: str) -> tuple[Segment, ...]:
    """The steps of `path`; ValueError when it is not one."""
    return tuple(_segment(text) for text in _DOT.split(path))


def tree(paths: Iterable[tuple[Segment, ...]]) -> Tree:
    """Several paths as one allow-list."""
    root: Tree = {}
    for path in paths:
        at = root
        for segment in path:
            at = at.setdefault(segment, {})
    return root


def build(source: Any, allowed: Tree) -> dict[str, Any]:
    """A new object with those values of `source` that `allowed` names, in the order of the allow-list.

    Only plain values are copied, never an object as it stands, so nothing can ride along in one. Elements
    that come out without a value are left out.
    """
    built: dict[str, Any] = {}
    if not is_object(source):
        return built
    for segment, below in allowed.items():
        value = source.get(segment.name)
        if isinstance(value, list):
            entries = [
                made for one in _chosen(value, segment) if (made := _entry(one, segment, below)) is not None
            ]
            if entries and below:
                built.setdefault(segment.name, []).extend(entries)
            elif entries:
                built[segment.name] = entries
        elif segment.index is None and not segment.picks:
            made = _entry(value, segment, below)
            if made is not None:
                built[segment.name] = made
    return built


def is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value is a JSON object. Nearly every one is a dict, and that is quickly seen."""
    return type(value) is dict or isinstance(value, Mapping)


def _entry(value: Any, segment: Segment, below: Tree) -> Any:
    """What is built from one entry; None when it gives nothing."""
    if not below:
        return value if isinstance(value, str | int | float | Decimal) else None
    made = build(value, below)
    if not made:
        return None
    return {pick.key: pick.values[0] for pick in segment.picks if pick.fits} | made


def _chosen(entries: list[Any], segment: Segment) -> list[Any]:
    found = [one for one in entries if _fits(one, segment)]
    return found if segment.index is None else found[segment.index : segment.index + 1]


def _fits(entry: Any, segment: Segment) -> bool:
    return not segment.picks or (
        is_object(entry)
        and all((entry.get(pick.key, _ABSENT) in pick.values) is pick.fits for pick in segment.picks)
    )


def _segment(text: str) -> Segment:
    found = _SEGMENT.fullmatch(text)
    if found is None:
        raise ValueError("not an element path")
    return Segment(
        name=found["name"],
        picks=tuple(
            Pick(pick["key"], tuple(pick["values"].split("|")), pick["sign"] == "=")
            for pick in _PICK.finditer(found["picks"])
        ),
        index=int(found["index"]) if found["index"] else None,
    )
