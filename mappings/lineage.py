"""Which local field reaches which element: the proof of what can ever leave.

It comes from the compiled mapping, not from a record, and so holds for every record. A field that is only
looked at by a condition (function `when`) is listed too: the element tells something about it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mappings.formulas import guarded
from mappings.kind import RecordKind
from mappings.provenance import provenance
from mappings.table import LocalMapping
from profiles import canonical, r4

_COLUMNS: Final = ("record", "field", "function", "element", "sensitivity", "reason")
_FIELD: Final = f"{canonical.BASE}/sid/mapping-field"
# Of HL7's extensions pack (hl7.fhir.uv.extensions.r4); R4 itself has no way to point to an element.
_TARGET_PATH: Final = "http://hl7.org/fhir/StructureDefinition/targetPath"


def lineage_csv(mapping: LocalMapping) -> str:
    """The lineage of all record kinds as rows; for an ignored field (function `ignored`) the reason."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    writer.writerows([guarded(cell) for cell in row] for row in _rows(mapping))
    return out.getvalue()


def lineage_json(mapping: LocalMapping) -> str:
    """The same as JSON: which mapping it is, and under `lineage` an object for each row."""
    rows = [dict(zip(_COLUMNS, row, strict=True)) for row in _rows(mapping)]
    whole = {
        "system": mapping.system,
        "version": mapping.version,
        "fingerprint": mapping.fingerprint,
        "lineage": [{name: cell for name, cell in row.items() if cell} for row in rows],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def lineage_provenance(mapping: LocalMapping, now: str) -> list[dict[str, Any]]:
    """The same as FHIR R4: a Provenance for each record kind, field and function; its targets are elements.

    The targets are of no record, and so References with a type and a path alone. `activity` is the function,
    the entity with the role `source` the field. now: a FHIR instant.
    """
    return [
        _of_field(mapping, kind, field, function, elements, now)
        for kind in mapping.kinds
        for (field, function), elements in _by_field(kind).items()
    ]


def _rows(mapping: LocalMapping) -> Iterator[tuple[str, ...]]:
    for kind in mapping.kinds:
        for way in kind.lineage:
            yield kind.name, way.field, way.function, way.element, way.sensitivity, ""
        for field, reason in kind.fields.ignored.items():
            yield kind.name, field, "ignored", "", kind.fields.sensitivity([field]), reason


def _by_field(kind: RecordKind) -> dict[tuple[str, str], list[str]]:
    """The elements of resources by the field and function that reach them."""
    found: dict[tuple[str, str], list[str]] = {}
    for way in kind.lineage:
        if _without_places(way.element).partition(".")[0] in r4.resource_types():
            found.setdefault((way.field, way.function), []).append(way.element)
    return found


def _of_field(
    mapping: LocalMapping, kind: RecordKind, field: str, function: str, elements: list[str], now: str
) -> dict[str, Any]:
    urls = {
        line.element.removesuffix(".url"): line.argument
        for line in kind.lines
        if line.function == "constant" and line.element.endswith(".url")
    }
    targets = [
        {
            "extension": [{"url": _TARGET_PATH, "valueString": _target_path(element, urls)}],
            "type": _without_places(element).partition(".")[0],
            "display": element,
        }
        for element in elements
    ]
    made = provenance(mapping, targets, now)
    identifier = {"system": _FIELD, "value": f"{mapping.system}|{kind.name}|{field}"}
    source = {"role": "source", "what": {"identifier": identifier, "display": field}}
    return made | {"activity": {"text": function}, "entity": [*made["entity"], source]}


def _target_path(element: str, urls: Mapping[str, str]) -> str:
    """An element of the template in the simple subset of FHIRPath; `urls` are those of its extensions."""
    resource, *steps = element.split(".")
    type_ = path = _without_places(resource)
    at = resource
    for step in steps:
        at = f"{at}.{step}"
        name = _without_places(step)
        definition, found = r4.by_key(type_)[name]
        if name == "extension" and at in urls:
            path += f".extension('{urls[at]}')"
        elif definition.choice:
            path += f".{definition.name.removesuffix('[x]')}.ofType({found.code})"
        else:
            path += f".{name}"
        type_ = found.code
    return path


def _without_places(element: str) -> str:
    return re.sub(r"\[\d+\]", "", element)
