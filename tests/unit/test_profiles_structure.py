"""FHIR R4's own structure: what is accepted, what is refused, and where the refusal points."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest

from profiles import r4, structure
from profiles.models import ModelError, typed

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "pat-1",
    "identifier": [{"system": "urn:example:node", "value": "1"}],
    "name": [{"given": ["Ada"]}],
    "gender": "unknown",
    "birthDate": "1990-02-28",
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "household size"},
    "valueQuantity": {"value": Decimal("2.00")},
}
BUNDLE: dict[str, Any] = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": PATIENT}]}
PARAMETERS: dict[str, Any] = {
    "resourceType": "Parameters",
    "parameter": [{"name": "status", "part": [{"name": "last", "resource": PATIENT}]}],
}
UNKNOWN_NAME = {"extension": [{"url": "urn:example:why", "valueCode": "unknown"}]}


@pytest.mark.parametrize(
    "good", [PATIENT, OBSERVATION, BUNDLE, PARAMETERS], ids=lambda good: good["resourceType"]
)
def test_good_resources_pass(good: dict[str, Any]) -> None:
    assert structure.check(good) == []


# (element, its new value) on PATIENT: allowed by FHIR although it looks odd
ODD_BUT_GOOD = [
    ("birthDate", "1990"),
    ("birthDate", "1990-02"),
    ("deceasedDateTime", "2026-11-20T10:00:00.123456+14:00"),
    ("name", [{"given": [None, "Ada"], "_given": [UNKNOWN_NAME, None]}]),
    ("_birthDate", UNKNOWN_NAME),
    ("multipleBirthInteger", Decimal("2")),
    ("contained", [{"resourceType": "Organization", "id": "o", "name": "Clinic"}]),
    ("text", {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}),
]


@pytest.mark.parametrize(("key", "value"), ODD_BUT_GOOD)
def test_what_fhir_allows_is_not_refused(key: str, value: Any) -> None:
    assert structure.check({**PATIENT, key: value}) == []


# (element, its new value, issue code, FHIRPath) on PATIENT
REFUSED = [
    ("gender", "x", "code-invalid", "Patient.gender"),
    ("gender", 1, "structure", "Patient.gender"),
    ("birthDate", "1990-02-30", "value", "Patient.birthDate"),
    ("birthDate", "20-02-1990", "value", "Patient.birthDate"),
    ("birthDate", "", "value", "Patient.birthDate"),
    ("active", "true", "structure", "Patient.active"),
    ("id", "not an id", "value", "Patient.id"),
    ("name", {"given": ["Ada"]}, "structure", "Patient.name"),
    ("name", [{"given": "Ada"}], "structure", "Patient.name[0].given"),
    ("name", [{"given": ["Ada", " "]}], "value", "Patient.name[0].given[1]"),
    ("name", [{"family": "a\x00b"}], "value", "Patient.name[0].family"),
    ("name", [{}], "structure", "Patient.name[0]"),
    ("name", [{"id": "only"}], "structure", "Patient.name[0]"),
    ("name", [], "structure", "Patient.name"),
    ("_gender", {}, "structure", "Patient.gender"),
    ("nickname", "Ada", "structure", "Patient"),
    ("deceasedPeriod", {"start": "2026"}, "structure", "Patient"),
    ("multipleBirthInteger", Decimal("2.5"), "value", "Patient.multipleBirth.ofType(integer)"),
    ("multipleBirthInteger", True, "structure", "Patient.multipleBirth.ofType(integer)"),
    ("communication", [{"preferred": True}], "required", "Patient.communication[0].language"),
    ("link", [{"other": {"display": "x"}}], "required", "Patient.link[0].type"),
    ("extension", [{"url": "urn:x"}], "invariant", "Patient.extension[0]"),
    ("extension", [{"valueCode": "x"}], "required", "Patient.extension[0].url"),
    ("contained", [{"resourceType": "Person", "gender": "x"}], "code-invalid", "Patient.contained[0].gender"),
    ("contained", [{"resourceType": "Person", "contained": []}], "invariant", "Patient.contained[0]"),
    ("contained", [{"resourceType": "Persona"}], "structure", "Patient.contained[0]"),
    ("meta", {"lastUpdated": "2026-11-20"}, "value", "Patient.meta.lastUpdated"),
    ("text", {"status": "generated", "div": "hello"}, "value", "Patient.text.div"),
]


@pytest.mark.parametrize(("key", "value", "code", "where"), REFUSED)
def test_one_wrong_element_is_refused_at_its_place(key: str, value: Any, code: str, where: str) -> None:
    assert [(i.code, i.expression) for i in structure.check({**PATIENT, key: value})] == [(code, where)]


def test_two_forms_of_a_choice_are_refused() -> None:
    issues = structure.check({**PATIENT, "deceasedBoolean": True, "deceasedDateTime": "2026"})
    assert [(i.code, i.expression) for i in issues] == [("structure", "Patient.deceased")]


def test_a_required_code_may_be_replaced_by_an_extension_only() -> None:
    without = {key: value for key, value in OBSERVATION.items() if key != "status"}
    assert [i.expression for i in structure.check(without)] == ["Observation.status"]
    assert structure.check({**without, "_status": UNKNOWN_NAME}) == []


@pytest.mark.parametrize(
    ("outer", "path", "where"),
    [
        (BUNDLE, ("entry", 0, "resource"), "Bundle.entry[0].resource.gender"),
        (
            PARAMETERS,
            ("parameter", 0, "part", 0, "resource"),
            "Parameters.parameter[0].part[0].resource.gender",
        ),
    ],
)
def test_a_resource_inside_another_is_checked_too(outer: Any, path: tuple[Any, ...], where: str) -> None:
    outer = deepcopy(outer)
    inner = outer
    for part in path:
        inner = inner[part]
    inner["gender"] = "x"
    assert [(i.code, i.expression) for i in structure.check(outer)] == [("code-invalid", where)]


@pytest.mark.parametrize(
    "content", [None, 3, "text", [], {}, {"resourceType": "patient"}, {"resourceType": ["Task"]}]
)
def test_what_is_no_resource_is_refused(content: Any) -> None:
    assert [issue.code for issue in structure.check(content)] == ["structure"]


def test_nesting_without_end_is_refused_and_not_followed() -> None:
    resource: dict[str, Any] = {**PATIENT}
    for _ in range(100):
        resource = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]}
    assert [issue.code for issue in structure.check(resource)] == ["too-costly"]


@pytest.mark.parametrize("name", sorted(r4.resource_types()))
def test_every_resource_type_can_be_checked(name: str) -> None:
    issues = structure.check({"resourceType": name, "nothing": 1})
    assert (f"{name} has no element nothing", name) in [(i.message, i.expression) for i in issues]


# The same questions put to an independent model of FHIR.


@pytest.mark.parametrize(("key", "value"), ODD_BUT_GOOD)
def test_an_independent_model_accepts_the_same(key: str, value: Any) -> None:
    assert typed(deepcopy({**PATIENT, key: value})) is not None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (key, value)
        for key, value, _, _ in REFUSED
        if key in ("birthDate", "id", "nickname", "deceasedPeriod", "communication", "link", "active")
        and value not in ("true", "")
    ],
)
def test_an_independent_model_refuses_the_same(key: str, value: Any) -> None:
    with pytest.raises(ModelError) as fault:
        typed(deepcopy({**PATIENT, key: value}))
    assert str(value) not in str(fault.value)
