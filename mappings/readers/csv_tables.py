"""Tables in CSV files of which rows are found by key, without keeping the rows.

One pass over a file notes where each row stands: 24 bytes a row. A row is read when it is asked for.
"""

from __future__ import annotations

import csv
import io
from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any

from mappings.paths import compile_path
from mappings.readers.csv_file import Columns, cell
from mappings.readers.csv_rows import CsvForm, Rows
from mappings.readers.joins import Join, TablePath
from mappings.readers.json_paths import compile_items, field_names
from mappings.readers.source import Source
from mappings.record import Getter, Group, PathError, RecordError, refuse

_RECENT = 256  # rows kept: records of one person often follow one another
_LOW = 0xFFFFFFFF


class TableRow(dict[str, str]):
    """The declared columns of a row by name, and the line it begins on."""

    __slots__ = ("line",)

    def __init__(self, values: dict[str, str], line: int) -> None:
        super().__init__(values)
        self.line = line


class CsvTable:
    """The file `name` of `source`, read row by row or by the values of its column `key`.

    Every method raises RecordError for a header that does not fit and where the text cannot be read on.
    """

    def __init__(self, source: Source, name: str, key: str, columns: Columns, form: CsvForm) -> None:
        self._source = source
        self._name = name
        self._key = key
        self._columns = columns
        self._form = form

    def rows(self) -> Iterator[TableRow | RecordError]:
        """Every row; one that is ragged or too long as its RecordError."""
        with self._source.open(self._name) as file:
            rows = iter(Rows(file, self._form, self._columns.table))
            header = self._columns.header(rows)
            for row in rows:
                if isinstance(row, RecordError):
                    yield row
                elif fault := header.ragged(row):
                    yield RecordError([fault])
                else:
                    yield TableRow(header.values(row.cells), row.line)

    def scan(self) -> Iterator[RecordError]:
        """Learn where the rows stand, before the first `find`. What comes are the rows that are ragged.

        A row that is too long is raised: it may belong to any record, which would then pass for whole.
        """
        self._starts, self._sizes, self._lines = array("Q"), array("I"), array("I")
        entries = array("Q")  # half of a key's hash, then the row's number
        with self._source.open(self._name) as file:
            read = Rows(file, self._form, self._columns.table)
            rows = iter(read)
            self._header = self._columns.header(rows)
            self._position = {name: position for position, name in self._header.kept}.get(self._key)
            for row in rows:
                if isinstance(row, RecordError):
                    raise row
                if fault := self._header.ragged(row):
                    yield RecordError([fault])
                entries.extend(_hashed(key) | len(self._lines) for key in self._keys(row.cells))
                self._starts.append(row.start)
                self._sizes.append(row.size)
                self._lines.append(row.line)
        self._entries = array("Q", sorted(entries))
        self._codec = read.codec
        self._file = self._source.open(self._name)
        self._row = lru_cache(_RECENT)(self._read)

    def find(self, key: str) -> list[TableRow]:
        """The rows with this key in their order; of a table without a key, all rows for "".

        Raises RecordError where a ragged row may be one of them.
        """
        found = []
        hashed = _hashed(key)
        for index in range(bisect_left(self._entries, hashed), len(self._entries)):
            entry = self._entries[index]
            if entry & ~_LOW != hashed:
                break
            keys, row = self._row(entry & _LOW)
            if key not in keys:
                continue
            if row is None:
                line = self._lines[entry & _LOW]
                raise self._refuse("structure", f"line {line}, which may be of this record, is ragged")
            found.append(row)
        return found

    def close(self) -> None:
        """No more rows will be asked for."""
        self._file.close()

    def _keys(self, cells: list[str]) -> Collection[str]:
        """What the row is found by: of a ragged one any of its cells, as nobody can tell which is the key."""
        if len(cells) != self._header.width:
            return {"", *(cell.strip() for cell in cells)}
        return ("" if self._position is None else cells[self._position].strip(),)

    def _read(self, number: int) -> tuple[Collection[str], TableRow | None]:
        self._file.seek(self._starts[number])
        body = self._file.read(self._sizes[number])
        try:
            cells = next(self._form.parse(io.StringIO(body.decode(self._codec), newline="")))
        except (UnicodeDecodeError, csv.Error, StopIteration):
            raise self._refuse("conflict", "the file was changed while it was read") from None
        if len(cells) != self._header.width:
            return self._keys(cells), None
        return self._keys(cells), TableRow(self._header.values(cells), self._lines[number])

    def _refuse(self, code: str, message: str) -> RecordError:
        return refuse(code, message, self._columns.table)


class CsvSet:
    """The CSV files of a set: how to open them as tables, and the paths into their rows."""

    def __init__(self, columns: Mapping[str, Columns], form: CsvForm) -> None:
        self._columns = columns
        self._form = form

    def tables(self, source: Source) -> Callable[[Join], CsvTable | None]:
        """How to open a table; None is one that is missing and may be."""

        def table(join: Join) -> CsvTable | None:
            if join.optional and join.file not in source.names:
                return None
            return CsvTable(source, join.file, join.key, self._columns[join.name], self._form)

        return table

    def key(self, column: str) -> Getter:
        """How to get a key from a row's column."""
        return cell(column)

    def getter(self, path: TablePath) -> Getter:
        """How to get a cell from the rows by table. Raises PathError."""
        at, value = compile_path(path.rows), self._cell(path.table, path.column)
        every = path.rows.endswith("[*]")

        def get(rows: Any) -> Any:
            found = at(rows)
            if not isinstance(found, list):
                return None if found is None else value(found)
            if every:
                return [each for each in map(value, found) if each is not None] or None
            return value(found[0]) if found else None

        return get

    def group(self, path: TablePath) -> Group:
        """The rows at `path`. Raises PathError."""
        if path.column:
            raise PathError("is a cell, where nothing repeats")

        def getter(relative: str) -> Getter:
            return self._cell(path.table, relative.removeprefix("."))

        def group(relative: str) -> Group:  # noqa: ARG001 - whatever the path
            raise PathError("is a cell, where nothing repeats")

        return Group(
            compile_items(path.rows), getter, group, lambda relative: field_names(path.rows + relative)
        )

    def undeclared(self) -> Callable[[Any], list[str]]:
        """Nothing is left to check: reading already compared the headers with the columns."""
        return lambda _rows: []

    def _cell(self, table: str, column: str) -> Getter:
        if column not in self._columns[table].names:
            raise PathError("is not one of the columns under 'fields'")
        return cell(column)


def _hashed(key: str) -> int:
    """Half of the key's hash in the upper half of a 64-bit number."""
    return (hash(key) & _LOW) << 32
