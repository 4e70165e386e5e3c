"""Step 2 of deciding: what the two parties have agreed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from consent.agreement import Agreement
from consent.course import Course
from consent.decision import Obligation

_INSTANT: Final = timedelta(microseconds=1)
_UNSIGNED: Final = "is not signed by all its parties"


def check_agreement(course: Course) -> None:
    """2. An agreement lets the source refer to the recipient, for this purpose and type, today."""
    facts = course.facts
    source, recipient = facts.source.organization, facts.recipient.organization
    held = [one for one in facts.agreements if one.is_between(source, recipient)]
    if not held:
        course.deny(
            "agreement",
            "agreement-missing",
            f"No agreement lets {source} refer to {recipient}.",
            [f"An agreement that lets {source} refer people to {recipient}."],
        )
        return
    if course.view == "task":
        # A closed referral's Task holds nothing about the person, and a recipient must be able to learn
        # that it was closed also when the agreement has ended since.
        signed = [one for one in held if one.signed]
        if signed:
            course.note("agreement", "agreement-known", "The parties have an agreement.", signed[0].reference)
        else:
            _deny(course, "agreement-unsigned", _UNSIGNED, held)
        return
    covering = held
    for code, words, fits in _agreement_tests(course):
        covering, before = [one for one in covering if fits(one)], covering
        if not covering:
            _deny(course, code, words, before)
            return
    clauses = [
        (one, clause) for one in covering for clause in one.clauses_for(facts.referral_type, course.view)
    ]
    course.note(
        "agreement",
        "agreement-covers",
        f"An agreement lets {source} refer to {recipient} for this.",
        *(f"{one.reference} data[{clause.number}]" for one, clause in clauses),
    )
    covered = frozenset().union(*(clause.items for _, clause in clauses))
    if course.view == "offer":
        # Said apart, or people would go and renegotiate an agreement that covers these in the dossier.
        later = frozenset().union(
            *(c.items for one in covering for c in one.clauses_for(facts.referral_type, "dossier"))
        )
        course.keep(
            "agreement",
            facts.items - (later - covered),
            "view",
            lambda gone: f"Not shown before it is accepted: {gone}.",
        )
    course.keep(
        "agreement",
        covered,
        "agreement",
        lambda gone: f"The agreement does not cover: {gone}.",
    )
    # A suspended agreement lets nothing go, but the wish for a consent that it states still counts:
    # suspending one of two agreements must never let more go. One that a newer version replaces has had its
    # say.
    course.consent_required_by += [
        one.reference
        for one in held
        if one.consent_required and one.status in ("active", "suspended") and not one.is_replaced(course.now)
    ]
    for one in covering:
        course.expires(last_of(one))
        for promise in one.prohibitions:
            course.owe(Obligation(promise.code, promise.text, one.reference, promised=True))


def last_of(agreement: Agreement) -> datetime:
    """The last moment at which anything can rest on it: its end, or when a newer version takes its place."""
    replaced = agreement.superseded
    return min(agreement.ends, replaced - _INSTANT) if replaced else agreement.ends


def _deny(course: Course, code: str, words: str, held: Sequence[Agreement]) -> None:
    source, recipient = course.facts.source.organization, course.facts.recipient.organization
    remedies = ["An agreement in force that covers this purpose and this type of referral."]
    if code == "agreement-unsigned":
        remedies = [f"Signatures under {one.reference}: {', '.join(one.unsigned)}." for one in held]
    course.deny(
        "agreement",
        code,
        f"The agreement between {source} and {recipient} {words}.",
        remedies,
        held[0].reference,
    )


def _agreement_tests(course: Course) -> tuple[tuple[str, str, Callable[[Agreement], bool]], ...]:
    """What an agreement must pass, in order, with the code and words for when none does."""
    facts, now, view = course.facts, course.now, course.view
    return (
        ("agreement-not-active", "is not in force", lambda one: one.status == "active"),
        ("agreement-unsigned", _UNSIGNED, lambda one: one.signed),
        ("agreement-superseded", "was replaced by a newer version", lambda one: not one.is_replaced(now)),
        ("agreement-not-yet", "has not begun", lambda one: one.starts <= now),
        ("agreement-expired", "has ended", lambda one: now <= one.ends),
        (
            "agreement-aggregate-only",
            "is for totals, not for people",
            lambda one: one.sharing_model != "aggregate-only",
        ),
        ("agreement-purpose", "does not cover this purpose", lambda one: one.serves(facts.purpose)),
        (
            "agreement-referral-type",
            "does not cover this type of referral",
            lambda one: any(c.view == view for c in one.clauses_for(facts.referral_type, view)),
        ),
    )
