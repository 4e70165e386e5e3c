"""How the tables of a set may hang together: one record for each row of one table, others found by key.

A table's own key is its first column that is named like one. Another table's column of that name, or of the
table's name, leads to its rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mappings.infer.column import Column, Sample, Table
from mappings.infer.words import Words, holds, vocabulary, words_of

_KEY = re.compile(r".*(id|key|ref|number|no|code)(__c)?", re.IGNORECASE)


class _Join(NamedTuple):
    """Rows of `table` by its column `key`, which has the value of column `at` of table `of`."""

    table: Table
    key: Column
    of: Table
    at: Column
    many: bool


def joined(tables: Sequence[Table], kind: str, name: str) -> Sample:
    """The tables as one sample; `kind` is csv or json. What cannot be joined is left out, with a doubt."""
    record = max(tables, key=lambda table: (_likely(table), _leads(table, tables)))
    rest = [table for table in tables if table is not record and table.form == record.form]
    kept = [record]
    joins: dict[str, _Join] = {}
    while found := next(_joins(kept, rest, joins), None):
        rest.remove(found.table)
        kept.append(found.table)
        joins[found.table.name] = found
    doubts = [f"One record for each row of {record.name}. Is that the table whose rows are referrals?"]
    if apart := [table.name for table in tables if table not in kept]:
        doubts.append(f"No key leads to {', '.join(apart)}: not read.")
    many = {name for name, join in joins.items() if join.many}
    return Sample(
        name,
        {
            "type": kind,
            **record.form,
            "record": record.name,
            "tables": {table.name: _told(table, kind, joins.get(table.name)) for table in kept},
        },
        tuple(
            column.of_table(table.name, repeats=table.name in many)
            for table in kept
            for column in table.columns
        ),
        record.rows,
        (*doubts, *(f"{table.name}: {doubt}" for table in kept for doubt in table.doubts)),
        tuple(f"{table.name}.*" for table in kept if table.nameless),
        frozenset(
            name
            for join in joins.values()
            for name in (f"{join.table.name}.{join.key.name}", f"{join.of.name}.{join.at.name}")
        ),
    )


def _told(table: Table, kind: str, join: _Join | None) -> dict[str, Any]:
    """The table as a mapping's `format` tells it."""
    usual = f"{table.name}.csv" if kind == "csv" else table.name
    told: dict[str, Any] = {} if table.file == usual else {"file": table.file}
    if join is not None:
        told |= {"key": join.key.name, "is": f"{join.of.name}.{join.at.name}"}
        told |= {"many": True} if join.many else {}
    return told


def _likely(table: Table) -> int:
    """How much a table's name says that its rows are referrals."""
    words = words_of(table.name)
    listed = vocabulary().records
    return max((len(listed) - rank for rank, each in enumerate(listed) if _is_about(words, each)), default=0)


def _is_about(words: Words, wanted: Words) -> bool:
    return holds(words, wanted) or holds(words, (*wanted[:-1], f"{wanted[-1]}s"))


def _leads(table: Table, tables: Sequence[Table]) -> int:
    """To how many other tables a column of this one leads."""
    return sum(1 for other in tables if other is not table for _ in _to_one(table, other))


def _joins(kept: Sequence[Table], rest: Sequence[Table], joins: dict[str, _Join]) -> Iterator[_Join]:
    """Tables to which kept ones lead: first those with one row for each, then those with many."""
    single = [table for table in kept if table.name not in joins or not joins[table.name].many]
    for table in rest:
        for of in single:
            yield from (_Join(table, key, of, at, many=False) for key, at in _to_one(of, table))
    for table in rest:
        for key in table.columns:
            for of in single:
                if (own := _own_key(of)) and _leads_to(table, key, of, own):
                    yield _Join(table, key, of, own, many=True)


def _to_one(of: Table, to: Table) -> Iterator[tuple[Column, Column]]:
    """The own key of `to`, with the column of `of` that holds its values."""
    own = _own_key(to)
    if own is not None and len(set(map(str, own.values))) == len(own.values):
        yield from ((own, at) for at in of.columns if at is not _own_key(of) and _leads_to(of, at, to, own))


def _own_key(table: Table) -> Column | None:
    return next((each for each in table.columns if not each.repeats and _KEY.fullmatch(each.name)), None)


def _leads_to(of: Table, at: Column, to: Table, own: Column) -> bool:
    """Whether `at` of one table leads to the own key of another by its name, and by a value at least."""
    named = at.name == own.name and words_of(at.name) != ("id",)
    table = words_of(to.name)
    named = named or (words_of(own.name) == ("id",) and words_of(at.name) in (table, (*table, "id")))
    return (
        named
        and of is not to
        and not at.repeats
        and not set(map(str, at.values)).isdisjoint(map(str, own.values))
    )
