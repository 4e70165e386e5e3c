"""JSON in files: one document each, or NDJSON with one value on each line, as a stream of texts.

Memory is bounded: there is one text at a time, none longer than `MAX_TEXT`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_TEXT = 64 * 1024 * 1024
NDJSON = (".ndjson", ".jsonl")


@dataclass(frozen=True, slots=True)
class Text:
    """The text of one value, which begins on `line` of its source; None when it is too long.

    alone: it is all that its source holds.
    """

    line: int
    body: bytes | None
    alone: bool = False


def texts(source: BinaryIO, name: str) -> Iterator[Text]:
    """The text of each value in `source`.

    NDJSON is told by the end of its name, or by its content: a line that ends in `}` before one that begins
    with `{`, which no single JSON document has.
    """
    lines = _lines(source)
    if not name.lower().endswith(NDJSON):
        first, second = next(lines, Text(1, b"")), next(lines, None)
        if not _is_ndjson(first, second):
            yield _document(source, first, second)
            return
        yield from (one for one in (first, second) if one is not None)
    yield from lines


def _is_ndjson(first: Text, second: Text | None) -> bool:
    ends = first.body is not None and first.body.rstrip().endswith(b"}")
    return ends and second is not None and second.body is not None and second.body.lstrip().startswith(b"{")


def _document(source: BinaryIO, first: Text, second: Text | None) -> Text:
    """All of `source` as one text, of which two lines that are not blank have been read."""
    second = second or Text(first.line, b"")
    if first.body is None or second.body is None:
        return Text(1, None, alone=True)
    blank = b"\n" * (first.line - 1), b"\n" * (second.line - first.line - 1)  # so that lines count right
    read = blank[0] + first.body + blank[1] + second.body
    body = read + source.read(max(0, MAX_TEXT + 1 - len(read)))
    return Text(1, body if len(body) <= MAX_TEXT else None, alone=True)


def _lines(source: BinaryIO) -> Iterator[Text]:
    """Every line that is not blank."""
    number = 0
    while raw := source.readline(MAX_TEXT + 1):
        number += 1
        if len(raw) > MAX_TEXT:
            while raw and not raw.endswith(b"\n"):
                raw = source.readline(MAX_TEXT)
            yield Text(number, None)
        elif not raw.isspace():
            yield Text(number, raw)
