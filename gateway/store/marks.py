"""Numbers that may only grow, kept so that a restart cannot turn them back: the directory's sequence."""

from __future__ import annotations

from sqlalchemy import insert, select, update

from gateway.store.schema import mark
from gateway.store.work import Work

DIRECTORY = "directory-sequence"


def highest(work: Work, name: str) -> int:
    """The highest value ever noted; 0 if none."""
    found = work.tx.execute(
        select(mark.c.value).where(mark.c.tenant == work.tenant, mark.c.name == name)
    ).scalar()
    return found or 0


def note(work: Work, name: str, value: int) -> None:
    """Note a value if it is the highest yet."""
    known = highest(work, name)
    if known == 0:
        work.tx.execute(insert(mark).values(tenant=work.tenant, name=name, value=value))
    elif value > known:
        work.tx.execute(
            update(mark).where(mark.c.tenant == work.tenant, mark.c.name == name).values(value=value)
        )
