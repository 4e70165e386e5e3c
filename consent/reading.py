"""What a consent would permit, asked of the engine itself: to whom, for what, which items, until when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from consent.items import shipped
from consent.matter import Matter
from consent.provisions import CompiledConsent, Gate, Query, Rule, earliest
from profiles.canonical import ACT_REASON
from profiles.terminology import purposes_below

ANYONE = ""
ANYTHING = ""


@dataclass(frozen=True, slots=True)
class Permitted:
    """One line of what a consent says.

    recipient: directory URL, or `ANYONE`. purpose: v3-ActReason code, or `ANYTHING`. items: disclosure items
    that it permits; refused: those that it refuses in so many words. until: None where it has no end.
    """

    recipient: str
    purpose: str
    items: tuple[str, ...]
    refused: tuple[str, ...]
    until: datetime | None


def read(consent: CompiledConsent, at: datetime) -> tuple[Permitted, ...]:
    """What a usable consent says of the disclosure items at a moment, by recipient and purpose."""
    matter = Matter.of_items(shipped().entries)
    source = frozenset(consent.disclosers or ())
    found = []
    for recipient in _recipients(consent):
        for purpose in _purposes(consent):
            asked = purpose or "PurposeOfUse"
            query = Query(source, frozenset({recipient}), (ACT_REASON, asked), at)
            said = consent.says(matter, query)
            items, refused = matter.named(said.permitted), matter.named(said.denied)
            until: datetime | None = None
            for _, _, end in said.permits:
                until = earliest(until, end)
            if items or refused:
                found.append(Permitted(recipient, purpose, _in_order(items), _in_order(refused), until))
    return tuple(found)


def limited_by_more(consent: CompiledConsent) -> bool:
    """Whether it also goes by labels, kinds of resource, single resources, dates or places.

    What it then permits depends on the record, and `read` shows the items alone.
    """
    more = any(
        (one.classes, one.labels, one.highest, one.lowest, one.data, one.dates) != (None,) * 6
        for one in (consent.limits, *(rule.limits for rule in _rules(consent.rules)))
    )
    return more or any(gate.places is not None for gate in _gates(consent))


def _gates(consent: CompiledConsent) -> list[Gate]:
    return [consent.gate, *(rule.gate for rule in _rules(consent.rules))]


def _rules(rules: Iterable[Rule]) -> Iterator[Rule]:
    for rule in rules:
        yield rule
        yield from _rules(rule.rules)


def _recipients(consent: CompiledConsent) -> list[str]:
    named = [gate.actors for gate in _gates(consent)]
    everyone = {name for actors in named if actors is not None for name in actors}
    # A deny that names someone leaves everyone else to the provisions that name nobody.
    return sorted(everyone) + ([ANYONE] if consent.gate.actors is None else [])


def _purposes(consent: CompiledConsent) -> list[str]:
    """The purposes that it names; of those that cover one another, the general one."""
    stated = [gate.purposes for gate in _gates(consent)]
    codes = {code for one in stated if one is not None for system, code in one if system == ACT_REASON}
    general = {code for code in codes if not any(code in purposes_below(other) for other in codes - {code})}
    return sorted(general) + ([ANYTHING] if consent.gate.purposes is None else [])


def _in_order(items: frozenset[str]) -> tuple[str, ...]:
    return tuple(code for code in shipped().entries if code in items)
