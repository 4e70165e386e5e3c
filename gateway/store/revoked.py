"""Access tokens of this node that were taken back, until they would have ended by themselves."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select

from gateway.store.schema import revoked_token
from gateway.store.work import Work

_ALL = select(revoked_token.c.digest, revoked_token.c.expires).where(
    revoked_token.c.tenant == bindparam("at_tenant"), revoked_token.c.expires > bindparam("moment")
)
_KNOWN = select(revoked_token.c.digest).where(
    revoked_token.c.tenant == bindparam("at_tenant"), revoked_token.c.digest == bindparam("of_digest")
)
_FORGET = delete(revoked_token).where(
    revoked_token.c.tenant == bindparam("at_tenant"), revoked_token.c.expires <= bindparam("moment")
)


def take_back(work: Work, digest: str, expires: int) -> None:
    """Remember a token until it expires (Unix time); those that have are forgotten."""
    work.run(_FORGET, moment=int(work.now.timestamp()))
    if work.run(_KNOWN, of_digest=digest).scalar() is None:
        work.add(revoked_token, {"digest": digest, "expires": expires})


def taken_back(work: Work) -> dict[str, int]:
    """What is remembered: digests and when they expire."""
    rows = work.run(_ALL, moment=int(work.now.timestamp()))
    return {row.digest: row.expires for row in rows}
