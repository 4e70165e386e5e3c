"""Tables that are lists of objects in one JSON object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mappings.paths import compile_path, scalar
from mappings.readers.csv_file import Columns
from mappings.readers.joins import Join, TablePath
from mappings.readers.json_file import strangers
from mappings.readers.json_paths import json_group
from mappings.readers.json_texts import document
from mappings.readers.source import Source
from mappings.record import Getter, Group, RecordError, refuse


class JsonTable:
    """The objects `listed` in a document, read one by one or by the values at their path `key`.

    columns: the paths that are read, where there are others that are passed over; None where there are none.
    """

    def __init__(self, name: str, listed: list[Any], key: str, columns: Iterable[str] | None) -> None:
        self._name = name
        self._listed = listed
        self._key = text_at(key) if key else lambda _row: ""
        self._kept = None if columns is None else frozenset(path.partition(".")[0] for path in columns)
        self._found: dict[str, list[dict[str, Any]]] = {}

    def rows(self) -> Iterator[dict[str, Any] | RecordError]:
        """Every item; one that is not an object as its RecordError."""
        for number, item in enumerate(self._listed, 1):
            if not isinstance(item, dict):
                yield refuse("structure", f"item {number} is not an object", self._name)
            elif self._kept is not None:
                yield {name: item[name] for name in item.keys() & self._kept}
            else:
                yield item

    def scan(self) -> Iterator[RecordError]:
        """Learn the keys, before the first `find`. What comes are the items that are not objects."""
        for row in self.rows():
            if isinstance(row, RecordError):
                yield row
            elif (key := self._key(row)) is not None:
                self._found.setdefault(key, []).append(row)

    def find(self, key: str) -> list[dict[str, Any]]:
        """The items with this key in their order; of a table without a key, all items for ""."""
        return self._found.get(key, [])

    def close(self) -> None:
        """Nothing is open."""


class JsonSet:
    """The lists of a JSON object: how to open them as tables, and the paths into their objects."""

    def __init__(self, columns: Mapping[str, Columns]) -> None:
        self._columns = columns

    def tables(self, source: Source) -> Callable[[Join], JsonTable | None]:
        """How to open a table; None is one that is missing and may be. Raises RecordError."""
        with source.open() as file:
            data = document(file)
        if not isinstance(data, dict):
            raise refuse("structure", "the document must be a JSON object of tables", line=1)

        def table(join: Join) -> JsonTable | None:
            columns = self._columns[join.name]
            if join.optional and join.file not in data:
                return None
            if join.file not in data:
                raise refuse("not-found", "the document lacks this table", join.name)
            if not isinstance(data[join.file], list):
                raise refuse("structure", "is not a list of objects", join.name)
            kept = columns.names if columns.open_ended else None
            return JsonTable(join.name, data[join.file], join.key, kept)

        return table

    def key(self, column: str) -> Getter:
        """How to get a key from an object's member."""
        return text_at(column)

    def getter(self, path: TablePath) -> Getter:
        """How to get a value from the objects by table. Raises PathError."""
        walk = compile_path(f"{path.rows}.{path.column}")
        return lambda rows: scalar(walk(rows))

    def group(self, path: TablePath) -> Group:
        """The objects at `path`, or what repeats in one. Raises PathError."""
        return json_group(f"{path.rows}.{path.column}" if path.column else path.rows)

    def undeclared(self) -> Callable[[Any], list[str]]:
        """Members that no declared path of any record kind leads to."""
        return strangers(
            f"{table}.{name}"
            for table, columns in self._columns.items()
            for name in (*columns.names, *columns.elsewhere)
        )


def text_at(path: str) -> Getter:
    """How to get the value at `path` as a key: a number is its text, and nothing else but text is one."""
    walk = compile_path(path)

    def text(row: Any) -> str | None:
        value = walk(row)
        if type(value) is int:
            return str(value)
        return value.strip() or None if isinstance(value, str) else None

    return text
