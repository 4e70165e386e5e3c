"""Law as data: which rules apply to what an agency discloses, each with its citation and a plain sentence.

A regime is about everything that a kind of source holds, or about what carries certain labels, whoever
holds it. Of its rules the first that fits an item decides; what none fits, the regime does not allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from consent.elements import ELEMENTS
from consent.items import SCHEMAS, ItemTable
from consent.matter import Label
from consent.sensitivity import label_named
from profiles.canonical import ACT_REASON
from profiles.document import Document, load, read_schema
from profiles.outcome import Issue
from profiles.terminology import known, purposes_below

Requirement = Literal["refused", "required", "opt-out", "not-required"]

# The strictest requirement rules where several regimes apply.
STRICTNESS: Final[tuple[Requirement, ...]] = ("not-required", "opt-out", "required", "refused")


@dataclass(frozen=True, slots=True)
class Cited:
    """What every rule has: a name, where it stands in law, and what it says in plain words.

    ask_counsel: the text of the law was not verified by us.
    """

    id: str
    citation: str
    text: str
    ask_counsel: bool


@dataclass(frozen=True, slots=True)
class ConsentRule(Cited):
    """Whether a consent is needed, and what it must contain.

    None in `purposes`, `recipients` and `labels` means any. `implied_items` are those items that a consent
    to refer to this recipient covers without listing them.
    """

    purposes: frozenset[str] | None
    recipients: frozenset[str] | None
    labels: frozenset[Label] | None
    person: Literal["any", "minor", "adult"]
    consent: Requirement
    must_contain: frozenset[str]
    implied_items: frozenset[str]

    def fits(self, purpose: str, recipient: frozenset[str], minor: bool) -> bool:
        """Whether it is about this purpose, a recipient of these kinds, and such a person."""
        return (
            (self.purposes is None or purpose in self.purposes)
            and (self.recipients is None or not self.recipients.isdisjoint(recipient))
            and (self.person == "any" or (self.person == "minor") == minor)
        )


@dataclass(frozen=True, slots=True)
class ClosedRule(Cited):
    """What may still be read of a closed referral."""

    answer: Literal["task", "nothing"]


@dataclass(frozen=True, slots=True)
class NoticeRule(Cited):
    """A duty that travels with the dossier, or with items of these labels; `says` are its words."""

    notice: str
    says: str
    labels: frozenset[Label] | None


@dataclass(frozen=True, slots=True)
class Substitution(Cited):
    """What is served in place of these items where they carry one of these labels."""

    items: frozenset[str]
    labels: frozenset[Label]
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Regime:
    """One body of law. What it does not list, it does not allow.

    kinds: of source that it is about, None for any. about: only what carries one of these labels; None for
    everything that such a source holds. labels: what everything from such a source carries inside.
    """

    id: str
    title: str
    jurisdiction: str
    kinds: frozenset[str] | None
    about: frozenset[Label] | None
    labels: tuple[Label, ...]
    rules: tuple[ConsentRule, ...]
    closed: ClosedRule | None
    notices: tuple[NoticeRule, ...]
    substitutions: tuple[Substitution, ...]

    def covers(self, kinds: frozenset[str]) -> bool:
        """Whether it is about what a source of these kinds holds, or about part of it."""
        return self.kinds is None or not self.kinds.isdisjoint(kinds)

    @property
    def whole(self) -> bool:
        """Whether it is about everything that such a source holds."""
        return self.about is None

    @property
    def asks_age(self) -> bool:
        """Whether a rule depends on the person being a minor."""
        return any(rule.person != "any" for rule in self.rules)

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
    applies = data["applies-to"]
    return Regime(
        id=data["id"],
        title=data["title"],
        jurisdiction=data["jurisdiction"],
        kinds=_some(applies["kinds"]),
        about=_labels(applies.get("labels", "any")),
        labels=tuple(label for code in data.get("labels", ()) if (label := label_named(code))),
        rules=tuple(_consent_rule(rule) for rule in data["rules"]),
        closed=ClosedRule(**_cited(closed), answer=closed["answer"])
        if (closed := data.get("closed"))
        else None,
        notices=tuple(
            NoticeRule(
                **_cited(rule),
                notice=rule["notice"],
                says=notices[rule["notice"]],
                labels=_labels(rule.get("labels", "any")),
            )
            for rule in data.get("notices", ())
        ),
        substitutions=tuple(
            Substitution(
                **_cited(rule),
                items=frozenset(rule["items"]),
                labels=_labels(rule["labels"]) or frozenset(),
                value=rule["value"],
            )
            for rule in data.get("substitutions", ())
        ),
    )


def _consent_rule(rule: Mapping[str, Any]) -> ConsentRule:
    purposes = _some(rule["purposes"])
    return ConsentRule(
        **_cited(rule),
        purposes=None if purposes is None else frozenset().union(*map(purposes_below, purposes)),
        recipients=_some(rule.get("recipients", "any")),
        labels=_labels(rule.get("labels", "any")),
        person=rule.get("person", "any"),
        consent=rule["consent"],
        must_contain=frozenset(rule["must-contain"]),
        implied_items=frozenset(rule["implied-items"]),
    )


def _cited(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The part that every kind of rule has."""
    return {
        "id": rule["id"],
        "citation": rule["citation"],
        "text": rule["text"],
        "ask_counsel": rule.get("ask-counsel", False),
    }


def _some(value: str | Sequence[str]) -> frozenset[str] | None:
    return None if value == "any" else frozenset(value)


def _labels(value: str | Sequence[str]) -> frozenset[Label] | None:
    if value == "any":
        return None
    return frozenset(label for code in value if (label := label_named(code)))


def _unknown_terms(document: Document, items: ItemTable, notices: Mapping[str, str]) -> Iterator[Issue]:
    """What the schema cannot see: words that mean nothing to the engine."""
    offered = frozenset(code for code, item in items.entries.items() if item.group == "offer")
    data = document.data
    whole = "labels" not in data["applies-to"]
    if whole and "closed" not in data:
        yield document.issue((), "a regime about everything a source holds must say what is told once closed")
    if not whole and "closed" in data:
        yield document.issue(("closed",), "is for regimes about everything that a source holds")
    yield from _unknown_labels(document, ("labels",), data.get("labels", ()))
    yield from _unknown_labels(document, ("applies-to", "labels"), data["applies-to"].get("labels", ()))
    for at, rule in enumerate(data["rules"]):
        where = ("rules", at)
        yield from _unknown_labels(document, (*where, "labels"), rule.get("labels", ()))
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
    for at, rule in enumerate(data.get("notices", ())):
        yield from _unknown_labels(document, ("notices", at, "labels"), rule.get("labels", ()))
        if rule["notice"] not in notices:
            yield document.issue(("notices", at, "notice"), "is not in notices.yaml")
    for at, rule in enumerate(data.get("substitutions", ())):
        yield from _unknown_labels(document, ("substitutions", at, "labels"), rule["labels"])
        for number, item in enumerate(rule["items"]):
            if item not in items.entries:
                yield document.issue(("substitutions", at, "items", number), "is not a disclosure item")
    ids = [rule["id"] for name in ("rules", "notices", "substitutions") for rule in data.get(name, ())]
    if len(ids) != len(set(ids)):
        yield document.issue(("rules",), "has two rules of the same id", "duplicate")


def _unknown_labels(
    document: Document, place: tuple[str | int, ...], labels: str | Iterable[str]
) -> Iterator[Issue]:
    if labels == "any":
        return
    for number, label in enumerate(labels):
        if label_named(label) is None:
            yield document.issue((*place, number), "is not a security label this version knows")
