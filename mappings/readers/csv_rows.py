"""The rows of a CSV file (RFC 4180), one at a time and each with its place in the file.

Memory is bounded: there is one row at a time, none longer than `MAX_ROW`.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from mappings.record import RecordError, refuse

MAX_ROW = 1024 * 1024  # characters, and so the most that a field can have

csv.field_size_limit(MAX_ROW)  # of the whole process: else a field ends at 131,072

_FAULT = "\udfff"  # stands for bytes that are not of the encoding until their line is reached
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SHOWN = {"utf-8": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}


@dataclass(frozen=True, slots=True)
class CsvForm:
    """How a CSV file is written. A byte order mark in the file overrules `encoding`."""

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"

    def parse(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """The cells of each row in `lines`. Raises csv.Error where the quoting is broken."""
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote, strict=True)


def _mark_fault(fault: UnicodeError) -> tuple[str, int]:
    assert isinstance(fault, UnicodeDecodeError)
    return _FAULT, fault.end


codecs.register_error("mark-fault", _mark_fault)


class Row(NamedTuple):
    """The cells of a row that is not blank, the line it begins on, and its first byte and length in bytes."""

    cells: list[str]
    line: int
    start: int
    size: int


class Rows:
    """The rows of `file`, with a RecordError for each that is too long to be read. RecordErrors name `table`.

    Going on raises RecordError where the text is not of the encoding, holds a NUL or its quoting is broken.
    codec: the name of what the text is written in, as found.
    """

    def __init__(self, file: BinaryIO, form: CsvForm, table: str = "") -> None:
        start = file.read(4)
        mark, self.codec = next(
            ((mark, codec) for mark, codec in _MARKS if start.startswith(mark)), (b"", form.encoding)
        )
        file.seek(len(mark))
        self._lines = _Lines(file, self.codec, len(mark), form.quote, table)
        self._table = table
        self._form = form

    def __iter__(self) -> Iterator[Row | RecordError]:
        lines = self._lines
        parsed = self._form.parse(lines)
        while True:
            line, start = lines.number + 1, lines.position
            lines.begin_row()
            try:
                cells = next(parsed)
            except StopIteration:
                return
            except _TooLong:
                if not lines.skip_row():
                    raise self._broken(line) from None
                too_long = f"the row is longer than {MAX_ROW:,} characters"
                yield refuse("too-long", too_long, self._table, line)
            except csv.Error:
                raise self._broken(line) from None
            else:
                if cells:
                    yield Row(cells, line, start, lines.position - start)

    def _broken(self, line: int) -> RecordError:
        return refuse("structure", "the quoting is broken", self._table, line)


class _TooLong(Exception):  # noqa: N818 - a signal between the two classes here
    """The row that is being read has more characters than a row may have."""


class _Lines:
    """The lines of a file for csv.reader. number: of the last one read; position: the first byte after it."""

    def __init__(self, file: BinaryIO, codec: str, position: int, quote: str, table: str) -> None:
        self._text = io.TextIOWrapper(file, codec, "mark-fault", newline="")
        self._codec = codec
        self._quote = quote
        self._table = table
        self._length = 0
        self._quotes = 0
        self._whole = True
        self.number = 0
        self.position = position

    def begin_row(self) -> None:
        """What follows counts towards a new row."""
        self._length = 0
        self._quotes = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._read()
        if not line:
            raise StopIteration
        if self._length > MAX_ROW:
            raise _TooLong
        return line

    def skip_row(self) -> bool:
        """Go on to the end of a row that is too long; False when the file ends inside quotes."""
        while self._quotes % 2 or not self._whole:
            if not self._read():
                return self._quotes % 2 == 0
        return True

    def _read(self) -> str:
        """The next line, or the next `MAX_ROW` characters of one that is longer; empty at the end."""
        line = self._text.readline(MAX_ROW + 1)
        self.number += self._whole
        self._whole = not line or line[-1] in "\r\n"
        self._length += len(line)
        self._quotes += line.count(self._quote)
        if "\0" in line:
            raise refuse("value", "the text holds a NUL character", self._table, self.number)
        try:
            self.position += len(line.encode(self._codec))
        except UnicodeEncodeError:
            shown = _SHOWN.get(self._codec, self._codec)
            raise refuse("value", f"the text is not {shown}", self._table, self.number) from None
        return line
