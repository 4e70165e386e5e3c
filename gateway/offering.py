"""Steps that several roads share: offer a Task if it may be offered, cancel it, and what follows a change."""

from __future__ import annotations

from dataclasses import dataclass, replace

import consent
from consent import Decision
from gateway import notify, outbox, referral
from gateway.judge import judge
from gateway.node import Node
from gateway.recording import Ask, record
from gateway.store import referrals, tasks
from gateway.store.referrals import Referral
from gateway.store.tasks import Task
from gateway.store.work import Work
from gateway.task_resource import WITHDRAWN


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one local record: ids, state and plain sentences, never a value from the record.

    taken_at: when it was first taken in; a record sent again gets its first answer.
    """

    referral: str
    state: str
    taken_at: str
    decided: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


def offer_if_permitted(node: Node, ask: Ask, work: Work, found: Referral, task: Task) -> Receipt:
    """Decide whether the Task's owner may be told at all; if so, offer and announce it, otherwise hold it."""
    decision = judge(node, work, found, task).decision
    record(work, ask, "decide", "E", found, task, decision, refused=not decision.permit)
    if decision.permit:
        offered = tasks.change(work, task, "requested", {})
        referrals.set_state(work, found.id, "offered")
        notify.announce(work, found, offered)
    return _receipt(node, found, decision)


def cancel(work: Work, found: Referral, task: Task) -> None:
    """Cancel with the same neutral reason whatever the cause, so that the cause is not told."""
    cancelled = tasks.change(work, task, "cancelled", {"statusReason": WITHDRAWN})
    after_change(work, found, cancelled)
    if task.status != "draft":
        notify.announce(work, found, cancelled)


def cancel_all(ask: Ask, work: Work, found: Referral) -> None:
    """Take back a referral that is not closed. Raises Refused (409) if it is."""
    every = tasks.of_referral(work, found.id)
    if not every and found.state == "held":  # nobody was found who could take it
        record(work, ask, "update", "U", found)
        referrals.close(work, found.id)
        return
    if all(task.status in referral.FINAL for task in every):
        raise referral.illegal_transition(every[-1].status if every else "held", "cancelled", "requester")
    for task in [one for one in every if one.status not in referral.FINAL]:
        referral.check_transition(task.status, "cancelled", "requester", WITHDRAWN)
        record(work, ask, "update", "U", found, task)
        cancel(work, found, task)


def offer_held(node: Node, ask: Ask, work: Work, held: Referral) -> list[Receipt]:
    """Decide on the recipients of a held referral in their order, until one may be told."""
    receipts = []
    for task in tasks.of_referral(work, held.id):
        if task.status == "draft":
            receipts.append(offer_if_permitted(node, ask, work, held, task))
            if receipts[-1].state == "offered":
                break
    return receipts


def after_change(work: Work, found: Referral, task: Task) -> None:
    """Tell our own system of a Task's new state, and close the referral if that state is final."""
    body = {"referral": found.id, "task": task.id, "status": task.status, "version": task.version}
    outbox.post(work, "write-back", notify.write_back_lane(found.id), body)
    if task.status in referral.FINAL:
        referrals.close(work, found.id)


def _receipt(node: Node, found: Referral, decision: Decision) -> Receipt:
    names = node.names
    return Receipt(
        found.id,
        "offered" if decision.permit else "held",
        found.opened_at,
        tuple(consent.sentences(replace(decision, remedies=()), names)),  # they stand apart, as `needed`
        tuple(consent.named(remedy, names) for remedy in decision.remedies),
    )
