"""How the tables of a record set hang together: the `tables` section of a mapping, understood."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mappings.record import Getter, PathError, RecordError, refuse

_PATH = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)((?:\[[^\[\]]*\])*)(?:\.(.+))?")


@dataclass(frozen=True, slots=True)
class TablePath:
    """A path into a record set: `rows` is the table with its picks, `column` what follows or nothing."""

    table: str
    rows: str
    column: str

    @classmethod
    def of(cls, path: str) -> TablePath:
        """The path in a text. Raises PathError."""
        found = _PATH.fullmatch(path)
        if found is None:
            raise PathError("is not a path: the table, [n], [column=value] or [*], a dot and the column")
        return cls(found[1], found[1] + found[2], found[3] or "")


class Table(Protocol):
    """The rows of one table, which are mappings of columns to values."""

    def rows(self) -> Iterator[Any | RecordError]:
        """Every row; one that cannot be read as its RecordError."""

    def scan(self) -> Iterator[RecordError]:
        """Learn the keys, before the first `find`. What comes are the rows that cannot be read."""

    def find(self, key: str) -> list[Any]:
        """The rows with this key in their order; of a table without a key, all rows for ""."""

    def close(self) -> None:
        """No more rows will be asked for."""


@dataclass(frozen=True, slots=True)
class Join:
    """One table: `file` is where it is, by its own name.

    Its rows are those whose column `key` has the value of column `value_at` in the row of table `of`; without
    a key, all its rows.
    """

    name: str
    file: str
    key: str = ""
    of: str = ""
    value_at: str = ""
    many: bool = False
    optional: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it reads, as "table.column"."""
        return (f"{self.name}.{self.key}", f"{self.of}.{self.value_at}") if self.key else ()

    def find(self, rows: Mapping[str, Any], table: Table | None, key: Getter | None) -> Any:
        """This table's row, or list of rows, for the `rows` found so far by table.

        table: None where it is missing; key: gets it from the row it is in. Raises RecordError when there are
        several rows where there may be one.
        """
        wanted: str | None = ""
        if key is not None:
            holder = rows[self.of]
            wanted = key(holder) if holder is not None else None
        found = table.find(wanted) if table is not None and wanted is not None else []
        if self.many:
            return found
        if len(found) > 1:
            raise refuse("duplicate", f"{len(found)} rows have the key of this record", self.name)
        return found[0] if found else None


def read_joins(record: str, tables: Mapping[str, Mapping[str, Any]], ending: str) -> list[Join]:
    """The tables in the order in which they are joined; first that of the records.

    ending: of the files' names, where the mapping does not name the file. Raises PathError.
    """
    joins = {record: Join(record, tables[record].get("file", record + ending))}
    for name, told in tables.items():
        if ("key" in told) != ("is" in told):
            raise PathError(f"table {name}: 'key' and 'is' go together")
        if name == record:
            if len(told.keys() - {"file"}):
                raise PathError(f"table {name}: its rows are the records, so it is joined to no other")
            continue
        of, _, value_at = told.get("is", "").partition(".")
        if "is" in told and (of not in joins or not value_at or joins[of].many):
            raise PathError(f"table {name}: 'is' is table.column, of a table above that is not 'many'")
        joins[name] = Join(
            name,
            told.get("file", name + ending),
            told.get("key", ""),
            of,
            value_at,
            told.get("many", False),
            told.get("optional", False),
        )
    return list(joins.values())
