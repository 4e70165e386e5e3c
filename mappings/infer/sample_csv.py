"""A CSV file as columns: its encoding and delimiter are found by looking."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO, Final

from mappings.infer.column import Column, Table
from mappings.infer.content import TESTS
from mappings.infer.words import vocabulary, words_of
from mappings.readers.csv_rows import CsvForm, Row, Rows
from mappings.readers.source import Source
from mappings.record import RecordError, refuse

MOST_ROWS: Final = 5_000  # that are looked at
MOST_COLUMNS: Final = 1_000
LONGEST_NAME: Final = 200
_DELIMITERS: Final = (",", ";", "\t", "|")
_LOOKED_AT = 20  # rows, for the delimiter
_CHUNK = 1024 * 1024


def csv_table(source: Source, title: str, name: str = "") -> Table:
    """The columns of the CSV file `title` of `source`. Raises RecordError where it is none, or has no header.

    name: of the table, in a set of several.
    """
    with source.open(title) as file:
        encoding = _encoding(file)
    form = CsvForm(_delimiter(source, title, encoding), encoding=encoding)
    with source.open(title) as file:
        return _table(Rows(file, form), form, title, name)


def _table(found: Rows, form: CsvForm, title: str, name: str) -> Table:
    rows = iter(found)
    header = _header(rows)
    cells: list[list[str]] = [[] for _ in header]
    count = ragged = 0
    for row in rows:
        count += 1
        if isinstance(row, RecordError) or len(row.cells) != len(header):
            ragged += 1
            continue
        for listed, cell in zip(cells, row.cells, strict=True):
            if text := cell.strip():
                listed.append(text)
        if count == MOST_ROWS:
            break
    if not count:
        raise refuse("required", "there is a header and no row after it", line=1)
    doubts = []
    if ragged:
        doubts.append(
            f"{ragged} of {count} rows have more or fewer fields than the header, and would be refused."
        )
    if form.encoding != "utf-8":
        doubts.append(f"The text is not UTF-8; {form.encoding} is a guess. Look at a name with an accent.")
    named = [(own, listed) for own, listed in zip(header, cells, strict=True) if own]
    return Table(
        name,
        title,
        {"delimiter": form.delimiter} | ({"encoding": form.encoding} if form.encoding != "utf-8" else {}),
        tuple(Column(own, (own,), values) for own, values in named),
        count,
        tuple(doubts),
        nameless=len(named) < len(header),
    )


def _encoding(file: BinaryIO) -> str:
    """UTF-8 if it is; else what Western European systems write. A byte order mark is the reader's to see."""
    start = file.read(4)
    file.seek(0)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-8"
    for encoding in ("utf-8", "windows-1252"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        else:
            return encoding
        finally:
            file.seek(0)
    return "iso-8859-1"


def _delimiter(source: Source, title: str, encoding: str) -> str:
    """The one that gives the first rows the same number of fields, and most; a comma where none gives two."""

    def score(delimiter: str) -> tuple[int, int]:
        widths = []
        with source.open(title) as file:
            try:
                for row in islice(Rows(file, CsvForm(delimiter, encoding=encoding)), _LOOKED_AT):
                    widths += [len(row.cells)] if isinstance(row, Row) else []
            except RecordError:
                return 0, 0
        if not widths or widths[0] < 2:
            return 0, 0
        return sum(width == widths[0] for width in widths), widths[0]

    return max(_DELIMITERS, key=score)


def _header(rows: Iterator[Row | RecordError]) -> Sequence[str]:
    first = next(rows, None)
    if first is None:
        raise refuse("required", "the file is empty")
    if isinstance(first, RecordError):
        raise first
    names = [cell.strip() for cell in first.cells]
    if not any(names):
        raise refuse("required", "the header has no names", line=first.line)
    if len(names) > MOST_COLUMNS:
        raise refuse("too-costly", f"there are more than {MOST_COLUMNS} columns", line=first.line)
    twice = [number for number, name in enumerate(names, 1) if name and name in names[: number - 1]]
    if twice:
        columns = ", ".join(map(str, twice))
        raise refuse("duplicate", f"columns {columns} have the name of an earlier one", line=first.line)
    if any(len(name) > LONGEST_NAME for name in names) or _is_record(names):
        raise refuse("structure", "the first row looks like a record; a header is needed", line=first.line)
    return names


def _is_record(names: Sequence[str]) -> bool:
    """Whether the cells look like values: somebody's data, which must not become names of columns."""
    known = any(words_of(name) in role.words for name in names for role in vocabulary().roles)
    looks = ("date", "phone", "email", "zip", "integer")
    return not known and any(TESTS[each](name) for name in names if name for each in looks)
