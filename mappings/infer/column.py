"""A sample of an agency's records as columns, whatever it was written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Column:
    """One field of the records.

    name: as `fields` lists it; steps: the names of the objects or the table around it, and its own;
    values: those that are not empty; repeats: a record may hold several; readable: its name can be a path.
    """

    name: str
    steps: tuple[str, ...]
    values: Sequence[Any]
    repeats: bool = False
    readable: bool = True

    def of_table(self, table: str, *, repeats: bool) -> Column:
        """The same column in a set of tables."""
        return replace(
            self,
            name=f"{table}.{self.name}",
            steps=(table, *self.steps),
            repeats=self.repeats or repeats,
        )


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of one file, or of one list in a JSON document.

    form: what a mapping's `format` says of how it is written; nameless: a column of it has no name.
    """

    name: str
    file: str
    form: Mapping[str, Any]
    columns: tuple[Column, ...]
    rows: int
    doubts: tuple[str, ...] = ()
    nameless: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """What was found in all files. `format` is the section of a mapping; `doubts` are about the whole.

    nameless: how `ignored` names the columns without a name; keys: those by which tables are joined.
    """

    name: str
    format: Mapping[str, Any]
    columns: tuple[Column, ...]
    records: int
    doubts: tuple[str, ...] = ()
    nameless: tuple[str, ...] = ()
    keys: frozenset[str] = frozenset()
