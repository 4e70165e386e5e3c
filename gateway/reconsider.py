"""A person's consents have changed: decide again on what rests on them, wait for what is under way."""

from __future__ import annotations

import time
from typing import Final

from consent import Decision
from gateway import referral
from gateway.judge import judge
from gateway.node import Node
from gateway.offering import Receipt, cancel, offer_held
from gateway.recording import Ask, record
from gateway.store import disclosures, referrals, tasks
from gateway.store.referrals import Referral
from gateway.store.tasks import Task
from gateway.store.work import Work

WAIT_SECONDS: Final = 0.02


def offer_held_of(node: Node, ask: Ask, work: Work, subject: str, but: str = "") -> list[Receipt]:
    """Decide again on every held referral of a person (by subject digest), `but` one, and offer it if it may.

    but: the id of the referral that the caller itself is about to decide on.
    """
    return [
        receipt
        for held in referrals.unfinished_of_person(work, subject)
        if held.state == "held" and held.id != but
        for receipt in offer_held(node, ask, work, held)
    ]


def cancel_denied(node: Node, ask: Ask, work: Work, subject: str, *, only_for_consent: bool) -> list[str]:
    """Cancel every open referral of a person that no longer may go on; the ids of those cancelled.

    only_for_consent: leave alone what is denied for another reason, such as a partner that is suspended today
    and may be back tomorrow.
    """
    ended = []
    for found in referrals.unfinished_of_person(work, subject):
        for task in tasks.of_referral(work, found.id):
            decision = judge(node, work, found, task).decision
            if only_for_consent and not decision.code.startswith("consent-"):
                continue
            if cancelled(ask, work, found, task, decision):
                ended.append(found.id)
    return ended


def cancelled(ask: Ask, work: Work, found: Referral, task: Task, decision: Decision) -> bool:
    """Cancel an offered Task if its owner may no longer see it; says whether it did."""
    if decision.permit or task.status == "draft" or task.status in referral.FINAL:
        return False
    record(work, ask, "decide", "E", found, task, decision, refused=True)
    cancel(work, found, task)
    return True


def settle(node: Node, subject: str, epoch: int) -> None:
    """Return when nothing about a person is under way any more that was decided before this consent epoch.

    What a crash has left behind ends by itself (`disclosures.LONGEST`).
    """
    while _under_way(node, subject, epoch):
        time.sleep(WAIT_SECONDS)


def _under_way(node: Node, subject: str, epoch: int) -> bool:
    with node.store.work() as work:
        return disclosures.older_than(work, subject, epoch) > 0
