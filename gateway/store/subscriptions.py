"""Partners' Subscriptions at this source, and the numbered events of each.

Event numbers are given inside the transaction of the event, so they follow commit order without a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import insert, select, update

from gateway.store.schema import subscription, subscription_event
from gateway.store.work import Work


@dataclass(frozen=True, slots=True)
class Subscription:
    """A partner's standing wish to be told. `organization` is our identity that it asked."""

    id: str
    organization: str
    subscriber: str
    endpoint: str
    status: str
    events: int


def subscribe(work: Work, organization: str, subscriber: str, endpoint: str) -> tuple[Subscription, bool]:
    """The Subscription of this subscriber and endpoint, and whether it is new. Asking twice makes one."""
    known = _many(
        work,
        subscription.c.organization == organization,
        subscription.c.subscriber == subscriber,
        subscription.c.endpoint == endpoint,
    )
    if known:
        return known[0], False
    made = Subscription(str(uuid4()), organization, subscriber, endpoint, "requested", 0)
    work.tx.execute(
        insert(subscription).values(
            tenant=work.tenant, **{name: getattr(made, name) for name in Subscription.__slots__}
        )
    )
    return made, True


def get(work: Work, subscription_id: str) -> Subscription | None:
    """One Subscription."""
    return next(iter(_many(work, subscription.c.id == subscription_id)), None)


def of_subscriber(work: Work, organization: str, subscriber: str) -> list[Subscription]:
    """A subscriber's Subscriptions at one of our identities."""
    return _many(work, subscription.c.organization == organization, subscription.c.subscriber == subscriber)


def set_status(work: Work, subscription_id: str, status: str) -> None:
    """Mark a Subscription active, in error or off."""
    work.tx.execute(
        update(subscription)
        .where(subscription.c.tenant == work.tenant, subscription.c.id == subscription_id)
        .values(status=status)
    )


def number_event(work: Work, found: Subscription, task_id: str) -> int:
    """The next event of a Subscription, about one Task; returns its number."""
    number = found.events + 1
    work.tx.execute(
        insert(subscription_event).values(
            tenant=work.tenant, subscription_id=found.id, number=number, task_id=task_id, at=work.stamp
        )
    )
    work.tx.execute(
        update(subscription)
        .where(subscription.c.tenant == work.tenant, subscription.c.id == found.id)
        .values(events=number)
    )
    return number


def event_time(work: Work, subscription_id: str, number: int) -> str:
    """When an event happened."""
    return str(
        work.tx.execute(
            select(subscription_event.c.at).where(
                subscription_event.c.tenant == work.tenant,
                subscription_event.c.subscription_id == subscription_id,
                subscription_event.c.number == number,
            )
        ).scalar_one()
    )


def _many(work: Work, *conditions: Any) -> list[Subscription]:
    rows = work.tx.execute(
        select(*(subscription.c[name] for name in Subscription.__slots__)).where(
            subscription.c.tenant == work.tenant, *conditions
        )
    )
    return [Subscription(*row) for row in rows]
