"""What R4 says of an element by its path: of what a mapping makes, and of the fields of FHIR records.

A record that is FHIR itself holds what R4 lets it hold.
"""

from __future__ import annotations

from typing import Any

from mappings.check.bench import element
from mappings.check.samples import plain
from mappings.check.wants import Key
from mappings.elements import Element
from profiles import r4


def closed_list(path: str) -> list[str]:
    """The codes that R4 allows in the element at `path`; empty where it has no closed list for it."""
    found = _found(path)
    if found is None or not found[0].value_set or found[1].code != "code":
        return []
    return [code for codes in r4.codes(found[0].value_set).values() for code in codes]


class SourceTypes:
    """`fhir` tells whether records are FHIR; of others nothing is known."""

    def __init__(self, *, fhir: bool) -> None:
        self._fhir = fhir

    def samples(self, key: Key) -> list[Any]:
        """What the field may hold: every code of a closed list, or one value of its type."""
        path = "".join(key)
        found = _found(path) if self._fhir else None
        if found is None:
            return []
        sample = plain(Element(found[1].code, repeats=False))
        return closed_list(path) or ([] if sample is None else [sample])

    def required(self, key: Key) -> bool:
        """Whether no valid resource lacks the field."""
        path = element("".join(key))
        found = _found(path) if self._fhir else None
        return found is not None and found[0].min > 0 and path.count(".") == 1


def _found(path: str) -> tuple[r4.Element, r4.Type] | None:
    owner, *steps = element(path).split(".")
    found = None
    for step in steps if owner in r4.resource_types() else ():
        found = r4.by_key(owner).get(step) if owner not in r4.primitives() else None
        if found is None:
            return None
        owner = found[1].code
    return found
