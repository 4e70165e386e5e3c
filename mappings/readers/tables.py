"""A record set: one record for each row of one table, with the rows of other tables that its keys lead to.

The tables are CSV files of a folder or ZIP, or lists of objects in one JSON object. `Record.values` are
{table: row}. A row is an object of its columns, None where there is none, and a list where there may be many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Literal

from mappings.readers.csv_file import Columns
from mappings.readers.csv_rows import CsvForm
from mappings.readers.csv_tables import CsvSet, TableRow
from mappings.readers.joins import Join, Table, TablePath, read_joins
from mappings.readers.json_paths import compile_items, field_names
from mappings.readers.json_tables import JsonSet
from mappings.readers.source import Source
from mappings.record import Getter, Group, PathError, Record, RecordError, refuse


class TableReader:
    """Reads the tables that `tables`, as in a mapping's `format`, tells of; `record` is that of the records.

    columns: the declared ones by table; optional: those, as "table.column", that a CSV header may lack;
    open_ended: tables that may have other columns, which are passed over.
    keys: the columns, as "table.column", by which rows are found. Raises PathError.
    """

    def __init__(
        self,
        kind: Literal["csv", "json"],
        record: str,
        tables: Mapping[str, Mapping[str, Any]],
        columns: Mapping[str, tuple[str, ...]],
        optional: frozenset[str] = frozenset(),
        open_ended: frozenset[str] = frozenset(),
        delimiter: str = ",",
        quote: str = '"',
        encoding: str = "utf-8",
    ) -> None:
        joins = read_joins(record, tables, ".csv" if kind == "csv" else "")
        self.keys = frozenset(name for join in joins for name in join.names)
        names = {
            join.name: dict.fromkeys([*columns[join.name], *_of(join.name, self.keys)]) for join in joins
        }
        self._columns = {
            join.name: Columns(
                tuple(names[join.name]),
                frozenset(_of(join.name, optional - self.keys)),
                join.name in open_ended,
                join.name,
                frozenset(name for other in joins if other.file == join.file for name in names[other.name]),
            )
            for join in joins
        }
        form = CsvForm(delimiter, quote, encoding)
        self._set = CsvSet(self._columns, form) if kind == "csv" else JsonSet(self._columns)
        self._first, *self._joins = joins
        self._key = {join.name: self._set.key(join.value_at) for join in self._joins if join.key}
        for join in self._joins:
            if join.key:
                self._set.key(join.key)  # what is no path is told now, and not when a file is read

    def records(self, source: Source) -> Iterator[Record | RecordError]:
        """One record for each row of the record table; rows of any table that cannot be read as RecordErrors,
        and so records that may need such a row or that have two rows where there may be one.

        Raises RecordError when a table is missing that is not optional, its header does not fit, or it cannot
        be read on.
        """
        tables = self._set.tables(source)
        joined: list[tuple[Join, Table | None]] = []
        with ExitStack() as opened:
            for join in self._joins:
                table = tables(join)
                if table is not None:
                    yield from table.scan()
                    opened.callback(table.close)
                joined.append((join, table))
            row = None
            first = tables(self._first)
            for row in first.rows() if first is not None else ():
                yield row if isinstance(row, RecordError) else self._record(row, joined)
            if row is None:
                raise refuse("required", "the table has no rows", self._first.name)

    def _record(self, row: Any, joined: list[tuple[Join, Table | None]]) -> Record | RecordError:
        line = row.line if isinstance(row, TableRow) else None
        rows = {self._first.name: row}
        try:
            for join, table in joined:
                rows[join.name] = join.find(rows, table, self._key.get(join.name))
        except RecordError as fault:
            return RecordError(replace(issue, line=line) for issue in fault.issues)
        return Record(rows, line, self._first.file)

    def getter(self, path: str) -> Getter:
        """The column at `path`: "table.column", with picks behind the table. Raises PathError."""
        parts = self._parts(path)
        if not parts.column:
            raise PathError("is a table; a column of it is needed")
        return self._set.getter(parts)

    def group(self, path: str) -> Group:
        """The rows of a table that is `many`; in JSON also a list in a row. Raises PathError."""
        return self._set.group(self._parts(path))

    def place(self, record: Record, path: str) -> int | None:
        """The line of the row that `path` reads, in its own table's file, where it is one row."""
        try:
            found = compile_items(self._parts(path).rows)(record.values)
        except PathError:
            return record.line
        return found[0].line if len(found) == 1 and isinstance(found[0], TableRow) else None

    def names(self, path: str) -> list[str]:
        """The path without its picks, and what the picks look at."""
        return field_names(path)

    def undeclared(self, fields: Iterable[str]) -> Callable[[Any], list[str]]:  # noqa: ARG002
        """Where rows hold what no record kind declares: the tables are the same for all kinds."""
        return self._set.undeclared()

    def _parts(self, path: str) -> TablePath:
        parts = TablePath.of(path)
        if parts.table not in self._columns:
            raise PathError(f"must start with one of the tables {', '.join(self._columns)}")
        return parts


def _of(table: str, names: Iterable[str]) -> list[str]:
    """The columns of this table among "table.column" names."""
    return [name.removeprefix(f"{table}.") for name in sorted(names) if name.startswith(f"{table}.")]
