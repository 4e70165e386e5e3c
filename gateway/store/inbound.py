"""Referrals at their recipient: ids and states, no content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, select, update

from gateway.store.schema import inbound, peer_subscription
from gateway.store.work import Work


@dataclass(frozen=True, slots=True)
class Inbound:
    """A referral that a partner offers us.

    status: as last read at the source; `gone` when the source shows it no more. expected: what it will be
    once the answers under way have arrived. offered_at, opened_at: when our own system got the offer and
    the dossier.
    """

    id: str
    organization: str
    source: str
    task_id: str
    status: str
    expected: str
    etag: str | None
    offered_at: str | None
    opened_at: str | None
    modified_at: str


def learn_of(work: Work, organization: str, source: str, task_id: str) -> Inbound:
    """The inbound referral behind a partner's Task; a new one if we had not heard of it."""
    known = _one(
        work,
        inbound.c.organization == organization,
        inbound.c.source == source,
        inbound.c.task_id == task_id,
    )
    if known:
        return known
    made = Inbound(str(uuid4()), organization, source, task_id, "", "", None, None, None, work.stamp)
    work.tx.execute(
        insert(inbound).values(
            tenant=work.tenant, **{name: getattr(made, name) for name in Inbound.__slots__}
        )
    )
    return made


def get(work: Work, inbound_id: str) -> Inbound | None:
    """One inbound referral, by the id our own system knows it by."""
    return _one(work, inbound.c.id == inbound_id)


def all_of(work: Work) -> list[Inbound]:
    """Every inbound referral, newest change first."""
    return _many(work)


def of_source(work: Work, organization: str, source: str) -> list[Inbound]:
    """What one partner has offered to one of our identities."""
    return _many(work, inbound.c.organization == organization, inbound.c.source == source)


def change(work: Work, inbound_id: str, **values: str | None) -> None:
    """Write new values of an inbound referral."""
    work.tx.execute(
        update(inbound)
        .where(inbound.c.tenant == work.tenant, inbound.c.id == inbound_id)
        .values(**values, modified_at=work.stamp)
    )


def subscribed(work: Work, organization: str, source: str) -> tuple[str | None, int] | None:
    """Our Subscription at a partner: (its id there, last event seen); None if we never asked for one."""
    row = work.tx.execute(
        select(peer_subscription.c.subscription_id, peer_subscription.c.last_event).where(
            *_between(work, organization, source)
        )
    ).one_or_none()
    return (row.subscription_id, row.last_event) if row else None


def ask_to_subscribe(work: Work, organization: str, source: str) -> None:
    """Note that we are asking a partner for a Subscription."""
    work.tx.execute(
        insert(peer_subscription).values(
            tenant=work.tenant, organization=organization, source=source, last_event=0
        )
    )


def note_subscription(work: Work, organization: str, source: str, **values: str | int) -> None:
    """Write our Subscription's id, or the last event seen of it."""
    work.tx.execute(update(peer_subscription).where(*_between(work, organization, source)).values(**values))


def _between(work: Work, organization: str, source: str) -> tuple[Any, ...]:
    return (
        peer_subscription.c.tenant == work.tenant,
        peer_subscription.c.organization == organization,
        peer_subscription.c.source == source,
    )


def _columns() -> Any:
    return select(*(inbound.c[name] for name in Inbound.__slots__))


def _many(work: Work, *conditions: Any) -> list[Inbound]:
    rows = work.tx.execute(
        _columns().where(inbound.c.tenant == work.tenant, *conditions).order_by(inbound.c.modified_at.desc())
    )
    return [Inbound(*row) for row in rows]


def _one(work: Work, *conditions: Any) -> Inbound | None:
    row = work.tx.execute(_columns().where(inbound.c.tenant == work.tenant, *conditions)).one_or_none()
    return Inbound(*row) if row else None
