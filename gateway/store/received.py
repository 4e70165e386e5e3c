"""What has been taken in already: the same key and body get the first answer, another body is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Engine, bindparam, delete, select, text

from gateway.errors import refuse
from gateway.store.schema import assertion, received
from gateway.store.work import Work

_FIRST = select(received.c.body_digest, received.c.answer).where(
    received.c.tenant == bindparam("at_tenant"), received.c.key_digest == bindparam("key")
)
_OWNER = select(received.c.owner_id).where(
    received.c.tenant == bindparam("at_tenant"), received.c.key_digest == bindparam("key")
)
# One statement, for SQLite and PostgreSQL alike: of several at once the key lets one through. A row that has
# expired and was not swept yet does not count.
_REMEMBER = text(
    "INSERT INTO assertion (tenant, issuer, jti, expires) VALUES (:at_tenant, :of_issuer, :of_jti, :until) "
    "ON CONFLICT (tenant, issuer, jti) DO UPDATE SET expires = excluded.expires "
    "WHERE assertion.expires < :before"
)
_FORGET_EXPIRED = delete(assertion).where(
    assertion.c.tenant == bindparam("at_tenant"), assertion.c.expires < bindparam("before")
)

_KEPT_SECONDS: Final = 60  # beyond the moment when it is refused as expired: clocks of processes differ
_SWEEP_SECONDS: Final = 60
# When each tenant's expired assertions were last deleted by this process.
_SWEPT: WeakKeyDictionary[Engine, dict[str, int]] = WeakKeyDictionary()


def first_answer(work: Work, channel: str, key: str, body: bytes) -> dict[str, Any] | None:
    """The answer that this record got the first time; None if it is new.

    Raises Refused (409) when the key was used before with another body.
    """
    row = work.run(_FIRST, key=work.vault.digest(channel, key)).one_or_none()
    if row is None:
        return None
    if row.body_digest != _body_digest(work, body):
        raise refuse(
            409,
            "duplicate",
            "This record's key (its own number, or the Idempotency-Key) was used before for a different "
            "content; nothing was changed. Send a correction under a key of its own.",
        )
    answer: dict[str, Any] = msgspec.json.decode(row.answer)
    return answer


def owner_of(work: Work, channel: str, key: str) -> str | None:
    """What a record with this key opened (the id of its referral), while that is still kept."""
    found: str | None = work.run(_OWNER, key=work.vault.digest(channel, key)).scalar()
    return found


def remember(
    work: Work, channel: str, key: str, body: bytes, owner_id: str, answer: Mapping[str, Any]
) -> None:
    """Keep the first answer (ids and codes only) for when the same record comes again."""
    row = {
        "key_digest": work.vault.digest(channel, key),
        "body_digest": _body_digest(work, body),
        "owner_id": owner_id,
        "answer": msgspec.json.encode(answer).decode(),
        "at": work.stamp,
    }
    work.add(received, row)


def remember_assertion(work: Work, issuer: str, jti: str, expires: int) -> bool:
    """Whether a client assertion's `jti` is seen for the first time; durable once the work is done."""
    moment = int(work.now.timestamp())
    before = moment - _KEPT_SECONDS
    swept = _SWEPT.setdefault(work.tx.engine, {})
    if abs(moment - swept.get(work.tenant, 0)) >= _SWEEP_SECONDS:
        swept[work.tenant] = moment
        work.run(_FORGET_EXPIRED, before=before)
    done = work.run(_REMEMBER, of_issuer=issuer, of_jti=jti, until=expires, before=before)
    return done.rowcount == 1


def _body_digest(work: Work, body: bytes) -> str:
    return work.vault.digest("body", hashlib.sha256(body).hexdigest())
