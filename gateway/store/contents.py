"""Sealed content by owner and name. The owner (a referral, or one answer to one) has a key in the vault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert, select

from gateway.store.schema import content, received
from gateway.store.work import Work


def put(work: Work, owner_id: str, name: str, value: Mapping[str, Any]) -> None:
    """Seal one more piece of content under its owner's key."""
    sealed = work.vault.seal(owner_id, name, value)
    work.tx.execute(insert(content).values(tenant=work.tenant, owner_id=owner_id, name=name, sealed=sealed))


def get(work: Work, owner_id: str, name: str) -> dict[str, Any] | None:
    """A piece of content, opened; None where there is none. Raises vault.Erased."""
    sealed = work.tx.execute(
        select(content.c.sealed).where(
            content.c.tenant == work.tenant, content.c.owner_id == owner_id, content.c.name == name
        )
    ).scalar()
    found: dict[str, Any] | None = None if sealed is None else work.unseal(owner_id, name, sealed)
    return found


def forget(work: Work, owner_id: str) -> None:
    """Delete what the owner's destroyed key had sealed, and the digests that could recognise the record."""
    for table in (content, received):
        work.tx.execute(delete(table).where(table.c.tenant == work.tenant, table.c.owner_id == owner_id))
