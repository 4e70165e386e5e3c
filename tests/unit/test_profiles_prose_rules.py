"""Rules of a guide in its words: what we enforce, and that its own FHIRPath says something else."""

import json
from pathlib import Path
from typing import Any

import pytest

from profiles import canonical
from profiles.document import load
from profiles.fhirpath import Context, compile_predicate
from profiles.prose_rules import PROSE_RULES, TASK_FOR_PATIENT

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
SCHEMA = {
    "type": "object",
    "required": ["profile", "sdc", "values", "cases"],
    "additionalProperties": False,
    "properties": {
        "profile": {"const": TASK_FOR_PATIENT},
        "sdc": TEXTS,
        "values": {"type": "object", "additionalProperties": {"type": "object"}},
        "cases": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["because", "code", "breaks"],
                "additionalProperties": False,
                "properties": {
                    "because": TEXT,
                    "code": TEXT,
                    "description": {"const": True},
                    "inputs": TEXTS,
                    "outputs": TEXTS,
                    "focus": TEXT,
                    "breaks": TEXTS,
                    "fhirpath": TEXTS,
                },
            },
        },
    },
}
TABLE = load(Path(__file__).parents[1] / "cases" / "prose-rules" / "task-for-patient.yaml", SCHEMA).data
SDC = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"
GUIDE = Path(__file__).parents[3] / "shared" / "refs" / "sdoh-clinicalcare-3.0.0" / "definitions"
each = pytest.mark.parametrize("case", [pytest.param(case, id=case["because"]) for case in TABLE["cases"]])


def concept(code: str) -> dict[str, Any]:
    system = SDC if code in TABLE["sdc"] else canonical.SDOHCC_CODES
    return {"coding": [{"system": system, "code": code}]}


def parameters(codes: list[str]) -> list[dict[str, Any]]:
    return [{"type": concept(code), **TABLE["values"][code]} for code in codes]


def task(case: dict[str, Any]) -> dict[str, Any]:
    """The Task that a case tells of, otherwise as the guide wants it."""
    made = {
        "resourceType": "Task",
        "status": "ready",
        "intent": "order",
        "priority": "routine",
        "code": concept(case["code"]),
        "for": {"reference": "Patient/pat-1"},
        "authoredOn": "2026-11-20T09:00:00Z",
        "requester": {"reference": "Organization/general-hospital"},
        "owner": {"reference": "Patient/pat-1"},
        "input": parameters(case.get("inputs", [])),
        "output": parameters(case.get("outputs", [])),
    }
    if "description" in case:
        made["description"] = "What is asked"
    if "focus" in case:
        made["focus"] = {"reference": case["focus"]}
    return {name: value for name, value in made.items() if value}


@each
def test_the_rules_are_what_the_guide_says_in_words(case: dict[str, Any]) -> None:
    asked = task(case)
    assert [key for (_, key), holds in PROSE_RULES.items() if not holds(asked)] == case["breaks"]


def test_every_rule_is_broken_by_some_case() -> None:
    assert {key for case in TABLE["cases"] for key in case["breaks"]} == {key for _, key in PROSE_RULES}


def test_a_contained_document_can_be_reviewed_and_a_contained_group_cannot() -> None:
    holds = PROSE_RULES[TASK_FOR_PATIENT, "SDOH-Task-3"]
    asked = task({"code": "review-material", "focus": "#leaflet"})
    for name, fits in (("DocumentReference", True), ("Group", False)):
        assert holds({**asked, "contained": [{"resourceType": name, "id": "leaflet"}]}) is fits


@each
@pytest.mark.skipif(not GUIDE.exists(), reason="the guide's definitions are not beside this checkout")
def test_the_guides_own_fhirpath_says_what_the_document_says_of_it(case: dict[str, Any]) -> None:
    definition = json.loads((GUIDE / "StructureDefinition-SDOHCC-TaskForPatient.json").read_text("utf-8"))
    said = {one["key"]: one["expression"] for one in definition["differential"]["element"][0]["constraint"]}
    asked = task(case)
    context = Context(
        resource=asked,
        root=asked,
        resolve=lambda _: None,
        member_of=lambda _value, _set: None,
        conforms_to=lambda _value, _profile: None,
    )
    broken = [
        key for _, key in PROSE_RULES if not compile_predicate(said[key], "Task").predicate(asked, context)
    ]
    assert broken == case.get("fhirpath", case["breaks"])
