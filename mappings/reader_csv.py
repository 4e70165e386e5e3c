"""CSV (RFC 4180) with a header: columns are found by name, never by position.

The delimiter is the mapping's. Column names that the mapping does not know are told by position only: in
a file that lost its header they would be the first person's data.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence

from mappings.record import Getter, PathError, Record, RecordError, decode, refuse
from profiles.outcome import Issue


class CsvReader:
    """Reads CSV whose header holds exactly `columns`, in any order."""

    def __init__(self, columns: Sequence[str], delimiter: str = ",") -> None:
        self._columns = tuple(columns)
        self._delimiter = delimiter

    def read(self, body: bytes) -> list[Record]:
        """One record a row. Raises RecordError naming every line that has too many or too few fields."""
        rows = csv.reader(io.StringIO(decode(body), newline=""), delimiter=self._delimiter, strict=True)
        records: list[Record] = []
        ragged: list[Issue] = []
        try:
            header = self._header(next(rows))
            end = rows.line_num
            for row in rows:
                line, end = end + 1, rows.line_num
                if not row:
                    continue
                if len(row) != len(header):
                    ragged.append(Issue("error", "structure", _ragged(len(row), len(header)), line=line))
                    continue
                records.append(Record(dict(zip(header, row, strict=True)), line))
        except csv.Error:
            fault = "the quoting is broken, or a field is too long"
            raise refuse("structure", fault, line=rows.line_num) from None
        if ragged:
            raise RecordError(ragged)
        if not records:
            raise refuse("required", "there is a header and no row after it", line=1)
        return records

    def getter(self, path: str) -> Getter:
        """The column called `path`; a blank cell is None. Raises PathError for a column not declared."""
        if path not in self._columns:
            raise PathError("is not one of the columns under 'fields'")

        def get(values: dict[str, str]) -> str | None:
            return values[path].strip() or None

        return get

    def place(self, record: Record, path: str) -> int | None:  # noqa: ARG002 - a row has one line
        """The line that the row starts on."""
        return record.line

    def names(self, path: str) -> list[str]:
        """The column itself."""
        return [path]

    def undeclared(self, fields: Iterable[str]) -> Callable[[dict[str, str]], list[str]]:  # noqa: ARG002
        """Nothing is left to check: reading already compared the header with the columns."""
        return lambda _values: []

    def _header(self, cells: Sequence[str]) -> list[str]:
        names = [cell.strip() for cell in cells]
        issues = [
            Issue("error", "required", "the header lacks this column", field=name, line=1)
            for name in self._columns
            if name not in names
        ]
        issues += [
            Issue("error", "duplicate", "the header has this column twice", field=name, line=1)
            for name in self._columns
            if names.count(name) > 1
        ]
        issues += [
            Issue("error", "structure", f"column {number} is not one that the mapping knows", line=1)
            for number, name in enumerate(names, 1)
            if name not in self._columns
        ]
        if issues:
            raise RecordError(issues)
        return names


def _ragged(found: int, expected: int) -> str:
    return f"the row has {found} field{'s' if found != 1 else ''}, the header {expected}"
