"""The recipient reads: ask to be told, read what is offered, hand it to our own system.

Nothing read from a source is kept: it goes from its answer, through the mapping, into our own system. What
stays are ids and states. Each public function is one attempt at one outbox entry.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

import msgspec

from gateway import audit, fhir_json, keeping, notification, notify, outbox, quiet, referral
from gateway.node import Node
from gateway.outbox import GiveUp, Later
from gateway.quiet import GONE
from gateway.sending import Clients, Gone, Partner, Read, Stopped, partner
from gateway.store import inbound, subscribed
from gateway.store.inbound import Inbound
from gateway.store.work import Work
from gateway.task_resource import WITHDRAWN
from gateway.writeback import hand_over
from profiles import canonical, validate
from profiles.outcome import errors

_OPEN_STATES = "requested,accepted,in-progress,on-hold"

T = TypeVar("T")


async def subscribe(node: Node, clients: Clients, body: Mapping[str, Any]) -> None:
    """Ask a partner to tell us about Tasks of ours; then ask for what is open already."""
    organization, source = body["organization"], body["source"]
    if not quiet.receives_under(node, organization):
        return
    endpoint = f"{node.identities[organization].address}{notify.NOTIFICATIONS}"
    wanted = notification.subscription_request(endpoint, organization)
    asked = partner(node, clients, organization, source)
    try:
        answer = await asked.send("POST", "/fhir/Subscription", "Subscription.crs", wanted)
    except Gone:
        if not asked.entry.endpoints:
            raise Stopped(Later("the partner's node serves no FHIR at its address")) from None
        # No Waymeet node, and it has no subscriptions: it is asked now and then instead.
        lane = notify.poll_lane(organization, source)
        await in_store(node, lambda work: outbox.post(work, "poll", lane, body))
        return
    made = str(msgspec.json.decode(answer.body)["id"])

    def note(work: Work) -> None:
        subscribed.granted(work, organization, source, made)
        outbox.post(work, "poll", notify.poll_lane(organization, source), body)

    await in_store(node, note)


async def poll(node: Node, clients: Clients, body: Mapping[str, Any]) -> None:
    """Ask a partner for every open Task of ours: after a gap in its events, at start, and now and then."""
    organization, source = body["organization"], body["source"]
    if not quiet.receives_under(node, organization):
        return
    query = urlencode({"status": _OPEN_STATES, "owner": organization})
    found = await partner(node, clients, organization, source).read(f"Task?{query}", "Task.rus")

    def note(work: Work) -> None:
        shown = {
            entry["resource"]["id"]: (entry["resource"]["status"], _changed_at(entry["resource"]))
            for entry in found.resource.get("entry", [])
        }
        for task_id in shown:
            inbound.learn_of(work, organization, source, task_id)
        for known in inbound.of_source(work, organization, source):
            # What we hold open and the source shows no more is over, though nobody may tell us so.
            still_open = known.status not in referral.FINAL and known.status != GONE
            if still_open and shown.get(known.task_id) != (known.status, known.seen_at):
                notify.pull_later(work, known)

    await in_store(node, note)


async def pull(node: Node, clients: Clients, body: Mapping[str, Any]) -> None:
    """Read a Task at its source and hand our own system what its state has opened: offer, dossier, or end."""
    known = await in_store(node, lambda work: inbound.get(work, body["inbound"]))
    if known is None or not quiet.receives_under(node, known.organization):
        return
    source = partner(node, clients, known.organization, known.source)
    try:
        read = await _read_task(node, source, known)
        if quiet.answers_quietly(node) and read.resource["status"] == "requested":
            read = await _give_receipt(node, source, known, read)
    except Gone:
        await _end(node, source, known, GONE, {"status": "cancelled", "statusReason": WITHDRAWN})
        return
    task = read.resource
    status = task["status"]
    if status in referral.FINAL:
        await _end(node, source, known, status, task)
        return
    # Before the hand-over: our own system may answer faster than we could write it down afterwards.
    await in_store(node, lambda work: _note(node, work, known.id, status))
    # A newer Task may be our own doing, or the source has amended what it is about, or both: only what it is
    # about tells.
    newer = known.seen_at not in (None, _changed_at(task))
    if known.offered_at is None or (newer and status not in referral.OPEN):
        await _hand_offer(node, source, known, task)
    if status in referral.OPEN and (known.opened_at is None or newer):
        if known.opened_at is None and not node.trust.opens_dossiers():
            raise Stopped(Later("there is no suspension list in force: no new dossier is opened"))
        await _hand_dossier(node, source, known, task)
    await in_store(node, lambda work: inbound.change(work, known.id, seen_at=_changed_at(task)))


async def _read_task(node: Node, source: Partner, known: Inbound) -> Read:
    """The Task at its source. Raises Gone or Stopped."""
    read = await source.read(f"Task/{known.task_id}", "Task.rus")
    if errors(validate(read.resource, canonical.REFERRAL_TASK, node.definitions)):
        raise Stopped(GiveUp("the partner's Task does not fit the referral profile"))
    return read


async def _give_receipt(node: Node, source: Partner, known: Inbound, read: Read) -> Read:
    """A quiet recipient's receipt: the same for every referral, before anybody or anything of ours sees it.

    Returns the Task as it then stands. The source may have taken it back meanwhile; then it is read as over.
    """
    try:
        await source.send(
            "PUT",
            f"/fhir/Task/{known.task_id}",
            "Task.rus",
            quiet.receipt(read.resource),
            If_Match=read.etag,
            Idempotency_Key=known.id,
        )
    except Stopped as stopped:
        if not isinstance(stopped.outcome, GiveUp):
            raise
        again = await _read_task(node, source, known)
        if again.resource["status"] == "requested":
            raise
        return again
    await in_store(node, lambda work: _note_receipt(work, known))
    return await _read_task(node, source, known)


def _note_receipt(work: Work, known: Inbound) -> None:
    what = {"status": "accepted", "recipient": known.source, "resource": "Task", "receipt": "automatic"}
    audit.record(work, audit.Entry("update", "U", "node", referral_id=known.id, details=what))


async def _hand_offer(node: Node, source: Partner, known: Inbound, task: Mapping[str, Any]) -> None:
    resources = await _read_all(source, [task["focus"]["reference"]])
    await _hand_if_new(node, source, known, "offer", {"task": task, "resources": resources})


async def _hand_dossier(node: Node, source: Partner, known: Inbound, task: Mapping[str, Any]) -> None:
    inputs = [one["valueReference"]["reference"] for one in task.get("input", []) if "valueReference" in one]
    resources = await _read_all(source, [task["focus"]["reference"], task["for"]["reference"], *inputs])
    await _hand_if_new(node, source, known, "dossier", {"task": task, "resources": resources})


async def _hand_if_new(
    node: Node, source: Partner, known: Inbound, event: Literal["offer", "dossier"], facts: Mapping[str, Any]
) -> None:
    """Hand over what our own system has not had yet, under a name of its own where it is an amendment."""
    if quiet.answers_quietly(node):
        # All has been read as for any other referral; what our people have closed they need no more of.
        if known.expected in referral.FINAL and known.status != GONE:
            return
        facts = {**facts, "task": quiet.own_view(facts["task"], known)}
    content = fhir_json.encode(facts["resources"]).decode()
    digest = await in_store(node, lambda work: work.vault.digest("handed", event, content))
    if digest == known.handed:
        return
    column = "offered_at" if event == "offer" else "opened_at"
    again = getattr(known, column) is not None
    await hand_to_own(node, source, known, event, facts, digest[:8] if again else "")
    await in_store(
        node, lambda work: inbound.change(work, known.id, **{column: work.stamp, "handed": digest})
    )


def _changed_at(task: Mapping[str, Any]) -> str:
    """When the Task last changed, in the words of its source."""
    return str(task.get("meta", {}).get("lastUpdated", ""))


async def _read_all(source: Partner, references: list[str]) -> dict[str, Any]:
    """What stands at these references: ServiceRequest and Patient alone, all else in lists by type."""
    resources: dict[str, Any] = {}
    try:
        for reference in references:
            resource_type = reference.partition("/")[0]
            found = (await source.read(reference, f"{resource_type}.r")).resource
            if resource_type in ("ServiceRequest", "Patient"):
                resources[resource_type] = found
            else:
                resources.setdefault(resource_type, []).append(found)
    except Gone:
        raise Stopped(Later("the source has shut it meanwhile")) from None
    return resources


async def _end(node: Node, source: Partner, known: Inbound, status: str, task: Mapping[str, Any]) -> None:
    """The source has closed the Task, or shows it no more; our own system is told unless it did it itself."""
    told = known.status in referral.FINAL or known.status == GONE
    closed_here = known.expected in referral.FINAL
    if quiet.answers_quietly(node):
        own_doing = False  # what our people have said is not known there, so the end there is always news
    else:
        own_doing = known.expected == status or (status == GONE and closed_here)
    may_have_it = known.status != ""  # noted before the first hand-over, whether or not that arrived
    if may_have_it and not told and not own_doing:
        await hand_to_own(node, source, known, "task", {"task": task, "resources": {}})
    keeps = own_doing or (closed_here and quiet.answers_quietly(node))
    ended = known.expected if keeps else "cancelled" if status == GONE else status

    def close(work: Work) -> list[str]:
        inbound.change(work, known.id, status=status, expected=ended, handed=None)
        return keeping.forget(work, known)

    for answer_id in await in_store(node, close):
        await asyncio.to_thread(node.store.vault.destroy, answer_id)


async def hand_to_own(
    node: Node, source: Partner, known: Inbound, event: str, facts: Mapping[str, Any], version: str = ""
) -> None:
    """Give our own system one event about an inbound referral, if it takes any. Raises Stopped.

    version: tells the names of two hand-overs of the same event apart.
    """
    system = node.inbox()
    if system is not None:
        about = {
            "referral": known.id,
            "source": source.entry.name,
            "now": node.stamp(),
            "message": "-".join(part for part in (known.id, event, version) if part),
        }
        await hand_over(node, source.client, system, event, {**facts, **about})


def _note(node: Node, work: Work, inbound_id: str, status: str) -> None:
    """Write down what was read; an answer of ours under way stays expected where the table lets it follow.

    At a quiet recipient what is expected is what our people have said last, whatever the source knows of it.
    """
    known = inbound.get(work, inbound_id)
    expected = known.expected if known and known.status != GONE else ""
    if quiet.answers_quietly(node):
        expected = expected or "requested"
    elif expected not in referral.allowed(status, "owner"):
        expected = status
    inbound.change(work, inbound_id, status=status, expected=expected)


async def in_store(node: Node, step: Callable[[Work], T]) -> T:
    """Run `step` in one unit of work, off the event loop."""

    def run() -> T:
        with node.store.work() as work:
            return step(work)

    return await asyncio.to_thread(run)
