"""Referrals at their source: what is known of them without opening them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import bindparam, select, update

from gateway.store import contents
from gateway.store.schema import referral
from gateway.store.work import Work

RECORD = "record"


@dataclass(frozen=True)
class Referral:
    """What is known of a referral without opening it.

    organization: our identity that it is sent under. state: held, offered, closed, erasing, erased.
    """

    id: str
    organization: str
    system: str
    referral_type: str
    purpose: str
    subject_digest: str
    state: str
    opened_at: str


_ALL = select(*(referral.c[name] for name in Referral.__dataclass_fields__)).where(
    referral.c.tenant == bindparam("at_tenant")
)
_GET = _ALL.where(referral.c.id == bindparam("wanted"))
_IN_STATE = _ALL.where(referral.c.state == bindparam("wanted"))
_CLOSED_BEFORE = _ALL.where(referral.c.state == "closed", referral.c.closed_at <= bindparam("moment"))
_UNFINISHED = _ALL.where(
    referral.c.subject_digest == bindparam("subject"), referral.c.state.in_(("held", "offered"))
)
_ONE = update(referral).where(
    referral.c.tenant == bindparam("at_tenant"), referral.c.id == bindparam("wanted")
)
_SET_STATE = _ONE.values(state=bindparam("state"))
_CLOSE = _ONE.values(state="closed", closed_at=bindparam("closed_at"))
_ERASE = _ONE.values(state="erasing", subject_digest="")


def open_referral(work: Work, found: Referral, record: Mapping[str, Any]) -> None:
    """Write a new referral with its record sealed. Its key must have been made before."""
    work.add(referral, asdict(found))
    contents.put(work, found.id, RECORD, record)


def get(work: Work, referral_id: str) -> Referral | None:
    """One referral."""
    row = work.run(_GET, wanted=referral_id).one_or_none()
    return Referral(*row) if row else None


def all_of(work: Work) -> list[Referral]:
    """Every referral this node has sent or holds."""
    return [Referral(*row) for row in work.run(_ALL)]


def unfinished_of_person(work: Work, subject_digest: str) -> list[Referral]:
    """The held and offered referrals of one person."""
    return [Referral(*row) for row in work.run(_UNFINISHED, subject=subject_digest)]


def in_state(work: Work, state: str) -> list[Referral]:
    """The referrals in one state."""
    return [Referral(*row) for row in work.run(_IN_STATE, wanted=state)]


def closed_before(work: Work, moment: str) -> list[Referral]:
    """Closed referrals whose content still stands and that closed at or before `moment`."""
    return [Referral(*row) for row in work.run(_CLOSED_BEFORE, moment=moment)]


def set_state(work: Work, referral_id: str, state: str) -> None:
    """Move a referral on."""
    work.run(_SET_STATE, wanted=referral_id, state=state)


def close(work: Work, referral_id: str) -> None:
    """Close a referral: from now its content waits only for its grace to end."""
    work.run(_CLOSE, wanted=referral_id, closed_at=work.stamp)


def start_erasing(work: Work, referral_id: str) -> None:
    """Mark a closed referral for erasure and let go of what could still recognise the person."""
    work.run(_ERASE, wanted=referral_id)
