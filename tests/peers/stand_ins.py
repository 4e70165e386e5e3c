"""FHIR definitions made from stand_ins.yaml, which says why they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_name("stand_ins.yaml")
_R4 = "http://hl7.org/fhir/StructureDefinition"


def stand_ins() -> Iterator[dict[str, Any]]:
    """StructureDefinitions (with a differential only), ValueSets and CodeSystems."""
    told = yaml.safe_load(_FILE.read_text("utf-8"))
    version = told["version"]
    for url, systems in told["value_sets"].items():
        include = [_included(system, codes) for system, codes in systems.items()]
        yield _definition("ValueSet", url, version) | {"compose": {"include": include}}
    for url, codes in told["code_systems"].items():
        made = {"caseSensitive": True, "content": "complete", "concept": [{"code": code} for code in codes]}
        yield _definition("CodeSystem", url, version) | made
    for url in told["extensions"]:
        fixed = {"id": "Extension.url", "path": "Extension.url", "fixedUri": url.partition("|")[0]}
        yield _structure(url, version, "Extension", [{"id": "Extension", "path": "Extension"}, fixed])
    for url, name in told["profiles"].items():
        yield _structure(url, version, name, [{"id": name, "path": name}])


def _included(system: str, codes: Any) -> dict[str, Any]:
    listed = {} if codes == "all" else {"concept": [{"code": code} for code in codes]}
    return {"system": system} | listed


def _structure(url: str, version: str, name: str, elements: list[dict[str, Any]]) -> dict[str, Any]:
    return _definition("StructureDefinition", url, version) | {
        "fhirVersion": "4.0.1",
        "kind": "complex-type" if name == "Extension" else "resource",
        "abstract": False,
        **({"context": [{"type": "element", "expression": "Element"}]} if name == "Extension" else {}),
        "type": name,
        "baseDefinition": f"{_R4}/{name}",
        "derivation": "constraint",
        "differential": {"element": elements},
    }


def _definition(kind: str, url: str, version: str) -> dict[str, Any]:
    url, _, own = url.partition("|")
    name = url.rpartition("/")[2]
    return {
        "resourceType": kind,
        "id": name,
        "url": url,
        "version": own or version,
        "name": name,
        "status": "active",
    }
