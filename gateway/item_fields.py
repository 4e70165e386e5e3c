"""Which fields of an agency's records the disclosure items are made of: from items to elements to columns.

It comes from a mapping and the list of items, not from a record, and errs on the side of saying that a field
may be part of an item.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from consent.items import Item, ItemTable
from consent.paths import Segment
from gateway.referral import OWNER_ELEMENTS
from mappings import Lineage, LocalMapping
from mappings.kind import RecordKind
from profiles.canonical import DISCLOSURE_ITEM

_INDEX = re.compile(r"\[\d+\]$")
_PICK = re.compile(r"\[\d+\]")
_ABSENT: Final = "-"  # in a path of an item: an element that is not there


def item_fields(kind: RecordKind, items: ItemTable) -> dict[str, tuple[Lineage, ...]]:
    """For each item that records of this kind may hold: every way by which a field is part of it.

    An item is listed too when it is made of constants alone; then there are no ways. Not listed is what no
    minimum set can hold: items of a person in the request, which is served without the person.
    """
    shape = _Shape(kind)
    found: dict[str, tuple[Lineage, ...]] = {}
    for code, item in items.entries.items():
        if item.group == "person" and item.resource == "ServiceRequest":
            continue
        if any(shape.leads_to(item, line.element) for line in kind.lines):
            found[code] = tuple(
                way
                for way in kind.lineage
                if shape.leads_to(item, way.element) or shape.picks(item, way.element)
            )
    return found


def answered_fields(kind: RecordKind) -> tuple[Lineage, ...]:
    """The ways by which fields of an answer go back to the agency that referred: status, reason, outcome."""
    answers = ("Procedure", *(f"Task.{name}" for name in OWNER_ELEMENTS))
    return tuple(
        way
        for way in kind.lineage
        if kind.kind == "status" and _PICK.sub("", way.element).startswith(answers)
    )


def staying_fields(mapping: LocalMapping, items: ItemTable) -> tuple[str, ...]:
    """The fields that leave to nobody: of no item and no answer, or not read at all."""
    read, leaving = dict[str, None](), set[str]()
    for kind in mapping.kinds:
        read |= dict.fromkeys((*(way.field for way in kind.lineage), *kind.fields.ignored))
        ways = [*answered_fields(kind)]
        if kind.kind in ("referral", "amendment"):
            ways += (way for found in item_fields(kind, items).values() for way in found)
        leaving |= {way.field for way in ways}
    return tuple(field for field in read if field not in leaving)


def destinations(items: ItemTable) -> Mapping[str, str]:
    """How confidential what reaches an element may be: FHIR element → N or V (v3-Confidentiality).

    What an offer holds is read by agencies that have not accepted: N. What names the person is read by one
    that has: V, the highest. An element around several is for the least of them. What no item names never
    leaves, so it is not listed.
    """
    found: dict[str, str] = {}
    for item in items.entries.values():
        for path in item.paths:
            names = [segment.name for segment in path]
            for end in range(1, len(names) + 1):
                element = ".".join((item.resource, *names[:end]))
                found[element] = "N" if item.group == "offer" else found.get(element, "V")
    return found


class _Shape:
    """What a template makes, as far as no record changes it."""

    def __init__(self, kind: RecordKind) -> None:
        # What may stand at an element; None where only a record knows.
        self._known: dict[str, tuple[str, ...] | None] = {
            line.element: (str(line.argument), *([_ABSENT] if line.conditional else []))
            if line.function == "constant"
            else None
            for line in kind.lines
        }

    def leads_to(self, item: Item, element: str) -> bool:
        """Whether what is made at `element` of the template can be, or be part of, the item."""
        resource, *steps = element.split(".")
        return self._may_state(item, resource) and any(
            len(steps) <= len(path) and self._follows(resource, steps, path) for path in item.paths
        )

    def picks(self, item: Item, element: str) -> bool:
        """Whether the item is picked by what is made at `element`: a telephone number by `system`."""
        resource, *steps = element.split(".")
        around, last = steps[:-1], steps[-1] if steps else ""
        return self._may_state(item, resource) and any(
            0 < len(around) <= len(path)
            and path[len(around) - 1].key == last
            and self._follows(resource, around, path)
            for path in item.paths
        )

    def _follows(self, at: str, steps: list[str], path: tuple[Segment, ...]) -> bool:
        for step, segment in zip(steps, path, strict=False):
            at = f"{at}.{step}"
            if _INDEX.sub("", step) != segment.name:
                return False
            if segment.key and not self._may_be(f"{at}.{segment.key}", segment.values):
                return False
        return True

    def _may_be(self, element: str, values: tuple[str, ...]) -> bool:
        """Whether one of `values` may stand at the element; `-` is that nothing does."""
        known = self._known.get(element, None if self._is_copied(element) else (_ABSENT,))
        return known is None or not set(known).isdisjoint(values)

    def _may_state(self, item: Item, resource: str) -> bool:
        if _INDEX.sub("", resource) != item.resource:
            return False
        if item.resource != "Observation":
            return True
        codings = {
            element.rpartition(".")[0]
            for element in self._known
            if element.startswith(f"{resource}.code.coding[")
        }
        return not codings or any(
            self._may_be(f"{coding}.system", (DISCLOSURE_ITEM,))
            and self._may_be(f"{coding}.code", (item.code,))
            for coding in codings
        )

    def _is_copied(self, element: str) -> bool:
        """Whether something around the element comes as a whole from a record."""
        steps = element.split(".")
        return any(".".join(steps[:end]) in self._known for end in range(1, len(steps)))
