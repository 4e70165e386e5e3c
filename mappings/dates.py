"""Local dates and times to FHIR `date` and `dateTime`, by formats that the mapping states.

A format is written with YYYY MM DD hh mm ss and `zzz` (an offset such as +0000, -05:00 or Z), or is one of
two names: HL7 (version 2 DTM, any precision) and ISO (ISO 8601 as FHIR writes it). Nothing is guessed: 03/04
is a date only because the mapping says which part is the month. Precision is kept, never invented.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from mappings.record import Rejected

_TOKENS = {
    "YYYY": "(?P<year>[0-9]{4})",
    "MM": "(?P<month>[0-9]{2})",
    "DD": "(?P<day>[0-9]{2})",
    "hh": "(?P<hour>[0-9]{2})",
    "mm": "(?P<minute>[0-9]{2})",
    "ss": "(?P<second>[0-9]{2})",
    "zzz": "(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})",
}
_NAMED = {
    "HL7": r"(?P<year>[0-9]{4})(?:(?P<month>[0-9]{2})(?:(?P<day>[0-9]{2})(?:"
    r"(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})(?:\.[0-9]{1,4})?)?"
    r")?)?)?(?P<zone>[+-][0-9]{4})?",
    "ISO": r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})(?:"
    r"T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]{1,9})?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?",
}
_TOKEN = re.compile("|".join(_TOKENS))

Parts = dict[str, str | None]


class FormatError(ValueError):
    """A format, zone or argument in a mapping that is not usable; the text says what is."""


def date_function(argument: Any) -> Callable[[Any], str]:
    """A function from local text to a FHIR date; `argument` is a format or a list of formats."""
    parse = _parser(argument)

    def to_date(value: Any) -> str:
        parts = parse(value)
        return _date_text(parts)

    return to_date


def datetime_function(argument: Any) -> Callable[[Any], str]:
    """A function from local text to a FHIR dateTime.

    `argument` is {formats: …, zone: America/New_York}: the zone of times that carry no offset.
    """
    if not isinstance(argument, dict) or set(argument) != {"formats", "zone"}:
        raise FormatError("needs 'formats' and 'zone' (such as America/New_York)")
    parse, zone = _parser(argument["formats"]), _zone(argument["zone"])

    def to_datetime(value: Any) -> str:
        parts = parse(value)
        day = _date_text(parts)
        if parts.get("hour") is None:
            return day
        try:
            local = datetime.combine(
                date.fromisoformat(day),
                time(int(parts["hour"] or 0), int(parts["minute"] or 0), int(parts.get("second") or 0)),
                tzinfo=_offset(parts.get("zone")) or zone,
            )
        except ValueError:
            raise Rejected("value", "is not a time that exists") from None
        return local.isoformat()

    return to_datetime


def hl7_function(argument: Any) -> Callable[[Any], str]:
    """A function from a FHIR date, dateTime or instant to an HL7 version 2 DTM of the same precision."""
    if argument is not True:
        raise FormatError("must be true")
    parse = _parser("ISO")

    def to_hl7(value: Any) -> str:
        parts = parse(value)
        names = ("year", "month", "day", "hour", "minute", "second")
        zone = (parts["zone"] or "").replace("Z", "+0000").replace(":", "")
        return "".join(parts[name] or "" for name in names) + zone

    return to_hl7


def _parser(argument: Any) -> Callable[[Any], Parts]:
    formats = argument if isinstance(argument, list) else [argument]
    if not formats or not all(isinstance(text, str) for text in formats):
        raise FormatError("needs a format such as YYYY-MM-DD, or a list of formats")
    patterns = [_pattern(text) for text in formats]
    message = f"does not have the form {' or '.join(formats)}"

    def parse(value: Any) -> Parts:
        text = str(value)
        for pattern in patterns:
            found = pattern.fullmatch(text)
            if found:
                return found.groupdict()
        raise Rejected("value", message)

    return parse


def _pattern(text: str) -> re.Pattern[str]:
    if text in _NAMED:
        return re.compile(_NAMED[text])
    names = _TOKEN.findall(text)
    rest = _TOKEN.sub("", text)
    usable = names and names.count("YYYY") == 1 and len(set(names)) == len(names)
    if not usable or re.search("[A-SU-Za-z]", rest) or ("DD" in names and "MM" not in names):
        raise FormatError("uses YYYY MM DD hh mm ss zzz once each, or is HL7 or ISO")
    if ("hh" in names) != ("mm" in names) or ("hh" in names and "DD" not in names):
        raise FormatError("states a time without its minutes or without its day")
    escaped = re.sub(r"[^A-Za-z]", lambda found: re.escape(found[0]), text)
    return re.compile(_TOKEN.sub(lambda found: _TOKENS[found[0]], escaped))


def _date_text(parts: Parts) -> str:
    year, month, day = parts["year"], parts.get("month"), parts.get("day")
    try:
        date(int(year or 0), int(month or 1), int(day or 1))
    except ValueError:
        raise Rejected("value", "is not a date that exists") from None
    return "-".join(part for part in (year, month, day) if part)


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except Exception:  # ZoneInfo raises five kinds for five forms of a bad name
        raise FormatError("names no time zone; zones look like America/New_York") from None


def _offset(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
