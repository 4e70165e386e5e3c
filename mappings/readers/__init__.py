"""From an agency's own files to records: one reader for each format, made from a mapping's `format`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings.fields import Fields, read_fields
from mappings.readers.csv_file import CsvReader
from mappings.readers.fhir import FhirReader
from mappings.readers.hl7v2 import Hl7v2Reader
from mappings.readers.json_file import JsonReader
from mappings.readers.tables import TableReader
from mappings.readers.xml_file import XmlReader
from mappings.record import PathError, Reader
from mappings.sections import read_sections
from profiles.document import Document


def make_reader(document: Document) -> Reader:
    """The reader for the mapping in `document`, which fits the schema. Raises DocumentError."""
    data = document.data
    told = data["format"]
    fields = [read_fields(section.data) for section in read_sections(document, [])]
    match told["type"]:
        case "csv" | "json" if "tables" in told:
            return _tables(document, told, fields)
        case "csv":
            return CsvReader(
                tuple(dict.fromkeys(name for each in fields for name in each.names)),
                optional=frozenset(name for each in fields for name in each.optional),
                open_ended=any("" in each.open_ended for each in fields),
                **_text_form(told),
            )
        case "json":
            return JsonReader(told.get("at", ""))
        case "xml":
            return XmlReader(told.get("namespace", ""), told.get("namespaces", {}))
        case "fhir":
            return FhirReader()
        case _:
            return Hl7v2Reader(told.get("split", {}))


def _tables(document: Document, told: Mapping[str, Any], fields: list[Fields]) -> Reader:
    if told.get("record") not in told["tables"]:
        wrong = document.issue(("format", "record"), "names the table whose rows are the records")
        raise document.error([wrong])
    columns: dict[str, dict[str, None]] = {table: {} for table in told["tables"]}
    for each in fields:
        for name in each.names:
            table, _, column = name.partition(".")
            columns.get(table, {})[column] = None
    try:
        return TableReader(
            told["type"],
            told["record"],
            told["tables"],
            {table: tuple(names) for table, names in columns.items()},
            optional=frozenset(name for each in fields for name in each.optional),
            open_ended=frozenset(table for each in fields for table in each.open_ended),
            **_text_form(told),
        )
    except PathError as fault:
        raise document.error([document.issue(("format", "tables"), str(fault))]) from None


def _text_form(told: Mapping[str, Any]) -> dict[str, str]:
    return {
        "delimiter": told.get("delimiter", ","),
        "quote": told.get("quote", '"'),
        "encoding": told.get("encoding", "utf-8"),
    }
