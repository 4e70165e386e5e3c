"""Tables on the terminal: plain, folded where they are too wide, nothing in a cell taken for markup."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text


def empty_table(*columns: str) -> Table:
    """A table for rows to come."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "function")
    return table


def table_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """The rows, without columns that are empty in all of them."""
    kept = [number for number in range(len(columns)) if any(row[number] for row in rows)]
    table = empty_table(*(columns[number] for number in kept))
    for row in rows:
        table.add_row(*(Text(row[number]) for number in kept))
    return table
