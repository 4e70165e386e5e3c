"""What a schema cannot see in an agreement: terms that the engine does not know, parts that do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from consent.agreement_signing import SigningError, terms
from consent.items import shipped
from profiles.canonical import ACT_REASON
from profiles.document import DataPath
from profiles.terminology import known

Fault = tuple[DataPath, str]


def faults(data: Mapping[str, Any]) -> Iterator[Fault]:
    """(where, what is wrong) of a document that fits the schema."""
    yield from _terms(data)
    yield from _parties(data)
    yield from _times(data)
    try:
        terms(data)
    except SigningError as fault:
        yield (), f"cannot be signed: {fault}"


def _terms(data: Mapping[str, Any]) -> Iterator[Fault]:
    items = shipped().entries
    for number, purpose in enumerate(data["purposes"]):
        if not known(ACT_REASON, purpose):
            yield ("purposes", number), "is not a purpose in v3-ActReason"
    for at, clause in enumerate(data["data"]):
        for number, item in enumerate(clause["items"]):
            where = ("data", at, "items", number)
            if item not in items:
                yield where, "is not a disclosure item"
            elif clause["view"] == "offer" and items[item].group != "offer":
                yield where, "is about the person, and an offer never is"
    before = data.get("supersedes")
    if before is None and data["version"] > 1:
        yield ("version",), "needs `supersedes`: every version but the first says which one it follows"
    elif before is not None and before >= data["version"]:
        yield ("supersedes",), "must be a lower version than this one"


def _parties(data: Mapping[str, Any]) -> Iterator[Fault]:
    parties = [one["organization"] for one in data["parties"]]
    yield from _twice(data, "parties", "is a party twice")
    held: dict[str, int] = {}
    for number, one in enumerate(data["parties"]):
        for at, key in enumerate(one.get("keys", ())):
            # Else one signature could be shown as another party's.
            if held.setdefault(key, number) != number:
                yield ("parties", number, "keys", at), "is another party's key too"
    for name in ("stewards", "contacts", "approvals", "signatures", "statements"):
        for number, one in enumerate(data.get(name, ())):
            if one["organization"] not in parties:
                yield (name, number, "organization"), "is not a party"
    yield from _twice(data, "signatures", "signs twice")


def _twice(data: Mapping[str, Any], name: str, message: str) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, one in enumerate(data.get(name, ())):
        if one["organization"] in seen:
            yield (name, number, "organization"), message
        seen.add(one["organization"])


def _times(data: Mapping[str, Any]) -> Iterator[Fault]:
    if not _is_zone(data["period"].get("zone", "UTC")):
        yield ("period", "zone"), "is not a time zone"
    if data["period"]["start"] > data["period"]["end"]:
        yield ("period", "end"), "is before the start"
    asked = data.get("request", {}).get("date", "")
    for number, approval in enumerate(data.get("approvals", ())):
        if approval["date"] < asked:
            yield ("approvals", number, "date"), "is before the day on which it was asked for"
    for number, one in enumerate(data.get("statements", ())):
        if not _is_instant(one["at"]):
            yield ("statements", number, "at"), "must be a date and time with its offset from UTC"


@cache
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _is_instant(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def fractions(value: Any, where: tuple[str | int, ...] = ()) -> Iterator[Fault]:
    """JSON Schema takes 1.0 for a whole number, but what is signed needs one way to write it."""
    if isinstance(value, float):
        yield where, "must be a whole number, written without a point"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from fractions(inner, (*where, key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, inner in enumerate(value):
            yield from fractions(inner, (*where, number))
