"""Partners' Subscriptions at this source, and the numbered events of each.

Event numbers are given inside the transaction of the event, so they follow commit order without a gap.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from uuid import uuid4

from sqlalchemy import bindparam, select, update

from gateway.store.schema import subscription, subscription_event
from gateway.store.work import Work


@dataclass(frozen=True)
class Subscription:
    """A partner's standing wish to be told. `organization` is our identity that it asked.

    status: requested, active, error, off. events: how many there have been.
    """

    id: str
    organization: str
    subscriber: str
    endpoint: str
    status: str
    events: int


_ALL = select(*(subscription.c[name] for name in Subscription.__dataclass_fields__)).where(
    subscription.c.tenant == bindparam("at_tenant")
)
_GET = _ALL.where(subscription.c.id == bindparam("wanted"))
_OF_SUBSCRIBER = _ALL.where(
    subscription.c.organization == bindparam("ours"), subscription.c.subscriber == bindparam("theirs")
)
_ONE = update(subscription).where(
    subscription.c.tenant == bindparam("at_tenant"), subscription.c.id == bindparam("wanted")
)
_SET_STATUS = _ONE.values(status=bindparam("status"))
_COUNT = _ONE.values(events=bindparam("events"))
_EVENT_TIME = select(subscription_event.c.at).where(
    subscription_event.c.tenant == bindparam("at_tenant"),
    subscription_event.c.subscription_id == bindparam("wanted"),
    subscription_event.c.number == bindparam("numbered"),
)


def subscribe(work: Work, organization: str, subscriber: str, endpoint: str) -> tuple[Subscription, bool]:
    """The Subscription of this subscriber and endpoint, and whether it is new. Asking twice makes one."""
    for known in of_subscriber(work, organization, subscriber):
        if known.endpoint == endpoint:
            return known, False
    made = Subscription(str(uuid4()), organization, subscriber, endpoint, "requested", 0)
    work.add(subscription, asdict(made))
    return made, True


def get(work: Work, subscription_id: str) -> Subscription | None:
    """One Subscription."""
    row = work.run(_GET, wanted=subscription_id).one_or_none()
    return Subscription(*row) if row else None


def of_subscriber(work: Work, organization: str, subscriber: str) -> list[Subscription]:
    """A subscriber's Subscriptions at one of our identities."""
    return [Subscription(*row) for row in work.run(_OF_SUBSCRIBER, ours=organization, theirs=subscriber)]


def set_status(work: Work, subscription_id: str, status: str) -> None:
    """Mark a Subscription active, in error or off."""
    work.run(_SET_STATUS, wanted=subscription_id, status=status)


def number_event(work: Work, found: Subscription, task_id: str) -> int:
    """The next event of a Subscription, about one Task; returns its number."""
    number = found.events + 1
    row = {"subscription_id": found.id, "number": number, "task_id": task_id, "at": work.stamp}
    work.add(subscription_event, row)
    work.run(_COUNT, wanted=found.id, events=number)
    return number


def event_time(work: Work, subscription_id: str, number: int) -> str:
    """When an event happened."""
    return str(work.run(_EVENT_TIME, wanted=subscription_id, numbered=number).scalar_one())
