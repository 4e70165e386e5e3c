"""FHIR dates as instants: what a partial date means at the start and at the end of a period."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo

_DATE_TIME = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})"
    r"(?:T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?(?:Z|[+-]\d{2}:\d{2}))?)?)?"
)
_INSTANT = timedelta(microseconds=1)


def first_moment(text: str, zone: tzinfo) -> datetime:
    """The first instant that the FHIR dateTime `text` covers; ValueError when it is not one."""
    return _span(text, zone)[0]


def last_moment(text: str, zone: tzinfo) -> datetime:
    """The last instant that `text` covers: for a date, the end of that whole day in `zone`, and in `zone`.

    FHIR R4 Period.end is inclusive: "2012-02-03" includes every time on that day.
    """
    return _span(text, zone)[1]


def _span(text: str, zone: tzinfo) -> tuple[datetime, datetime]:
    found = _DATE_TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("not a FHIR dateTime")
    year, month, day = found.groups()
    try:
        if "T" in text:
            moment = datetime.fromisoformat(text)
            moment.astimezone(UTC)  # an instant that UTC cannot say cannot be compared
            return moment, moment
        first = date(int(year), int(month or 1), int(day or 1))
        after = _next(first, bool(month), bool(day))
        return _midnight(first, zone), (_midnight(after, zone) - _INSTANT).astimezone(zone)
    except OverflowError:
        raise ValueError("a date outside the calendar") from None


def _next(first: date, has_month: bool, has_day: bool) -> date:
    """The first day after the day, month or year that begins on `first`."""
    if has_day:
        return first + timedelta(days=1)
    if has_month:
        return (first + timedelta(days=31)).replace(day=1)
    return first.replace(year=first.year + 1)


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
