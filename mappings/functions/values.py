"""Functions of plain values: numbers, yes and no, identifiers, parts of text."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from uuid import UUID

from mappings.codes import CodeTable
from mappings.functions.argument import ArgumentError, Function, must_be_true, text_of
from mappings.record import Rejected

_WHOLE = re.compile("-?[0-9]{1,12}")
_DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
_OID = re.compile(r"(urn:oid:)?([0-2](\.(0|[1-9][0-9]*))+)")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


def integer(argument: Any) -> Function:
    """A whole number from `min` to `max`."""
    return _number(argument, int, _WHOLE, "whole number")


def decimal(argument: Any) -> Function:
    """A number from `min` to `max` with the digits that it was written with."""
    return _number(argument, Decimal, _DECIMAL, "number")


def _number(argument: Any, make: type[int] | type[Decimal], form: re.Pattern[str], named: str) -> Function:
    if not isinstance(argument, dict) or set(argument) != {"min", "max"}:
        raise ArgumentError("needs 'min' and 'max'")
    low, high = argument["min"], argument["max"]
    allowed = int if make is int else int | float
    if not all(isinstance(bound, allowed) and type(bound) is not bool for bound in (low, high)) or low > high:
        raise ArgumentError(f"needs a {named} each, 'min' not above 'max'")
    message = f"is not a {named} from {low} to {high}"

    def to_number(value: Any) -> int | Decimal:
        text = text_of(value)
        if not form.fullmatch(text) or not low <= (number := make(text)) <= high:
            raise Rejected("value", message)
        return number

    return to_number


def boolean(argument: Any) -> Function:
    """True for the words under `yes`, false for those under `no`, nothing for those under `absent`.

    Any other word is refused: what is unknown must be said to be so, and never becomes "no".
    """
    if not isinstance(argument, dict) or not {"yes", "no"} <= set(argument) <= {"yes", "no", "absent"}:
        raise ArgumentError("needs 'yes' and 'no', the words that mean them, and may have 'absent'")
    meanings: dict[str, bool | None] = {}
    for key, meaning in (("yes", True), ("no", False), ("absent", None)):
        for word in _words(argument.get(key, [])):
            if word in meanings:
                raise ArgumentError(f"gives {word!r} two meanings")
            meanings[word] = meaning
    message = f"is none of {', '.join(meanings)}"

    def to_boolean(value: Any) -> bool | None:
        word = str(value).lower() if isinstance(value, bool) else text_of(value)
        if word not in meanings:
            raise Rejected("code-invalid", message)
        return meanings[word]

    return to_boolean


def _words(data: Any) -> list[str]:
    """YAML's true and false are taken as the words of a JSON record that holds them."""
    items = data if isinstance(data, list) else [data]
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in items]


def identifier(argument: Any) -> Function:
    """`oid` and `uuid` as the URNs of RFC 3061 and RFC 9562, `uri` and `npi` as they stand, once checked.

    npi: the National Provider Identifier, ten digits of which the last checks the others (45 CFR 162.406).
    """
    checks = {"oid": _oid, "uuid": _uuid, "uri": _uri, "npi": _npi}
    if argument not in checks:
        raise ArgumentError(f"must be one of {', '.join(checks)}")
    check = checks[argument]
    return lambda value: check(text_of(value).strip())


def _oid(text: str) -> str:
    found = _OID.fullmatch(text)
    if not found:
        raise Rejected("value", "is not an object identifier, numbers joined by dots")
    return f"urn:oid:{found[2]}"


def _uuid(text: str) -> str:
    try:
        return f"urn:uuid:{UUID(text.removeprefix('urn:uuid:'))}"
    except ValueError:
        raise Rejected("value", "is not a UUID") from None


def _uri(text: str) -> str:
    if not _URI.fullmatch(text):
        raise Rejected("value", "is not a URI")
    return text


def _npi(text: str) -> str:
    digits = [int(digit) for digit in text] if re.fullmatch("[12][0-9]{9}", text) else []
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    # 24 stands for the prefix 80840 that the check digit of ISO/IEC 7812 also covers.
    if not digits or (24 + sum(digits[-1::-2]) + sum(doubled)) % 10:
        raise Rejected("value", "is not a National Provider Identifier")
    return text


def split(argument: Any) -> Function:
    """The parts between the given text that are not empty."""
    separator = _some_text(argument, "must be the text that stands between the values")

    def parts(value: Any) -> list[str] | None:
        texts = value if isinstance(value, list) else [value]
        found = [part.strip() for each in texts for part in text_of(each).split(separator)]
        return [part for part in found if part] or None

    return parts


def nth(argument: Any) -> Function:
    """One of several values, counted from 1; a single value is the first."""
    if type(argument) is not int or argument < 1:
        raise ArgumentError("must be 1 or more: which of the values is meant")

    def item(value: Any) -> Any:
        values = value if isinstance(value, list) else [value]
        return values[argument - 1] if argument <= len(values) else None

    return item


def text(argument: Any) -> Function:
    """A number or text as text: for identifiers that a system keeps as numbers."""
    must_be_true(argument)
    return text_of


def lower(argument: Any) -> Function:
    """Text in small letters: code tables compare codes as they stand."""
    must_be_true(argument)
    return lambda value: text_of(value).lower()


def without(argument: Any) -> Function:
    """Text without the given beginning, such as `mailto:`; text that does not begin so stays."""
    prefix = _some_text(argument, "must be the text that is left out at the beginning")
    return lambda value: text_of(value).removeprefix(prefix).strip() or None


def uncode(table: CodeTable) -> Function:
    """A code table read backwards. Raises ArgumentError where several local codes share a target."""
    shared = table.ambiguous()
    if shared:
        raise ArgumentError(f"cannot read the table backwards: several codes become {', '.join(shared)}")
    return table.local_code


def _some_text(argument: Any, message: str) -> str:
    if not isinstance(argument, str) or not argument:
        raise ArgumentError(message)
    return argument
