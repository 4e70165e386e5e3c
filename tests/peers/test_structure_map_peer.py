"""What is exported of a mapping is valid for the HAPI validator (Java) too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from java_validator import OURS, JavaValidator, start

from mappings import load, shipped
from mappings.lineage import lineage_provenance
from mappings.structure_map import structure_map

pytestmark = pytest.mark.slow

SYSTEMS = sorted(path.parent.name for path in shipped("case-json").parent.parent.glob("*/mapping.yaml"))
# Of HL7's extensions pack, which the validator does not hold: written here from its published description.
TARGET_PATH = {
    "resourceType": "StructureDefinition",
    "url": "http://hl7.org/fhir/StructureDefinition/targetPath",
    "name": "TargetPath",
    "status": "draft",
    "kind": "complex-type",
    "abstract": False,
    "context": [{"type": "element", "expression": "Reference"}],
    "type": "Extension",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
    "derivation": "constraint",
    "differential": {
        "element": [
            {"id": "Extension.extension", "path": "Extension.extension", "max": "0"},
            {
                "id": "Extension.url",
                "path": "Extension.url",
                "fixedUri": "http://hl7.org/fhir/StructureDefinition/targetPath",
            },
            {
                "id": "Extension.value[x]",
                "path": "Extension.value[x]",
                "min": 1,
                "type": [{"code": "string"}],
            },
        ]
    },
}


@pytest.fixture(scope="module")
def java() -> Iterator[JavaValidator]:
    with start([OURS], [TARGET_PATH]) as running:
        yield running


def errors(java: JavaValidator, resource: dict[str, Any]) -> list[str]:
    messages = java.validate(json.dumps(resource))["messages"]
    return [
        f"{each['location']}: {each['message']}"
        for each in messages
        if each["severity"] in ("error", "fatal")
    ]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_structure_map_is_valid(java: JavaValidator, system: str) -> None:
    mapping = load(shipped(system))
    made = [structure_map(mapping, kind) for kind in mapping.kinds if kind.kind not in ("skip", "refuse")]
    assert made
    for each in made:
        assert errors(java, each) == []


def test_a_structure_map_with_a_name_that_is_none_is_not_valid(java: JavaValidator) -> None:
    mapping = load(shipped("case-json"))
    made = structure_map(mapping, mapping.kinds[0])
    made["group"][0]["rule"][0]["target"][0]["variable"] = "not.a.name"
    assert any("not.a.name" in error for error in errors(java, made))


@pytest.mark.parametrize("system", SYSTEMS)
def test_lineage_is_valid_as_provenance(java: JavaValidator, system: str) -> None:
    made = lineage_provenance(load(shipped(system)), "2026-11-18T15:40:00Z")
    assert made
    for each in made:
        assert errors(java, each) == []


def test_a_path_that_is_no_text_is_not_valid(java: JavaValidator) -> None:
    (made, *_) = lineage_provenance(load(shipped("case-json")), "2026-11-18T15:40:00Z")
    made["target"][0]["extension"][0] = {"url": TARGET_PATH["url"], "valueBoolean": True}
    assert errors(java, made) != []
