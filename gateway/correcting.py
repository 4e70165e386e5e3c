"""A local record about an earlier one of the same system: it amends the referral, or takes it back."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import msgspec

import consent
from consent.undecided import REMEDY, TEXT
from gateway import consenting, excluding, exclusion, notify, receive, referral, route
from gateway.consenting import Given
from gateway.errors import refuse
from gateway.judge import judge
from gateway.node import Node
from gateway.offering import Receipt, cancel_all, offer_held
from gateway.recording import Ask, record
from gateway.store import consents, contents, received, referrals, tasks
from gateway.store.referrals import Referral
from gateway.store.work import Work
from gateway.view import view
from mappings import Mapped


def correct(node: Node, ask: Ask, system: str, mapped: Mapped) -> Receipt:
    """Amend or cancel the referral that the record names. Raises Refused: 404 if it is not known, 409, 422.

    The same correction sent again gets its first answer, even where a later one has come since.
    """
    said = receive.same_record(mapped)
    key = f"{mapped.key}|{hashlib.sha256(said).hexdigest()}"
    with node.store.work() as work:
        if again := received.first_answer(work, system, key, said):
            return msgspec.convert(again, Receipt)
        owner = received.owner_of(work, system, mapped.of or "")
        found = referrals.get(work, owner) if owner else None
        if found is None:
            raise refuse(404, "not-found", "No referral of yours is known by the number named.", field="of")
        if mapped.kind == "cancellation":
            cancel_all(ask, work, found)
            receipt = Receipt(found.id, "cancelled", work.stamp)
        else:
            receipt = _amend(node, ask, work, system, found, mapped, consenting.given_with(node, mapped))
        answer = msgspec.to_builtins(receipt)
        received.remember(work, system, key, said, found.id, answer)
        if received.owner_of(work, system, mapped.key) is None:
            # A later correction may name this record, and not the first.
            received.remember(work, system, mapped.key, said, found.id, answer)
        return receipt


def _amend(
    node: Node, ask: Ask, work: Work, system: str, found: Referral, mapped: Mapped, given: Given | None
) -> Receipt:
    resources = receive.referral_resources(mapped, node.definitions)
    _must_be_the_same(node, work, system, found, mapped, resources)
    if given:
        consenting.keep(node, ask, work, *given, but=found.id)
    before = exclusion.of(contents.get(work, found.id, referrals.RECORD) or {})
    excluded = before.plus(exclusion.in_record(node, system, mapped))
    sealed = receive.record(node, system, mapped, resources, excluded)
    seen = _seen(node, work, found)
    contents.replace(work, found.id, referrals.RECORD, sealed)
    cut_off = excluding.note(ask, work, found, before, excluded)
    served = consent.served_names(resources, node.policy)
    for task in tasks.of_referral(work, found.id):
        tasks.add_served(work, task.id, served)
    now = _seen(node, work, found)
    for task in tasks.of_referral(work, found.id):
        # That something which is withheld was amended is itself something withheld.
        if task.id in now and now[task.id] != seen.get(task.id):
            changed = tasks.change(work, task, task.status, task.detail)
            record(work, ask, "update", "U", found, changed)
            notify.announce(work, found, changed)
    if found.state == "held" and (receipts := offer_held(node, ask, work, found)):
        return replace(receipts[-1], taken_at=work.stamp)
    if cut_off:
        return Receipt(found.id, "cancelled", work.stamp)
    if excluded.undecided:
        return Receipt(found.id, "amended", work.stamp, (TEXT,), (REMEDY,))
    return Receipt(found.id, "amended", work.stamp)


def _seen(node: Node, work: Work, found: Referral) -> dict[str, tuple[Any, Any]]:
    """What each recipient sees at this moment, by the id of its Task; of Tasks that are open or offered."""
    seen = {}
    for task in tasks.of_referral(work, found.id):
        if task.status in referral.OPEN or task.status == "requested":
            shown = view(node, work, found, task, judge(node, work, found, task))
            seen[task.id] = shown.task, shown.resources
    return seen


def _must_be_the_same(
    node: Node, work: Work, system: str, found: Referral, mapped: Mapped, resources: dict[str, Any]
) -> None:
    """What a recipient has agreed to is one need of one person: another is another referral."""
    if found.state not in ("held", "offered"):
        raise refuse(409, "business-rule", "The referral is closed; send a new one.", field="of")
    person = consents.subject_digest(work, *mapped.subject) if mapped.subject else ""
    named = set(route.candidates(node, node.settings.systems[system], mapped)) if mapped.recipient else set()
    asked = {task.owner for task in tasks.of_referral(work, found.id)}
    for changed, what in (
        (person != found.subject_digest, "another person"),
        (route.referral_type(resources["ServiceRequest"]) != found.referral_type, "another need"),
        (not named <= asked, "another recipient"),
    ):
        if changed:
            rule = f"It names {what} than the referral it amends: cancel that one, and send a new one."
            raise refuse(409, "business-rule", rule, field="of")
