"""Law as data: which rules apply to what an agency discloses, each with its citation and a plain sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from consent.elements import ELEMENTS
from consent.items import SCHEMAS, ItemTable
from profiles.canonical import ACT_CODE, ACT_REASON, CONFIDENTIALITY
from profiles.document import Document, load, read_schema
from profiles.outcome import Issue
from profiles.terminology import known, subsumes

# The labels a regime may give, with their code systems.
LABELS: Final[Mapping[str, str]] = {
    "N": CONFIDENTIALITY,
    "R": CONFIDENTIALITY,
    "V": CONFIDENTIALITY,
    "SDV": ACT_CODE,
    "PERSISTLABEL": ACT_CODE,
}

Requirement = Literal["required", "opt-out", "not-required"]

# The strictest requirement rules where several regimes apply.
STRICTNESS: Final[tuple[Requirement, ...]] = ("not-required", "opt-out", "required")


@dataclass(frozen=True, slots=True)
class Cited:
    """What every rule has: a name, where it stands in law, and what it says in plain words."""

    id: str
    citation: str
    text: str


@dataclass(frozen=True, slots=True)
class ConsentRule(Cited):
    """Whether a consent is needed for some purposes, and what it must contain.

    `purposes` None means any purpose. `implied_items` are those items that a consent to refer to this
    recipient covers without listing them.
    """

    purposes: frozenset[str] | None
    consent: Requirement
    must_contain: frozenset[str]
    implied_items: frozenset[str]

    def covers(self, purpose: str) -> bool:
        """Whether the rule is about this purpose."""
        return self.purposes is None or any(
            subsumes(ACT_REASON, general, purpose) for general in self.purposes
        )


@dataclass(frozen=True, slots=True)
class ClosedRule(Cited):
    """What may still be read of a closed referral."""

    answer: Literal["task", "nothing"]


@dataclass(frozen=True, slots=True)
class NoticeRule(Cited):
    """A duty that travels with the dossier; `notice` is its code and `says` its words."""

    notice: str
    says: str


@dataclass(frozen=True, slots=True)
class Regime:
    """One body of law, for the kinds of source in `applies_to`. What it does not list, it does not allow."""

    id: str
    title: str
    applies_to: frozenset[str]
    labels: tuple[str, ...]
    consent: tuple[ConsentRule, ...]
    closed: ClosedRule
    notices: tuple[NoticeRule, ...]

    def consent_rule(self, purpose: str) -> ConsentRule | None:
        """The first of its rules that is about this purpose."""
        return next((rule for rule in self.consent if rule.covers(purpose)), None)

    def basis(self, rule: Cited) -> str:
        """How a decision names one of its rules."""
        return f"{self.id}#{rule.id} ({rule.citation})"


def load_regime(path: Path, items: ItemTable, notices: Mapping[str, str]) -> Regime:
    """A regime from a YAML file. Raises DocumentError with file and line, also for unknown terms."""
    document = load(path, read_schema(SCHEMAS / "regime.schema.json"))
    issues = list(_unknown_terms(document, items, notices))
    if issues:
        raise document.error(issues)
    data = document.data
    return Regime(
        id=data["id"],
        title=data["title"],
        applies_to=frozenset(data["applies-to"]),
        labels=tuple(data["labels"]),
        consent=tuple(_consent_rule(rule) for rule in data["consent"]),
        closed=ClosedRule(**data["closed"]),
        notices=tuple(NoticeRule(**rule, says=notices[rule["notice"]]) for rule in data["notices"]),
    )


def _consent_rule(rule: Mapping[str, Any]) -> ConsentRule:
    return ConsentRule(
        id=rule["id"],
        citation=rule["citation"],
        text=rule["text"],
        purposes=None if rule["purposes"] == "any" else frozenset(rule["purposes"]),
        consent=rule["consent"],
        must_contain=frozenset(rule["must-contain"]),
        implied_items=frozenset(rule["implied-items"]),
    )


def _unknown_terms(document: Document, items: ItemTable, notices: Mapping[str, str]) -> Iterator[Issue]:
    """What the schema cannot see: words that mean nothing to the engine."""
    offered = frozenset(code for code, item in items.entries.items() if item.group == "offer")
    data = document.data
    for number, label in enumerate(data["labels"]):
        if label not in LABELS:
            yield document.issue(("labels", number), "is not a security label this version knows")
    for at, rule in enumerate(data["consent"]):
        where = ("consent", at)
        for number, element in enumerate(rule["must-contain"]):
            if element not in ELEMENTS:
                yield document.issue(
                    (*where, "must-contain", number), f"must be one of {', '.join(ELEMENTS)}"
                )
        for number, item in enumerate(rule["implied-items"]):
            if item not in offered:
                yield document.issue((*where, "implied-items", number), "is not an item of the offer")
        for number, purpose in enumerate([] if rule["purposes"] == "any" else rule["purposes"]):
            if not known(ACT_REASON, purpose):
                yield document.issue((*where, "purposes", number), "is not a purpose in v3-ActReason")
    for at, rule in enumerate(data["notices"]):
        if rule["notice"] not in notices:
            yield document.issue(("notices", at, "notice"), "is not in notices.yaml")
