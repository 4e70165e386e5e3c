"""The closed list of functions that a mapping may apply to a value.

Each is built once from its argument in the mapping and then called for every record. A function never sees
an empty value, and gives None or raises Rejected rather than guess: "unknown" never becomes "no".
A list is mapped item by item, so that a function is written for one value only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from mappings.codes import CodeTable
from mappings.dates import FormatError, date_function, datetime_function, hl7_function
from mappings.record import Rejected

Function = Callable[[Any], Any]


class ArgumentError(ValueError):
    """A function's argument in a mapping that is not usable; the text says what is."""


def build(name: str, argument: Any, tables: Mapping[str, CodeTable]) -> Function:
    """The function `name` with its argument from the mapping. Raises ArgumentError."""
    try:
        if name in _CODE_FUNCTIONS:
            return _over_lists(_CODE_FUNCTIONS[name](_table(argument, tables)))
        if name == "split":
            return _split(argument)
        return _over_lists(_PLAIN[name](argument))
    except FormatError as fault:
        raise ArgumentError(str(fault)) from None


def _over_lists(function: Function) -> Function:
    def apply(value: Any) -> Any:
        if isinstance(value, list):
            kept = [result for result in map(function, value) if result is not None]
            return kept or None
        return function(value)

    return apply


def text_of(value: Any) -> str:
    """A value that must be text or a number, as text. Raises Rejected for anything else."""
    if isinstance(value, bool | list | dict):
        raise Rejected("value", "is not one text or number")
    return str(value)


def _phone(argument: Any) -> Function:
    """A North American number to E.164, an extension as RFC 3966 writes it."""
    if argument != "US":
        raise ArgumentError("must be US, the one numbering plan known here")
    extension = re.compile(r"(?:;?\s*ext\.?|x|#)[\s=]*([0-9]{1,6})$", re.IGNORECASE)

    def phone(value: Any) -> str:
        text = text_of(value).strip()
        found = extension.search(text)
        digits = re.sub(r"[\s().+-]", "", text[: found.start()] if found else text)
        if len(digits) == 11 and digits[0] == "1":
            digits = digits[1:]
        if not re.fullmatch(r"[2-9][0-9]{2}[2-9][0-9]{6}", digits):
            raise Rejected("value", "is not a US telephone number with area code")
        return f"+1{digits};ext={found[1]}" if found else f"+1{digits}"

    return phone


def _integer(argument: Any) -> Function:
    if not isinstance(argument, dict) or set(argument) != {"min", "max"}:
        raise ArgumentError("needs 'min' and 'max'")
    low, high = argument["min"], argument["max"]
    if type(low) is not int or type(high) is not int or low > high:
        raise ArgumentError("needs whole numbers, 'min' not above 'max'")
    message = f"is not a whole number from {low} to {high}"

    def integer(value: Any) -> int:
        text = text_of(value)
        if not re.fullmatch("-?[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise Rejected("value", message)
        return int(text)

    return integer


def _name(argument: Any) -> Function:
    """One part of a whole name, written "Given Family" or "Family, Given"; a single word is a given name."""
    if argument not in ("given", "family"):
        raise ArgumentError("must be given or family")

    def name(value: Any) -> str | None:
        text = " ".join(text_of(value).split())
        if "," in text:
            family, _, given = text.partition(",")
        else:
            given, _, family = text.rpartition(" ") if " " in text else (text, "", "")
        return (given if argument == "given" else family).strip() or None

    return name


def _split(argument: Any) -> Function:
    if not isinstance(argument, str) or not argument:
        raise ArgumentError("must be the text that stands between the values")

    def split(value: Any) -> list[str] | None:
        texts = value if isinstance(value, list) else [value]
        parts = [part.strip() for text in texts for part in text_of(text).split(argument)]
        return [part for part in parts if part] or None

    return split


def _text(argument: Any) -> Function:
    """A number or text as text: for identifiers that a system keeps as numbers."""
    if argument is not True:
        raise ArgumentError("must be true")
    return text_of


def _table(argument: Any, tables: Mapping[str, CodeTable]) -> CodeTable:
    table = tables.get(argument) if isinstance(argument, str) else None
    if table is None:
        known = ", ".join(tables) or "none yet"
        raise ArgumentError(f"must name a code table from 'codes' (known here: {known})")
    return table


def _reversed(table: CodeTable) -> Function:
    shared = table.ambiguous()
    if shared:
        raise ArgumentError(f"cannot read the table backwards: several codes become {', '.join(shared)}")
    return table.local_code


_PLAIN: dict[str, Callable[[Any], Function]] = {
    "date": date_function,
    "datetime": datetime_function,
    "hl7_time": hl7_function,
    "phone": _phone,
    "integer": _integer,
    "name": _name,
    "text": _text,
}
_CODE_FUNCTIONS: dict[str, Callable[[CodeTable], Function]] = {
    "code": lambda table: table.code,
    "coding": lambda table: table.coding,
    "concept": lambda table: table.concept,
    "uncode": _reversed,
}

FUNCTIONS = (*_PLAIN, "split", *_CODE_FUNCTIONS)
"""Their names, as mappings write them. A value without a function is copied."""
