"""What is asked about: the data items of one decision, and which of them a rule or a consent means.

A set of items is a bit mask (item number n is bit n), so that a provision is matched with a few operations
whatever the number of items. Indexes are made when a rule first needs them. An item whose label, date or
identity is not known fails a permit that asks for it and falls under a deny that does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from profiles.canonical import ACT_CODE, ACT_REASON, CONFIDENTIALITY, DISCLOSURE_ITEM
from profiles.terminology import above, known

Code = tuple[str, str]
"""A coding: (system, code)."""

Label = Code
"""A security label: (system, code)."""

RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"

# Other names of the same systems: their OIDs, and what FHIR called them before R4. A refusal must not be
# missed for the name of a system.
_NAMES: Final[Mapping[str, str]] = {
    "urn:oid:2.16.840.1.113883.5.4": ACT_CODE,
    "urn:oid:2.16.840.1.113883.5.8": ACT_REASON,
    "urn:oid:2.16.840.1.113883.5.25": CONFIDENTIALITY,
    "http://hl7.org/fhir/v3/ActCode": ACT_CODE,
    "http://hl7.org/fhir/v3/ActReason": ACT_REASON,
    "http://hl7.org/fhir/v3/Confidentiality": CONFIDENTIALITY,
}
_RANKS: Final = {code: rank for rank, code in enumerate("ULMNRV")}
_NONE: Final[frozenset[Code]] = frozenset()


@dataclass(frozen=True, slots=True)
class Datum:
    """One data item.

    key: a disclosure item's code, or `Type/id` of a resource. codes: what it is coded with. date: the first
    and last moment of its clinical date, None where it has none. itself: the references by which it can be
    named; refers: what it refers to; authors: who it is by.
    """

    key: str
    type: str
    codes: frozenset[Code] = _NONE
    labels: frozenset[Label] = _NONE
    date: tuple[datetime, datetime] | None = None
    itself: frozenset[str] = frozenset()
    refers: frozenset[str] = frozenset()
    authors: frozenset[str] = frozenset()


class Matter:
    """The data items of one decision.

    abstract: also asks whether *anything* may go: of these classes (resource types), or of whatever class
    for an empty list. Such a question is one more bit, which every permit grants and only a deny without
    limits takes away.
    """

    __slots__ = (
        *("_by_label", "_classed", "_coded", "_codes", "_labels"),
        *("abstract", "all", "data", "keys", "questions"),
    )

    def __init__(self, data: Iterable[Datum], abstract: Iterable[Code] | None = None) -> None:
        self.data = tuple(data)
        self.keys = tuple(datum.key for datum in self.data)
        count = len(self.data)
        asked: list[Code | None] = [] if abstract is None else list(abstract) or [None]
        self.questions = tuple((1 << (count + number), wanted) for number, wanted in enumerate(asked))
        self.abstract = sum(bit for bit, _ in self.questions)
        self.all = (1 << (count + len(self.questions))) - 1
        self._codes: dict[Code, int] | None = None
        self._labels: dict[Label, int] | None = None
        # What was asked before: provisions of one person's consents mostly use the same few words.
        self._coded: dict[frozenset[Code], int] = {}
        self._classed: dict[tuple[frozenset[Code], bool], int] = {}
        self._by_label: dict[tuple[frozenset[Label], int | None, bool, bool], int] = {}

    @classmethod
    def of_items(cls, items: Iterable[str], labels: Mapping[str, Iterable[Label]] | None = None) -> Matter:
        """Disclosure items by their codes alone; labels: of some of them, R where none are given."""
        given = labels or {}
        return cls(
            (
                Datum(
                    code,
                    "",
                    frozenset({(DISCLOSURE_ITEM, code)}),
                    frozenset(given.get(code, ((CONFIDENTIALITY, "R"),))),
                )
                for code in sorted(items)
            ),
            abstract=(),
        )

    def named(self, mask: int) -> frozenset[str]:
        """The keys of the items in a mask."""
        return frozenset(self.keys[number] for number in bits(mask & ~self.abstract))

    def mask(self, keys: Iterable[str]) -> int:
        """The items with these keys."""
        wanted = frozenset(keys)
        return sum(1 << number for number, key in enumerate(self.keys) if key in wanted)

    def coded(self, codes: frozenset[Code]) -> int:
        """The items that carry one of these codes."""
        mask = self._coded.get(codes)
        if mask is None:
            index = self._codes
            if index is None:
                index = self._codes = _index(datum.codes for datum in self.data)
            mask = self._coded[codes] = _any(index, codes)
        return mask

    def classed(self, classes: frozenset[Code], *, permit: bool) -> int:
        """The items of these classes: resource types, profiles (as codes), or what they are coded with."""
        mask = self._classed.get((classes, permit))
        if mask is None:
            mask = self.coded(classes)
            for number, datum in enumerate(self.data):
                if (RESOURCE_TYPES, datum.type) in classes:
                    mask |= 1 << number
            for bit, asked in self.questions:
                if asked in classes or (permit and asked is None):
                    mask |= bit
            self._classed[classes, permit] = mask
        return mask

    def labelled(self, labels: frozenset[Label]) -> int:
        """The items that carry one of these labels, or one below it."""
        index = self._labels
        if index is None:
            index = self._labels = _index(upwards(datum.labels) for datum in self.data)
        return _any(index, labels)

    def permitted_by_label(self, labels: frozenset[Label], highest: int | None, *, sure: bool = True) -> int:
        """The items that a permit of these labels, and of confidentiality up to `highest`, reaches.

        Where not sure also those that may be such: a deny within that permit reaches them.
        """
        key = (labels, highest, True, sure)
        mask = self._by_label.get(key)
        if mask is None:
            mask = self.labelled(labels)
            if highest is not None:
                mask |= self._ranked(lambda rank: 0 <= rank <= highest)
            mask = self._known_label(mask, highest is not None, sure)
            self._by_label[key] = mask
        return mask

    def denied_by_label(self, labels: frozenset[Label], lowest: int | None, *, sure: bool = False) -> int:
        """The items that a deny of these labels, and of confidentiality from `lowest` on, reaches.

        Among them what carries no label at all, and if it is about confidentiality what states none; but no
        permit within that deny reaches those (sure).
        """
        key = (labels, lowest, False, sure)
        mask = self._by_label.get(key)
        if mask is None:
            mask = self.labelled(labels)
            if lowest is not None:
                mask |= self._ranked(lambda rank: rank >= lowest)
            mask = self._known_label(mask, lowest is not None, sure)
            self._by_label[key] = mask
        return mask

    def _known_label(self, mask: int, ranked: bool, sure: bool) -> int:
        """Labelled items without (or, where not sure, with) those of which the label is not known."""
        if sure:
            return mask
        if ranked:
            mask |= self._ranked(lambda rank: rank < 0)
        return mask | sum(1 << number for number, datum in enumerate(self.data) if not datum.labels)

    def dated(self, first: datetime | None, last: datetime | None, *, sure: bool) -> int:
        """The items from this period: if sure wholly from it, otherwise touched by it or undated."""
        mask = 0
        for number, datum in enumerate(self.data):
            if datum.date is None:
                fits = not sure
            else:
                begins, ends = datum.date
                if sure:
                    fits = (first is None or first <= begins) and (last is None or ends <= last)
                else:
                    fits = (first is None or first <= ends) and (last is None or begins <= last)
            if fits:
                mask |= 1 << number
        return mask

    def meant(self, meaning: str, references: frozenset[str], *, sure: bool) -> int:
        """The items that R4's `provision.data` means (ConsentDataMeaning).

        instance: the named resources; dependents: also what refers to them; related: also what they refer
        to; authoredby: what the named are the authors of. Where not sure also what has no name of its own.
        """
        if meaning == "authoredby":
            return sum(
                1 << number
                for number, datum in enumerate(self.data)
                if not datum.authors.isdisjoint(references)
            )
        wanted = references
        if meaning == "related":
            for datum in self.data:
                if not datum.itself.isdisjoint(references):
                    wanted |= datum.refers
        mask = 0
        for number, datum in enumerate(self.data):
            if (
                not datum.itself.isdisjoint(wanted)
                or (meaning != "instance" and not datum.refers.isdisjoint(references))
                or (not sure and not datum.itself)
            ):
                mask |= 1 << number
        return mask

    def _ranked(self, fits: Callable[[int], bool]) -> int:
        return sum(1 << number for number, datum in enumerate(self.data) if fits(rank(datum.labels)))


def as_named(system: str) -> str:
    """A code system by the one name that is used for it here."""
    return _NAMES.get(system, system)


def rank(labels: Iterable[Label]) -> int:
    """The highest confidentiality among labels (U is 0, V is 5); -1 where none is stated."""
    return max((_RANKS.get(code, -1) for system, code in labels if system == CONFIDENTIALITY), default=-1)


def ranks() -> Mapping[str, int]:
    """v3-Confidentiality's codes by rank."""
    return _RANKS


@lru_cache(maxsize=4096)
def upwards(labels: frozenset[Label]) -> frozenset[Label]:
    """Labels and all that stand above them in v3-ActCode: what is SDV is also information sensitivity."""
    found = set(labels)
    for system, code in labels:
        if system == ACT_CODE and known(ACT_CODE, code):
            found.update((ACT_CODE, general) for general in above(ACT_CODE, code))
    return frozenset(found)


def bits(mask: int) -> Iterator[int]:
    """The numbers of the items in a mask."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def _any(index: Mapping[Code, int], codes: Iterable[Code]) -> int:
    mask = 0
    for code in codes:
        mask |= index.get(code, 0)
    return mask


def _index(sets: Iterable[frozenset[Code]]) -> dict[Code, int]:
    index: dict[Code, int] = {}
    for number, codes in enumerate(sets):
        bit = 1 << number
        for code in codes:
            index[code] = index.get(code, 0) | bit
    return index
