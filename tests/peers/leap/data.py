"""A generated resource as a consent's words meet it: its type, codes, labels, date, authors and name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from leap.vocabulary import ACT_CODE, CONFIDENTIALITY, LABELLED, LEVELS

Code = tuple[str, str]
_DATES: Final = ("effectiveDateTime", "onsetDateTime", "authoredOn", "performedDateTime")
REFERRING: Final = ("derivedFrom", "reasonReference")
_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource of the content.

    level: the highest confidentiality that it states, -1 where none. by_code: sensitivities that follow from
    its codes. person: whom it is about. refers: what it refers to; referred_by: what refers to it.
    """

    name: str
    type: str
    codes: frozenset[Code]
    labels: frozenset[Code]
    level: int
    dated: tuple[datetime, datetime] | None
    authors: frozenset[str]
    by_code: frozenset[Code]
    person: str
    refers: frozenset[str]
    referred_by: frozenset[str] = frozenset()

    def with_labels_from_codes(self) -> Entry:
        """As a labelling service would label it."""
        return replace(self, labels=self.labels | self.by_code)

    def with_sensitive_restricted(self) -> Entry:
        """With a sensitivity it is at least restricted (v3-ActCode: "heightened confidentiality")."""
        sensitive = any(system == ACT_CODE for system, _ in self.labels)
        return replace(self, level=max(self.level, LEVELS.index("R"))) if sensitive else self


def entries(resources: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """Read the resources of one case, with what refers to what."""
    found = [_entry(each) for each in resources]
    return [
        replace(one, referred_by=frozenset(each.name for each in found if one.name in each.refers))
        for one in found
    ]


def _entry(resource: Mapping[str, Any]) -> Entry:
    named = resource.get("code") or resource["medicationCodeableConcept"]
    labels = frozenset(
        (each["system"], each["code"]) for each in resource.get("meta", {}).get("security", ())
    )
    levels = [LEVELS.index(code) for system, code in labels if system == CONFIDENTIALITY]
    when = next((resource[each] for each in _DATES if each in resource), None)
    authors = [
        *(one.get("actor", one)["reference"] for one in resource.get("performer", ())),
        *(resource[each]["reference"] for each in ("asserter", "requester") if each in resource),
    ]
    return Entry(
        name=f"{resource['resourceType']}/{resource['id']}",
        type=resource["resourceType"],
        codes=frozenset((each["system"], each["code"]) for each in named["coding"]),
        labels=labels,
        level=max(levels, default=-1),
        dated=(first(when), last(when)) if when else None,
        authors=frozenset(authors),
        by_code=frozenset(
            (ACT_CODE, LABELLED[code])
            for each in named["coding"]
            if (code := (each["system"], each["code"])) in LABELLED
        ),
        person=resource["subject"]["reference"],
        refers=frozenset(
            each["reference"] for name in REFERRING if name in resource for each in resource[name]
        ),
    )


def first(text: str) -> datetime:
    """The first instant of a dateTime of the generator's: a day or a moment, in UTC."""
    if "T" in text:
        return datetime.fromisoformat(text)
    return datetime.combine(date.fromisoformat(text), time(), UTC)


def last(text: str) -> datetime:
    """The last instant: of a day, its end (R4 Period.end is inclusive)."""
    return datetime.fromisoformat(text) if "T" in text else first(text) + timedelta(days=1) - _INSTANT


def sensitivities(labels: frozenset[Code]) -> frozenset[str]:
    """The v3-ActCode labels."""
    return frozenset(code for system, code in labels if system == ACT_CODE)
