"""A mapping file: loaded, checked and compiled once, then used for every record of that system."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mappings.codes import CodeTable, Unmapped, load_code_table
from mappings.compile import Compiled, compile_mapping
from mappings.kind import RecordKind
from mappings.nodes import Problem
from mappings.readers import make_reader
from mappings.readers.source import Source
from mappings.record import Reader, Record, RecordError, refuse
from mappings.result import Lineage, Mapped, Rendered
from profiles.document import Document, DocumentError, read_schema
from profiles.document import load as load_document
from profiles.outcome import Issue

_HERE = Path(__file__).parent
_SCHEMA = read_schema(_HERE / "mapping.schema.json")


class LocalMapping:
    """One system's mapping, both ways. `fingerprint` is the SHA-256 of the mapping and its code tables.

    document: the mapping file as read; tables: its code tables by name; concept_maps: the same as resources;
    table_documents: the files that they were read from.
    """

    def __init__(
        self,
        document: Document,
        reader: Reader,
        compiled: Compiled,
        tables: Mapping[str, tuple[CodeTable, Document]],
    ) -> None:
        data = document.data
        self.system: str = data["system"]
        self.version: str = data["version"]
        self.title: str = data["title"]
        self.format: str = data["format"]["type"]
        self.document = document
        self.tables = {name: table for name, (table, _) in tables.items()}
        self.table_documents = {name: content for name, (_, content) in tables.items()}
        self.concept_maps = {name: content.data for name, content in self.table_documents.items()}
        self.fingerprint = _fingerprint(data, self.concept_maps)
        self.kinds = compiled.kinds
        self._reader = reader
        self._renderings = compiled.renderings

    @property
    def lineage(self) -> tuple[Lineage, ...]:
        """Every way a field can take, over all kinds of record."""
        return tuple(line for kind in self.kinds for line in kind.lineage)

    @property
    def events(self) -> frozenset[str]:
        """The events that `render` knows: of offer, dossier and task."""
        return frozenset(self._renderings)

    def records(self, source: Source) -> Iterator[Record | RecordError]:
        """The records in `source`, one after the other; one that cannot be read comes as its RecordError.

        Raises RecordError when nothing more can be read.
        """
        return self._reader.records(source)

    def read(self, body: bytes) -> list[Record]:
        """All records in `body`, in the mapping's format. Raises RecordError when any cannot be read."""
        with Source.of_bytes(body) as source:
            found = list(self._reader.records(source))
        faults = [each for each in found if isinstance(each, RecordError)]
        if faults:
            raise RecordError(issue for fault in faults for issue in fault.issues)
        return [each for each in found if isinstance(each, Record)]

    def map(self, record: Record) -> Mapped:
        """`record` as FHIR content. Raises RecordError naming field, line and rule of all that is wrong."""
        return self.kind_of(record).map(record, self._reader)

    def kind_of(self, record: Record) -> RecordKind:
        """The kind of record that `record` is. Raises RecordError for one that is of none."""
        problems: list[Problem] = []
        for kind in self.kinds:
            fits = kind.fits is None or kind.fits(record.values, problems)
            if problems:
                # A value that cannot be read must not pass for one that is not there.
                raise RecordError(
                    Issue("error", code, message, field=field, line=self._reader.place(record, field))
                    for field, code, message in problems
                )
            if fits:
                return kind
        known = ", ".join(kind.name for kind in self.kinds)
        raise refuse(
            "not-supported", f"is none of the kinds of record that are taken: {known}", line=record.line
        )

    def render(self, event: str, facts: Mapping[str, Any]) -> Rendered:
        """The system's own message for `event`: offer, dossier or task. Raises RecordError if it has none."""
        for rendering in self._renderings.get(event, ()):
            if rendering.fits is None or rendering.fits(facts, []):
                return rendering.render(facts)
        raise refuse("not-supported", f"the mapping {self.system!r} has no message for this event", event)


def load(path: Path) -> LocalMapping:
    """The mapping file at `path`. Raises DocumentError naming file, line and field of all that is wrong."""
    return _with_waymeet(path) if path.is_relative_to(_HERE) else _loaded(path)


@cache
def _with_waymeet(path: Path) -> LocalMapping:
    """One that comes with Waymeet: read once."""
    return _loaded(path)


def _loaded(path: Path) -> LocalMapping:
    document = load_document(path, _SCHEMA)
    tables = _load_tables(document, path.parent)
    reader = make_reader(document)
    compiled = compile_mapping(document, reader, {name: table for name, (table, _) in tables.items()})
    return LocalMapping(document, reader, compiled, tables)


def shipped(system: str) -> Path:
    """Where the mapping `system` that comes with Waymeet is. Raises ValueError naming those there are."""
    known = {path.parent.name: path for path in _HERE.glob("systems/*/mapping.yaml")}
    if system not in known:
        raise ValueError(f"no shipped mapping has this name; there are {', '.join(sorted(known))}")
    return known[system]


def _load_tables(document: Document, folder: Path) -> dict[str, tuple[CodeTable, Document]]:
    tables: dict[str, tuple[CodeTable, Document]] = {}
    issues = []
    for name, entry in document.data.get("codes", {}).items():
        unmapped: Unmapped = entry["unmapped"]
        try:
            tables[name] = load_code_table(name, unmapped, folder / entry["map"])
        except DocumentError as fault:
            issues.append(document.issue(("codes", name, "map"), f"the code table is not usable: {fault}"))
    if issues:
        raise document.error(issues)
    return tables


def _fingerprint(data: Any, tables: Mapping[str, Any]) -> str:
    """Over the content, not the bytes: comments and layout do not make another mapping."""
    canonical = json.dumps([data, tables], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()
