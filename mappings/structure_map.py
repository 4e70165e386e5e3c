"""A record kind of a mapping as a FHIR R4 StructureMap, for tools that know these.

It uses the subset copy, create, translate and dateOp, and conditions as FHIRPath. The record is its source,
with each field an element by the name that the mapping gives it; a Bundle is its target. What the subset
cannot say is not guessed: such a rule has no transform and says which function is missing, and `not_exported`
lists it.
"""

from __future__ import annotations

import re
from typing import Any

from mappings.kind import RecordKind
from mappings.line import Line
from mappings.structure_rules import BUNDLE, RECORD, Export
from mappings.table import LocalMapping
from profiles import canonical


def structure_map(mapping: LocalMapping, kind: RecordKind) -> dict[str, Any]:
    """The StructureMap of a kind of record that makes resources (any but `skip` and `refuse`)."""
    name = f"{mapping.system}-{kind.name}"
    export = Export(mapping, kind)
    rules = list(export.resources())
    types = dict.fromkeys(line.element.partition(".")[0].partition("[")[0] for line in export.lines.values())
    return {
        "resourceType": "StructureMap",
        "url": f"{canonical.BASE}/StructureMap/{re.sub('[^A-Za-z0-9.-]', '-', name)}",
        "version": mapping.version,
        "name": "".join(part.capitalize() for part in re.findall("[A-Za-z0-9]+", f"map {name}")),
        "title": f"{mapping.title}: {kind.name}",
        "status": "active",
        "structure": [
            {"url": f"{canonical.FHIR}/Bundle", "mode": "target"},
            *({"url": f"{canonical.FHIR}/{type_}", "mode": "produced"} for type_ in types),
        ],
        "group": [
            {
                "name": _identifier(kind.name),
                "typeMode": "none",
                "input": [
                    {"name": RECORD, "mode": "source"},
                    {"name": BUNDLE, "type": "Bundle", "mode": "target"},
                ],
                "rule": rules,
            }
        ],
    }


def not_exported(mapping: LocalMapping, kind: RecordKind) -> list[tuple[Line, str]]:
    """The entries of a kind for which its StructureMap has no transform, each with the reason."""
    export = Export(mapping, kind)
    list(export.resources())
    return export.left


def _identifier(text: str) -> str:
    return re.sub("[^A-Za-z0-9]", "", text.title()) or "Record"
