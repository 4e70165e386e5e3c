"""JSON (RFC 8259): one object, a list of objects, or one object a line (NDJSON).

Stricter than Python's own reader: no NaN, no repeated keys, no unpaired surrogates. Numbers with a point
stay decimals, digit for digit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from mappings.paths import compile_path, scalar, without_picks
from mappings.record import Getter, Record, RecordError, decode, refuse
from profiles.outcome import Issue


class JsonReader:
    """Reads JSON objects as records."""

    def read(self, body: bytes) -> list[Record]:
        """The objects in `body`. Raises RecordError with the line of a syntax error."""
        text = decode(body)
        try:
            data = _parse(text, 1)
        except RecordError:
            lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
            if not _looks_like_ndjson(lines):
                raise
            return [Record(_object(_parse(line, number), number), number) for number, line in lines]
        if isinstance(data, list):
            if not data:
                raise refuse("required", "the list of records is empty", line=1)
            return [Record(_object(item, None)) for item in data]
        return [Record(_object(data, 1), 1)]

    def getter(self, path: str) -> Getter:
        """The value at `path` (see mappings.paths). Raises PathError."""
        walk = compile_path(path)
        return lambda values: scalar(walk(values))

    def place(self, record: Record, path: str) -> int | None:  # noqa: ARG002 - JSON keeps no lines of fields
        """The line that the object starts on, where each stands on its own line."""
        return record.line

    def names(self, path: str) -> list[str]:
        """The path without its picks: `contacts[0].phone` is listed as `contacts.phone`."""
        return [without_picks(path)]

    def undeclared(self, fields: Iterable[str]) -> Callable[[Any], list[str]]:
        """Keys that no declared path leads to, told by the nearest declared path around them.

        The key itself is not shown: where a system uses names or numbers as keys, it is a person's data.
        """
        known = _tree(fields)
        return lambda values: _strangers(values, known, "")


def _parse(text: str, first_line: int) -> Any:
    try:
        data = json.loads(
            text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_unique_members
        )
        if "\\u" in text:
            _check_characters(data)
        return data
    except json.JSONDecodeError as fault:
        line = first_line + fault.lineno - 1
        raise refuse(
            "structure", "not JSON, or cut off: the text breaks JSON's rules here", line=line
        ) from None
    except _Fault as fault:
        raise refuse("structure", str(fault), line=first_line) from None
    except (ValueError, RecursionError, ArithmeticError):
        fault_text = "a number is too long or the nesting is too deep"
        raise refuse("structure", fault_text, line=first_line) from None


class _Fault(Exception):  # noqa: N818 - turned into a RecordError where the line is known
    """JSON that the standard allows or Python lets pass, and that we refuse."""


def _no_constant(_name: str) -> None:
    raise _Fault("NaN and Infinity are not JSON")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Fault("an object has the same key twice")
    return members


def _check_characters(data: Any) -> None:
    """Escapes can bring in what decoding the text kept out: unpaired surrogates and NUL."""
    match data:
        case str():
            if "\0" in data or any("\ud800" <= character <= "\udfff" for character in data):
                raise _Fault("an escape stands for half a character or NUL")
        case dict():
            for key, value in data.items():
                _check_characters(key)
                _check_characters(value)
        case list():
            for value in data:
                _check_characters(value)


def _looks_like_ndjson(lines: list[tuple[int, str]]) -> bool:
    return len(lines) > 1 and all(
        line.strip().startswith("{") and line.strip().endswith("}") for _, line in lines
    )


def _object(data: Any, line: int | None) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise RecordError([Issue("error", "structure", "a record must be a JSON object", line=line)])
    return data


def _tree(fields: Iterable[str]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for field in fields:
        branch = root
        for name in field.split("."):
            branch = branch.setdefault(name, {})
    return root


def _strangers(value: Any, known: dict[str, Any], place: str) -> list[str]:
    """Where `value` holds members that `known` lacks; a leaf of `known` is for its getter to judge."""
    if not known:
        return []
    if isinstance(value, list):
        return [found for item in value for found in _strangers(item, known, place)]
    if not isinstance(value, dict):
        return []
    found = [place] if value.keys() - known.keys() else []
    for name, member in value.items():
        if name in known:
            found += _strangers(member, known[name], f"{place}.{name}" if place else name)
    return found
