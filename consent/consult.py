"""What all of a person's consents say together about one query, item by item."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from consent.provisions import CompiledConsent, Opinion, Query, earliest
from consent.r4 import ABSENT

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


@dataclass(slots=True)
class Findings:
    """What was found. `permits` and `denies` give the basis of each item; `problem` why none permits."""

    permits: dict[str, tuple[str, datetime | None]] = field(default_factory=dict)
    denies: dict[str, str] = field(default_factory=dict)
    implied_by: tuple[str, datetime | None] | None = None
    unusable: list[str] = field(default_factory=list)
    problems: set[str] = field(default_factory=set)
    lacking: frozenset[str] = frozenset()

    @property
    def problem(self) -> str:
        """The one reason to give why no consent permits."""
        return next((code for code in PROBLEMS if code in self.problems), "consent-missing")


def consult(
    consents: Sequence[CompiledConsent], items: Iterable[str], query: Query, demanded: frozenset[str]
) -> Findings:
    """Ask every consent. `demanded` are the elements without which a permit does not count.

    Denies need no form: a deny in any active consent counts. A consent that is active and unusable may
    hold a limit that the engine cannot read, so it is reported apart and the caller denies.
    """
    asked = frozenset(items)
    found = Findings()
    for consent in sorted(consents, key=_id):  # the order in which they were stored must not matter
        problem = _problem(consent, query, demanded)
        if problem == "consent-unusable":
            found.unusable.append(consent.reference)
            continue
        if problem in ("consent-revoked", "consent-expired", "consent-not-yet", "consent-not-active"):
            found.problems.add(problem)
            continue
        opinions = consent.opinions(asked, query)
        for item, opinion in opinions.items():
            if not opinion.permit:
                found.denies[item] = f"{consent.reference} {opinion.path}"
        if problem and consent.grants:
            found.problems.add(problem)
            if problem == "consent-insufficient":
                found.lacking |= demanded - consent.contains
        elif consent.grants:
            _take_permits(found, consent, opinions)
    return found


def _id(consent: CompiledConsent) -> str:
    return consent.id


def _take_permits(found: Findings, consent: CompiledConsent, opinions: dict[str, Opinion]) -> None:
    permitted = {item: opinion for item, opinion in opinions.items() if opinion.permit}
    if not permitted:
        found.problems.add("consent-items")
        return
    until: datetime | None = None
    for item, opinion in permitted.items():
        until = earliest(until, opinion.until)
        _keep_longer(found.permits, item, f"{consent.reference} {opinion.path}", opinion.until)
    if found.implied_by is None or earliest(found.implied_by[1], until) == found.implied_by[1]:
        found.implied_by = (consent.reference, until)


def _keep_longer(
    permits: dict[str, tuple[str, datetime | None]], item: str, basis: str, until: datetime | None
) -> None:
    """Of two consents that permit the same item, rely on the one that lasts longer."""
    before = permits.get(item)
    if before is None or earliest(before[1], until) == before[1]:
        permits[item] = (basis, until)


def _problem(consent: CompiledConsent, query: Query, demanded: frozenset[str]) -> str:
    """Why this consent cannot permit anything here; empty when it may."""
    gate = consent.gate
    if not consent.usable:
        return "consent-not-active" if consent.status in ABSENT else "consent-unusable"
    if not gate.names(query.recipient):
        return "consent-recipient"
    if not gate.serves(query.purpose):
        return "consent-purpose"
    if consent.status in ABSENT:
        return "consent-revoked" if consent.status == "inactive" else "consent-not-active"
    if gate.ended(query.now):
        return "consent-expired"
    if not gate.begun(query.now):
        return "consent-not-yet"
    if consent.disclosers is not None and query.source not in consent.disclosers:
        return "consent-discloser"
    return "consent-insufficient" if demanded - consent.contains else ""
