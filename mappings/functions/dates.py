"""Local dates and times to FHIR `date` and `dateTime`, by formats that the mapping states.

A format is written with YYYY MM DD hh mm ss and `zzz` (an offset such as +0000, -05:00 or Z); with M, D and h
for one or two digits and `pm` for AM or PM in any letters, as spreadsheets write them; or it is one of two
names: HL7 (version 2 DTM, any precision) and ISO (ISO 8601 as FHIR writes it). Nothing is guessed: 03/04 is a
date only because the mapping says which part is the month. Precision is kept, never invented.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from mappings.functions.argument import ArgumentError
from mappings.record import Rejected

_TOKENS = {
    "YYYY": ("year", "[0-9]{4}"),
    "MM": ("month", "[0-9]{2}"),
    "DD": ("day", "[0-9]{2}"),
    "hh": ("hour", "[0-9]{2}"),
    "mm": ("minute", "[0-9]{2}"),
    "ss": ("second", "[0-9]{2}"),
    "zzz": ("zone", "Z|[+-][0-9]{2}:?[0-9]{2}"),
    "pm": ("half", "[AaPp][Mm]"),
    "M": ("month", "[0-9]{1,2}"),
    "D": ("day", "[0-9]{1,2}"),
    "h": ("hour", "[0-9]{1,2}"),
}
_NAMED = {
    "HL7": r"(?P<year>[0-9]{4})(?:(?P<month>[0-9]{2})(?:(?P<day>[0-9]{2})(?:"
    r"(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?:(?P<second>[0-9]{2})(?:\.[0-9]{1,4})?)?"
    r")?)?)?(?P<zone>[+-][0-9]{4})?(?P<half>)",
    "ISO": r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2})(?:"
    r"T(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]{1,9})?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?(?P<half>)",
}
_TOKEN = re.compile("|".join(_TOKENS))

_PARTS = ("year", "month", "day", "hour", "minute", "second", "zone", "half")

Parts = tuple[str | Any, ...]
"""The text of each of `_PARTS`, empty or None where a format or a value has none."""


def date_function(argument: Any) -> Callable[[Any], str]:
    """A function from local text to a FHIR date; `argument` is a format or a list of formats.

    `{formats: …, precision: year | month}` keeps no more of the date than that.
    """
    kept = {"year": 4, "month": 7}
    length = 10
    if isinstance(argument, dict):
        if set(argument) != {"formats", "precision"} or argument["precision"] not in kept:
            raise ArgumentError("needs 'formats' and 'precision' (year or month), or formats alone")
        length, argument = kept[argument["precision"]], argument["formats"]
    parse = _parser(argument)

    def to_date(value: Any) -> str:
        return _date_text(parse(value))[:length]

    return to_date


def datetime_function(argument: Any) -> Callable[[Any], str]:
    """A function from local text to a FHIR dateTime.

    `argument` is {formats: …, zone: America/New_York}: the zone of times that carry no offset.
    """
    if not isinstance(argument, dict) or set(argument) != {"formats", "zone"}:
        raise ArgumentError("needs 'formats' and 'zone' (such as America/New_York)")
    parse, zone = _parser(argument["formats"]), _zone(argument["zone"])

    def to_datetime(value: Any) -> str:
        parts = parse(value)
        day = _date_text(parts)
        _, _, _, hour, minute, second, offset, half = parts
        if not hour:
            return day
        try:
            moment = time(
                _hour(hour, half), int(minute), int(second or 0), tzinfo=_offset(offset) if offset else zone
            )
        except ValueError:
            raise Rejected("value", "is not a time that exists") from None
        return datetime.combine(date.fromisoformat(day), moment).isoformat()

    return to_datetime


def time_function(argument: Any) -> Callable[[Any], str]:
    """A function from local text to a FHIR time; `argument` is a format of a time, or a list of such."""
    formats = argument if isinstance(argument, list) else [argument]
    known = {"hh:mm": "%H:%M", "hh:mm:ss": "%H:%M:%S", "hhmm": "%H%M", "hh:mm pm": "%I:%M %p"}
    if not formats or not all(isinstance(each, str) and each in known for each in formats):
        raise ArgumentError(f"needs one or more of {', '.join(known)}")
    patterns = [known[each] for each in formats]

    def to_time(value: Any) -> str:
        for pattern in patterns:
            try:
                return datetime.strptime(str(value).strip(), pattern).strftime("%H:%M:%S")  # noqa: DTZ007
            except ValueError:
                continue
        raise Rejected("value", f"does not have the form {' or '.join(formats)}")

    return to_time


def hl7_function(argument: Any) -> Callable[[Any], str]:
    """A function from a FHIR date, dateTime or instant to an HL7 version 2 DTM of the same precision."""
    if argument is not True:
        raise ArgumentError("must be true")
    parse = _parser("ISO")

    def to_hl7(value: Any) -> str:
        *digits, zone, _ = parse(value)
        return "".join(part or "" for part in digits) + (zone or "").replace("Z", "+0000").replace(":", "")

    return to_hl7


def _parser(argument: Any) -> Callable[[Any], Parts]:
    formats = argument if isinstance(argument, list) else [argument]
    if not formats or not all(isinstance(text, str) for text in formats):
        raise ArgumentError("needs a format such as YYYY-MM-DD, or a list of formats")
    patterns = [_pattern(text) for text in formats]
    message = f"does not have the form {' or '.join(formats)}"

    def parse(value: Any) -> Parts:
        text = str(value)
        for pattern in patterns:
            found = pattern.fullmatch(text)
            if found:
                return found.group(*_PARTS)
        raise Rejected("value", message)

    return parse


def _pattern(text: str) -> re.Pattern[str]:
    if text in _NAMED:
        return re.compile(_NAMED[text])
    names = [_TOKENS[token][0] for token in _TOKEN.findall(text)]
    rest = _TOKEN.sub("", text)
    usable = names.count("year") == 1 and len(set(names)) == len(names)
    if not usable or re.search("[A-SU-Za-z]", rest) or ("day" in names and "month" not in names):
        raise ArgumentError("uses YYYY MM DD hh mm ss zzz once each, or is HL7 or ISO")
    if ("hour" in names) != ("minute" in names) or ("hour" in names and "day" not in names):
        raise ArgumentError("states a time without its minutes or without its day")
    if "half" in names and "hour" not in names:
        raise ArgumentError("states AM or PM without an hour")
    escaped = re.sub(r"[^A-Za-z]", lambda found: re.escape(found[0]), text)
    pattern = _TOKEN.sub(lambda found: "(?P<{}>{})".format(*_TOKENS[found[0]]), escaped)
    return re.compile(pattern + "".join(f"(?P<{name}>)" for name in _PARTS if name not in names))


def _date_text(parts: Parts) -> str:
    year, month, day = parts[:3]
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        raise Rejected("value", "is not a date that exists") from None
    if not month:
        return str(year)
    return f"{year}-{month:0>2}-{day:0>2}" if day else f"{year}-{month:0>2}"


def _hour(hour: str, half: str) -> int:
    """Raises ValueError for an hour that a clock of twelve hours does not show."""
    if not half:
        return int(hour)
    if not 1 <= int(hour) <= 12:
        raise ValueError
    return int(hour) % 12 + 12 * (half[0] in "Pp")


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except Exception:  # ZoneInfo raises five kinds for five forms of a bad name
        raise ArgumentError("names no time zone; zones look like America/New_York") from None


def _offset(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
