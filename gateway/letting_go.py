"""Decide on the answers of a quiet recipient that wait here, and say to its people what became of them.

What may go is left to be sent, and decided on again in that moment (`keeping.decide_to_send`).
"""

from __future__ import annotations

import consent
from consent import Decision
from consent.answer_step import OUTCOME
from gateway import audit, notify, outbox, quiet
from gateway.node import Node
from gateway.offering import Receipt
from gateway.recording import Ask
from gateway.store import contents, inbound, kept, persons
from gateway.store.inbound import Inbound
from gateway.store.work import Work

KEPT = "kept"
_KEPT = "Kept here, not sent: {to} is told nothing without a release."
_SENT = "On its way: {to} is told where the referral stands."
_PART = "Kept here, not sent: what came of it, which the release does not list."
_WHO = "The person's own number in your system, in this answer: without it no release can be found."
_AGE = "The person's date of birth, in this answer: without it a release has to be signed like a minor's."


def decide_again(node: Node, ask: Ask, work: Work, subject: str) -> list[Receipt]:
    """A consent of a person (by subject digest) has come: decide on every answer about them that waits."""
    return [
        decide(node, ask, work, known.id)
        for known in (inbound.of_person(work, subject) if subject else [])
        if kept.of_inbound(work, known.id)
    ]


def decide(node: Node, ask: Ask, work: Work, inbound_id: str) -> Receipt:
    """Decide on what waits of one referral; what may go is left to be sent, where it is decided on again."""
    known = inbound.get(work, inbound_id)
    assert known is not None
    decision = quiet.may_tell(node, work, known)
    note(work, ask.agent, known, decision)
    if decision.permit:
        for answer_id, _ in kept.of_inbound(work, known.id):
            body = {"inbound": known.id, "answer": answer_id}
            outbox.post(work, "answer", notify.inbound_lane(known), body)
    return _receipt(node, work, known, decision)


def _receipt(node: Node, work: Work, known: Inbound, decision: Decision) -> Receipt:
    names = node.names
    to = names.get(known.source, known.source)
    if decision.permit:
        first = [_SENT.format(to=to)] + ([] if OUTCOME in decision.items else [_PART])
    else:
        first = [_KEPT.format(to=to)]
    why = [reason.text for reason in decision.reasons if reason.outcome != "pass"]
    needed = [] if known.subject_digest else [_WHO]
    if (
        decision.code == "consent-insufficient"
        and contents.get(work, quiet.person_key(known), quiet.PERSON) is None
    ):
        needed.append(_AGE)
    needed += decision.remedies
    return Receipt(
        known.id,
        known.expected if decision.permit else KEPT,
        work.stamp,
        (*first, *(consent.named(one, names) for one in why)),
        () if decision.permit else tuple(consent.named(one, names) for one in needed),
    )


def note(work: Work, agent: str, known: Inbound, decision: Decision, *, told: bool = False) -> int:
    """The decision, under the id by which our own system knows the referral; told: that it is acted on."""
    subject = known.subject_digest or ""
    entry = audit.Entry(
        "update" if told else "decide",
        "U" if told else "E",
        agent,
        refused=not decision.permit,
        referral_id=known.id,
        decision=decision,
        items=sorted(decision.items) if told else (),
        details={
            "recipient": known.source,
            "resource": "Task",
            **({"consent-epoch": str(persons.epoch(work, subject))} if subject else {}),
        },
    )
    return audit.record(work, entry)
