"""May the agency that referred be told where its referral stands? Asked by a recipient that answers nothing
of itself, such as a victim service provider: for it every word about a client is a disclosure of its own.

The roles are turned round. The source is the recipient of the referral, whose client the person is; the
recipient is the agency that referred. What may go are not items of a record but two things that can be said
about the referral: where it stands, and what came of it.

The steps are those of `decide`, but for two. The agreement is the one by which the referral came, since an
answer goes back along it. The minimum is: nothing at all without the release listing where it stands.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from consent.agreement_step import last_of
from consent.consent_step import check_consent, check_lasting
from consent.course import Course
from consent.decide import check_recipient
from consent.decision import Decision
from consent.facts import Facts
from consent.labels import provenance
from consent.law_step import check_law
from consent.matter import Matter
from consent.policy import Policy

STATUS: Final = "referral-status"
OUTCOME: Final = "referral-outcome"
ITEMS: Final = frozenset({STATUS, OUTCOME})
STATE: Final = "accepted"  # what the referrer sees of every referral to such a recipient


def answer_matter(kinds: frozenset[str], policy: Policy) -> Matter:
    """What an answer tells, as the data items of a decision: labelled like all that such an agency holds."""
    labels = provenance(kinds, policy.regimes.values())
    return Matter.of_items(ITEMS, dict.fromkeys(ITEMS, labels))


def decide_answer(facts: Facts, now: datetime) -> Decision:
    """The Decision about telling `facts.recipient`, whose referral it was; `record` is `answer_matter`.

    Raises ValueError for a `now` without a time zone.
    """
    if now.tzinfo is None or now.utcoffset() is None:
        raise ValueError("now needs a time zone")
    course = Course(facts, now)
    for step in (check_recipient, check_way_back, check_law, check_consent, check_told, check_lasting):
        step(course)
        if course.denied:
            break
    if course.code.startswith("consent-"):
        course.remedies.append(f"For this answer the release has to list: {_listed(course, ITEMS)}.")
    # Notices are words of a dossier, and a Task has no room for them; its marks say that it goes no further.
    return replace(course.decision(), obligations=())


def check_way_back(course: Course) -> None:
    """2. An agreement in force lets the agency that is told refer people here: an answer goes back along it.

    That an agreement lets someone refer says that they may be answered. It never says that they may be told
    without a release, so this step permits nothing by itself.
    """
    facts, now = course.facts, course.now
    told, answers = facts.recipient.organization, facts.source.organization
    held = [one for one in facts.agreements if one.is_between(told, answers)]
    fitting = [
        one
        for one in held
        if one.status == "active"
        and one.signed
        and not one.is_replaced(now)
        and one.starts <= now <= one.ends
        and one.serves(facts.purpose)
    ]
    if not fitting:
        course.deny(
            "agreement",
            "agreement-not-active" if held else "agreement-missing",
            f"No agreement in force lets {told} refer to {answers}, so there is no way back for an answer.",
            [f"An agreement in force that lets {told} refer people to {answers}."],
            held[0].reference if held else "",
        )
        return
    course.note(
        "agreement",
        "agreement-covers",
        f"An answer goes back along the agreement by which {told} refers to {answers}.",
        *(one.reference for one in fitting),
    )
    course.expires(max(last_of(one) for one in fitting))
    # As in `decide`: a wish for a consent counts even in an agreement that is suspended.
    course.consent_required_by += [
        one.reference
        for one in held
        if one.consent_required and one.status in ("active", "suspended") and not one.is_replaced(now)
    ]


def check_told(course: Course) -> None:
    """5. Where it stands comes first: what came of it is never told without it."""
    if STATUS not in course.items:
        course.deny(
            "minimum",
            course.withheld.get(STATUS, "consent-items"),
            "No release lists where the referral stands, so nothing about it is told.",
        )
        return
    course.note("minimum", "answer", f"What may be told: {_listed(course, course.items)}.")


def _listed(course: Course, items: frozenset[str]) -> str:
    return course.facts.policy.items.listed(items)
