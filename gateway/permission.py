"""A person decides: a consent is recorded or withdrawn, and what rests on it is decided again, at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway import consenting, reconsider
from gateway.errors import refuse
from gateway.judge import judge
from gateway.node import Node
from gateway.offering import Receipt, cancel_all
from gateway.recording import Ask, record
from gateway.store import consents, persons, referrals, tasks
from gateway.store.consents import Held
from gateway.store.work import Work

_OVER: Final = ("inactive", "entered-in-error")


def record_consent(node: Node, ask: Ask, resource: Mapping[str, Any]) -> tuple[str, list[Receipt]]:
    """Keep a Consent; what was held for want of it is decided again, and so is what is open.

    Returns the Consent's id and what became of the held referrals. Raises Refused: 422 if it is unusable or
    is to replace one that is not here, 409 if one with its identifier is here.
    """
    person = consenting.person_of(node, resource)
    with node.store.work() as work:
        kept = consenting.keep(node, ask, work, person, resource)
    reconsider.settle(node, kept.subject, kept.epoch)
    return kept.id, list(kept.offered)


def withdraw_consent(node: Node, ask: Ask, consent_id: str) -> list[str]:
    """Make a Consent inactive and cancel every open referral that no longer may go on.

    Returns the ids of the cancelled referrals, only after every disclosure about the person that was decided
    before has ended, whether or not its referral goes on. Raises Refused (404) for an unknown Consent.
    """
    with node.store.work() as work:
        held = consents.get(work, consent_id)
        if held is None:
            raise refuse(404, "not-found", "There is no consent with this id here.")
        cancelled = withdraw(node, ask, work, held)
        epoch = persons.epoch(work, held.subject_digest)
    reconsider.settle(node, held.subject_digest, epoch)
    return cancelled


def withdraw(node: Node, ask: Ask, work: Work, held: Held, status: str = "inactive") -> list[str]:
    """The withdrawal itself, within a unit of work; its caller waits afterwards (`reconsider.settle`).

    Withdrawn already, it changes nothing, but what may not go on is looked for again. Of one that is erased
    nothing is left that could be withdrawn.
    """
    if not held.subject_digest:
        return []
    if held.status not in _OVER:
        consents.deactivate(work, held, status)
        node.compiled.drop(held.id)
        epoch = persons.epoch(work, held.subject_digest)
        details = {"consent": held.id, "status": status, "consent-epoch": str(epoch)}
        record(work, ask, "update", "U", details=details)
    return reconsider.cancel_denied(node, ask, work, held.subject_digest, only_for_consent=False)


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
                if decision.code.startswith("consent-") and reconsider.cancelled(
                    ask, work, found, task, decision
                ):
                    ended.append(found.id)
    return ended


def cancel_referral(node: Node, ask: Ask, referral_id: str) -> None:
    """Take back a referral that is not closed. Raises Refused: 404 if unknown, 409 if it is closed."""
    with node.store.work() as work:
        found = referrals.get(work, referral_id)
        if found is None:
            raise refuse(404, "not-found", "No referral with this id was sent from here.")
        cancel_all(ask, work, found)
