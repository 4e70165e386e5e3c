"""A person's consent as the engine reads it: `{base, gate, rules[]}`, and what it says about some data.

R4 Consents are compiled to this once, when they are stored (`consent.r4`); another FHIR version would be
another compiler to the same shape. Matching follows the stated profile:

* the root's purpose, actor, action and period gate everything; its codes, classes, labels and data limit only
  what the root itself says;
* below the root a provision speaks only where the provision around it does, and takes over from it;
* provisions side by side that disagree: deny wins;
* a root deny that has a permit somewhere below it is a permit list: it has no opinion on the rest. Any
  other deny is an explicit one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from consent.limits import UNLIMITED, Limits
from consent.matter import Code, Matter
from profiles.outcome import Issue


@dataclass(frozen=True, slots=True)
class Query:
    """Who asks, for what, when.

    source: the names of the party that discloses; none where that is not said. recipient: the names of the
    party that asks, none where nobody is named; widely: also of what it belongs to. purpose: None where it is
    not said. places: the Locations it is at, None if unknown. known: whether `purpose` is in a system whose
    hierarchy is held; others must be named outright.
    """

    source: frozenset[str]
    recipient: frozenset[str]
    purpose: Code | None
    now: datetime
    widely: frozenset[str] = frozenset()
    places: frozenset[str] | None = None
    known: bool = True


@dataclass(frozen=True, slots=True)
class Gate:
    """To whom, for what, where and when a provision speaks. None: not stated.

    purposes: with all that they cover. never: it is about something else than disclosing.
    """

    purposes: frozenset[Code] | None = None
    actors: frozenset[str] | None = None
    places: frozenset[str] | None = None
    starts: datetime | None = None
    ends: datetime | None = None
    never: bool = False

    def names(self, recipient: frozenset[str]) -> bool:
        """Whether it speaks of this recipient."""
        return self.actors is None or not self.actors.isdisjoint(recipient)

    def serves(self, purpose: Code | None) -> bool:
        """Whether it speaks of this purpose, or of a wider one that holds it (TREAT holds COC)."""
        return self.purposes is None or purpose in self.purposes

    def begun(self, now: datetime) -> bool:
        """Whether its period has begun."""
        return self.starts is None or self.starts <= now

    def ended(self, now: datetime) -> bool:
        """Whether its period is over."""
        return self.ends is not None and now > self.ends

    def admits(self, query: Query, *, permit: bool) -> bool:
        """Whether it speaks about this query at all.

        Where the query does not say who asks, what for or where, a permit that names it does not speak, and
        a deny does.
        """
        if self.never:
            return False
        if not self.names(query.recipient) and (permit or query.recipient):
            return False
        if not self.serves(query.purpose) and (permit or query.purpose is not None):
            return False
        if self.places is not None:
            unknown = query.places is None
            if permit if unknown else self.places.isdisjoint(query.places or ()):
                return False
        return self.begun(query.now) and not self.ended(query.now)


OPEN: Final = Gate()


@dataclass(frozen=True, slots=True)
class Rule:
    """One nested provision."""

    permit: bool
    path: str
    gate: Gate
    limits: Limits
    rules: tuple[Rule, ...]


@dataclass(slots=True)
class Said:
    """What provisions say: masks of items with the path of the provision, and how long a permit lasts."""

    permits: list[tuple[int, str, datetime | None]] = field(default_factory=list)
    denies: list[tuple[int, str]] = field(default_factory=list)

    @property
    def permitted(self) -> int:
        """All items that are permitted."""
        mask = 0
        for one, _, _ in self.permits:
            mask |= one
        return mask

    @property
    def denied(self) -> int:
        """All items that are denied."""
        mask = 0
        for one, _ in self.denies:
            mask |= one
        return mask


@dataclass(frozen=True, slots=True)
class CompiledConsent:
    """One Consent. It is usable when `issues` is empty; otherwise they say what to correct.

    patient: whose it is, by every name that it gives. foreign: its scope is another than privacy, so it says
    nothing here. contains: the elements that a regime may demand and that it states (see `consent.elements`).
    disclosers: None where it does not say whose disclosure it governs. replaces: ids of earlier Consents.
    """

    id: str
    status: str
    issues: tuple[Issue, ...]
    permit: bool
    gate: Gate
    limits: Limits
    rules: tuple[Rule, ...]
    disclosers: frozenset[str] | None
    contains: frozenset[str]
    permit_list: bool
    foreign: bool = False
    patient: frozenset[str] = frozenset()
    recorded: datetime | None = None
    replaces: frozenset[str] = frozenset()
    categories: frozenset[Code] = frozenset()

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

    def says(self, matter: Matter, query: Query) -> Said:
        """What it says about the items of `matter`; an item it has no opinion on is in no mask.

        What is denied to something that the recipient belongs to is denied to the recipient as well.
        """
        said = self._says(matter, query)
        if query.widely and query.widely != query.recipient:
            wider = self._says(matter, _as(query, query.widely))
            denied = wider.denied
            said.permits = [
                (left, path, until) for mask, path, until in said.permits if (left := mask & ~denied)
            ]
            said.denies += wider.denies
        return said

    def _says(self, matter: Matter, query: Query) -> Said:
        if not self.gate.admits(query, permit=False):
            return Said()
        sure = self.gate.admits(query, permit=True)
        named = query.known or self.gate.purposes is not None
        scope = _Scope(matter.all if sure else 0, matter.all)
        said = _nested(self.rules, matter, scope, query, self.gate.ends, named)
        if self.permit_list:
            return said
        rest = self.limits.mask(matter, permit=self.permit) & ~(said.permitted | said.denied)
        if not rest:
            return said
        if not self.permit:
            said.denies.append((rest, "provision"))
        elif named and sure:
            said.permits.append((rest, "provision", self.gate.ends))
        return said


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the provisions around one speak of: surely, and (with what is not known) perhaps.

    What a provision does not state it inherits. So where it is not known whether the one around it speaks of
    an item, or of this query, a permit within it does not and a deny within it does.
    """

    surely: int
    perhaps: int

    def of(self, rule: Rule, matter: Matter, query: Query) -> _Scope:
        """The part of it of which a provision speaks."""
        gate, limits = rule.gate, rule.limits
        if gate is not OPEN and not gate.admits(query, permit=False):
            return _NOTHING
        surely = self.surely if gate is OPEN or gate.admits(query, permit=True) else 0
        if limits is UNLIMITED:
            return _Scope(surely, self.perhaps)
        return _Scope(
            surely & limits.within(matter, permit=rule.permit, sure=True) if surely else 0,
            self.perhaps & limits.within(matter, permit=rule.permit, sure=False),
        )


_NOTHING: Final = _Scope(0, 0)


def _nested(
    rules: tuple[Rule, ...], matter: Matter, around: _Scope, query: Query, ends: datetime | None, named: bool
) -> Said:
    """What provisions side by side say together of what is around them: where they disagree, deny wins."""
    said = Said()
    for rule in rules:
        gate, limits = rule.gate, rule.limits
        until = earliest(ends, gate.ends)
        outright = named or gate.purposes is not None
        if rule.rules:
            scope = around.of(rule, matter, query)
            inner = _nested(rule.rules, matter, scope, query, until, outright)
            said.permits += inner.permits
            said.denies += inner.denies
            mine = (scope.surely if rule.permit else scope.perhaps) & ~(inner.permitted | inner.denied)
        elif gate is OPEN or gate.admits(query, permit=rule.permit):
            mine = around.surely if rule.permit else around.perhaps
            if mine and limits is not UNLIMITED:
                mine &= limits.mask(matter, permit=rule.permit)
        else:
            continue
        if not mine:
            continue
        if not rule.permit:
            said.denies.append((mine, rule.path))
        elif outright:
            said.permits.append((mine, rule.path, until))
    if said.denies and said.permits:
        denied = said.denied
        said.permits = [(left, path, until) for mask, path, until in said.permits if (left := mask & ~denied)]
    return said


def _as(query: Query, recipient: Iterable[str]) -> Query:
    return Query(
        query.source, frozenset(recipient), query.purpose, query.now, places=query.places, known=query.known
    )


def earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two ends, where None means open."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
