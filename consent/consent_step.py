"""Step 4 of deciding: what the person has said, set against what the law asks for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from consent.consult import Findings, consult
from consent.course import Course
from consent.elements import in_words
from consent.provisions import Query, earliest

_WORDS: Final[Mapping[str, str]] = {
    "consent-missing": "No consent of this person is on file.",
    "consent-revoked": "The person has withdrawn the consent.",
    "consent-expired": "The consent has ended.",
    "consent-not-yet": "The consent has not begun.",
    "consent-not-active": "The consent was never in force.",
    "consent-items": "The consent does not list any of the items.",
    "consent-purpose": "The consent is for another purpose.",
    "consent-recipient": "The consent does not name this recipient.",
    "consent-discloser": "The consent was given to another agency.",
}


def check_consent(course: Course) -> None:
    """4. Where a consent is required and missing nothing goes; what the person refused never goes."""
    if course.view == "task":
        return  # nothing about the person is in it
    facts = course.facts
    query = Query(facts.source.organization, facts.recipient.organization, facts.purpose, course.now)
    demanded = frozenset().union(*(rule.must_contain for _, rule in course.rules))
    found = consult(facts.consents, facts.policy.items.entries, query, demanded)
    if found.unusable:
        course.deny(
            "consent",
            "consent-unusable",
            "A consent on file cannot be read with certainty, and it may hold a limit the person set.",
            ["The agency that keeps the consent has to correct or encode it, or make it inactive."],
            "; ".join(found.unusable),
        )
        return
    if course.requirement == "required":
        if not _require(course, found, demanded):
            return
    else:
        text = "The law asks for no consent here." if not found.denies else "The person has set limits."
        course.note("consent", f"consent-{course.requirement}", text)
    denied = found.denies.keys() & course.items
    course.basis.extend(sorted({found.denies[item] for item in denied}))
    course.keep(
        "consent",
        course.items - denied,
        "consent-denied",
        lambda gone: f"The person has refused to share: {gone}.",
    )
    if denied and not course.items:
        course.deny("consent", "consent-denied", "The person has refused to share any of this.")


def _require(course: Course, found: Findings, demanded: frozenset[str]) -> bool:
    """Keep only what a consent permits or implies; False when there is none and everything is denied."""
    if found.implied_by is None:
        _deny_without(course, found, demanded)
        return False
    implied = frozenset.intersection(*(rule.implied_items for _, rule in course.rules))
    allowed = course.items & (found.permits.keys() | implied)
    used, until = _relied_on(found, allowed)
    course.note("consent", "consent-given", "The person has consented to this recipient and purpose.", *used)
    course.expires(until)
    course.keep(
        "consent",
        allowed,
        "consent-unlisted",
        lambda gone: f"The consent does not list: {gone}.",
    )
    return True


def _relied_on(found: Findings, items: frozenset[str]) -> tuple[list[str], datetime | None]:
    """The provisions that these items rest on, and when the first of them ends."""
    grounds = [found.permits[item] for item in items if item in found.permits]
    if found.implied_by is not None and not items <= found.permits.keys():
        grounds.append(found.implied_by)
    until: datetime | None = None
    for _, ends in grounds:
        until = earliest(until, ends)
    return sorted({basis for basis, _ in grounds}), until


def _deny_without(course: Course, found: Findings, demanded: frozenset[str]) -> None:
    if course.items and course.items <= found.denies.keys():
        basis = "; ".join(sorted({found.denies[item] for item in course.items}))
        course.deny("consent", "consent-denied", "The person has refused to share any of this.", basis=basis)
        return
    required_by = [regime.basis(rule) for regime, rule in course.rules if rule.consent == "required"]
    basis = "; ".join(required_by or course.consent_required_by)
    recipient = course.facts.recipient.organization
    if found.problem == "consent-insufficient":
        missing = in_words(found.lacking)
        course.deny(
            "consent",
            found.problem,
            "The consent on file does not meet what the law asks of one.",
            [f"A release that also {missing}."],
            basis,
        )
        return
    course.deny(
        "consent", found.problem, _WORDS[found.problem], [_release(course, recipient, demanded)], basis
    )


def _release(course: Course, recipient: str, demanded: frozenset[str]) -> str:
    """The release that would change the answer, in words an advocate can act on."""
    minimum = course.facts.policy.minimum.get(course.facts.referral_type)
    useful = {entry.item for entry in (*minimum.offer, *minimum.dossier)} if minimum else set()
    listed = course.facts.policy.items.listed(useful & course.items)
    text = f"A release signed by the person that names {recipient} and is valid today"
    also = in_words(demanded - {"recipient"})
    if also:
        text += f"; it also {also}"
    if "items" in demanded and listed:
        text += f". This referral could use: {listed}"
    return f"{text}."
