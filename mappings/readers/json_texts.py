"""The JSON values in a file: one document, or NDJSON with one value on each line, as a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from mappings.record import RecordError, decode, refuse
from profiles import strict_json
from profiles.json_files import MAX_TEXT, texts

MAX_DEPTH = 100  # objects and lists inside one another; what reads them goes down by calling itself
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_KEY = re.compile(r" '[A-Za-z_][\w.-]*'", re.ASCII)


@dataclass(frozen=True, slots=True)
class Text:
    """A JSON value and the line it begins on; alone: it is all that the file holds."""

    line: int
    value: Any
    alone: bool = False


def values(file: BinaryIO, name: str) -> Iterator[Text | RecordError]:
    """The values in `file`; a line of NDJSON that is not JSON comes as its RecordError, and the rest goes on.

    NDJSON is told by its name's end, or by a line that ends in `}` before one that begins with `{`. Raises
    RecordError for one document that is not JSON, is too long or empty.
    """
    empty = True
    for text in texts(file, name):
        if text.alone:
            yield Text(text.line, _value(text.body), alone=True)
        elif text.body or text.body is None:
            yield _parsed(text.line, text.body)
        empty = False
    if empty:
        raise refuse("required", "the record is empty")


def document(file: BinaryIO) -> Any:
    """The one JSON value in `file`. Raises RecordError."""
    return _value(file.read(MAX_TEXT + 1))


def _parsed(number: int, body: bytes | None) -> Text | RecordError:
    try:
        return Text(number, _value(body))
    except RecordError as fault:
        return RecordError(replace(issue, line=number) for issue in fault.issues)


def _value(body: bytes | None) -> Any:
    """Numbers with a point stay decimals, digit for digit. Raises RecordError with the line of the fault."""
    if body is None or len(body) > MAX_TEXT:
        raise refuse("too-long", f"the text is longer than {MAX_TEXT // 1024 // 1024} MiB")
    try:
        value = strict_json.read(body)
    except strict_json.JsonError as fault:
        decode(body)  # knows better what is wrong with the bytes
        rule = _KEY.sub("", str(fault))  # keys can be names of people
        raise refuse("structure", f"the text {rule}", line=fault.line) from None
    if b"\\u0000" in body and (nul := _NUL.search(body)):
        raise refuse("value", "the text holds a NUL character", line=body.count(b"\n", 0, nul.start()) + 1)
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deep(value):
        raise refuse("structure", "the text is nested too deeply", line=1)
    return value


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        inner = (item for each in level for item in (each.values() if isinstance(each, dict) else each))
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return False
    return True
