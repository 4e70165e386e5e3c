"""Which codes a value set has, as far as the definitions held here tell.

Ours are read from `definitions/`, FHIR's closed lists from the R4 table. A system that is included whole and
not held here (SNOMED CT, LOINC) is *open*: each of its codes is taken to be in the set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from profiles import r4, registry
from profiles.terminology import subsumes

_R4_PREFIX = "http://hl7.org/fhir/ValueSet/"


@dataclass(frozen=True, slots=True)
class ValueSet:
    """The members of a value set: closed systems with their codes, open systems with all of theirs."""

    url: str
    closed: Mapping[str, frozenset[str]]
    open: frozenset[str]
    below: Mapping[str, str]  # system → the code that must stand above (filter is-a)

    def has(self, system: str, code: str) -> bool:
        """Whether the coding is a member."""
        if code in self.closed.get(system, ()) or system in self.open:
            return True
        return system in self.below and code != "" and subsumes(system, self.below[system], code)

    def has_code(self, code: str) -> bool:
        """Whether a bare `code`, whose system the element implies, is a member."""
        return any(code in codes for codes in self.closed.values())

    def speaks_for(self, system: str) -> bool:
        """Whether this set lists all codes of `system` that may be used, so that another one is an error."""
        return system in self.closed


@cache
def value_set(url: str) -> ValueSet:
    """The value set of that canonical URL (a version after `|` is ignored).

    Raises LookupError when it is not held, ValueError when it is composed in a way not supported here.
    """
    url = url.split("|")[0]
    if not registry.holds(url) and url.startswith(_R4_PREFIX):
        listed = r4.codes(url.removeprefix(_R4_PREFIX))
        return ValueSet(url, {system: frozenset(codes) for system, codes in listed.items()}, frozenset(), {})
    closed: dict[str, frozenset[str]] = {}
    open_: set[str] = set()
    below: dict[str, str] = {}
    for include in registry.definition(url)["compose"]["include"]:
        system = include["system"]
        if "valueSet" in include:
            raise ValueError(f"{url}: include.valueSet is not supported")
        if "filter" in include:
            below[system] = _is_a(url, include["filter"])
        elif "concept" in include:
            closed[system] = frozenset(_codes(include["concept"]))
        elif registry.holds(system):
            closed[system] = frozenset(_codes(registry.definition(system)["concept"]))
        else:
            open_.add(system)
    return ValueSet(url, closed, frozenset(open_), below)


def _is_a(url: str, filters: Sequence[Mapping[str, str]]) -> str:
    if len(filters) != 1 or filters[0]["op"] != "is-a" or filters[0]["property"] != "concept":
        raise ValueError(f"{url}: only one filter, concept is-a, is supported")
    return filters[0]["value"]


def _codes(concepts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _codes(concept.get("concept", ()))
