"""Which directory was used under which number, so that another one under the same number is noticed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, delete, select

from gateway.store.schema import directory_seen as table
from gateway.store.work import Work

REMEMBERED: Final = 64

_LAST = (
    select(table.c.sequence, table.c.digest)
    .where(table.c.tenant == bindparam("at_tenant"))
    .order_by(table.c.sequence.desc())
    .limit(REMEMBERED)
)
_FORGET = delete(table).where(
    table.c.tenant == bindparam("at_tenant"), table.c.sequence < bindparam("lowest")
)
_ALL = delete(table).where(table.c.tenant == bindparam("at_tenant"))


def forget(work: Work) -> None:
    """Remember none."""
    work.run(_ALL)


def seen(work: Work) -> dict[int, str]:
    """The digest (SHA-256 in hex) of the manifest used under each of the last `REMEMBERED` numbers."""
    return {row.sequence: row.digest for row in work.run(_LAST)}


def note(work: Work, sequence: int, digest: str) -> dict[int, str]:
    """Note the manifest that is used under a number, once; what is remembered now, as `seen` says it."""
    known = seen(work)
    if sequence not in known:
        work.add(table, {"sequence": sequence, "digest": digest, "at": work.stamp})
        known = seen(work)
        work.run(_FORGET, lowest=min(known))
    return known
