"""A person's consent as the engine reads it: `{base, gate, rules[]}`, and what it says about an item.

R4 Consents are compiled to this once, when they are stored (`consent.r4`); another FHIR version would be
another compiler to the same shape. Matching follows the stated profile:

* the root's purpose, actor and period gate everything; its items limit only what the root itself says;
* below the root a provision speaks only where the provision around it does, and takes over from it;
* provisions side by side that disagree: deny wins;
* a root deny that has a permit somewhere below it is a permit list: it has no opinion on the rest. Any
  other deny is an explicit one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from profiles.canonical import ACT_REASON
from profiles.outcome import Issue
from profiles.terminology import subsumes


@dataclass(frozen=True, slots=True)
class Query:
    """Who asks, for what, when."""

    source: str
    recipient: str
    purpose: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Gate:
    """To whom, for what and when a provision speaks. None: not stated, so everyone, everything, always."""

    purposes: frozenset[str] | None = None
    actors: frozenset[str] | None = None
    starts: datetime | None = None
    ends: datetime | None = None

    def names(self, recipient: str) -> bool:
        """Whether it speaks of this recipient."""
        return self.actors is None or recipient in self.actors

    def serves(self, purpose: str) -> bool:
        """Whether it speaks of this purpose, or of a wider one that holds it (TREAT holds COC)."""
        return self.purposes is None or any(
            subsumes(ACT_REASON, general, purpose) for general in self.purposes
        )

    def begun(self, now: datetime) -> bool:
        """Whether its period has begun."""
        return self.starts is None or self.starts <= now

    def ended(self, now: datetime) -> bool:
        """Whether its period is over."""
        return self.ends is not None and now > self.ends

    def admits(self, query: Query) -> bool:
        """Whether it speaks about this query at all."""
        return (
            self.names(query.recipient)
            and self.begun(query.now)
            and not self.ended(query.now)
            and self.serves(query.purpose)
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One nested provision. `items` None: all items that the provision around it speaks of."""

    permit: bool
    path: str
    gate: Gate
    items: frozenset[str] | None
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a consent says about one item, in which provision, and how long a permit lasts."""

    permit: bool
    path: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class CompiledConsent:
    """One Consent. It is usable when `issues` is empty; otherwise they say what to correct.

    `contains` are the elements that a regime may demand and that every permit in it states (see
    `consent.elements`). `disclosers` None: it does not say whose disclosure it governs.
    """

    id: str
    status: str
    issues: tuple[Issue, ...]
    permit: bool
    gate: Gate
    items: frozenset[str] | None
    rules: tuple[Rule, ...]
    disclosers: frozenset[str] | None
    contains: frozenset[str]
    permit_list: bool

    @property
    def usable(self) -> bool:
        """Whether it fits the profile, so that the engine may rely on it."""
        return not self.issues

    @property
    def grants(self) -> bool:
        """Whether anything in it permits; one that does not only refuses."""
        return self.permit or self.permit_list

    @property
    def reference(self) -> str:
        """How a basis or a reason names it."""
        return f"Consent/{self.id}" if self.id else "Consent"

    def opinions(self, items: Iterable[str], query: Query) -> dict[str, Opinion]:
        """What it says about each of `items`; an item it has no opinion on is left out."""
        if not self.gate.admits(query):
            return {}
        asked = frozenset(items)
        found: dict[str, Opinion] = {}
        if not self.permit_list:
            own = Opinion(self.permit, "provision", self.gate.ends if self.permit else None)
            found = dict.fromkeys(_within(asked, self.items), own)
        return found | _nested(self.rules, asked, query, self.gate.ends)


def _nested(
    rules: tuple[Rule, ...], asked: frozenset[str], query: Query, ends: datetime | None
) -> dict[str, Opinion]:
    """What provisions side by side say together: where they disagree, deny wins."""
    found: dict[str, Opinion] = {}
    for rule in rules:
        if not rule.gate.admits(query):
            continue
        mine = _within(asked, rule.items)
        until = earliest(ends, rule.gate.ends)
        own = Opinion(rule.permit, rule.path, until if rule.permit else None)
        said = dict.fromkeys(mine, own) | _nested(rule.rules, mine, query, until)
        for item, opinion in said.items():
            before = found.get(item)
            if before is None or (before.permit and not opinion.permit):
                found[item] = opinion
            elif before.permit and opinion.permit and earliest(before.until, opinion.until) == before.until:
                found[item] = opinion  # both permit: the one that lasts longer is the one relied on
    return found


def _within(asked: frozenset[str], stated: frozenset[str] | None) -> frozenset[str]:
    return asked if stated is None else asked & stated


def earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two ends, where None means open."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
