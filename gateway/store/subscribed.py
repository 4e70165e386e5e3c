"""Our own Subscriptions at partners: which we have asked for, and the last event each has told us of."""

from __future__ import annotations

from sqlalchemy import bindparam, select, update

from gateway.store.schema import peer_subscription as table
from gateway.store.work import Work

_BETWEEN = (
    table.c.tenant == bindparam("at_tenant"),
    table.c.organization == bindparam("ours"),
    table.c.source == bindparam("theirs"),
)
_GET = select(table.c.subscription_id, table.c.last_event).where(*_BETWEEN)
_NOTE_ID = update(table).where(*_BETWEEN).values(subscription_id=bindparam("subscription_id"))
_NOTE_EVENT = update(table).where(*_BETWEEN).values(last_event=bindparam("last_event"))


def find(work: Work, organization: str, source: str) -> tuple[str | None, int] | None:
    """Our Subscription at a partner: (its id there, last event seen); None if we never asked for one."""
    row = work.run(_GET, ours=organization, theirs=source).one_or_none()
    return (row.subscription_id, row.last_event) if row else None


def asking(work: Work, organization: str, source: str) -> None:
    """Note that we are asking a partner for a Subscription."""
    work.add(table, {"organization": organization, "source": source, "last_event": 0})


def granted(work: Work, organization: str, source: str, subscription_id: str) -> None:
    """Note the Subscription that the partner has made."""
    work.run(_NOTE_ID, ours=organization, theirs=source, subscription_id=subscription_id)


def heard(work: Work, organization: str, source: str, number: int) -> None:
    """Note the last event that arrived."""
    work.run(_NOTE_EVENT, ours=organization, theirs=source, last_event=number)
