"""Minimum sets: the least that one type of referral needs, in each view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from consent.items import SCHEMAS, ItemTable
from profiles.document import Document, load, read_schema
from profiles.outcome import Issue

# People without an address are served. So a set that asks for one says what could not be done without it.
_ADDRESS: Final = "address"


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of a set and why it is needed.

    `unless`: not where the record holds that other item. `only_with`: not without that other item going too.
    `otherwise`: what could not be done without an address.
    """

    item: str
    why: str
    required: bool = False
    unless: str = ""
    only_with: str = ""
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class MinimumSet:
    """What offer and dossier of some referral types may hold at most. A dossier holds its offer too."""

    referral_types: tuple[str, ...]
    title: str
    offer: tuple[Entry, ...]
    dossier: tuple[Entry, ...]

    @property
    def referral_type(self) -> str:
        """The first of its referral types, by which it is named."""
        return self.referral_types[0]

    def entries(self, view: Literal["offer", "dossier"]) -> tuple[Entry, ...]:
        """All that a view may hold."""
        return self.offer if view == "offer" else (*self.offer, *self.dossier)

    def needed(
        self, view: Literal["offer", "dossier"], held: frozenset[str], may_go: frozenset[str]
    ) -> frozenset[str]:
        """The items of a view, for a record that holds `held` and of which everything else lets `may_go` go.

        What stands in for another item goes by what the record holds, not by what may go: refusing the one
        must never bring out the other.
        """
        found: set[str] = set()
        for entry in self.entries(view):  # an item comes after those that it goes only with
            if entry.unless not in held and (not entry.only_with or entry.only_with in found & may_go):
                found.add(entry.item)
        return frozenset(found)


def load_minimum(path: Path, items: ItemTable) -> MinimumSet:
    """A minimum set from a YAML file. Raises DocumentError with file and line, also for unknown terms."""
    document = load(path, read_schema(SCHEMAS / "minimum.schema.json"))
    issues = [
        *_unknown_terms(document, items, "offer"),
        *_unknown_terms(document, items, "dossier"),
    ]
    if issues:
        raise document.error(issues)
    data = document.data
    return MinimumSet(
        tuple(data.get("referral-types") or [data["referral-type"]]),
        data["title"],
        _entries(data["offer"]),
        _entries(data["dossier"]),
    )


def _entries(listed: list[Mapping[str, Any]]) -> tuple[Entry, ...]:
    return tuple(Entry(**{key.replace("-", "_"): value for key, value in entry.items()}) for entry in listed)


def _unknown_terms(document: Document, items: ItemTable, view: str) -> Iterator[Issue]:
    """An offer never names a person, and the request that is served is the offer's in both views."""
    group = "offer" if view == "offer" else "person"
    listed: list[str] = []
    for number, entry in enumerate(document.data[view]):
        item = items.entries.get(entry["item"])
        where = (view, number, "item")
        if item is None:
            yield document.issue(where, "is not a disclosure item")
        elif item.group != group:
            yield document.issue(where, f"is not an item of the {view}")
        elif group == "person" and item.resource == "ServiceRequest":
            yield document.issue(where, "is part of the request, which is served without the person")
        elif entry["item"] in listed:
            yield document.issue(where, "is listed twice")
        elif entry["item"] == _ADDRESS and "otherwise" not in entry:
            yield document.issue(where, "needs `otherwise`: what could not be done without an address")
        for other in ("unless", "only-with"):
            if other in entry and entry[other] not in listed:
                yield document.issue((view, number, other), "is not an item listed before this one")
        listed.append(entry["item"])
