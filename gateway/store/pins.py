"""The keys that this node holds its partners to, whatever a directory says later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, select

from gateway.store.schema import pin as table
from gateway.store.work import Work

_ALL = select(table.c.organization, table.c.jwks, table.c.at).where(table.c.tenant == bindparam("at_tenant"))
_FORGET = delete(table).where(
    table.c.tenant == bindparam("at_tenant"), table.c.organization == bindparam("named")
)


@dataclass(frozen=True, slots=True)
class Pinned:
    """One partner's keys as they are kept. jwks: a JWK Set as JSON text. at: since when, ISO 8601."""

    organization: str
    jwks: str
    at: str


def everyone(work: Work) -> dict[str, Pinned]:
    """What is pinned, by organisation."""
    return {row.organization: Pinned(row.organization, row.jwks, row.at) for row in work.run(_ALL)}


def keep(work: Work, organization: str, jwks: Mapping[str, Any]) -> Pinned:
    """Pin these keys from now on, in place of any that were pinned before."""
    pinned = Pinned(organization, msgspec.json.encode(jwks).decode(), work.stamp)
    work.run(_FORGET, named=organization)
    work.add(table, {"organization": organization, "jwks": pinned.jwks, "at": pinned.at})
    return pinned
