"""The fields of a record kind: each is used, or ignored with a reason, and not both.

A name that ends in `?` may be missing from a CSV header. `Table.*` (`*` where there is one table) stands
under `ignored` only: all other columns of that table, which nothing reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.sections import Section
from profiles import canonical
from profiles.document import DataPath, Document
from profiles.outcome import Issue
from profiles.terminology import known


@dataclass(frozen=True, slots=True)
class Fields:
    """What the `fields`, `ignored` and `sensitive` sections of a record kind say.

    names: as listed, without the question marks; open_ended: the tables with a wildcard, "" for the only one.
    """

    names: tuple[str, ...]
    optional: frozenset[str]
    open_ended: frozenset[str]
    ignored: Mapping[str, str]
    sensitive: Mapping[str, str]

    def sensitivity(self, names: Iterable[str]) -> str:
        """What is said of the fields that a path reads, and of what is above them; empty for nothing."""
        for name in names:
            for listed, code in self.sensitive.items():
                if name == listed or name.startswith((f"{listed}.", f"{listed}-")):
                    return code
        return ""


def read_fields(section: Mapping[str, Any]) -> Fields:
    """The fields of a record kind, from its section of a mapping that fits the schema."""
    listed = section.get("fields", [])
    ignored = _ignored(section.get("ignored", {}))
    return Fields(
        names=tuple(name.removesuffix("?") for name in listed),
        optional=frozenset(name[:-1] for name in listed if name.endswith("?")),
        open_ended=frozenset(name[:-1].removesuffix(".") for name in ignored if name.endswith("*")),
        ignored=ignored,
        sensitive=section.get("sensitive", {}),
    )


def check_fields(document: Document, section: Section, fields: Fields, used: set[str]) -> list[Issue]:
    """What is wrong with them, when `used` are the names that paths read in the kinds that share them."""
    issues = [
        document.issue((*section.places["fields"], index), f"{name!r} is neither used nor under 'ignored'")
        for index, name in enumerate(fields.names)
        if name not in used and name not in fields.ignored
    ]
    for name in fields.ignored:
        place = _place(section, name)
        if name in used:
            issues.append(document.issue(place, "the field is used, so it is not ignored"))
        elif name not in fields.names and not name.endswith("*"):
            issues.append(document.issue(place, "'fields' does not list this field"))
    for name, code in fields.sensitive.items():
        place = (*section.places["sensitive"], name)
        if name not in fields.names:
            issues.append(document.issue(place, "'fields' does not list this field"))
        if not (known(canonical.CONFIDENTIALITY, code) or known(canonical.ACT_CODE, code)):
            issues.append(document.issue(place, "is no code of v3-Confidentiality or v3-ActCode"))
    return issues


def _ignored(data: Any) -> dict[str, str]:
    if isinstance(data, Mapping):
        return dict(data)
    return {name: entry["because"] for entry in data for name in entry["fields"]}


def _place(section: Section, name: str) -> DataPath:
    data, where = section.data["ignored"], section.places["ignored"]
    if isinstance(data, Mapping):
        return (*where, name)
    index = next(index for index, entry in enumerate(data) if name in entry["fields"])
    return (*where, index, "fields", data[index]["fields"].index(name))
