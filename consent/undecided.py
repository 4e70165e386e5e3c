"""Nobody may read a referral as long as it is not known which organisations someone it fears works for."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from consent.course import Course
from consent.decision import Decision
from consent.facts import Facts

UNDECIDED: Final = "exclusion-undecided"
TEXT: Final = "Someone is named who must never see this referral, and it is not known where they work."
REMEDY: Final = (
    "Somebody who decides which organisations that is, or that it is none of those here: "
    "waymeet exclude REFERRAL ORGANISATION --person NAME, or --nowhere."
)


def undecided(facts: Facts, now: datetime) -> Decision:
    """The deny that stands in for a decision, whoever asks: it might be the one who must not see it."""
    course = Course(facts, now)
    course.deny("recipient", UNDECIDED, TEXT, [REMEDY])
    return course.decision()
