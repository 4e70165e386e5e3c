"""An answer about a person's consents in the making, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from consent.residual import redact

Outcome = Literal["permit", "deny", "no-consent"]

WORDS: Final[Mapping[str, str]] = {
    "consent-given": "A consent in force permits this.",
    "consent-denied": "The person has refused this.",
    "consent-unlisted": "No consent in force permits this.",
    "consent-missing": "There is no consent of this person.",
    "consent-recipient": "The consent does not name this recipient.",
    "consent-purpose": "The consent is for another purpose.",
    "consent-items": "The consent permits nothing of this.",
    "consent-revoked": "The person has withdrawn the consent.",
    "consent-expired": "The consent has ended.",
    "consent-not-yet": "The consent has not begun.",
    "consent-not-active": "The consent was never in force.",
    "consent-discloser": "The consent was given to another agency.",
    "consent-unusable": "A consent cannot be read with certainty, and it may hold a limit the person set.",
    "agreement": "The agreement does not cover this.",
    "other-person": "This is about another person.",
    "not-asked": "This is of a class that was not asked for.",
    "not-readable": "This holds records within records, too deep to be looked at.",
    "duplicate": "Another entry has the same name, and is withheld.",
    "obligation-inexpressible": "The person's limits cannot be told without the content: send it along.",
}


@dataclass(slots=True)
class Answered:
    """An answer. released, withheld: numbers of the content's entries; withheld with the reason code.

    code: the one reason for the decision. reasons: what to tell instead of that, where there is more to say.
    """

    decision: Outcome
    code: str
    released: set[int] = field(default_factory=set)
    withheld: dict[int, str] = field(default_factory=dict)
    obligations: list[dict[str, Any]] = field(default_factory=list)
    basis: list[str] = field(default_factory=list)
    reasons: list[dict[str, Any]] = field(default_factory=list)
    until: datetime | None = None

    def withhold(self, number: int, code: str) -> None:
        """Take one entry out of what is released; the first reason given for it stays."""
        self.released.discard(number)
        self.withheld.setdefault(number, code)


def told(made: Answered, keys: Sequence[str]) -> dict[str, Any]:
    """An answer as plain data. keys: what each entry of the content is called."""
    withheld = {keys[number]: code for number, code in sorted(made.withheld.items())}
    reasons = list(made.reasons) or [{"code": made.code, "text": WORDS[made.code]}]
    for code in dict.fromkeys(withheld.values()):
        listed = [key for key, why in withheld.items() if why == code]
        reasons.append({"code": code, "text": WORDS[code], "withheld": listed})
    return {
        "decision": made.decision,
        "released": list(dict.fromkeys(keys[number] for number in sorted(made.released))),
        "withheld": list(withheld),
        "obligations": [*made.obligations, *([redact()] if withheld else [])],
        "reasons": reasons,
        "basis": list(dict.fromkeys(made.basis)),
        "until": made.until.isoformat() if made.until and made.decision == "permit" else None,
    }
