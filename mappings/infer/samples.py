"""A sample from whatever files there are: CSV, JSON, NDJSON, or a folder or ZIP of tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Final

from mappings.infer.column import Sample, Table
from mappings.infer.joins import joined
from mappings.infer.sample_csv import csv_table
from mappings.infer.sample_json import json_table
from mappings.infer.words import vocabulary
from mappings.readers.json_texts import Text, values
from mappings.readers.source import Source
from mappings.record import refuse

_CSV: Final = (".csv", ".tsv", ".txt", ".tab")
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# What a file begins with that has a mapping of its own, and which.
_OTHERS: Final = (
    (b"MSH", "HL7 v2", "hl7v2-referral"),
    (b"BHS", "HL7 v2", "hl7v2-referral"),
    (b"<", "XML", "ccda-referral-note"),
)


def read_sample(source: Source) -> Sample:
    """The columns that the records in `source` have. Raises RecordError where nothing can be made of it."""
    if source.is_set:
        return _of_set(source)
    name = source.names[0]
    with source.open() as file:
        start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
        file.seek(0)
        for mark, form, mapping in _OTHERS:
            if start.startswith(mark):
                raise refuse(
                    "not-supported", f"this is {form}: begin with a copy of the shipped mapping {mapping}"
                )
        if start.startswith((b"{", b"[")):
            return _of_json(list(values(file, name)), name)
    return _alone(csv_table(source, name), "csv")


def _of_set(source: Source) -> Sample:
    tables: list[Table] = []
    for name in source.names:
        if name.lower().endswith(_CSV):
            called = _table_name(PurePath(name).stem, [each.name for each in tables])
            tables.append(csv_table(source, name, called))
    if not tables:
        raise refuse("not-found", f"there is no file with an ending of {', '.join(_CSV)}")
    return joined(tables, "csv", "these tables")


def _of_json(texts: Sequence[Any], name: str) -> Sample:
    found = [text.value for text in texts if isinstance(text, Text)]
    if len(found) != 1 or not isinstance(found[0], dict):
        records = found[0] if len(found) == 1 and isinstance(found[0], list) else found
        return _alone(json_table(records, "", name), "json")
    document: dict[str, Any] = found[0]
    if "resourceType" in document:
        raise refuse("not-supported", "this is FHIR: begin with a copy of the shipped mapping fhir-r4")
    lists = {key: value for key, value in document.items() if _is_list(value)}
    if len(lists) > 1 and len(lists) == len(document):
        usable = {key: value for key, value in lists.items() if _TABLE.fullmatch(key)}
        if usable:
            return joined([json_table(value, key, key) for key, value in usable.items()], "json", name)
    at = next((key for key in vocabulary().lists if key in lists), None)
    if at is not None:
        return _alone(json_table(document[at], "", name), "json", {"at": at})
    return _alone(json_table([document], "", name), "json")


def _alone(table: Table, kind: str, more: dict[str, Any] | None = None) -> Sample:
    form = {"type": kind, **table.form, **(more or {})}
    nameless = ("*",) if table.nameless else ()
    return Sample(table.file, form, table.columns, table.rows, table.doubts, nameless)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _table_name(stem: str, taken: Sequence[str]) -> str:
    """A name for a table that a path can begin with."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_") or "table"
    name = plain if _TABLE.fullmatch(plain) else f"t_{plain}"
    number = 2
    while name in taken:
        name, number = f"{plain}_{number}", number + 1
    return name
