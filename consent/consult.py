"""What all of a person's consents say together about one query, item by item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from consent.matter import Matter, bits
from consent.provisions import CompiledConsent, Query, earliest
from consent.r4 import ABSENT, ACTIVE

# Why a consent does not permit, the one that says most about what to do next first.
PROBLEMS: Final = (
    "consent-insufficient",
    "consent-revoked",
    "consent-expired",
    "consent-not-yet",
    "consent-not-active",
    "consent-items",
    "consent-purpose",
    "consent-recipient",
    "consent-discloser",
    "consent-missing",
)

Ground = tuple[str, datetime | None]
"""The provision that a permit rests on, and how long it lasts."""

Mark = tuple[str, datetime | None]
"""Id and moment of recording."""

_Permit = tuple[int, CompiledConsent, str, datetime | None]


@dataclass(frozen=True, slots=True)
class Demand:
    """These items need a permit whose consent contains these elements."""

    mask: int
    elements: frozenset[str] = frozenset()


@dataclass(slots=True)
class Findings:
    """What was found. Masks of items; `grounds` and `refusals` give the basis of each, by item number.

    implied: for each Demand the consent that meets it and permits anything at all, which may cover items
    that the law takes as meant. in_force: whether any usable consent holds now
    that grants anything to anybody, or refuses anything of this.
    """

    permitted: int = 0
    denied: int = 0
    grounds: dict[int, Ground] = field(default_factory=dict)
    refusals: dict[int, str] = field(default_factory=dict)
    implied: dict[int, Ground] = field(default_factory=dict)
    unusable: list[CompiledConsent] = field(default_factory=list)
    in_force: bool = False
    problems: set[str] = field(default_factory=set)
    lacking: frozenset[str] = frozenset()

    @property
    def problem(self) -> str:
        """The one reason to give why no consent permits."""
        return next((code for code in PROBLEMS if code in self.problems), "consent-missing")


def consult(
    consents: Sequence[CompiledConsent], matter: Matter, query: Query, demands: Sequence[Demand]
) -> Findings:
    """Ask every consent. A permit counts for the items of those demands whose elements its consent contains.

    Denies need no form: a deny in any consent in force counts. A consent that is active and unusable may hold
    a limit that the engine cannot read, so it is reported apart and the caller denies.
    """
    found = Findings()
    permits: list[_Permit] = []
    dead, silent = replaced(consents, query)
    for consent in sorted(consents, key=_id):  # the order in which they were stored must not matter
        if consent.foreign or mark(consent) in silent:
            continue
        if not consent.usable and consent.status not in ABSENT:
            found.unusable.append(consent)
            continue
        problem = _elsewhere(consent, query)
        if gone := _out_of_force(consent, query):
            # An unusable one that is out of force tells nothing but that; what it names cannot be trusted.
            found.problems.add(problem if problem and consent.usable else gone)
            continue
        said = consent.says(matter, query)
        found.in_force = found.in_force or consent.grants or bool(said.denies)
        for mask, path in said.denies:
            if new := mask & ~found.denied:
                found.denied |= new
                for number in bits(new):
                    found.refusals[number] = f"{consent.reference} {path}"
        if not consent.grants or mark(consent) in dead:
            continue
        if problem:
            found.problems.add(problem)
        else:
            _take_permits(found, permits, consent, said.permits, demands)
    _settle(found, permits)
    return found


def _take_permits(
    found: Findings,
    permits: list[_Permit],
    consent: CompiledConsent,
    said: list[tuple[int, str, datetime | None]],
    demands: Sequence[Demand],
) -> None:
    allowed = 0
    met: list[int] = []
    for number, demand in enumerate(demands):
        if demand.elements <= consent.contains:
            allowed |= demand.mask
            met.append(number)
        else:
            found.problems.add("consent-insufficient")
            found.lacking |= demand.elements - consent.contains
    if not said:
        found.problems.add("consent-items")
        return
    until: datetime | None = None
    for mask, path, ends in said:
        until = earliest(until, ends)
        if mask & allowed:
            permits.append((mask & allowed, consent, path, ends))
    for number in met:
        before = found.implied.get(number)
        if before is None or earliest(before[1], until) == before[1]:
            found.implied[number] = (consent.reference, until)


def _settle(found: Findings, permits: list[_Permit]) -> None:
    """Of several provisions that permit an item, rely on the one that lasts longest."""
    permits.sort(key=_lasting, reverse=True)
    covered = 0
    for mask, consent, path, ends in permits:
        if new := mask & ~covered:
            covered |= new
            for number in bits(new):
                found.grounds[number] = (f"{consent.reference} {path}", ends)
    found.permitted = covered


def _lasting(permit: _Permit) -> float:
    ends = permit[3]
    return ends.timestamp() if ends else float("inf")


def replaced(consents: Sequence[CompiledConsent], query: Query) -> tuple[frozenset[Mark], frozenset[Mark]]:
    """Marks of the consents that a later one replaces: whose permits are dead, and which are silent.

    A deny is lifted only while its replacement is in force; a permit that was replaced never comes back, or
    withdrawing a narrower consent would bring back the wider one. What only takes away needs less: a
    replacement of the same moment, or one that cannot be read, ends a permit too.
    """
    dead: set[Mark] = set()
    silent: set[Mark] = set()
    if not any(consent.replaces for consent in consents):
        return frozenset(), frozenset()
    named: dict[str, list[CompiledConsent]] = {}
    for consent in consents:
        named.setdefault(consent.id, []).append(consent)
    for consent in consents:
        if consent.foreign or consent.status not in (ACTIVE, "inactive"):
            continue
        for earlier in (one for name in consent.replaces for one in named.get(name, ()) if name):
            if earlier is consent or earlier.recorded is None:
                continue
            if consent.recorded is None or earlier.recorded <= consent.recorded:
                dead.add(mark(earlier))
            if (
                consent.usable
                and consent.recorded is not None
                and earlier.recorded < consent.recorded
                and not _out_of_force(consent, query)
            ):
                silent.add(mark(earlier))
    return frozenset(dead), frozenset(silent)


def mark(consent: CompiledConsent) -> Mark:
    """What tells one consent of a person from the others, also where two came with the same id."""
    return consent.id, consent.recorded


def _id(consent: CompiledConsent) -> str:
    return consent.id


def _out_of_force(consent: CompiledConsent, query: Query) -> str:
    """Why this consent does not hold at present; empty when it does."""
    if consent.status in ABSENT:
        return "consent-revoked" if consent.status == "inactive" else "consent-not-active"
    if consent.gate.ended(query.now):
        return "consent-expired"
    return "" if consent.gate.begun(query.now) else "consent-not-yet"


def _elsewhere(consent: CompiledConsent, query: Query) -> str:
    """Why this consent is about something else; empty when it is about this query."""
    if not consent.gate.names(query.recipient):
        return "consent-recipient"
    if not consent.gate.serves(query.purpose):
        return "consent-purpose"
    if consent.disclosers is not None and query.source and consent.disclosers.isdisjoint(query.source):
        return "consent-discloser"
    return ""
