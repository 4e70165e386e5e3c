"""Tell a partner that something changed, and hear it from one: pointers only, decided again at each attempt.

At the source, an event gets its number in the unit of work of the change and waits in the outbox. At the
recipient, what is told is written down before it is acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway import audit, notification, outbox
from gateway.judge import judge
from gateway.node import Node
from gateway.outbox import GiveUp
from gateway.recording import epoch_of
from gateway.sending import Clients, Gone, Stopped, partner
from gateway.store import disclosures, referrals, subscribed, subscriptions, tasks
from gateway.store.inbound import Inbound
from gateway.store.referrals import Referral
from gateway.store.subscriptions import Subscription
from gateway.store.tasks import Task
from gateway.store.work import Work

NOTIFICATIONS = "/notifications"
NOTIFY_SCOPE = "Bundle.c"
_LONGEST_SECONDS = disclosures.LONGEST.total_seconds() - 1


def write_back_lane(referral_id: str) -> str:
    """The outbox lane of a referral's answers to its own local system."""
    return f"write-back/{referral_id}"


def inbound_lane(known: Inbound) -> str:
    """The outbox lane of everything about one referral at its recipient."""
    return f"inbound/{known.id}"


def poll_lane(organization: str, source: str) -> str:
    """The outbox lane of asking one partner for what is open."""
    return f"poll/{organization}/{source}"


def announce(work: Work, found: Referral, task: Task) -> None:
    """Number this change for every Subscription of the Task's owner, and leave it to be sent."""
    for one in subscriptions.of_subscriber(work, found.organization, task.owner):
        if one.status in ("off", "error"):
            continue
        number = subscriptions.number_event(work, one, task.id)
        outbox.post(
            work,
            "notify",
            f"notify/{one.id}/{task.id}",
            {"subscription": one.id, "number": number, "task": task.id},
        )


def subscribe(work: Work, organization: str, subscriber: str, endpoint: str) -> tuple[Subscription, bool]:
    """The Subscription of a partner, and whether it is new: then its handshake is left to be sent."""
    made, new = subscriptions.subscribe(work, organization, subscriber, endpoint)
    if new:
        outbox.post(work, "handshake", f"notify/{made.id}", {"subscription": made.id})
    return made, new


def pull_later(work: Work, known: Inbound) -> None:
    """Leave a Task at its source to be read."""
    outbox.post(work, "pull", inbound_lane(known), {"inbound": known.id})


def note_event(work: Work, organization: str, source: str, event: notification.Event) -> None:
    """Note the number of an event that arrived; after a gap, ask the source for everything open."""
    seen = subscribed.find(work, organization, source)
    if seen is None or event.number is None or seen[0] not in (None, event.subscription_id):
        return
    last = seen[1]
    if event.number > last:
        subscribed.heard(work, organization, source, event.number)
    if event.number > last + 1:
        body = {"organization": organization, "source": source}
        outbox.post(work, "poll", poll_lane(organization, source), body)


async def send_handshake(node: Node, clients: Clients, body: Mapping[str, Any]) -> None:
    """Show a subscriber that its endpoint is heard; then the Subscription is active."""

    def prepare() -> tuple[Subscription, dict[str, Any]] | None:
        with node.store.work() as work:
            one = subscriptions.get(work, body["subscription"])
            if one is None:
                return None
            base = node.identities[one.organization].fhir_base
            return one, notification.bundle(base, one, work.stamp, None, None)

    def activate(one: Subscription) -> None:
        with node.store.work() as work:
            subscriptions.set_status(work, one.id, "active")

    prepared = await asyncio.to_thread(prepare)
    if prepared is not None:
        await _post(node, clients, *prepared)
        await asyncio.to_thread(activate, prepared[0])


async def send_event(node: Node, clients: Clients, body: Mapping[str, Any]) -> None:
    """Send one numbered event if its subscriber may, at this moment, be told of the Task."""
    prepared = await asyncio.to_thread(_event, node, body)
    if prepared is not None:
        disclosure, one, bundle = prepared
        try:
            # A withdrawal waits no longer than this: then it is over, and tried again by a new decision.
            async with asyncio.timeout(_LONGEST_SECONDS):
                await _post(node, clients, one, bundle)
        finally:
            node.ended.append(disclosure)


def _event(node: Node, body: Mapping[str, Any]) -> tuple[str, Subscription, dict[str, Any]] | None:
    with node.store.work() as work:
        one = subscriptions.get(work, body["subscription"])
        task = tasks.get(work, body["task"])
        found = referrals.get(work, task.referral_id) if task else None
        if one is None or task is None or found is None:
            return None
        decision = judge(node, work, found, task).decision
        entry = audit.Entry(
            "notify",
            "E",
            found.organization,
            refused=not decision.permit,
            referral_id=found.id,
            what=f"Task/{task.id}",
            decision=decision,
            details={
                "status": task.status,
                "recipient": task.owner,
                **epoch_of(work, found, decision),
            },
        )
        audit.record(work, entry)
        if not decision.permit:
            return None
        base = node.identities[one.organization].fhir_base
        at = subscriptions.event_time(work, one.id, body["number"])
        bundle = notification.bundle(base, one, at, body["number"], task.id)
        return disclosures.begin(work, found), one, bundle


async def _post(node: Node, clients: Clients, one: Subscription, bundle: Mapping[str, Any]) -> None:
    peer = partner(node, clients, one.organization, one.subscriber)
    if not one.endpoint.startswith(f"{peer.entry.address}/"):
        raise Stopped(GiveUp("the subscriber's endpoint is not at its address in the directory"))
    try:
        await peer.send("POST", one.endpoint.removeprefix(peer.entry.address), NOTIFY_SCOPE, bundle)
    except Gone:
        raise Stopped(GiveUp("the subscriber's endpoint is not there")) from None
