"""The agency's own system hands in a consent, or takes one back: plain answers, a FHIR Consent, or an id.

    {"patient": …, "recipients": […], "items": […], …}            plain answers (consent-answers.schema.json)
    {"resourceType": "Consent", "status": "active", …}             a FHIR Consent
    {"withdraw": "<id>"}                                           a withdrawal, by the id that this node gave
    {"resourceType": "Consent", "status": "inactive", …}           a withdrawal, by that id or by identifier

The same record again gets the first answer and does nothing: sent again after a withdrawal, an old consent
does not come back. A system that sends the same words anew, and means it, gives them a key of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from gateway import consenting, fhir_json, permission, reconsider
from gateway.errors import Refused, refuse
from gateway.node import Node
from gateway.offering import Receipt
from gateway.recording import Ask
from gateway.release_answers import ANSWERS, build, unknown
from gateway.replacing import has_identifier
from gateway.settings import CONSENTS
from gateway.store import consents, persons, received
from gateway.store.consents import Held
from gateway.store.work import Work
from profiles.document import Document, DocumentError, parse
from profiles.outcome import Issue

_WITHDRAWN: Final = ("inactive", "entered-in-error")
_WITHDRAWAL: Final[Mapping[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["withdraw"],
    "properties": {"withdraw": {"type": "string", "pattern": "^[A-Za-z0-9.-]{1,64}$"}},
}
# Which answer an element of the Consent was made of, for errors; the first that fits.
_ANSWER_OF: Final = {
    "Consent.patient": "patient",
    "Consent.extension": "replaces",
    "Consent.sourceAttachment": "signed",
    "Consent.dateTime": "signed-on",
    "Consent.performer": "signers",
    "Consent.provision.period": "end",
    "Consent.provision.actor": "recipients",
    "Consent.provision.purpose": "purpose",
    "Consent.provision.provision": "items",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What the own system is told: ids, states and plain sentences.

    state: `active` or, of a withdrawal, FHIR's word for it. cancelled: the referrals that this has ended.
    results: what became of referrals that were held.
    """

    consent: str
    state: str
    taken_at: str
    cancelled: tuple[str, ...]
    results: tuple[Receipt, ...]


def hand_in(node: Node, ask: Ask, body: bytes, key: str | None) -> Taken:
    """Record or withdraw a consent; answered only when nothing that was decided before is under way any more.

    key: the caller's idempotency key, if it has one. Raises Refused: 400 for what is none of the above, 404
    for a consent that is not here, 409 for one that is here already or a key used for something else, 422.
    """
    said = fhir_json.received(body)
    if not isinstance(said, dict):
        raise refuse(400, "structure", "A consent, or a withdrawal, is one JSON object.")
    exact = fhir_json.canonical(said)
    known_by = key or hashlib.sha256(exact).hexdigest()
    with node.store.work() as work:
        again = received.first_answer(work, CONSENTS, known_by, exact)
        taken = msgspec.convert(again, Taken) if again else _take(node, ask, work, said, body)
        if again is None:
            answer = msgspec.to_builtins(taken)
            received.remember(work, CONSENTS, known_by, exact, taken.consent, answer)
        held = consents.get(work, taken.consent)
        subject = held.subject_digest if held else ""
        epoch = persons.epoch(work, subject)
    # Also for a repetition: the first answer may never have come because its waiting was cut short.
    reconsider.settle(node, subject, epoch)
    return taken


def _take(node: Node, ask: Ask, work: Work, said: dict[str, Any], body: bytes) -> Taken:
    if "withdraw" in said:
        wanted: str = _document(body, _WITHDRAWAL).data["withdraw"]
        held = consents.get(work, wanted)
        if held is None or not held.subject_digest:
            raise refuse(404, "not-found", "There is no consent with this id here.", field="withdraw")
        return _withdraw(node, ask, work, [held], "inactive")
    if said.get("resourceType") != "Consent":
        return _record_answers(node, ask, work, _document(body, ANSWERS))
    status = said.get("status")
    if status in _WITHDRAWN:
        return _withdraw(node, ask, work, _meant(work, said), str(status))
    if status != "active":
        rule = "A consent that is handed in is active, or inactive (entered-in-error) to take one back."
        raise refuse(422, "value", rule, expression="Consent.status")
    return _record(node, ask, work, said)


def _record(node: Node, ask: Ask, work: Work, resource: Mapping[str, Any]) -> Taken:
    kept = consenting.keep(node, ask, work, consenting.person_of(node, resource), resource)
    return Taken(kept.id, "active", work.stamp, kept.cancelled, kept.offered)


def _record_answers(node: Node, ask: Ask, work: Work, answers: Document) -> Taken:
    """Plain answers; what is wrong is said by the answer's own name beside the element made of it."""
    if issues := unknown(node.settings, answers):
        raise Refused(422, issues)
    try:
        resource = build(node.settings, answers.data)
    except ValueError as fault:
        raise refuse(422, "business-rule", str(fault)) from None
    try:
        return _record(node, ask, work, resource)
    except Refused as refusal:
        raise Refused(refusal.status, [_by_answer(issue) for issue in refusal.issues]) from None


def _withdraw(node: Node, ask: Ask, work: Work, meant: list[Held], status: str) -> Taken:
    ended = [one for held in meant for one in permission.withdraw(node, ask, work, held, status)]
    last = meant[-1].id
    return Taken(last, status, work.stamp, tuple(dict.fromkeys(ended)), ())


def _meant(work: Work, resource: Mapping[str, Any]) -> list[Held]:
    """The consents that a FHIR Consent takes back: the one with its id, or those with an identifier of its.

    Raises Refused (422, 404): a withdrawal that reaches nothing must not look like one that does.
    """
    patient, names = resource.get("patient"), resource.get("identifier")
    identifier = patient.get("identifier") if isinstance(patient, dict) else None
    if not isinstance(identifier, dict) or not isinstance(identifier.get("value"), str):
        rule = "Name the person by the identifier of your own system."
        raise refuse(422, "required", rule, expression="Consent.patient.identifier")
    subject = consents.subject_digest(work, str(identifier.get("system", "")), identifier["value"])
    held = consents.of_person(work, subject)
    if "id" in resource:
        found = [one for one in held if one.id == resource["id"]]
    else:
        wanted = names if isinstance(names, list) else []
        found = [one for one in held if any(has_identifier(one, name) for name in wanted)]
    if not found:
        where = "Consent.id" if "id" in resource else "Consent.identifier"
        rule = "This person has no consent here with this id, or with one of these identifiers."
        raise refuse(404, "not-found", rule, expression=where)
    return found


def _by_answer(issue: Issue) -> Issue:
    found = (answer for element, answer in _ANSWER_OF.items() if issue.expression.startswith(element))
    return replace(issue, field=next(found, issue.field))


def _document(body: bytes, schema: Mapping[str, Any]) -> Document:
    try:
        return parse(body.decode(), schema, "consent.json")
    except DocumentError as fault:
        raise Refused(422, fault.issues) from None
