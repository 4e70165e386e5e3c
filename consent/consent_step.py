"""Step 4 of deciding: what the person has said, set against what the law asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from consent.changes import INSTANT, coming
from consent.consult import Demand, Findings, Ground, consult
from consent.course import Course
from consent.decision import Reason
from consent.elements import in_words
from consent.law_step import Applied
from consent.matter import bits
from consent.provisions import Query, earliest
from profiles.canonical import ACT_REASON
from profiles.terminology import known

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


# What a person's consents still bring is looked at one by one; after so many the answer just ends.
_MOST_CHANGES: Final = 64


@dataclass(frozen=True, slots=True)
class Heard:
    """What the person's consents said. place: where in the decision's basis they belong."""

    query: Query
    needing: Sequence[Applied]
    found: Findings
    place: int


def check_consent(course: Course) -> None:
    """4. Where a consent is required and missing nothing goes; what the person refused never goes."""
    if course.view == "task":
        return  # nothing about the person is in it
    facts = course.facts
    recipient = frozenset({facts.recipient.organization})
    query = Query(
        frozenset({facts.source.organization}),
        recipient,
        (ACT_REASON, facts.purpose),
        course.now,
        known=known(ACT_REASON, facts.purpose),
    )
    needing = [one for one in course.applied if _needs(course, one)]
    found = consult(facts.consents, course.matter, query, _demands(needing))
    course.heard = Heard(query, needing, found, len(course.basis))
    if found.unusable:
        course.deny(
            "consent",
            "consent-unusable",
            "A consent on file cannot be read with certainty, and it may hold a limit the person set.",
            ["The agency that keeps the consent has to correct or encode it, or make it inactive."],
            "; ".join(one.reference for one in found.unusable),
        )
        return
    if needing and not _require(course, found, needing):
        return
    if not needing:
        requirement = (
            "opt-out" if any(one.requirement == "opt-out" for one in course.applied) else "not-required"
        )
        text = "The law asks for no consent here." if not found.denied else "The person has set limits."
        course.note("consent", f"consent-{requirement}", text)
    _take_out_refused(course, found)


def check_lasting(course: Course) -> None:
    """What goes in the end, and until when the person lets it go.

    What is withheld tells nothing here, for this moment is written on what goes.
    """
    heard = course.heard
    if heard is None:
        return
    items = course.items & course.matter.named(_mask(heard.needing))
    used, until = _relied_on(course, heard.found, items, _implied(course, heard.needing, heard.found))
    course.basis[heard.place : heard.place] = used
    course.expires(until)
    for number, moment in enumerate(coming(course.facts.consents, course.now)):
        if course.until is not None and course.until <= moment:
            return
        then = replace(heard.query, now=moment + INSTANT)
        found = consult(course.facts.consents, course.matter, then, _demands(heard.needing))
        if number == _MOST_CHANGES or not course.items <= _going(course, heard.needing, found):
            course.expires(moment)


def _demands(needing: Sequence[Applied]) -> list[Demand]:
    return [Demand(one.mask, one.demanded) for one in needing]


def _going(course: Course, needing: Sequence[Applied], found: Findings) -> frozenset[str]:
    """The items that the person lets go by what was found."""
    permitted = course.matter.named(found.permitted)
    allowed = permitted.union(*_implied(course, needing, found).values())
    needed = course.matter.named(_mask(needing))
    return course.items - (needed - allowed) - course.matter.named(found.denied)


def _implied(course: Course, needing: Sequence[Applied], found: Findings) -> dict[int, frozenset[str]]:
    """The items that a consent covers without listing them, by the number of the demand that it meets."""
    permitted = course.matter.named(found.permitted & ~found.denied)
    return {
        number: course.matter.named(needing[number].mask) & needing[number].implied & course.items - permitted
        for number in found.implied
    }


def _needs(course: Course, one: Applied) -> bool:
    """Whether these items are still in and take a consent: by law, or because the parties have agreed so."""
    if one.requirement != "required" and not course.consent_required_by:
        return False
    return bool(one.mask & course.matter.abstract or course.matter.named(one.mask) & course.items)


def _take_out_refused(course: Course, found: Findings) -> None:
    denied = course.matter.named(found.denied) & course.items
    course.basis.extend(sorted({found.refusals[number] for number in bits(course.matter.mask(denied))}))
    course.keep(
        "consent",
        course.items - denied,
        "consent-denied",
        lambda gone: f"The person has refused to share: {gone}.",
    )
    if denied and not course.items:
        course.deny("consent", "consent-denied", "The person has refused to share any of this.")


def _require(course: Course, found: Findings, needing: Sequence[Applied]) -> bool:
    """Keep only what a consent permits or implies; False when none does and everything is denied."""
    asked = course.matter.named(_mask(needing))
    if not found.implied and course.items <= asked:
        _deny_without(course, found, needing)
        return False
    _take_out_refused(course, found)
    if course.denied:
        return False
    permitted = course.matter.named(found.permitted & ~found.denied)
    implied = _implied(course, needing, found)
    allowed = permitted.union(*implied.values())
    if found.implied:
        used, _ = _relied_on(course, found, course.items & asked & allowed, implied)
        text = "The person has consented to this recipient and purpose."
        course.reasons.append(Reason("consent", "pass", "consent-given", text, "; ".join(used)))
    met = _mask(needing[number] for number in found.implied)
    unlisted = course.matter.named(met) - allowed
    course.keep(
        "consent",
        course.items - unlisted,
        "consent-unlisted",
        lambda gone: f"The consent does not list: {gone}.",
    )
    lacking = [one for number, one in enumerate(needing) if number not in found.implied]
    if lacking:
        course.keep(
            "consent",
            course.items - course.matter.named(_mask(lacking)),
            found.problem,
            lambda gone: f"Without a consent of their own these stay here: {gone}.",
        )
        course.remedies.append(_remedy(course, found, lacking))
    return True


def _mask(applied: Iterable[Applied]) -> int:
    mask = 0
    for one in applied:
        mask |= one.mask
    return mask


def _relied_on(
    course: Course, found: Findings, items: frozenset[str], implied: Mapping[int, frozenset[str]]
) -> tuple[list[str], datetime | None]:
    """The provisions that these items rest on, and when the first of them ends."""
    grounds: list[Ground] = [
        found.grounds[number] for number in bits(course.matter.mask(items)) if number in found.grounds
    ]
    grounds += [found.implied[number] for number, listed in implied.items() if listed & items]
    until: datetime | None = None
    for _, ends in grounds:
        until = earliest(until, ends)
    return sorted({basis for basis, _ in grounds}), until


def _deny_without(course: Course, found: Findings, needing: Sequence[Applied]) -> None:
    refused = course.matter.named(found.denied)
    if course.items and course.items <= refused:
        basis = "; ".join(
            sorted({found.refusals[number] for number in bits(course.matter.mask(course.items))})
        )
        course.deny("consent", "consent-denied", "The person has refused to share any of this.", basis=basis)
        return
    required_by = list(
        dict.fromkeys(
            regime.basis(rule) for one in needing for regime, rule in one.rules if rule.consent == "required"
        )
    )
    basis = "; ".join(required_by or course.consent_required_by)
    words = _WORDS.get(found.problem, "The consent on file does not meet what the law asks of one.")
    course.deny("consent", found.problem, words, [_remedy(course, found, needing)], basis)


def _remedy(course: Course, found: Findings, needing: Sequence[Applied]) -> str:
    """The release that would change the answer, in words an advocate can act on."""
    if found.problem == "consent-insufficient":
        return f"A release that also {in_words(found.lacking)}."
    demanded = frozenset().union(*(one.demanded for one in needing))
    minimum = course.facts.policy.minimum.get(course.facts.referral_type)
    useful = {entry.item for entry in (*minimum.offer, *minimum.dossier)} if minimum else set()
    listed = course.facts.policy.items.listed(useful & course.items)
    text = (
        f"A release signed by the person that names {course.facts.recipient.organization} and is valid today"
    )
    also = in_words(demanded - {"recipient"})
    if also:
        text += f"; it also {also}"
    if "items" in demanded and listed:
        text += f". This referral could use: {listed}"
    return f"{text}."
