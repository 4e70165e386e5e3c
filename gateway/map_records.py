"""Every record of an agency's files, one after the other: as a Bundle, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.map_sources import Advance, opened, sets
from mappings import LocalMapping, Record, RecordError
from mappings.blame import with_fields
from mappings.bundle import bundle
from profiles import validate
from profiles.outcome import Issue, errors
from profiles.registry import Definitions


@dataclass(frozen=True, slots=True)
class Made:
    """The Bundle of a record."""

    bundle: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that the mapping passes over, and why."""

    because: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be read or mapped, or whose resources are not valid; it never holds a value of it.

    broken_off: not one record, but the rest of its file.
    """

    file: str
    line: int | None
    issues: tuple[Issue, ...]
    broken_off: bool = False


def each(
    mapping: LocalMapping, paths: Sequence[Path], held: Definitions, now: str, advance: Advance | None = None
) -> Iterator[Made | Skipped | Rejected]:
    """What becomes of each record in the files at `paths`. Raises nothing for what is in them.

    held: what the resources are checked against; now: the time of mapping, a FHIR instant.
    """
    for together in sets(mapping, paths):
        named = str(together[0]) if len(together) == 1 else ""
        try:
            with opened(together, advance) as source:
                for record in mapping.records(source):
                    inside = record.name if source.is_set and isinstance(record, Record) else ""
                    file = "/".join(part for part in (named, inside) if part)
                    yield one(mapping, record, file, held, now)
        except RecordError as fault:
            yield _rejected(named, None, fault.issues, broken_off=True)


def one(
    mapping: LocalMapping, record: Record | RecordError, file: str, held: Definitions, now: str
) -> Made | Skipped | Rejected:
    """What becomes of one record of `file`."""
    if isinstance(record, RecordError):
        return _rejected(file, None, record.issues)
    try:
        mapped = mapping.map(record)
    except RecordError as fault:
        return _rejected(file, record.line, fault.issues)
    if mapped.kind == "skip":
        return Skipped(mapped.because)
    made = bundle(mapping, mapped, now)
    issues = [
        with_fields(issue, mapped.lineage)
        for entry in made["entry"]
        for issue in errors(validate(entry["resource"], held=held))
    ]
    return _rejected(file, record.line, issues) if issues else Made(made)


def _rejected(file: str, line: int | None, issues: Sequence[Issue], *, broken_off: bool = False) -> Rejected:
    found = line if line is not None else next((issue.line for issue in issues if issue.line), None)
    return Rejected(file, found, tuple(issues), broken_off)
