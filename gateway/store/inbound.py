"""Referrals at their recipient: ids and states, no content."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from uuid import uuid4

from sqlalchemy import bindparam, select, update

from gateway.store.schema import inbound
from gateway.store.work import Work


@dataclass(frozen=True)
class Inbound:
    """A referral that a partner offers us.

    status: as last read at the source; `gone` when the source shows it no more. expected: what it will be
    once the answers under way have arrived. offered_at, opened_at: when our own system got the offer and
    the dossier. seen_at: the source's time of the Task that was handed over last; handed: a keyed digest of
    the content then, by which an amendment is known. subject_digest: whose referral it is, once our own
    system has named the person by its own number.
    """

    id: str
    organization: str
    source: str
    task_id: str
    status: str
    expected: str
    offered_at: str | None
    opened_at: str | None
    modified_at: str
    seen_at: str | None = None
    handed: str | None = None
    subject_digest: str | None = None


_ALL = select(*(inbound.c[name] for name in Inbound.__dataclass_fields__)).where(
    inbound.c.tenant == bindparam("at_tenant")
)
_NEWEST_FIRST = _ALL.order_by(inbound.c.modified_at.desc())
_GET = _ALL.where(inbound.c.id == bindparam("wanted"))
_OF_SOURCE = _ALL.where(inbound.c.organization == bindparam("ours"), inbound.c.source == bindparam("theirs"))
_OF_TASK = _OF_SOURCE.where(inbound.c.task_id == bindparam("wanted"))
_OF_PERSON = _ALL.where(inbound.c.subject_digest == bindparam("subject")).order_by(inbound.c.modified_at)
_ONE = update(inbound).where(inbound.c.tenant == bindparam("at_tenant"), inbound.c.id == bindparam("wanted"))


def learn_of(work: Work, organization: str, source: str, task_id: str) -> Inbound:
    """The inbound referral behind a partner's Task; a new one if we had not heard of it."""
    row = work.run(_OF_TASK, ours=organization, theirs=source, wanted=task_id).one_or_none()
    if row:
        return Inbound(*row)
    made = Inbound(str(uuid4()), organization, source, task_id, "", "", None, None, work.stamp)
    work.add(inbound, asdict(made))
    return made


def get(work: Work, inbound_id: str) -> Inbound | None:
    """One inbound referral, by the id our own system knows it by."""
    row = work.run(_GET, wanted=inbound_id).one_or_none()
    return Inbound(*row) if row else None


def all_of(work: Work) -> list[Inbound]:
    """Every inbound referral, newest change first."""
    return [Inbound(*row) for row in work.run(_NEWEST_FIRST)]


def of_source(work: Work, organization: str, source: str) -> list[Inbound]:
    """What one partner has offered to one of our identities."""
    return [Inbound(*row) for row in work.run(_OF_SOURCE, ours=organization, theirs=source)]


def of_person(work: Work, subject_digest: str) -> list[Inbound]:
    """What was referred to us of one person whom our own system knows."""
    return [Inbound(*row) for row in work.run(_OF_PERSON, subject=subject_digest)]


def change(work: Work, inbound_id: str, **values: str | None) -> None:
    """Write new values of an inbound referral."""
    work.run(_ONE.values(**values, modified_at=work.stamp), wanted=inbound_id)
