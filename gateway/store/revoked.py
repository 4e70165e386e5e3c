"""Access tokens of this node that were taken back, until they would have ended by themselves."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, delete, func, select

from gateway.store.schema import revoked_token
from gateway.store.work import Work

# Answered from an index alone.
_COUNTS = (
    select(revoked_token.c.expires, func.count().label("number"))
    .where(revoked_token.c.tenant == bindparam("at_tenant"), revoked_token.c.expires > bindparam("moment"))
    .group_by(revoked_token.c.expires)
)
_OF_SECONDS = select(revoked_token.c.digest, revoked_token.c.expires).where(
    revoked_token.c.tenant == bindparam("at_tenant"),
    revoked_token.c.expires.in_(bindparam("seconds", expanding=True)),
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


def counts(work: Work) -> dict[int, int]:
    """How many are remembered for each second (Unix time) in which they expire."""
    rows = work.run(_COUNTS, moment=int(work.now.timestamp()))
    return {row.expires: row.number for row in rows}


def taken_back(work: Work, seconds: Collection[int]) -> dict[str, int]:
    """Those that expire in these seconds: digests and when they expire."""
    if not seconds:
        return {}
    rows = work.run(_OF_SECONDS, seconds=list(seconds))
    return {row.digest: row.expires for row in rows}
