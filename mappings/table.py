"""A mapping file: loaded, checked and compiled once, then used for every record of that system."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mappings.codes import CodeTable, Unmapped, load_code_table
from mappings.compile import RecordKind, compile_mapping
from mappings.reader_csv import CsvReader
from mappings.reader_hl7v2 import Hl7v2Reader
from mappings.reader_json import JsonReader
from mappings.record import Reader, Record, refuse
from mappings.render import Rendering
from mappings.result import Lineage, Mapped, Rendered
from profiles.document import Document, DocumentError, read_schema
from profiles.document import load as load_document

_HERE = Path(__file__).parent
_SCHEMA = read_schema(_HERE / "mapping.schema.json")


class LocalMapping:
    """One system's mapping, both ways. `fingerprint` is the SHA-256 of the mapping and its code tables."""

    def __init__(
        self,
        data: Mapping[str, Any],
        reader: Reader,
        kinds: tuple[RecordKind, ...],
        renderings: Mapping[str, tuple[Rendering, ...]],
        fingerprint: str,
    ) -> None:
        self.system: str = data["system"]
        self.version: str = data["version"]
        self.title: str = data["title"]
        self.format: str = data["format"]["type"]
        self.fingerprint = fingerprint
        self.kinds = kinds
        self._reader = reader
        self._renderings = renderings

    @property
    def lineage(self) -> tuple[Lineage, ...]:
        """Every way a field can take, over all kinds of record."""
        return tuple(line for kind in self.kinds for line in kind.lineage)

    @property
    def events(self) -> frozenset[str]:
        """The events that `render` knows: of offer, dossier and task."""
        return frozenset(self._renderings)

    def read(self, body: bytes, content_type: str = "") -> list[Record]:  # noqa: ARG002 - the mapping states it
        """The records in `body`, in the mapping's format whatever the sender calls it. Raises RecordError."""
        return self._reader.read(body)

    def map(self, record: Record) -> Mapped:
        """`record` as FHIR content. Raises RecordError naming field, line and rule of all that is wrong."""
        for kind in self.kinds:
            if kind.fits is None or kind.fits(record.values, []):
                return kind.map(record, self._reader)
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
    document = load_document(path, _SCHEMA)
    tables = _load_tables(document, path.parent)
    reader = _reader(document.data)
    compiled = compile_mapping(document, reader, {name: table for name, (table, _) in tables.items()})
    fingerprint = _fingerprint(document.data, {name: content for name, (_, content) in tables.items()})
    return LocalMapping(document.data, reader, compiled.kinds, compiled.renderings, fingerprint)


def shipped(system: str) -> Path:
    """Where the mapping `system` that comes with Waymeet is. Raises ValueError naming those there are."""
    known = {path.parent.name: path for path in _HERE.glob("systems/*/mapping.yaml")}
    if system not in known:
        raise ValueError(f"no shipped mapping has this name; there are {', '.join(sorted(known))}")
    return known[system]


def _reader(data: Mapping[str, Any]) -> Reader:
    match data["format"]["type"]:
        case "csv":
            columns = dict.fromkeys(field for kind in data["records"].values() for field in kind["fields"])
            return CsvReader(tuple(columns), data["format"].get("delimiter", ","))
        case "json":
            return JsonReader()
        case _:
            return Hl7v2Reader()


def _load_tables(document: Document, folder: Path) -> dict[str, tuple[CodeTable, Any]]:
    tables: dict[str, tuple[CodeTable, Any]] = {}
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
