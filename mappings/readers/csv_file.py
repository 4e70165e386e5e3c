"""CSV with a header: columns are found by name, never by position.

Column names that the mapping does not know are told by position only: in a file that lost its header they
would be the first person's data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mappings.readers.csv_rows import CsvForm, Row, Rows
from mappings.readers.source import Source
from mappings.record import Getter, Group, PathError, Record, RecordError, refuse
from profiles.outcome import Issue


class CsvReader:
    """Reads CSV whose header holds `columns`, in any order.

    optional: those that may be missing; open_ended: whether there may be others, which are passed over.
    """

    keys: frozenset[str] = frozenset()

    def __init__(
        self,
        columns: Sequence[str],
        optional: frozenset[str] = frozenset(),
        open_ended: bool = False,
        delimiter: str = ",",
        quote: str = '"',
        encoding: str = "utf-8",
    ) -> None:
        self._columns = Columns(tuple(columns), optional, open_ended)
        self._form = CsvForm(delimiter, quote, encoding)

    def records(self, source: Source) -> Iterator[Record | RecordError]:
        """One record a row; a row with too many or too few fields, or too long, as its RecordError.

        Raises RecordError for a header that does not fit, and where the text cannot be read on: its encoding
        or quoting is broken. None of the rows before is lost then.
        """
        with source.open() as file:
            name = source.names[0]
            rows = iter(Rows(file, self._form))
            header = self._columns.header(rows)
            row = None
            for row in rows:
                if isinstance(row, RecordError):
                    yield row
                elif fault := header.ragged(row):
                    yield RecordError([fault])
                else:
                    yield Record(header.values(row.cells), row.line, name)
            if row is None:
                raise refuse("required", "there is a header and no row after it", line=1)

    def getter(self, path: str) -> Getter:
        """The column called `path`; a blank cell is None. Raises PathError for a column not declared."""
        if path not in self._columns.names:
            raise PathError("is not one of the columns under 'fields'")
        return cell(path)

    def group(self, path: str) -> Group:  # noqa: ARG002 - whatever the path
        """Raises PathError: a row holds nothing that repeats."""
        raise PathError("is in a CSV row, where nothing repeats; split a cell, or read a set of tables")

    def place(self, record: Record, path: str) -> int | None:  # noqa: ARG002 - a row has one line
        """The line that the row starts on."""
        return record.line

    def names(self, path: str) -> list[str]:
        """The column itself."""
        return [path]

    def undeclared(self, fields: Iterable[str]) -> Callable[[dict[str, str]], list[str]]:  # noqa: ARG002
        """Nothing is left to check: reading already compared the header with the columns."""
        return lambda _values: []


def cell(column: str) -> Getter:
    """How to get a column's value from a row's values: None when it is blank or missing."""
    return lambda values: values.get(column) or None


@dataclass(frozen=True, slots=True)
class Columns:
    """What a header must hold: `names`, without those that are `optional`; others where it is open-ended.

    In a set of several, table: the table's name; elsewhere: columns that other tables read of the same file.
    """

    names: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    open_ended: bool = False
    table: str = ""
    elsewhere: frozenset[str] = frozenset()

    def header(self, rows: Iterator[Row | RecordError]) -> Header:
        """The header that is the first of `rows`. Raises RecordError naming all that is wrong with it."""
        first = next(rows, None)
        if first is None:
            raise refuse("required", "the record is empty", field=self.table)
        if isinstance(first, RecordError):
            raise first
        found = [name.strip() for name in first.cells]
        issues = [
            self._issue("required", "the header lacks this column", first.line, name)
            for name in self.names
            if name not in found and name not in self.optional
        ]
        issues += [
            self._issue("duplicate", "the header has this column twice", first.line, name)
            for name in self.names
            if found.count(name) > 1
        ]
        issues += [
            self._issue("structure", f"column {number} is not one that the mapping knows", first.line)
            for number, name in enumerate(found, 1)
            if name not in self.names and name not in self.elsewhere and not self.open_ended
        ]
        if issues:
            raise RecordError(issues)
        kept = tuple((found.index(name), name) for name in self.names if name in found)
        return Header(kept, len(found), self.table)

    def _issue(self, code: str, message: str, line: int, name: str = "") -> Issue:
        field = ".".join(part for part in (self.table, name) if part)
        return Issue("error", code, message, field=field, line=line)


@dataclass(frozen=True, slots=True)
class Header:
    """A header that fits. kept: (position, name) of the declared columns; width: of all columns."""

    kept: tuple[tuple[int, str], ...]
    width: int
    table: str

    def ragged(self, row: Row) -> Issue | None:
        """The finding about a row that has not as many fields as the header."""
        if len(row.cells) == self.width:
            return None
        found = f"{len(row.cells)} field{'s' if len(row.cells) != 1 else ''}"
        message = f"the row has {found}, the header {self.width}"
        return Issue("error", "structure", message, field=self.table, line=row.line)

    def values(self, cells: Sequence[str]) -> dict[str, str]:
        """The declared columns of a row that is not ragged, by name, trimmed."""
        return {name: cells[position].strip() for position, name in self.kept}
