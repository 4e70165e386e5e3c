"""What the values of a column look like. Nothing here is certain: its name must agree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mappings.functions import dates, people
from mappings.record import Rejected

Test = Callable[[Any], bool]

MOST_CODES: Final = 30  # different values that a column of codes may have
LEAST_SEEN: Final = (
    2  # times that a value must stand in the sample to be shown: one alone may tell of a person
)
DATE_FORMATS: Final = (
    "YYYY-MM-DD",
    "M/D/YYYY",
    "D/M/YYYY",
    "YYYY/MM/DD",
    "MM-DD-YYYY",
    "DD.MM.YYYY",
    "YYYYMMDD",
    "YYYY-MM-DD hh:mm:ss",
    "YYYY-MM-DD hh:mm",
    "ISO",
    "M/D/YYYY h:mm",
    "M/D/YYYY h:mm:ss",
    "M/D/YYYY h:mm pm",
    "M/D/YYYY h:mm:ss pm",
)
"""Of formats that fit a column equally well the first is taken."""
_CODE = re.compile(r"[^\s]+( [^\s]+)*")
_CODE_LENGTH = 80
_DATE = re.compile("[0-9]{1,4}[-/.0-9]")  # how every one begins
_MONTH_MAY_BE_DAY = re.compile("[0-9]+[-/](0?[1-9]|1[0-2])[-/]")
_LINE_LENGTH = 120


def _accepted(function: Callable[[Any], Any]) -> Test:
    def test(value: Any) -> bool:
        try:
            return function(value) is not None
        except Rejected:
            return False

    return test


def _matches(pattern: str) -> Test:
    compiled = re.compile(pattern)
    return lambda value: compiled.fullmatch(str(value)) is not None


_FORMATS: Final[Mapping[str, Test]] = {
    text: _accepted(dates.datetime_function({"formats": text, "zone": "UTC"})) for text in DATE_FORMATS
}

TESTS: Final[Mapping[str, Test]] = {
    "date": lambda value: (
        _DATE.match(str(value)) is not None and any(test(value) for test in _FORMATS.values())
    ),
    "phone": _accepted(people.phone("US")),
    "email": _matches(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"),
    "zip": _accepted(people.zip5(True)),
    "integer": _matches("[0-9]{1,2}"),
    "id": _matches(r"\S{1,64}"),
    "name": _matches(r"[^\W\d_][^\d_@]{0,59}"),
    "code": lambda value: is_code(str(value)),
    "line": lambda value: len(str(value)) <= _LINE_LENGTH and "\n" not in str(value),
}
"""By the names that `words.yaml` uses."""

# In the order in which they are tried where nothing is known of a column; what is told first is told best.
_CALLED: Final = {
    "date": "dates",
    "phone": "telephone numbers",
    "email": "e-mail addresses",
    "zip": "ZIP codes",
    "integer": "small numbers",
}


def is_code(text: str) -> bool:
    """Whether a value can be a code of a code table: one line, not long, single spaces."""
    return len(text) <= _CODE_LENGTH and text.isprintable() and _CODE.fullmatch(text) is not None


def misfits(values: Sequence[Any], looks: str) -> int:
    """How many of the values do not look so."""
    test = TESTS[looks]
    return sum(not test(value) for value in values)


def codes(values: Sequence[Any]) -> list[str]:
    """The values of a column with few that were seen often enough to be shown, the commonest first."""
    counts = Counter(str(value) for value in values)
    if len(counts) > MOST_CODES:
        return []
    return [text for text, count in counts.most_common() if count >= LEAST_SEEN and is_code(text)]


def date_formats(values: Sequence[Any]) -> tuple[list[str], bool]:
    """The formats of the dates in a column, and whether day and month could be the other way round."""
    rest, found = list(values), []
    while rest:
        counts = {text: sum(map(test, rest)) for text, test in _FORMATS.items()}
        best = max(counts, key=lambda text: counts[text])
        if not counts[best]:
            break
        found.append(best)
        rest = [value for value in rest if not _FORMATS[best](value)]
    month_first = [_FORMATS[text] for text in found if text.startswith("M")]
    days = [str(value).partition(" ")[0] for value in values if any(test(value) for test in month_first)]
    return found, bool(days) and all(_MONTH_MAY_BE_DAY.match(day) for day in days)


def described(values: Sequence[Any]) -> str:
    """What a column holds, in words and without a value."""
    if not values:
        return "empty in the sample"
    for looks, called in _CALLED.items():
        if all(map(TESTS[looks], values)):
            return called
    different = len({str(value) for value in values})
    if different <= min(MOST_CODES, len(values) // LEAST_SEEN):
        return "one value" if different == 1 else f"{different} different values"
    return "different in every record" if different == len(values) and different > 1 else "text"
