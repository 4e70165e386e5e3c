"""FHIR dates and times written in an agency's own form again: what `date` and `datetime` read, backwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from mappings.functions.argument import ArgumentError
from mappings.functions.dates import hl7_function
from mappings.record import Rejected

_TOKEN = re.compile("YYYY|MM|DD|hh|mm|ss|zzz")
_TIME = {"hh", "mm", "ss", "zzz"}


def date_back(argument: Any) -> Callable[[Any], str]:
    """A function from a FHIR date to local text, for the argument of `date`.

    Raises ArgumentError where that is no single format, or one that says more than a date does.
    """
    form = _one(argument)
    if form in ("ISO", "HL7"):
        return hl7_function(True) if form == "HL7" else str
    tokens = _TOKEN.findall(form)
    if _TIME.intersection(tokens):
        raise ArgumentError("reads a time of day, which a date has lost")
    kept = {3: "%Y-%m-%d", 2: "%Y-%m", 1: "%Y"}[len(tokens)]

    def back(value: Any) -> str:
        try:
            return _written(form, datetime.strptime(str(value), kept))  # noqa: DTZ007 - a day, in no zone
        except ValueError:
            raise Rejected("value", f"cannot be written as {form}") from None

    return back


def datetime_back(argument: Any) -> Callable[[Any], str]:
    """A function from a FHIR dateTime to local text in the zone of `datetime`'s argument.

    Raises ArgumentError where that has not a single format.
    """
    form, zone = _one(argument["formats"]), ZoneInfo(argument["zone"])
    if form in ("ISO", "HL7"):
        return hl7_function(True) if form == "HL7" else str
    timed = bool(_TIME.intersection(_TOKEN.findall(form)))

    def back(value: Any) -> str:
        try:
            moment = datetime.fromisoformat(str(value))
            if moment.tzinfo is not None:
                moment = moment.astimezone(zone)
            elif timed:
                raise ValueError("a day, and no time")
        except (ValueError, OverflowError):
            raise Rejected("value", f"cannot be written as {form}") from None
        return _written(form, moment)

    return back


def _one(argument: Any) -> str:
    formats = argument if isinstance(argument, list) else [argument]
    if len(formats) != 1 or not isinstance(formats[0], str):
        raise ArgumentError("reads several formats, or less than the date")
    form: str = formats[0]
    if form not in ("ISO", "HL7") and re.search("[A-Za-z]", _TOKEN.sub("", form).replace("T", "")):
        raise ArgumentError("reads a format that may be written in several ways")
    return form


def _written(form: str, moment: datetime) -> str:
    known = {
        "YYYY": f"{moment.year:04}",
        "MM": f"{moment.month:02}",
        "DD": f"{moment.day:02}",
        "hh": f"{moment.hour:02}",
        "mm": f"{moment.minute:02}",
        "ss": f"{moment.second:02}",
        "zzz": f"{moment:%z}",
    }
    return _TOKEN.sub(lambda found: known[found[0]], form)
