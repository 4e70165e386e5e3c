"""A recipient that answers nothing by itself, so that its answers cannot tell who its clients are.

A victim service provider always is one, because that someone asked it for a service is itself information
about a client (34 USC 12291(b)(2); 28 CFR 94.115). Any other agency can be one by choice (`quiet: true`).
To the agency that refers, every referral to it looks the same: accepted by the node, at once, whatever its
people do, and never another word. What its people answer is kept here, and leaves only under a release that
the node itself holds: see `keeping`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from consent import Decision, Facts, Party, person
from consent.answer_step import OUTCOME, STATE, answer_matter, decide_answer
from gateway import referral
from gateway.judge import recipient_now
from gateway.node import Node
from gateway.store import contents
from gateway.store.inbound import Inbound
from gateway.store.work import Work

VICTIM_SERVICE_PROVIDER: Final = "victim-service-provider"
PURPOSE: Final = "COC"
GONE: Final = "gone"
PERSON: Final = "person"  # what of the person the law asks about, sealed under a key of its own

# A state that needs words says these, whatever the agency's own are: its words could tell where she is.
NO_REASON: Final[Mapping[str, Any]] = {"text": "No reason is given."}


def answers_quietly(node: Node) -> bool:
    """Whether nothing this node's people answer may leave by itself."""
    return node.settings.quiet or VICTIM_SERVICE_PROVIDER in node.settings.kinds


def receives_under(node: Node, organization: str) -> bool:
    """Whether referrals may come in under one of our names; a victim service provider's, only an alias.

    A Task that names the provider as owner would put what happened to someone into the referrer's record.
    """
    identity = node.identities[organization]
    return identity.alias or VICTIM_SERVICE_PROVIDER not in node.settings.kinds


def receipt(task: Mapping[str, Any]) -> dict[str, Any]:
    """The Task as the automatic receipt writes it: its new state, and nothing that was not there before.

    No businessStatus: words that only such a recipient writes would tell that it is one.
    """
    return {**task, "status": "accepted"}


def own_view(task: Mapping[str, Any], known: Inbound) -> dict[str, Any]:
    """The Task for our own system, where the state is what its people have said, and not the receipt."""
    return {**task, "status": known.expected or "requested"}


def person_key(known: Inbound) -> str:
    """The owner of what our own system has said of a referral's person."""
    return f"{known.id}/{PERSON}"


def may_tell(node: Node, work: Work, known: Inbound) -> Decision:
    """May where this referral stands be told to the agency that made it, now, and how much of it?"""
    kinds = node.settings.kinds
    told = contents.get(work, person_key(known), PERSON) or {}
    consents = node.compiled.of_person(work, known.subject_digest or "")
    facts = Facts(
        source=Party(known.organization, kinds=kinds),
        recipient=recipient_now(node, known.source),
        purpose=PURPOSE,
        referral_type="",
        state=STATE,
        record=answer_matter(kinds, node.policy),
        person=person(told, consents, work.now),
        agreements=node.agreements.between(known.source, known.organization),
        consents=consents,
        policy=node.policy,
    )
    return decide_answer(facts, work.now)


def parted(
    said: Mapping[str, Any], at_source: str, items: frozenset[str]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """(what of an answer goes now, what of it stays), built up from what the release lists: codes, no words.

    said: our own system's answer. at_source: the Task's state there, from which what goes must follow: since
    the receipt has accepted, a "no" of our people is told as cancelled. A part that is empty is None. What
    could no longer be told at the source, because its Task ends now, does not stay.
    """
    task, told = said["Task"], OUTCOME in items
    status = _as_it_stands_there(task["status"], at_source)
    output = [one for each in task.get("output", []) if (one := _output(each))]
    done = _procedure(said.get("Procedure", {}))
    goes: dict[str, Any] = {"Task": {"status": status}}
    if status in referral.NEEDS_REASON:
        codes = _codings(task.get("statusReason", {})) if told else []
        goes["Task"]["statusReason"] = {**({"coding": codes} if codes else {}), **NO_REASON}
    if told and output:
        goes["Task"]["output"] = output
    if told and done:
        goes["Procedure"] = done
    new = status != at_source or (told and (output or done))
    stays = dict(said) if not told and (output or done) and status not in referral.FINAL else None
    return (goes if new else None), stays


def _as_it_stands_there(wanted: str, at_source: str) -> str:
    ways = referral.allowed(at_source, "owner")
    if wanted in ways:
        return wanted
    return "cancelled" if wanted == "rejected" and "cancelled" in ways else at_source


def _codings(concept: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The codes of a concept without any words: a display is somebody's own wording."""
    return [
        {"system": one["system"], "code": one["code"]}
        for one in concept.get("coding", [])
        if "system" in one and "code" in one
    ]


def _output(output: Mapping[str, Any]) -> dict[str, Any] | None:
    kind, value = _codings(output.get("type", {})), _codings(output.get("valueCodeableConcept", {}))
    return {"type": {"coding": kind}, "valueCodeableConcept": {"coding": value}} if kind and value else None


def _procedure(done: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was done, without performer, place, time, note or anything else that could lead to who did it."""
    code = _codings(done.get("code", {}))
    return {"status": done.get("status", "completed"), "code": {"coding": code}} if code else None
