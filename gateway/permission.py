"""A person decides: a consent is recorded or withdrawn, and what rests on it is decided again, at once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from consent import Decision
from gateway import consenting, referral
from gateway.errors import refuse
from gateway.judge import judge
from gateway.node import Node
from gateway.offering import Receipt, cancel, cancel_all, offer_held
from gateway.recording import Ask, record
from gateway.store import consents, disclosures, referrals, tasks
from gateway.store.referrals import Referral
from gateway.store.tasks import Task
from gateway.store.work import Work

WAIT_SECONDS = 0.02


def record_consent(node: Node, ask: Ask, resource: Mapping[str, Any]) -> tuple[str, list[Receipt]]:
    """Keep a Consent; what was held for want of it is decided again. Raises Refused (422) if unusable.

    Returns the Consent's id and what became of the held referrals.
    """
    subject = consenting.person_of(node, resource)
    consent_id = consenting.new_key(node)
    with node.store.work() as work:
        consenting.keep(ask, work, consent_id, subject, resource)
        digest = consents.subject_digest(work, *subject)
        return consent_id, [
            receipt
            for held in referrals.unfinished_of_person(work, digest)
            if held.state == "held"
            for receipt in offer_held(node, ask, work, held)
        ]


def withdraw_consent(node: Node, ask: Ask, consent_id: str) -> list[str]:
    """Make a Consent inactive and cancel every open referral that no longer may go on.

    Returns the ids of the cancelled referrals, only after every disclosure of theirs that was decided before
    has ended. Raises Refused (404) for an unknown Consent.
    """
    cancelled = _withdraw(node, ask, consent_id)
    while cancelled and _under_way(node, cancelled):
        time.sleep(WAIT_SECONDS)
    return cancelled


def _withdraw(node: Node, ask: Ask, consent_id: str) -> list[str]:
    with node.store.work() as work:
        held = consents.get(work, consent_id)
        if held is None:
            raise refuse(404, "not-found", "There is no consent with this id here.")
        consents.deactivate(work, consent_id)
        record(work, ask, "update", "U", details={"consent": consent_id, "status": "inactive"})
        return [
            found.id
            for found in referrals.unfinished_of_person(work, held.subject_digest)
            for task in tasks.of_referral(work, found.id)
            if _cancelled(ask, work, found, task, judge(node, work, found, task).decision)
        ]


def cancel_where_consent_ended(node: Node, ask: Ask) -> list[str]:
    """Cancel every open referral whose consent has run out meanwhile; its reads are closed already.

    Only for want of a consent: a suspended partner or a late directory may be back tomorrow. Returns the
    ids of the cancelled referrals.
    """
    ended = []
    with node.store.work() as work:
        offered = referrals.in_state(work, "offered")
    for found in offered:
        with node.store.work() as work:
            for task in tasks.of_referral(work, found.id):
                decision = judge(node, work, found, task).decision
                if decision.code.startswith("consent-") and _cancelled(ask, work, found, task, decision):
                    ended.append(found.id)
    return ended


def cancel_referral(node: Node, ask: Ask, referral_id: str) -> None:
    """Take back a referral that is not closed. Raises Refused: 404 if unknown, 409 if it is closed."""
    with node.store.work() as work:
        found = referrals.get(work, referral_id)
        if found is None:
            raise refuse(404, "not-found", "No referral with this id was sent from here.")
        cancel_all(ask, work, found)


def _under_way(node: Node, referral_ids: list[str]) -> bool:
    with node.store.work() as work:
        return disclosures.under_way(work, referral_ids) > 0


def _cancelled(ask: Ask, work: Work, found: Referral, task: Task, decision: Decision) -> bool:
    """Cancel an offered Task if its owner may no longer see it; says whether it did."""
    if decision.permit or task.status == "draft" or task.status in referral.FINAL:
        return False
    record(work, ask, "decide", "E", found, task, decision, refused=True)
    cancel(work, found, task)
    return True
