"""Functions of what is known of a person: telephone, name, age, ZIP code, safe contact."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any, Final

from mappings.codes import CodeTable
from mappings.functions.argument import ArgumentError, Function, must_be_true, text_of
from mappings.functions.dates import date_function
from mappings.record import Rejected

_EXTENSION = re.compile(r"(?:;?\s*ext\.?|x|#)[\s=]*([0-9]{1,6})$", re.IGNORECASE)
_USUAL = re.compile(r"\(?([2-9][0-9]{2})\)?[ .-]?([2-9][0-9]{2})[ .-]?([0-9]{4})")
_NATIONAL = re.compile("[2-9][0-9]{2}[2-9][0-9]{6}")
_ZIP = re.compile("([0-9]{5})(-?[0-9]{4})?")
# The ZIP areas of 20,000 people or fewer, by the 2010 Census and by the 2000 Census that HHS lists in its
# guidance on 45 CFR 164.514(b)(2)(i)(B). Whoever is in either list is not told by the area.
_SMALL_ZIP3: Final = frozenset(
    "036 059 063 102 203 205 369 556 692 753 772 790 821 823 830 831 878 879 884 890 893".split()  # noqa: SIM905
)


def phone(argument: Any) -> Function:
    """A North American number, or its `tel:` URI, to E.164; an extension as RFC 3966 writes it.

    argument: `US`, or `{plan: US, otherwise: text | drop | reject}` for what to do with anything else.
    """
    plan, otherwise = argument, "reject"
    if isinstance(argument, dict) and set(argument) == {"plan", "otherwise"}:
        plan, otherwise = argument["plan"], argument["otherwise"]
    if plan != "US" or otherwise not in ("text", "drop", "reject"):
        raise ArgumentError("must be US, the one numbering plan known here")

    def to_e164(value: Any) -> str | None:
        text = text_of(value).strip().removeprefix("tel:")
        if usual := _USUAL.fullmatch(text):
            return f"+1{usual[1]}{usual[2]}{usual[3]}"
        found = _EXTENSION.search(text)
        digits = re.sub(r"[\s().+-]", "", text[: found.start()] if found else text)
        if len(digits) == 11 and digits[0] == "1":
            digits = digits[1:]
        if not _NATIONAL.fullmatch(digits):
            if otherwise != "reject":
                return text if otherwise == "text" else None
            raise Rejected("value", "is not a US telephone number with area code")
        return f"+1{digits};ext={found[1]}" if found else f"+1{digits}"

    return to_e164


def name(argument: Any) -> Function:
    """One part of a whole name, written "Given Family" or "Family, Given"; a single word is a given name."""
    if argument not in ("given", "family"):
        raise ArgumentError("must be given or family")

    def part(value: Any) -> str | None:
        text = " ".join(text_of(value).split())
        if "," in text:
            family, _, given = text.partition(",")
        else:
            given, _, family = text.rpartition(" ") if " " in text else (text, "", "")
        return (given if argument == "given" else family).strip() or None

    return part


def years_between(formats: Any) -> Callable[[Any, Any], int]:
    """A function of (date of birth, day) to whole years; both are full dates, read by `formats`."""
    parse = date_function(formats)

    def full(value: Any) -> date:
        text = parse(value)
        if len(text) != len("YYYY-MM-DD"):
            raise Rejected("value", "is not a full date, so that it gives no age")
        return date.fromisoformat(text)

    def years(born: Any, on: Any) -> int:
        birth, day = full(born), full(on)
        if day < birth:
            raise Rejected("value", "is after the day on which the age is asked")
        return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))

    return years


def age_band(argument: Any) -> Function:
    """Whole years to a band: [18, 25, 65] makes 0-17, 18-24, 25-64 and 65+."""
    usable = isinstance(argument, list) and argument and all(type(bound) is int for bound in argument)
    if not usable or argument != sorted(set(argument)) or argument[0] < 1:
        raise ArgumentError("needs the ages at which bands begin, rising, such as [18, 25, 65]")
    starts = [0, *argument]
    ends = [f"-{start - 1}" for start in argument] + ["+"]
    bands: list[tuple[int, str]] = [(start, f"{start}{end}") for start, end in zip(starts, ends, strict=True)]

    def band(value: Any) -> str:
        text = text_of(value)
        if not re.fullmatch("[0-9]{1,3}", text):
            raise Rejected("value", "is not an age in whole years")
        return next(label for start, label in reversed(bands) if int(text) >= start)

    return band


def zip5(argument: Any) -> Function:
    """The first five digits of a ZIP code with or without its four more."""
    must_be_true(argument)
    return _zip


def zip3(argument: Any) -> Function:
    """The first three digits of a ZIP code; 000 where that area has 20,000 people or fewer."""
    must_be_true(argument)

    def area(value: Any) -> str:
        first = _zip(value)[:3]
        return "000" if first in _SMALL_ZIP3 else first

    return area


def county(table: CodeTable) -> Function:
    """A ZIP code to its county's name by a table of ZIP codes; the county's code where it has no name."""

    def of_zip(value: Any) -> str | None:
        found = table.coding(_zip(value))
        return found.get("display", found["code"]) if found else None

    return of_zip


def safe_contact(table: CodeTable) -> Function:
    """A rule on how a person may be contacted, as `concept` makes it: a rule is never dropped."""
    if table.unmapped == "drop":
        message = "needs a table whose unmapped codes are text or reject: a rule must not be lost"
        raise ArgumentError(message)
    return table.concept


def _zip(value: Any) -> str:
    found = _ZIP.fullmatch(text_of(value).strip())
    if not found:
        raise Rejected("value", "is not a ZIP code of five or nine digits")
    return found[1]
