"""What a referral's record holds, as the data items of a decision: each disclosure item with its labels.

Labels come from provenance, from the codes in what the item is built from, from those that the record itself
carries, and from what the agency's mapping declares of a column. They stay inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from consent.elements import ADULT
from consent.facts import Person
from consent.items import Item, ItemTable, Sources, is_about
from consent.labelling import declared as declared_labels
from consent.labels import provenance
from consent.matter import Code, Datum, Label, Matter
from consent.paths import build
from consent.policy import Policy
from consent.provisions import CompiledConsent
from consent.r4 import ACTIVE
from consent.resource import as_named, authors_of, clinical_date, references
from consent.sensitivity import settled
from consent.when import first_moment, last_moment
from profiles.canonical import DISCLOSURE_ITEM

_MAJORITY: Final = 18  # years, in every state but Alabama, Nebraska and Mississippi, where it is later
_INDEX: Final = re.compile(r"\[(\d+)\]$")
_NONE: Final[frozenset[Label]] = frozenset()
_Told = tuple[tuple[datetime, datetime] | None, frozenset[str], frozenset[str], frozenset[str]]


def describe(
    resources: Mapping[str, Any],
    policy: Policy,
    kinds: frozenset[str],
    declared: Iterable[tuple[str, str]] = (),
    *,
    zone: tzinfo = UTC,
) -> Matter:
    """The data items in `{"Patient", "ServiceRequest", "Observation": [...]}`.

    kinds: what the source is in law. declared: (FHIR element, sensitivity) of the mapping's lineage. zone:
    where date-only days begin and end.
    """
    from_source = frozenset(provenance(kinds, policy.regimes.values()))
    from_mapping = _declared(resources, policy, declared)
    sources = Sources(resources)
    told: dict[int, _Told] = {}  # many items are read from the same resource
    data = []
    for code, item in policy.items.entries.items():
        source = sources.of(item)
        built = build(source, item.allowed)
        if not built:
            continue
        codes = {(DISCLOSURE_ITEM, code), *item.also_coded, *_codes_in(built)}
        data.append(
            Datum(
                code,
                item.resource,
                frozenset(codes),
                settled(
                    from_source
                    | policy.labels.of_codes(codes)
                    | from_mapping.get(code, _NONE)
                    | policy.labels.of_resource(_labelled(item, source))
                ),
                *(told.get(id(source)) or told.setdefault(id(source), _tells(source, item.resource, zone))),
            )
        )
    return Matter(data, abstract=())


def _tells(source: Mapping[str, Any], kind: str, zone: tzinfo) -> _Told:
    """What a resource tells of all that is read from it: when, which, to whom it refers, and by whom."""
    return (
        clinical_date(source, zone),
        frozenset({f"{kind}/{source['id']}"}) if source.get("id") else frozenset(),
        as_named(references(source)),
        as_named(authors_of(source)),
    )


def person(resources: Mapping[str, Any], consents: Iterable[CompiledConsent], now: datetime) -> Person:
    """What the law asks about the person of a record: whether under 18 at `now`.

    By the date of birth in the record; where there is none, by what the person has signed to be of age.
    """
    found = _by_birth(resources, now)
    if found.minor is None and any(
        one.usable and one.status == ACTIVE and ADULT in one.contains for one in consents
    ):
        return Person(minor=False)
    return found


def _by_birth(resources: Mapping[str, Any], now: datetime) -> Person:
    born = (resources.get("Patient") or {}).get("birthDate")
    try:
        first, last = first_moment(str(born), UTC), last_moment(str(born), UTC)
    except ValueError:
        return Person()
    # A year or month alone can leave it open whether the eighteenth birthday has come.
    ages = {_of_age(moment, now) for moment in (first, last)}
    return Person(minor=not ages.pop()) if len(ages) == 1 else Person()


def _of_age(born: datetime, now: datetime) -> bool:
    birthday = (now.year - _MAJORITY, now.month, now.day)
    return (born.year, born.month, born.day) <= birthday


def _declared(
    resources: Mapping[str, Any], policy: Policy, declared: Iterable[tuple[str, str]]
) -> Mapping[str, frozenset[Label]]:
    """What the mapping says of columns, by the items that they may be part of; rather one too many."""
    found: dict[str, frozenset[Label]] = {}
    for element, sensitivity in declared:
        if sensitivity:
            labels = declared_labels(sensitivity)
            for code in _made_of(element, resources, policy.items):
                found[code] = found.get(code, _NONE) | labels
    return found


def _made_of(element: str, resources: Mapping[str, Any], table: ItemTable) -> Iterable[str]:
    """The items that an element of the record is, or is part of."""
    resource, *steps = element.split(".")
    number = _INDEX.search(resource)
    resource = _INDEX.sub("", resource)
    names = [_INDEX.sub("", step) for step in steps]
    observations = resources.get("Observation") or []
    for code, item in table.entries.items():
        if item.resource != resource:
            continue
        if resource == "Observation":
            if number is None or (
                int(number[1]) < len(observations) and is_about(observations[int(number[1])], code)
            ):
                yield code
        elif any(_along(names, [segment.name for segment in path]) for path in item.paths):
            yield code


def _along(one: list[str], other: list[str]) -> bool:
    return all(a == b for a, b in zip(one, other, strict=False))


def _codes_in(value: Any) -> Iterable[Code]:
    """Every coding in what an item is built from."""
    if isinstance(value, list):
        for one in value:
            yield from _codes_in(one)
    elif isinstance(value, Mapping):
        system, code = value.get("system"), value.get("code")
        if isinstance(system, str) and isinstance(code, str):
            yield system, code
        for one in value.values():
            yield from _codes_in(one)


def _labelled(item: Item, source: Mapping[str, Any]) -> Mapping[str, Any]:
    """What labels an item beside its codes: all of a fact; of what many items are part of, only its marks."""
    return source if item.resource == "Observation" else {"meta": source.get("meta")}
