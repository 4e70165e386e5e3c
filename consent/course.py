"""One decision while it is being made: what is still in, what is out and why, and the reasons so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

from consent.decision import PERMIT, Decision, Obligation, Reason, Step, View
from consent.facts import Facts
from consent.provisions import earliest
from consent.regimes import ConsentRule, Regime, Requirement

# What the owner of a Task in this state may read at most. Any other state, nothing.
VIEWS: Final[dict[str, View]] = {
    "draft": "offer",
    "requested": "offer",
    "accepted": "dossier",
    "in-progress": "dossier",
    "on-hold": "dossier",
    "rejected": "task",
    "cancelled": "task",
    "completed": "task",
    "failed": "task",
    "entered-in-error": "task",
}


class Course:
    """Passed from step to step. Items only ever leave `items`; a deny is final."""

    def __init__(self, facts: Facts, now: datetime) -> None:
        self.facts = facts
        self.now = now
        self.view: View = VIEWS.get(facts.state, "task")
        self.items = facts.items
        self.withheld: dict[str, str] = {}
        self.obligations: list[Obligation] = []
        self.reasons: list[Reason] = []
        self.basis: list[str] = []
        self.remedies: list[str] = []
        self.code = ""
        self.until: datetime | None = None
        # Set by the law step for the consent step.
        self.requirement: Requirement = "required"
        self.rules: list[tuple[Regime, ConsentRule]] = []
        self.consent_required_by: list[str] = []

    @property
    def denied(self) -> bool:
        """Whether a step has denied."""
        return bool(self.code)

    def note(self, step: Step, code: str, text: str, *basis: str) -> None:
        """The step passes, and rests on `basis`."""
        self.reasons.append(Reason(step, "pass", code, text, "; ".join(basis)))
        self.basis.extend(basis)

    def keep(self, step: Step, allowed: Iterable[str], code: str, text: Callable[[str], str]) -> None:
        """Withhold, for the reason `code`, every item that is not in `allowed`."""
        kept = self.items & frozenset(allowed)
        gone = self.items - kept
        if not gone:
            return
        self.items = kept
        self.withheld.update(dict.fromkeys(gone, code))
        self.reasons.append(Reason(step, "narrow", code, text(self.facts.policy.items.listed(gone))))

    def deny(self, step: Step, code: str, text: str, remedies: Sequence[str] = (), basis: str = "") -> None:
        """Nothing may go, because of `code`."""
        self.code = code
        self.reasons.append(Reason(step, "deny", code, text, basis))
        self.remedies.extend(remedies)

    def owe(self, duty: Obligation) -> None:
        """Add a duty, once, whoever asks for it."""
        if all(duty.code != known.code for known in self.obligations):
            self.obligations.append(duty)

    def expires(self, moment: datetime | None) -> None:
        """The decision cannot hold after `moment`."""
        self.until = earliest(self.until, moment)

    def decision(self) -> Decision:
        """What came of it. A denied decision carries no items, whatever was still in."""
        if self.denied:
            withheld = dict.fromkeys(self.items, self.code) | self.withheld
            items: frozenset[str] = frozenset()
        else:
            withheld, items = self.withheld, self.items
        return Decision(
            permit=not self.denied,
            view=self.view,
            purpose=self.facts.purpose,
            items=items,
            withheld=dict(sorted(withheld.items())),
            obligations=() if self.denied else tuple(self.obligations),
            reasons=tuple(self.reasons),
            basis=tuple(self.basis),
            remedies=tuple(dict.fromkeys(self.remedies)),
            code=self.code or PERMIT,
            until=None if self.denied else self.until,
        )
