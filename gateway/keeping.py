"""Answers of a quiet recipient: taken and kept here; a release lets them go, and its withdrawal stops them.

Every answer is sealed under a key of its own and waits. It is decided on when it comes, again when a consent
of the person comes, and again in the moment of sending. What may not go waits on; nothing says so to the
agency that referred. When the referral ends at its source nothing can be told any more, and what waits is
erased.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from gateway import consenting, letting_go, quiet, referral
from gateway.node import Node
from gateway.offering import Receipt
from gateway.recording import Ask, consents_relied_on, record
from gateway.store import accounting, consents, contents, disclosures, inbound, kept, persons
from gateway.store.inbound import Inbound
from gateway.store.work import Work
from mappings import Mapped


@dataclass(frozen=True, slots=True)
class Telling:
    """What may go of one answer now (None: nothing new), what of it stays, and the disclosure to end."""

    goes: Mapping[str, Any] | None
    stays: Mapping[str, Any] | None
    disclosure: str


def with_person(node: Node, mapped: Mapped) -> Mapped:
    """An answer with whose it is: as it says, or as the consent says that comes with it. Raises Refused."""
    if mapped.subject is None and "Consent" in mapped.resources:
        return replace(mapped, subject=consenting.person_of(node, mapped.resources["Consent"]))
    return mapped


def take(node: Node, ask: Ask, work: Work, known: Inbound, mapped: Mapped) -> Receipt:
    """Keep an answer of our own system, and let go what may. Raises Refused (409, 422)."""
    task = mapped.resources["Task"]
    _may_follow(known, task)
    given = consenting.given_with(node, mapped)
    if mapped.subject is not None:
        inbound.change(work, known.id, subject_digest=consents.subject_digest(work, *mapped.subject))
    if born := mapped.resources.get("Patient", {}).get("birthDate"):
        _put_person(node, work, known, {"Patient": {"birthDate": born}})
    said = {name: one for name, one in mapped.resources.items() if name in ("Task", "Procedure")}
    _put(node, work, known, said, work.stamp)
    inbound.change(work, known.id, expected=task["status"])
    record(work, ask, "update", "U", details={"inbound": known.id, "status": task["status"]})
    if given:
        decided = consenting.keep(node, ask, work, *given).offered  # this answer, and what else of them waits
        return next(one for one in decided if one.referral == known.id)
    return letting_go.decide(node, ask, work, known.id)


def may_go(node: Node, work: Work, known: Inbound, answer_id: str) -> bool:
    """Whether anything may be told now: before the source is asked anything, for it could see the asking."""
    decision = quiet.may_tell(node, work, known)
    if not decision.permit:
        letting_go.note(work, "node", known, decision)
        if answer_id not in dict(kept.of_inbound(work, known.id)):
            kept.add(work, answer_id, known.id)  # on its way when this node was made quiet
    return decision.permit


def decide_to_send(
    node: Node, work: Work, known: Inbound, said: Mapping[str, Any], at_source: str
) -> Telling | None:
    """In the moment of sending: what may go. None when nothing may: the answer waits on.

    at_source: the Task's state there. The caller ends the disclosure when the last byte is out.
    """
    decision = quiet.may_tell(node, work, known)
    goes, stays = quiet.parted(said, at_source, decision.items) if decision.permit else (None, None)
    number = letting_go.note(work, "node", known, decision, told=goes is not None)
    if not decision.permit:
        return None
    subject = known.subject_digest or ""
    if goes is not None and subject:
        accounting.note(work, persons.name_in_accounting(work, subject), number, consents_relied_on(decision))
    return Telling(goes, stays, disclosures.begin_about(work, known.id, subject))


def told(
    node: Node, work: Work, known: Inbound, answer_id: str, stays: Mapping[str, Any] | None = None
) -> None:
    """An answer is told as far as it may be: erase it, but keep what stays as an answer of its own.

    The caller destroys the answer's key afterwards.
    """
    at = dict(kept.of_inbound(work, known.id)).get(answer_id)
    if at is not None and stays is not None:
        _put(node, work, known, stays, at)
    kept.remove(work, answer_id)


def forget(work: Work, known: Inbound) -> list[str]:
    """The referral is over at its source: erase what waits; the ids whose keys the caller destroys."""
    waiting = [answer_id for answer_id, _ in kept.of_inbound(work, known.id)]
    for answer_id in waiting:
        kept.remove(work, answer_id)
    contents.forget(work, quiet.person_key(known))
    inbound.change(work, known.id, subject_digest=None)
    return [*waiting, quiet.person_key(known)]


def _may_follow(known: Inbound, task: Mapping[str, Any]) -> None:
    """Whether our people's word follows from their last one. Raises Refused (409, 422)."""
    if known.status in referral.FINAL or known.status == quiet.GONE:
        raise referral.illegal_transition("cancelled", task["status"], "owner")
    current = known.expected or "requested"
    referral.check_transition(current, task["status"], "owner", task.get("statusReason"))


def _put(node: Node, work: Work, known: Inbound, said: Mapping[str, Any], at: str) -> None:
    answer_id = str(uuid4())
    node.store.vault.create(answer_id)  # durable before the content that it opens
    contents.put(work, answer_id, kept.ANSWER, said)
    kept.add(work, answer_id, known.id, at)


def _put_person(node: Node, work: Work, known: Inbound, told: Mapping[str, Any]) -> None:
    owner = quiet.person_key(known)
    if contents.get(work, owner, quiet.PERSON) is None:
        node.store.vault.destroy(owner)  # of an attempt that went no further
        node.store.vault.create(owner)
        contents.put(work, owner, quiet.PERSON, told)
    else:
        contents.replace(work, owner, quiet.PERSON, told)
