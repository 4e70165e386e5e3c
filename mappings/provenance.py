"""FHIR Provenance of what a mapping makes: which mapping, to the digit, and for its lineage which field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from profiles import canonical

if TYPE_CHECKING:
    from mappings.table import LocalMapping

MAPPING: Final = f"{canonical.BASE}/sid/mapping"
_ASSEMBLER: Final = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "assembler"}
    ]
}


def provenance(mapping: LocalMapping, targets: Sequence[Mapping[str, Any]], now: str) -> dict[str, Any]:
    """A Provenance that says which mapping made `targets` (References), and nothing of any record.

    now: a FHIR instant.
    """
    what = {
        "identifier": {
            "system": MAPPING,
            "value": f"{mapping.system}|{mapping.version}|{mapping.fingerprint}",
        },
        "display": mapping.title,
    }
    return {
        "resourceType": "Provenance",
        "target": list(targets),
        "recorded": now,
        "agent": [{"type": _ASSEMBLER, "who": {"display": "Waymeet"}}],
        "entity": [{"role": "derivation", "what": what}],
    }
