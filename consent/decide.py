"""May this recipient read this referral now, and how much of it? Five steps, each of which only narrows.

Pure: every fact and the clock are given, nothing is looked up. Whatever no rule allows is denied.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from consent.agreement_step import check_agreement
from consent.consent_step import check_consent, check_lasting
from consent.course import VIEWS, Course
from consent.decision import Decision
from consent.facts import Facts
from consent.law_step import check_law


def decide(facts: Facts, now: datetime) -> Decision:
    """The Decision about `facts` at the moment `now`.

    Never raises for what the facts hold. Raises ValueError for a `now` without a time zone: an hour's
    misunderstanding would decide over a consent's last day.
    """
    if now.tzinfo is None or now.utcoffset() is None:
        raise ValueError("now needs a time zone")
    course = Course(facts, now)
    for step in STEPS:
        step(course)
        if course.denied:
            break
    else:
        check_duties(course)
        check_lasting(course)
    return course.decision()


def check_recipient(course: Course) -> None:
    """1. Both parties stand in the directory and are who they say; the recipient is not excluded."""
    facts = course.facts
    source, recipient = facts.source, facts.recipient
    if recipient.organization in facts.excluded:
        course.deny("recipient", "recipient-excluded", "This referral must never reach this recipient.")
    elif not recipient.known:
        course.deny(
            "recipient",
            "recipient-unknown",
            f"{recipient.organization} is not in the directory.",
            ["The recipient has to be entered in the directory."],
        )
    elif recipient.suspended:
        course.deny("recipient", "recipient-suspended", f"{recipient.organization} is suspended.")
    elif not recipient.active:
        course.deny("recipient", "recipient-inactive", f"{recipient.organization} is not active.")
    elif not recipient.key_matches:
        course.deny(
            "recipient",
            "recipient-key",
            f"The key that was used is not the one the directory holds for {recipient.organization}.",
            ["The recipient has to use its registered key, or register this one."],
        )
    elif not recipient.asks_for(facts.purpose):
        course.deny(
            "recipient",
            "recipient-purpose",
            f"{recipient.organization} is not registered for this purpose, or does not ask for it.",
            ["The directory has to list this purpose for the recipient, and its token has to name it."],
        )
    elif not (source.known and source.active and source.key_matches) or source.suspended:
        course.deny("recipient", "source-not-active", f"{source.organization} may not refer at present.")
    else:
        course.note(
            "recipient", "recipient-known", f"{recipient.organization} is in the directory and active."
        )


def check_minimum(course: Course) -> None:
    """5. Only what this type of referral needs in this state, and all that it cannot do without."""
    if course.facts.state not in VIEWS:
        course.deny("minimum", "state-unknown", "No view is defined for this state of the referral.")
        return
    if course.view == "task":
        course.keep("minimum", (), "view", lambda gone: f"A closed referral shows none of: {gone}.")
        course.note("minimum", "view-task", "Only where the referral stands, nothing about the person.")
        return
    minimum = course.facts.policy.minimum.get(course.facts.referral_type)
    if minimum is None:
        course.deny(
            "minimum",
            "minimum-unlisted",
            "No minimum set is on file for this type of referral.",
            ["A minimum set for this type of referral."],
        )
        return
    course.keep(
        "minimum",
        minimum.needed(course.view, course.facts.items, course.items),
        "view" if course.view == "offer" else "minimum",
        lambda gone: (
            f"Not needed {'before it is accepted' if course.view == 'offer' else 'for this'}: {gone}."
        ),
    )
    required = [entry.item for entry in minimum.entries(course.view) if entry.required]
    missing = [item for item in required if item not in course.items]
    if missing:
        code = course.withheld.get(missing[0], "minimum-required")
        listed = course.facts.policy.items.listed(missing)
        course.deny("minimum", code, f"Without this there is no referral: {listed}.")
        return
    course.note(
        "minimum",
        f"view-{course.view}",
        f"{minimum.title}: what the {course.view} needs is shown.",
        f"minimum {minimum.referral_type} {course.view}",
    )


def check_duties(course: Course) -> None:
    """A duty that nobody here can carry out is a deny: better nothing goes than that it goes without."""
    enforces = course.facts.enforces
    able = course.facts.policy.notices.keys() if enforces is None else enforces
    unable = [duty for duty in course.obligations if not duty.promised and duty.code not in able]
    if unable:
        course.deny(
            "minimum",
            "obligation-unknown",
            "A duty comes with this that cannot be carried out here.",
            ["Software that knows how to carry out this duty."],
            unable[0].citation,
        )


STEPS: Final[tuple[Callable[[Course], None], ...]] = (
    check_recipient,
    check_agreement,
    check_law,
    check_consent,
    check_minimum,
)
