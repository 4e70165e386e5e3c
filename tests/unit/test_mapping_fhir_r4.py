"""An EHR's own FHIR: what is made is valid and says no more than a referral needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mappings import RecordError, load, shipped
from mappings.bundle import linked
from mappings.result import Mapped
from profiles import canonical, errors, validate
from profiles.document import parse

SHARED = Path(__file__).parents[3] / "shared"
GUIDE = SHARED / "refs" / "sdoh-clinicalcare-3.0.0" / "examples"
SYNTHEA = SHARED / "samples" / "synthea" / "Patient.ndjson"
CASES = Path(__file__).parents[1] / "cases" / "mapping" / "fhir-r4"
FHIR = load(shipped("fhir-r4"))
NOW = "2026-11-21T12:00:00Z"
needs_guide = pytest.mark.skipif(not GUIDE.exists(), reason="needs the specifications in ../shared")
needs_synthea = pytest.mark.skipif(not SYNTHEA.exists(), reason="needs the samples in ../shared")


def mapped(*resources: Any) -> Mapped:
    (record,) = FHIR.read(json.dumps(list(resources)).encode())
    return FHIR.map(record)


def checked(made: Mapped) -> Mapped:
    for resource in linked(FHIR, made, NOW).values():
        assert errors(validate(resource)) == []
    return made


def example(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((GUIDE / f"{name}.json").read_text("utf-8"))
    return read


def request(**said: Any) -> dict[str, Any]:
    category = {"coding": [{"system": canonical.SDOHCC_CODES, "code": "food-insecurity"}]}
    return {
        "resourceType": "ServiceRequest",
        "id": "r",
        "status": "active",
        "intent": "order",
        "category": [category],
        "code": {"coding": [{"system": canonical.SNOMED, "code": "710925007"}]},
        "subject": {"reference": "Patient/p"},
    } | said


def patient(**said: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p", "name": [{"family": "Okoro"}]} | said


def category(made: Mapped) -> list[str]:
    return [each["coding"][0]["code"] for each in made.resources["ServiceRequest"]["category"][1:]]


@needs_guide
def test_the_guides_referral_maps_and_is_valid() -> None:
    made = checked(
        mapped(
            example("ServiceRequest-SDOHCC-ServiceRequestActiveFoodPantryApplicationAssistExample"),
            example("Patient-pat-53234"),
            example("Condition-SDOHCC-ConditionFoodInsecurityExample"),
        )
    )
    assert [name["family"] for name in made.resources["Patient"]["name"]] == ["BAXTER"]
    assert [place["postalCode"] for place in made.resources["Patient"]["address"]] == ["74048"]
    reason = made.resources["ServiceRequest"]["reasonCode"]
    assert reason == [
        {"coding": [{"system": canonical.SNOMED, "code": "733423003", "display": "Food insecurity"}]}
    ]


@needs_guide
def test_the_guides_tasks_are_answers() -> None:
    for name, status in (("FulfillmentAccepted", "accepted"), ("FulfillmentCompleted", "completed")):
        made = checked(mapped(example(f"Task-SDOHCC-TaskReferralManagementOrder{name}Example")))
        assert (made.kind, made.resources["Task"]["status"]) == ("status", status)
    with pytest.raises(RecordError):
        mapped(example("Task-SDOHCC-TaskPatientRiskQuestionnaireCompletedExample"))
    with pytest.raises(RecordError):
        mapped(example("ServiceRequest-SDOHCC-ServiceRequestSubreferralGardenProgramExample"))


@needs_synthea
def test_every_published_patient_becomes_a_valid_one_that_says_less() -> None:
    patients = [json.loads(line) for line in SYNTHEA.read_text("utf-8").splitlines()]
    assert len(patients) == 13
    for each in patients:
        made = checked(mapped(request(subject={"reference": f"Patient/{each['id']}"}), each))
        (number,) = made.resources["Patient"]["identifier"]
        assert number["system"] == "http://hospital.smarthealthit.org"
        said = json.dumps(dict(made.resources))
        kept_back = [every["value"] for every in each["identifier"] if every["value"] != number["value"]]
        assert [value for value in kept_back if value in said] == []
        assert not {"maritalStatus", "multipleBirthBoolean", "extension"} & set(made.resources["Patient"])


def test_every_category_of_the_guide_is_taken_and_called_as_in_3_0_0() -> None:
    path = Path(__file__).parents[2] / "profiles" / "definitions" / "ValueSet-referral-type.json"
    for concept in json.loads(path.read_text("utf-8"))["compose"]["include"][0]["concept"]:
        coding = {"system": canonical.SDOHCC_CODES, "code": concept["code"], "display": "an older name"}
        made = checked(mapped(request(category=[{"coding": [coding]}]), patient()))
        assert category(made) == [concept["code"]]
        assert "an older name" not in json.dumps(dict(made.resources))


def test_two_categories_are_two_referrals_and_no_valid_one() -> None:
    both = [
        {"coding": [{"system": canonical.SDOHCC_CODES, "code": code}]} for code in ("homelessness", "stress")
    ]
    made = mapped(request(category=both), patient())
    (resource,) = [
        each for each in linked(FHIR, made, NOW).values() if each["resourceType"] == "ServiceRequest"
    ]
    assert errors(validate(resource))


@pytest.mark.parametrize(
    ("condition", "typed"),
    [
        ({}, True),
        ({"verificationStatus": {"coding": [{"code": "refuted"}]}}, False),
        ({"verificationStatus": {"coding": [{"code": "entered-in-error"}]}}, False),
        ({"clinicalStatus": {"coding": [{"code": "resolved"}]}}, False),
        ({"clinicalStatus": {"coding": [{"code": "active"}]}}, True),
    ],
)
def test_only_a_problem_that_the_person_has_now_types_a_request(
    condition: dict[str, Any], typed: bool
) -> None:
    problem = {
        "resourceType": "Condition",
        "id": "c",
        "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "Z59.41"}]},
    } | condition
    asked = request(category=[], reasonReference=[{"reference": "Condition/c"}])
    if typed:
        assert category(checked(mapped(asked, patient(), problem))) == ["food-insecurity"]
    else:
        with pytest.raises(RecordError, match="needs it"):
            mapped(asked, patient(), problem)


def test_an_observation_that_was_an_error_tells_nothing() -> None:
    size = {
        "resourceType": "Observation",
        "id": "o",
        "status": "entered-in-error",
        "code": {"coding": [{"system": canonical.LOINC, "code": "63512-8"}]},
        "subject": {"reference": "Patient/p"},
        "valueInteger": 4,
    }
    made = mapped(request(supportingInfo=[{"reference": "Observation/o"}]), patient(), size)
    assert "Observation" not in made.resources


@pytest.mark.parametrize("reason", ["unknown", "asked-unknown", "not-asked", "asked-declined", "masked"])
def test_why_a_number_is_missing_is_kept(reason: str) -> None:
    why = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": reason}]}
    size = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"coding": [{"system": canonical.LOINC, "code": "63512-8"}]},
        "subject": {"reference": "Patient/p"},
        "dataAbsentReason": why,
    }
    made = checked(mapped(request(supportingInfo=[{"reference": "Observation/o"}]), patient(), size))
    assert [each["dataAbsentReason"] for each in made.resources["Observation"]] == [why]


def test_free_text_is_a_note_and_nothing_else() -> None:
    made = checked(
        mapped(
            request(
                code={"text": "Lunch for Sam Okoro"},
                category=[{"text": "Sam's lunch"}],
                reasonCode=[
                    {"text": "Sam is hungry"},
                    {"coding": [{"system": canonical.SNOMED, "code": "733423003"}], "text": "Sam again"},
                ],
                note=[{"text": "Ring Sam", "authorString": "Dr. Lin"}],
            ),
            patient(),
        )
    )
    asked = dict(made.resources["ServiceRequest"])
    assert asked.pop("note") == [
        {"text": "Lunch for Sam Okoro"},
        {"text": "Sam is hungry"},
        {"text": "Ring Sam"},
    ]
    assert "Sam" not in json.dumps(asked)


@pytest.mark.parametrize("status", ["accepted", "rejected", "in-progress", "on-hold", "completed", "failed"])
def test_a_task_written_back_reads_as_the_same_answer(status: str) -> None:
    task: dict[str, Any] = {"status": status}
    if status in ("rejected", "on-hold", "failed"):
        task["statusReason"] = {
            "coding": [{"system": canonical.STATUS_REASON, "code": "provider-no-capacity"}],
            "text": "No places this month.",
        }
    if status == "completed":
        task["output"] = [
            {
                "type": {"coding": [{"system": canonical.TASK_OUTPUT, "code": "outcome"}]},
                "valueCodeableConcept": {
                    "coding": [{"system": canonical.REFERRAL_OUTCOME, "code": "partly-met"}]
                },
            }
        ]
    facts = {"task": task, "local": {"request": "r", "task": "t-1"}, "now": NOW}
    body = parse(FHIR.render("task", facts).body.decode(), {"type": "object"}, "task.json").data
    assert (body["id"], body["focus"]) == ("t-1", {"reference": "ServiceRequest/r"})
    again = dict(mapped(body).resources["Task"])
    assert {name: again.get(name) for name in task} == task
