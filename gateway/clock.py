"""Instants as this node writes them: UTC, microseconds, one shape, so that text sorts as time passes."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """This moment, aware, in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """An aware moment as a FHIR instant in UTC with six decimals."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """The aware moment that `stamp` wrote (or any ISO 8601 text with an offset)."""
    return datetime.fromisoformat(text)
