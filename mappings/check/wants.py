"""What must hold of a record's fields for a condition of the mapping to hold: which are there, with what.

A condition is turned into its ways of holding, each a map from a field to what is wanted of it. Of very many
ways the first are enough: they are tried on the mapping itself, so that a wrong one is noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

Key = tuple[str, ...]
"""A field: its path, behind the paths of the repeating groups that it is read in."""
_MOST_WAYS = 64


@dataclass(frozen=True, slots=True)
class Want:
    """What is wanted of one field: empty or not; if not, one of `among` (any for None) and none of `but`."""

    present: bool = True
    among: tuple[str, ...] | None = None
    but: frozenset[str] = frozenset()


Wants = Mapping[Key, Want]
Ways = tuple[Wants, ...]

ALWAYS: Ways = ({},)
ABSENT = Want(present=False)


def merged(one: Wants, other: Wants) -> Wants | None:
    """What wants both; None where they contradict each other."""
    both = dict(one)
    for key, want in other.items():
        found = _both(both[key], want) if key in both else want
        if found is None:
            return None
        both[key] = found
    return both


def all_of(parts: Iterable[Ways]) -> Ways:
    """The ways in which all hold at once."""
    ways = ALWAYS
    for part in parts:
        combined = (merged(one, other) for one in ways for other in part)
        ways = tuple(islice((both for both in combined if both is not None), _MOST_WAYS))
    return ways


def any_of(parts: Iterable[Ways]) -> Ways:
    """The ways in which one of them holds."""
    return tuple(islice((way for part in parts for way in part), _MOST_WAYS))


def _both(one: Want, other: Want) -> Want | None:
    if one.present != other.present:
        return None
    but = one.but | other.but
    if one.among is None and other.among is None:
        return Want(one.present, None, but)
    among = [word for word in (one.among if one.among is not None else other.among or ()) if word not in but]
    if one.among is not None and other.among is not None:
        among = [word for word in among if word in other.among]
    return Want(one.present, tuple(among), but) if among else None
