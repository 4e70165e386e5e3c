"""FHIR R4 as the table has it: HL7's own, whole, and nothing of later versions."""

import json
from pathlib import Path

import pytest

from profiles import canonical, r4
from profiles.r4 import Binding, Type

BASE = Path(r4.__file__).parent / "base"
TYPES = sorted(r4.type_names() - r4.primitives().keys())


def keys(type_name: str) -> list[str]:
    return [constraint.key for constraint in r4.constraints(type_name)]


def test_the_table_has_all_of_r4() -> None:
    """R4 has 146 resource types that can be instantiated (and two abstract ones), 20 primitives."""
    assert len(r4.resource_types()) == 146
    assert len(r4.primitives()) == 20
    assert len(TYPES) == 662
    assert sum(len(r4.elements(name)) for name in TYPES) == 7406


def test_types_refer_only_to_types_and_closed_lists_that_are_there() -> None:
    names = r4.type_names() | {"Resource"}
    targets = r4.resource_types() | {"Resource", "DomainResource"}
    for element in (element for name in TYPES for element in r4.elements(name).values()):
        assert {type_.code for type_ in element.types} <= names
        assert {target for type_ in element.types for target in type_.targets} <= targets
        if element.value_set:
            assert r4.codes(element.value_set)
            assert element.binding and element.binding.strength == "required"


@pytest.mark.parametrize(
    ("type_name", "elements"),
    [
        ("Meta", {"id", "extension", "versionId", "lastUpdated", "source", "profile", "security", "tag"}),
        ("EvidenceVariable.characteristic", {"definition[x]", "participantEffective[x]", "groupMeasure"}),
    ],
)
def test_a_type_has_r4s_own_elements(type_name: str, elements: set[str]) -> None:
    assert elements <= r4.elements(type_name).keys()


@pytest.mark.parametrize(
    ("type_name", "element"),
    [
        ("Meta", "author"),
        ("Meta", "project"),
        ("Binary", "url"),
        ("ResearchStudy", "associatedParty"),
        ("ResearchStudy.objective", "description"),
        ("DeviceDefinition", "classification"),
        ("ObservationDefinition", "publisher"),
        ("EvidenceVariable.characteristic", "definitionByCombination"),
    ],
)
def test_what_later_versions_and_others_added_is_not_there(type_name: str, element: str) -> None:
    assert element not in r4.elements(type_name)
    assert f"{type_name}.{element}" not in r4.type_names()


def test_elements_keep_what_r4_says_of_them() -> None:
    assert r4.elements("AuditEvent.source")["observer"].types[0].targets == (
        "PractitionerRole", "Practitioner", "Organization", "Device", "Patient", "RelatedPerson",
    )  # fmt: skip
    assert r4.elements("Bundle.entry.response")["outcome"].types == (Type("Resource"),)
    assert r4.elements("DetectedIssue")["status"].value_set == "observation-status"
    assert r4.elements("EvidenceVariable")["characteristic"].min == 1
    assert r4.elements("Element")["id"].types == (Type("string", attribute=True),)
    assert r4.elements("Patient")["id"].types == (Type("id"),)


def test_bindings_have_their_strength_and_version() -> None:
    assert r4.elements("Task")["status"].binding == Binding(
        "required", "http://hl7.org/fhir/ValueSet/task-status|4.0.1"
    )
    assert r4.elements("Attachment")["contentType"].binding == Binding(
        "required", "http://hl7.org/fhir/ValueSet/mimetypes|4.0.1"
    )
    assert r4.elements("Patient")["maritalStatus"].binding == Binding(
        "extensible", "http://hl7.org/fhir/ValueSet/marital-status"
    )
    assert r4.elements("Observation")["category"].binding is None  # preferred


def test_a_maximum_value_set_is_required_of_a_code_and_not_of_words() -> None:
    languages = "http://hl7.org/fhir/ValueSet/all-languages"
    assert r4.elements("Patient")["language"].binding == Binding("required", languages)
    assert r4.elements("Attachment")["language"].binding == Binding("required", languages)
    assert r4.elements("Patient.communication")["language"].binding == Binding("maximum", languages)


def test_constraints_stand_on_types_backbones_and_elements() -> None:
    assert keys("Patient") == ["dom-2", "dom-3", "dom-4", "dom-5", "dom-6"]
    assert keys("Patient.contact") == ["pat-1"]
    assert keys("Reference") == ["ref-1"]
    assert keys("Element") == keys("Extension") == keys("string") == keys("Nothing") == []
    assert [c.key for c in r4.elements("Organization")["telecom"].constraints] == ["org-3"]
    assert [c.key for c in r4.elements("Narrative")["div"].constraints] == ["txt-1", "txt-2"]
    assert r4.elements("Patient")["contact"].constraints == ()


def test_one_key_with_three_meanings_is_three_constraints() -> None:
    said = {r4.constraints(name)[-1].human for name in ("Parameters.parameter", "TestReport.setup.action")}
    said |= {constraint.human for constraint in r4.constraints("Task") if constraint.key == "inv-1"}
    assert len(said) == 3


def test_recommendations_are_known_as_such() -> None:
    """dom-6: have a narrative; con-3: have a clinical status."""
    recommended = {c.key: c.severity for name in TYPES for c in r4.constraints(name) if c.best_practice}
    assert recommended == {"dom-6": "warning", "con-3": "warning"}


def test_a_simple_quantity_brings_its_rule() -> None:
    (type_,) = r4.elements("Range")["low"].types
    assert type_.profiles == ("http://hl7.org/fhir/StructureDefinition/SimpleQuantity",)
    assert keys("SimpleQuantity") == ["qty-3", "sqty-1"]
    profiled = {p for n in TYPES for e in r4.elements(n).values() for t in e.types for p in t.profiles}
    assert profiled == set(type_.profiles)


def test_every_name_in_json_has_its_name_in_fhirpath() -> None:
    assert r4.elements("Task")["status"].shown() == {"status": "status"}
    shown = r4.elements("Observation")["value[x]"].shown()
    assert shown["valueQuantity"] == "value.ofType(Quantity)"
    assert shown["valueDateTime"] == "value.ofType(dateTime)"


def test_what_comes_with_the_software_stays_small() -> None:
    assert (BASE / "r4.json").stat().st_size < 400_000
    assert (BASE / "terminology.json").stat().st_size < 600_000
    assert (BASE / "extensions.json").stat().st_size < 300_000


def test_the_terminology_is_hl7s_own() -> None:
    """Of other systems only the codes that R4's value sets list; no whole LOINC, SNOMED CT, DICOM or CPT."""
    held = json.loads((BASE / "terminology.json").read_text("utf-8"))
    for resource in held:
        assert not resource.keys() & {"name", "title", "description", "text", "copyright"}
    listed = [
        (include.get("system"), concept["code"])
        for resource in held
        for include in resource.get("compose", {}).get("include", ())
        for concept in include.get("concept", ())
    ]
    assert sum(system in (canonical.LOINC, canonical.SNOMED) for system, _ in listed) < 20
    systems = {resource["url"] for resource in held if resource["resourceType"] == "CodeSystem"}
    of_others = {url for url in systems if "hl7.org" not in url}
    assert len(systems) > 1000
    assert of_others == {
        "urn:iso-astm:E1762-95:2013",  # the purposes of a signature, as R4 lists them
        "urn:oid:2.16.840.1.113883.3.1937.98.5.8",  # the states of a template
    }
    assert {resource["content"] for resource in held if "content" in resource} == {"complete"}


def test_what_the_package_added_to_r4s_terminology_is_not_there() -> None:
    held = {
        resource["url"]: resource for resource in json.loads((BASE / "terminology.json").read_text("utf-8"))
    }
    assert "http://hl7.org/fhir/detectedissue-status" not in held
    controls = json.dumps(held["http://hl7.org/fhir/questionnaire-item-control"])
    assert "check-box" in controls and "multi-select" not in controls
