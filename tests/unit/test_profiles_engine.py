"""Whatever a StructureDefinition can say: small ones, told as data, with what each accepts and refuses."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from profiles import errors, validate
from profiles.elements import ProfileError
from profiles.engine import engine
from profiles.registry import Definitions, Package

FOLDER = Path(__file__).parents[1] / "cases" / "definitions"
CASES = [case for path in sorted(FOLDER.glob("*.yaml")) for case in yaml.safe_load(path.read_text("utf-8"))]
LEAST: dict[str, dict[str, Any]] = {
    "Task": {"status": "draft", "intent": "order"},
    "Patient": {},
    "Observation": {"status": "final", "code": {"text": "x"}},
    "Questionnaire": {"status": "draft"},
    "Bundle": {"type": "collection"},
}
URL = "http://example.com/profile"


def definition(url: str, type_name: str, elements: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "url": url,
        "type": type_name,
        "kind": "resource",
        "derivation": "constraint",
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{type_name}",
        "differential": {"element": elements},
    } | more


def system(code: str) -> list[dict[str, Any]]:
    return [{"id": "ContactPoint.system", "path": "ContactPoint.system", "fixedCode": code, "min": 1}]


OTHERS = (
    definition(
        "http://example.com/named-task",
        "Task",
        [{"id": "Task.description", "path": "Task.description", "min": 1}],
    ),
    definition("http://example.com/phone", "ContactPoint", system("phone")),
    definition("http://example.com/mail", "ContactPoint", system("email")),
)


def held(*definitions: dict[str, Any], version: str = "1.0.0") -> Definitions:
    return Definitions([Package("test", version, resources=(*OTHERS, *definitions))])


def of_case(case: dict[str, Any]) -> Definitions:
    return held(definition(URL, case["type"], case["elements"]))


def resource(case: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": case["type"], **LEAST[case["type"]], **change}


@pytest.mark.parametrize(
    ("case", "good"),
    [(case, good) for case in CASES for good in case["good"]],
    ids=lambda x: x.get("says", ""),
)
def test_it_accepts(case: dict[str, Any], good: dict[str, Any]) -> None:
    assert errors(validate(resource(case, good), URL, of_case(case))) == []


@pytest.mark.parametrize(
    ("case", "refusal"),
    [(case, refusal) for case in CASES for refusal in case["refused"]],
    ids=lambda x: x.get("says") or x["because"],
)
def test_it_refuses(case: dict[str, Any], refusal: dict[str, Any]) -> None:
    found = errors(validate(resource(case, refusal["change"]), URL, of_case(case)))
    assert {(issue.code, issue.expression) for issue in found} == {(refusal["code"], refusal["at"])}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["says"])
def test_its_report_names_what_is_not_enforced_and_nothing_else(case: dict[str, Any]) -> None:
    definitions = of_case(case)
    found = definitions.find(URL)
    assert found is not None
    report = engine(definitions).report(found)
    expected = case.get("lacks", [])
    assert len(report.not_supported) == len(expected) + ("safe" in str(case["elements"]))
    assert all(any(part in sentence for sentence in report.not_supported) for part in expected)
    for how, count in case.get("counts", {}).items():
        assert getattr(report, how) == count


@pytest.mark.parametrize("case", [case for case in CASES if "warns" in case], ids=lambda case: case["says"])
def test_it_warns_of_what_it_could_not_check(case: dict[str, Any]) -> None:
    warns = case["warns"]
    found = validate(resource(case, warns["when"]), URL, of_case(case))
    assert [(one.severity, one.code, one.expression) for one in found if one.profile] == [
        ("warning", warns["code"], warns["at"])
    ]


def test_a_constraint_that_nobody_can_evaluate_gives_a_warning_each_time() -> None:
    case = next(case for case in CASES if "counts" in case)
    found = validate(resource(case, case["good"][0]), URL, of_case(case))
    assert [(one.severity, one.code, one.constraint) for one in found] == [
        ("warning", "not-supported", "p-4")
    ]


def test_the_profile_named_in_meta_is_applied_in_the_version_named() -> None:
    strict = [{"id": "Patient.active", "path": "Patient.active", "min": 1}]
    old = Package("test", "1.0.0", resources=(definition(URL, "Patient", [], version="1.0.0"),))
    old.resources[0]["differential"]["element"].append({"id": "Patient", "path": "Patient"})
    new = Package("test", "2.0.0", resources=(definition(URL, "Patient", strict, version="2.0.0"),))
    both = Definitions([new, old])

    def claims(url: str) -> list[str]:
        return [
            one.code for one in validate({"resourceType": "Patient", "meta": {"profile": [url]}}, held=both)
        ]

    assert claims(f"{URL}|1.0.0") == []
    assert claims(f"{URL}|2.0.0") == ["required"]
    assert claims(URL) == ["required"]
    assert claims(f"{URL}|3.0.0") == ["not-supported"]


def test_a_differential_has_the_rules_of_its_base_too() -> None:
    base = definition(URL, "Patient", [{"id": "Patient.active", "path": "Patient.active", "min": 1}])
    derived = definition(
        f"{URL}-2",
        "Patient",
        [{"id": "Patient.gender", "path": "Patient.gender", "min": 1}],
        baseDefinition=URL,
    )
    found = validate({"resourceType": "Patient"}, f"{URL}-2", held(base, derived))
    assert {issue.expression for issue in found} == {"Patient.active", "Patient.gender"}


def test_a_resource_in_a_bundle_is_checked_by_what_it_claims_and_by_what_refers_to_it() -> None:
    task = definition(
        URL,
        "Task",
        [
            {
                "id": "Task.focus",
                "path": "Task.focus",
                "type": [{"code": "Reference", "targetProfile": ["http://example.com/named-task"]}],
            }
        ],
    )
    first = {"resourceType": "Task", "status": "draft", "intent": "order", "focus": {"reference": "Task/2"}}
    second = {"resourceType": "Task", "id": "2", "status": "draft", "intent": "order"}

    def bundle(second: dict[str, Any]) -> dict[str, Any]:
        one = {"fullUrl": "http://example.com/Task/1", "resource": {**first, "meta": {"profile": [URL]}}}
        other = {"fullUrl": "http://example.com/Task/2", "resource": second}
        return {"resourceType": "Bundle", "type": "collection", "entry": [one, other]}

    definitions = held(task)
    assert errors(validate(bundle({**second, "description": "named"}), held=definitions)) == []
    found = errors(validate(bundle(second), held=definitions))
    assert [issue.expression for issue in found] == ["Bundle.entry[0].resource.focus"]


NICKNAME = "http://example.com/nickname"


def nickname(context: str = "Patient.name", kind: str = "element", modifier: bool = False) -> Definitions:
    elements: list[dict[str, Any]] = [
        {"id": "Extension", "path": "Extension", "isModifier": modifier},
        {"id": "Extension.value[x]", "path": "Extension.value[x]", "min": 1, "type": [{"code": "string"}]},
    ]
    contexts = [{"type": kind, "expression": context}]
    return held(definition(NICKNAME, "Extension", elements, kind="complex-type", context=contexts))


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        ({"name": [{"extension": [{"url": NICKNAME, "valueString": "x"}]}]}, None),
        ({"extension": [{"url": NICKNAME, "valueString": "x"}]}, ("extension", "Patient.extension[0]")),
        (
            {"contact": [{"name": {"extension": [{"url": NICKNAME, "valueString": "x"}]}}]},
            ("extension", "Patient.contact[0].name.extension[0]"),
        ),
        (
            {"name": [{"extension": [{"url": NICKNAME, "valueCode": "x"}]}]},
            ("structure", "Patient.name[0].extension[0].value"),
        ),
    ],
)
def test_an_extension_stands_where_its_context_says_and_holds_what_it_says(
    patient: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    found = errors(validate({"resourceType": "Patient", **patient}, held=nickname()))
    assert [(one.code, one.expression) for one in found] == ([expected] if expected else [])


def test_a_modifier_extension_is_one_wherever_it_stands() -> None:
    def told(name: str, modifier: bool) -> list[str]:
        patient = {"resourceType": "Patient", name: [{"url": NICKNAME, "valueString": "x"}]}
        found = validate(patient, held=nickname("Patient", modifier=modifier))
        return [one.code for one in errors(found)]

    assert told("modifierExtension", modifier=True) == told("extension", modifier=False) == []
    assert told("modifierExtension", modifier=False) == told("extension", modifier=True) == ["extension"]


def test_a_context_that_is_no_element_is_said_not_to_be_checked() -> None:
    definitions = nickname("Patient.name.where(use = 'official')", kind="fhirpath")
    found = definitions.find(NICKNAME)
    assert found is not None
    (sentence,) = engine(definitions).report(found).not_supported
    assert "is not checked" in sentence


def test_a_claim_that_nobody_can_check_is_told_where_it_stands() -> None:
    patient = {"resourceType": "Patient", "meta": {"profile": ["http://example.com/unheld"]}}
    entry = {"fullUrl": "http://example.com/Patient/1", "resource": patient}
    found = validate({"resourceType": "Bundle", "type": "collection", "entry": [entry]})
    assert [(one.severity, one.expression) for one in found] == [
        ("warning", "Bundle.entry[0].resource.meta.profile[0]")
    ]


def test_what_was_only_tried_does_not_crowd_out_what_is_wrong() -> None:
    case = next(case for case in CASES if case["says"] == "a value has one of two profiles")
    mails = [{"system": "email", "value": "a"}] * 150
    assert errors(validate(resource(case, {"telecom": mails}), URL, of_case(case))) == []
    wrong = resource(case, {"telecom": [*mails, {"system": "fax", "value": "1"}]})
    assert [one.expression for one in errors(validate(wrong, URL, of_case(case)))] == ["Patient.telecom[150]"]


def test_a_definition_of_r4_may_be_named_with_its_version() -> None:
    core = "http://hl7.org/fhir/StructureDefinition/Patient|4.0.1"
    patient = {
        "id": "Task.for",
        "path": "Task.for",
        "type": [{"code": "Reference", "targetProfile": [core, URL]}],
    }
    definitions = held(
        definition(URL, "Device", [{"id": "Device", "path": "Device"}]),
        definition(f"{URL}-2", "Task", [patient], baseDefinition=core.replace("Patient", "Task")),
    )
    found = definitions.find(f"{URL}-2")
    assert found is not None and engine(definitions).report(found).not_supported == []
    task = {"resourceType": "Task", "status": "draft", "intent": "order", "for": {"reference": "#p"}}
    task["contained"] = [{"resourceType": "Patient", "id": "p"}]
    assert errors(validate(task, f"{URL}-2", definitions)) == []


def test_profiles_that_refer_to_each_other_in_a_circle_compile() -> None:
    def one(url: str, other: str) -> dict[str, Any]:
        telecom = {"code": "ContactPoint", "profile": [other]}
        return definition(
            url,
            "ContactPoint",
            [
                {"id": "ContactPoint.value", "path": "ContactPoint.value", "min": 1},
                {"id": "ContactPoint", "path": "ContactPoint", "type": [telecom]},
            ],
            baseDefinition=other,
        )

    first, second = "http://example.com/a", "http://example.com/b"
    definitions = held(one(first, second), one(second, first))
    found = definitions.find(first)
    assert found is not None
    assert engine(definitions).report(found).not_supported == []


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"differential": {"element": []}}, "neither a snapshot nor a differential"),
        ({"type": "Shoe"}, "a type that FHIR R4 does not have"),
        ({"differential": {"element": [{"min": 1}]}}, "an element without id and path"),
        ({"differential": {"element": [{"id": "Patient.name", "max": "many"}]}}, "not well formed"),
    ],
)
def test_what_is_no_definition_is_refused(broken: dict[str, Any], why: str) -> None:
    definitions = held(definition(URL, "Patient", []) | broken)
    found = definitions.find(URL)
    assert found is not None
    with pytest.raises(ProfileError, match=why):
        engine(definitions).report(found)
    claimed = validate({"resourceType": "Patient", "meta": {"profile": [URL]}}, held=definitions)
    assert [(issue.severity, issue.code) for issue in claimed] == [("warning", "not-supported")]
