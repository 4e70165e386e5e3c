"""What was disclosed about a person, to whom and on what ground, from the audit by way of the accounting.

It says what a person may ask an agency for (42 CFR 2.24 and 2.25, 45 CFR 164.528): date, recipient, what,
what for. It lists every disclosure, also those that the law does not ask to be listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from consent import named
from gateway.clock import moment, stamp
from gateway.node import Node
from gateway.store import accounting, consents, persons, referrals
from gateway.store.accounting import Accounted
from gateway.store.consents import Held
from gateway.store.work import Work

YEAR = timedelta(days=365.25)


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One disclosure.

    at: when. to: the recipient's directory URL; recipient: its name. purpose: in words. consents: the ids
    of those it rested on, none where the law asks for none; grounds: agreement, law and provision by name.
    """

    at: str
    to: str
    recipient: str
    what: str
    items: tuple[str, ...]
    purpose: str
    referral: str
    consents: tuple[str, ...]
    grounds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """A consent from its recording to its erasure, and what was disclosed under it.

    status: FHIR's word, or `ended` once its period is over, or `erased`. recipients, start: known while its
    content is kept. kept_until: when that will be destroyed, once it is known.
    """

    id: str
    status: str
    recorded: str
    modified: str
    regime: str
    recipients: tuple[str, ...]
    start: str
    ends: str | None
    replaces: tuple[str, ...]
    replaced_by: tuple[str, ...]
    kept_until: str | None
    erased: str | None
    disclosures: tuple[Disclosure, ...]


def of_person(node: Node, person: tuple[str, str], years: float | None = None) -> list[Disclosure]:
    """What was disclosed about a person (identifier system, value), oldest first.

    years: only of the last so many.
    """
    with node.store.work() as work:
        name = persons.known_in_accounting(work, consents.subject_digest(work, *person))
        since = stamp(work.now - years * YEAR) if years is not None else ""
        found = accounting.of_person(work, name, since) if name else []
        return [_disclosure(node, work, one) for one in found]


def of_consent(node: Node, consent_id: str) -> Story | None:
    """A consent and what was disclosed under it, also after its referrals are erased; None if unknown."""
    with node.store.work() as work:
        held = consents.get(work, consent_id)
        if held is None:
            return None
        others = consents.of_person(work, held.subject_digest)
        shown = [_disclosure(node, work, one) for one in accounting.under_consent(work, consent_id)]
        return _story(node, work, held, others, shown)


def _story(
    node: Node, work: Work, held: Held, others: Iterable[Held], disclosures: Iterable[Disclosure]
) -> Story:
    names = node.names
    provision = held.resource.get("provision", {})
    actors = [actor.get("reference", {}) for actor in provision.get("actor", [])]
    ended = _ended(held, work.stamp)
    until = node.settings.retention.consent_until(held.told.regime, moment(ended)) if ended else None
    erased = held.subject_digest == ""
    return Story(
        id=held.id,
        status="erased" if erased else "ended" if ended and held.status == "active" else held.status,
        recorded=held.recorded_at,
        modified=held.modified_at,
        regime=held.told.regime,
        recipients=tuple(named(str(one.get("reference", "")), names) for one in actors),
        start=str(provision.get("period", {}).get("start", "")),
        ends=held.told.ends_at,
        replaces=held.told.replaces,
        replaced_by=tuple(one.id for one in others if held.id in one.told.replaces),
        kept_until=stamp(until) if until and not erased else None,
        erased=held.erased_at,
        disclosures=tuple(disclosures),
    )


def _ended(held: Held, now: str) -> str | None:
    """When it had effect for the last time; None while it has."""
    over = [held.modified_at] if held.status != "active" else []
    if held.told.ends_at is not None and held.told.ends_at < now:
        over.append(held.told.ends_at)
    return min(over, default=None)


def _disclosure(node: Node, work: Work, found: Accounted) -> Disclosure:
    names = node.names
    details = _details(found.event)
    to = next(iter(details.get("recipient", ())), "")
    referral = referrals.get(work, found.referral_id)
    return Disclosure(
        at=found.event["recorded"],
        to=to,
        recipient=names.get(to, to),
        what=next(iter(details.get("resource", ())), ""),
        items=details.get("item", ()),
        purpose=node.policy.purposes.get(referral.purpose, referral.purpose) if referral else "",
        referral=found.referral_id,
        consents=found.consents,
        grounds=tuple(named(basis, names) for basis in details.get("basis", ())),
    )


def _details(event: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for entity in event["entity"]:
        for detail in entity.get("detail", ()):
            found[detail["type"]] = (*found.get(detail["type"], ()), detail["valueString"])
    return found
