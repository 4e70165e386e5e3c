"""What deciding gives back: a value that says what may go, why, on what basis and what would change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

View = Literal["task", "offer", "dossier"]
Step = Literal["recipient", "agreement", "law", "consent", "minimum"]

PERMIT: Final = "permit"


@dataclass(frozen=True, slots=True)
class Reason:
    """What one step found. `basis` names the agreement, rule or consent provision it rests on."""

    step: Step
    outcome: Literal["pass", "narrow", "deny"]
    code: str
    text: str
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Obligation:
    """A duty that travels with what is disclosed.

    promised: the parties have promised it to each other in their agreement; nobody has to carry it out here.
    """

    code: str
    text: str
    citation: str
    promised: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Permit or deny, and everything needed to act on it, record it and argue with it.

    `items` are the disclosure items that may go; `withheld` says for each of the others that the record
    holds why it may not (a reason code). `code` is the first deny's code or `permit`. `until` is the last
    moment at which this same answer could still hold: the earliest end of the agreements and consents it
    rests on. `remedies` say what would have to be true for the answer to change. `substitutes` are what is
    served in place of the record's own for some of the items: FHIR elements.
    """

    permit: bool
    view: View
    purpose: str
    items: frozenset[str]
    withheld: Mapping[str, str]
    obligations: tuple[Obligation, ...]
    reasons: tuple[Reason, ...]
    basis: tuple[str, ...]
    remedies: tuple[str, ...]
    code: str
    until: datetime | None = None
    substitutes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def shows(self, name: str) -> bool:
        """Whether what stands under this name in the content can be read at all (`Observation/diet`).

        Known before anything is built, so that a refusal takes the same work whatever the record holds.
        """
        if not self.permit or name == "Task":
            return self.permit
        kind, _, fact = name.partition("/")
        if self.view != "dossier":
            return self.view == "offer" and name == "ServiceRequest"
        return kind in ("ServiceRequest", "Patient", "DocumentReference") or fact in self.items
