"""FHIR dates, dateTimes, instants and times compared as FHIRPath does: by component, in UTC where zoned.

FHIRPath 2.0.0 "Comparison" and "Date/Time Equality": two values that agree as far as the less precise one
goes cannot be told apart, and the answer is empty. Seconds and their fractions are one component.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal

from profiles.fhirpath.errors import EvaluationError

_CLOCK = r"(\d\d):(\d\d)(?::(\d\d(?:\.\d+)?))?"
_MOMENT = re.compile(rf"(\d{{4}})(?:-(\d\d)(?:-(\d\d)(?:T{_CLOCK}(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)
_TIME = re.compile(_CLOCK, re.ASCII)
_MINUTES, _SECOND = 16, 17  # the sign between the minute and the second
_SECONDS = 19  # where the fraction and the zone begin
_LONGEST = 32  # a dateTime with microseconds, the finest that Python's own keeps


def order(left: str, right: str) -> int | None:
    """-1, 0 or 1 as `left` is before, at or after `right`; None when their precision does not tell.

    Raises EvaluationError when one is no date or time.
    """
    if len(left) == len(right) and (len(left) <= 10 or left[_SECONDS:] == right[_SECONDS:]):
        return (left > right) - (left < right)
    if left[_MINUTES:_SECOND] == ":" == right[_MINUTES:_SECOND] and max(len(left), len(right)) <= _LONGEST:
        try:
            here, there = datetime.fromisoformat(left), datetime.fromisoformat(right)
            return (here > there) - (here < there)
        except (ValueError, TypeError):  # a leap second, or only one with a zone
            pass
    one, other = _components(left), _components(right)
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            return 1 if mine > theirs else -1
    return 0 if len(one) == len(other) else None


def moment(text: str) -> tuple[int | Decimal, ...]:
    """What two ways to write the same moment have in common, as something that can be hashed."""
    return _components(text)


def _components(text: str) -> tuple[int | Decimal, ...]:
    time = _TIME.fullmatch(text)
    if time is not None:
        return _numbers(time[1], time[2], time[3])
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise EvaluationError("a date or time is not written as one")
    year, month, day, hour, minute, second, zone = found.groups()
    if zone in {None, "Z"}:
        return _numbers(year, month, day, hour, minute, second)
    sign = -1 if zone[0] == "-" else 1
    offset = sign * (int(zone[1:3]) * 60 + int(zone[4:6]))
    minutes = int(hour) * 60 + int(minute) - offset
    days, minutes = divmod(minutes, 24 * 60)
    try:
        there = date.fromordinal(date(int(year), int(month), int(day)).toordinal() + days)
    except (ValueError, OverflowError):
        raise EvaluationError("a date that no calendar has") from None
    return (there.year, there.month, there.day, minutes // 60, minutes % 60, *_numbers(second))


def _numbers(*texts: str | None) -> tuple[int | Decimal, ...]:
    return tuple(Decimal(text) if "." in text else int(text) for text in texts if text is not None)
