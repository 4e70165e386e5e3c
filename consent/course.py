"""One decision while it is being made: what is still in, what is out and why, and the reasons so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from consent.decision import PERMIT, Decision, Obligation, Reason, Step, View
from consent.facts import Facts
from consent.provisions import earliest

if TYPE_CHECKING:
    from consent.consent_step import Heard
    from consent.law_step import Applied

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
        self.matter = facts.record
        self.view: View = VIEWS.get(facts.state, "task")
        self.items = facts.items
        self.withheld: dict[str, str] = {}
        self.reasons: list[Reason] = []
        self.basis: list[str] = []
        self.remedies: list[str] = []
        self.substitutes: dict[str, Mapping[str, Any]] = {}
        self.code = ""
        self.until: datetime | None = None
        # Set by the law step for the consent step: which rules are about which items.
        self.applied: list[Applied] = []
        self.consent_required_by: list[str] = []
        # Set by the consent step: what the person has said, to be asked again of what goes in the end.
        self.heard: Heard | None = None
        self._duties: list[tuple[Obligation, frozenset[str] | None]] = []

    @property
    def denied(self) -> bool:
        """Whether a step has denied."""
        return bool(self.code)

    @property
    def ages(self) -> tuple[bool, ...]:
        """Whether the person is a minor; where that is not known, both."""
        minor = self.facts.person.minor
        return (True, False) if minor is None else (minor,)

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
        """Add a duty about all that goes, once, whoever asks for it."""
        self._duties.append((duty, None))

    def attach(self, duty: Obligation, mask: int, whole: bool) -> None:
        """Add a duty about some items: it travels only where one of them goes, unless it is about all."""
        self._duties.append((duty, None if whole else self.matter.named(mask)))

    def expires(self, moment: datetime | None) -> None:
        """The decision cannot hold after `moment`."""
        self.until = earliest(self.until, moment)

    @property
    def obligations(self) -> tuple[Obligation, ...]:
        """The duties about what is still in, each once."""
        owed: dict[str, Obligation] = {}
        for duty, items in self._duties:
            if items is None or items & self.items:
                owed.setdefault(duty.code, duty)
        return tuple(owed.values())

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
            obligations=() if self.denied else self.obligations,
            reasons=tuple(self.reasons),
            basis=tuple(dict.fromkeys(self.basis)),
            remedies=tuple(dict.fromkeys(self.remedies)),
            code=self.code or PERMIT,
            until=None if self.denied else self.until,
            substitutes={item: value for item, value in self.substitutes.items() if item in items},
        )
