"""The FHIR R4 elements that a mapping writes to, so that a misspelt path is caught before anything runs.

The table is R4 itself, as `profiles.r4` holds it. Whether a resource that a mapping makes is valid is
checked by `profiles.validate` on each one made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from profiles import r4

_PICK = re.compile(r"\[[^\[\]]*\]")
_NOT_TEXT = frozenset({"boolean", "integer", "positiveInt", "unsignedInt", "decimal"})


@dataclass(frozen=True, slots=True)
class Element:
    """The type of an element, and whether it repeats."""

    type: str
    repeats: bool

    @property
    def members(self) -> Mapping[str, Element] | None:
        """The elements inside, by JSON name (`valueString`); None for a primitive."""
        if self.type in r4.primitives():
            return None
        return {
            name: Element(found.code, element.max is None)
            for name, (element, found) in r4.by_key(self.type).items()
        }

    @property
    def is_text(self) -> bool:
        """Whether JSON writes it as a string."""
        return self.type in r4.primitives() and self.type not in _NOT_TEXT


def element_at(path: str) -> Element | None:
    """The element at a path into a FHIR record (`ServiceRequest.category[0].coding`); None if there is none.

    A path with an item picked stands for that one; one through a list stands for its first item.
    """
    resource, *steps = _PICK.sub("!", path).split(".")
    found = Element(resource.rstrip("!"), repeats=False)
    if found.type not in r4.resource_types():
        return None
    for step in steps:
        members = found.members
        inner = members.get(step.rstrip("!")) if members is not None else None
        if inner is None:
            return None
        found = Element(inner.type, inner.repeats and not step.endswith("!"))
    return found
