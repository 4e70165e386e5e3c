"""Minimum sets: the least that one type of referral needs, in each view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consent.items import SCHEMAS, ItemTable
from profiles.document import Document, load, read_schema
from profiles.outcome import Issue


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of a set and why it is needed. `unless`: not where the record holds that other item."""

    item: str
    why: str
    required: bool = False
    unless: str = ""


@dataclass(frozen=True, slots=True)
class MinimumSet:
    """What the offer and the dossier of one referral type may hold at most. A dossier holds its offer too."""

    referral_type: str
    title: str
    offer: tuple[Entry, ...]
    dossier: tuple[Entry, ...]


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
        data["referral-type"], data["title"], _entries(data["offer"]), _entries(data["dossier"])
    )


def _entries(listed: list[dict[str, Any]]) -> tuple[Entry, ...]:
    return tuple(Entry(**entry) for entry in listed)


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
        if "unless" in entry and entry["unless"] not in listed:
            yield document.issue((view, number, "unless"), "is not an item listed before this one")
        listed.append(entry["item"])
