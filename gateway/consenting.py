"""A Consent comes in, from a person's own words or with a record: is it usable, whose is it, and keep it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from consent import CompiledConsent
from gateway import clock, letting_go, reconsider
from gateway.errors import Refused, refuse
from gateway.node import Node
from gateway.offering import Receipt
from gateway.recording import Ask, record
from gateway.replacing import must_be_later, must_be_new, replaced, resolved
from gateway.store import consents, persons
from gateway.store.consents import Told
from gateway.store.work import Work
from mappings import Mapped
from mappings.blame import with_fields
from profiles import canonical, validate
from profiles.outcome import errors

Given = tuple[tuple[str, str], Mapping[str, Any]]
"""Whose consent it is (system, value), and the Consent."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A Consent that is kept, and what its coming has changed, for whoever answers.

    subject: the person's digest. epoch: the person's consent epoch since. offered: what became of referrals
    that were held, and of answers that were kept. cancelled: the ids of open referrals that may not go on.
    """

    id: str
    subject: str
    epoch: int
    offered: tuple[Receipt, ...]
    cancelled: tuple[str, ...]


def person_of(node: Node, resource: Mapping[str, Any]) -> tuple[str, str]:
    """Whose Consent this is: the identifier (system, value). Raises Refused (422) for one not usable."""
    found = [
        *errors(validate(resource, held=node.definitions)),
        *node.compiled.compile(resource).issues,
    ]
    if found:
        raise Refused(422, found)
    identifier = resource["patient"].get("identifier", {})
    if not identifier.get("value"):
        raise refuse(
            422,
            "required",
            "Name the person by the identifier of your own system.",
            expression="Consent.patient.identifier",
        )
    return identifier.get("system", ""), identifier["value"]


def given_with(node: Node, mapped: Mapped) -> Given | None:
    """The consent that came with a record, and whose it is. Raises Refused (422), by local field if known."""
    given = mapped.resources.get("Consent")
    if given is None:
        return None
    try:
        person = person_of(node, given)
    except Refused as refusal:
        raise Refused(422, [with_fields(issue, mapped.lineage) for issue in refusal.issues]) from None
    if person != mapped.subject:
        rule = "The consent in the record is not of the person whom the record is about."
        raise refuse(422, "business-rule", rule, expression="Consent.patient")
    return person, given


def keep(
    node: Node, ask: Ask, work: Work, person: tuple[str, str], resource: Mapping[str, Any], but: str = ""
) -> Kept:
    """Keep a Consent of this person, say so in the audit, and decide again on what rests on consents.

    but: a referral that the caller itself is about to decide on. Raises Refused: 422 when it is to replace a
    consent that is not here, 409 when one with its identifier is. Before the Consent is acknowledged the
    caller leaves the unit of work and waits (`reconsider.settle`): what was decided before may be under way.
    """
    subject = consents.subject_digest(work, *person)
    held = consents.of_person(work, subject)
    replaces = replaced(resource, held)
    must_be_new(resource, held, replaces)
    consent_id = str(uuid4())
    earlier = [one for one in node.compiled.of_person(work, subject) if one.id in replaces]
    made = node.compiled.compile(resolved({**resource, "id": consent_id}, replaces), earlier)
    must_be_later(resource, made, earlier)
    node.store.vault.create(consent_id)  # durable before the content that it opens
    state = consents.add(work, consent_id, subject, resource, told(resource, made, replaces))
    node.compiled.keep(state, made)
    epoch = persons.epoch(work, subject)
    record(work, ask, "create", "C", details={"consent": consent_id, "consent-epoch": str(epoch)})
    return Kept(
        consent_id,
        subject,
        epoch,
        (
            *reconsider.offer_held_of(node, ask, work, subject, but),
            *letting_go.decide_again(node, ask, work, subject),
        ),
        tuple(reconsider.cancel_denied(node, ask, work, subject, only_for_consent=True)),
    )


def told(resource: Mapping[str, Any], made: CompiledConsent, replaces: tuple[str, ...]) -> Told:
    """What is kept of a Consent in clear, so that its end is found without opening it."""
    ends = made.gate.ends if made.usable else None
    return Told(_regime(resource), clock.stamp(ends) if ends else None, replaces)


def settled(node: Node, mapped: Mapped) -> None:
    """Wait, where a record brought a consent, until what was decided before it is out."""
    if mapped.subject is None or "Consent" not in mapped.resources:
        return
    with node.store.work() as work:
        subject = consents.subject_digest(work, *mapped.subject)
        epoch = persons.epoch(work, subject)
    reconsider.settle(node, subject, epoch)


def _regime(resource: Mapping[str, Any]) -> str:
    """The law that it was given under, where `policyRule` names one of ours; empty for any other."""
    codings = resource.get("policyRule", {}).get("coding", [])
    return next((str(one["code"]) for one in codings if one.get("system") == canonical.REGIME), "")
