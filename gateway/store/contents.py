"""Sealed content by owner and name. The owner (a referral, or one answer to one) has a key in the vault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from gateway.store.schema import content, received
from gateway.store.work import Work

_GET = select(content.c.sealed).where(
    content.c.tenant == bindparam("at_tenant"),
    content.c.owner_id == bindparam("owner"),
    content.c.name == bindparam("named"),
)
_REPLACE = (
    update(content)
    .where(
        content.c.tenant == bindparam("at_tenant"),
        content.c.owner_id == bindparam("owner"),
        content.c.name == bindparam("named"),
    )
    .values(sealed=bindparam("anew"))
)
_FORGET = tuple(
    delete(table).where(table.c.tenant == bindparam("at_tenant"), table.c.owner_id == bindparam("owner"))
    for table in (content, received)
)


def put(work: Work, owner_id: str, name: str, value: Mapping[str, Any]) -> None:
    """Seal one more piece of content under its owner's key."""
    sealed = work.vault.seal(owner_id, name, value)
    work.add(content, {"owner_id": owner_id, "name": name, "sealed": sealed})


def replace(work: Work, owner_id: str, name: str, value: Mapping[str, Any]) -> None:
    """Seal a piece of content anew in the place of what was there."""
    work.run(_REPLACE, owner=owner_id, named=name, anew=work.vault.seal(owner_id, name, value))


def get(work: Work, owner_id: str, name: str) -> dict[str, Any] | None:
    """A piece of content, opened; None where there is none. Raises vault.Erased."""
    sealed = work.run(_GET, owner=owner_id, named=name).scalar()
    found: dict[str, Any] | None = None if sealed is None else work.unseal(owner_id, name, sealed)
    return found


def holds(work: Work, owner_id: str, name: str) -> bool:
    """Whether there is such a piece of content, unopened."""
    return work.run(_GET, owner=owner_id, named=name).scalar() is not None


def forget(work: Work, owner_id: str) -> None:
    """Delete what the owner's destroyed key had sealed, and the digests that could recognise the record."""
    for statement in _FORGET:
        work.run(statement, owner=owner_id)
