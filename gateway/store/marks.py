"""Numbers that may only grow, so that a restart cannot turn them back: sequences of what others sign."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, update

from gateway.store.schema import mark
from gateway.store.work import Work

DIRECTORY = "directory-sequence"
SUSPENSIONS = "suspensions-sequence"
KEY_SET = "key-set-of "  # with the organization after it: when its newest signed key set was signed

_GET = select(mark.c.value).where(mark.c.tenant == bindparam("at_tenant"), mark.c.name == bindparam("named"))
_RAISE = (
    update(mark)
    .where(mark.c.tenant == bindparam("at_tenant"), mark.c.name == bindparam("named"))
    .values(value=bindparam("value"))
)
_FORGET = delete(mark).where(mark.c.tenant == bindparam("at_tenant"), mark.c.name == bindparam("named"))


def forget(work: Work, name: str) -> None:
    """Count from the beginning again."""
    work.run(_FORGET, named=name)


def highest(work: Work, name: str) -> int:
    """The highest value ever noted; 0 if none."""
    return work.run(_GET, named=name).scalar() or 0


def note(work: Work, name: str, value: int) -> int:
    """Note a value if it is the highest yet. Returns the highest."""
    known = highest(work, name)
    if known == 0:
        work.add(mark, {"name": name, "value": value})
    elif value > known:
        work.run(_RAISE, named=name, value=value)
    return max(known, value)
