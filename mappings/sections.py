"""The record kinds of a mapping file, each complete: what one takes over from another or from all is put in.

`like: referral` takes over every section that the kind does not have itself. `fields`, `ignored` and
`sensitive` at the top of the file are those of every kind that lists no fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from profiles.document import DataPath, Document
from profiles.outcome import Issue

_FIELDS: Final = ("fields", "ignored", "sensitive")
_ABOUT_A_RECORD: Final = ("key", "of", "subject", "recipient", "excluded", "local", "resources")
# Of each kind: the sections it needs, the resources it needs, the sections that say nothing there.
_NEEDS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]] = {
    "referral": (("key", "subject", "resources"), ("Patient", "ServiceRequest"), ("of", "because")),
    "amendment": (("key", "of", "subject", "resources"), ("Patient", "ServiceRequest"), ("because",)),
    "cancellation": (("key", "of", "resources"), ("Task",), ("because", "excluded")),
    "status": (("key", "resources"), ("Task",), ("because", "excluded")),
    "service": (("key", "resources"), (), ("of", "subject", "recipient", "because", "excluded")),
    "skip": (("when", "because"), (), _ABOUT_A_RECORD),
    "refuse": (("when", "because"), (), _ABOUT_A_RECORD),
}


@dataclass(frozen=True, slots=True)
class Section:
    """One record kind; `places` say where each of its sections is written."""

    name: str
    data: Mapping[str, Any]
    places: Mapping[str, DataPath]

    @property
    def where(self) -> DataPath:
        """Where the kind itself stands."""
        return ("records", self.name)

    @property
    def needs(self) -> tuple[str, ...]:
        """The resources without which a record of this kind makes no sense."""
        return _NEEDS[self.data["kind"]][1]


def read_sections(document: Document, issues: list[Issue]) -> list[Section]:
    """The record kinds of a mapping that fits the schema; what is wrong with them goes to `issues`.

    A kind with faults of this sort is left out, so that each is told once.
    """
    found = []
    for name in document.data["records"]:
        section = _complete(document, name)
        faults = _faults(document, section)
        issues += faults
        if not faults:
            found.append(section)
    return found


def _complete(document: Document, name: str) -> Section:
    records = document.data["records"]
    own = records[name]
    like = own.get("like")
    data = {key: value for key, value in own.items() if key != "like"}
    places: dict[str, DataPath] = {key: ("records", name, key) for key in data}
    for key, value in records.get(like, {}).items():
        if key not in data and not ("fields" in data and key in _FIELDS) and key != "when":
            data[key], places[key] = value, ("records", like, key)
    if "fields" not in data:
        for key in _FIELDS:
            if key in document.data:
                data[key], places[key] = document.data[key], (key,)
    return Section(name, data, places)


def _faults(document: Document, section: Section) -> list[Issue]:
    records = document.data["records"]
    own = records[section.name]
    if "like" in own and "like" in records.get(own["like"], {"like": "nothing"}):
        wrong = "must name another kind of record of this file, which is not itself like one"
        return [document.issue((*section.where, "like"), wrong)]
    needed, resources, needless = _NEEDS[section.data["kind"]]
    kind = section.data["kind"]
    missing = [key for key in ("fields", *needed) if key not in section.data]
    faults = [document.issue(section.where, f"needs {key!r}: it is of the kind {kind}") for key in missing]
    faults += [
        document.issue((*section.where, key), f"says nothing in a {kind}") for key in needless if key in own
    ]
    faults += [
        document.issue((*section.where, "resources"), f"needs {name}: it is of the kind {kind}")
        for name in resources
        if name not in section.data.get("resources", resources)
    ]
    return faults
