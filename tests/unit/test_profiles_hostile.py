"""Shapes that are made to hurt: deep, wide, going in circles, claiming to be what they are not.

Each is answered with issues, within a second, and never raised. Sizes are near what a node lets in (a body of
one mebibyte), or beyond where memory allows it.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hostile import LONG, MANY, answered, nested, patient, task

from profiles import canonical
from profiles.registry import Definitions, Package
from profiles.strict_json import JsonError, read

# Nesting


EXTENSION = {"url": "urn:example:x", "valueBoolean": True}
DEEP = {
    "extensions": (lambda inner: {"url": "urn:example:x", "extension": [inner]}, EXTENSION, "extension"),
    "lists": (lambda inner: [inner], "x", "name"),
    "objects": (lambda inner: {"x": inner}, "x", "name"),
    "contacts of references": (
        lambda inner: {"assigner": {"identifier": inner}},
        {"value": "x"},
        "identifier",
    ),
}


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("levels", [100, 240, 480, 960, 5_000])
def test_depth_is_answered(kind: str, levels: int) -> None:
    wrap, inner, element = DEEP[kind]
    issues = answered(patient(**{element: [nested(levels, wrap, inner)]}))
    assert levels < 5_000 or issues  # no limit of ours is above this


@pytest.mark.parametrize("kind", DEEP)
def test_what_can_still_be_read_is_still_judged(kind: str) -> None:
    """The deepest text that the reader accepts, whatever its limit is on this Python."""
    wrap, inner, element = DEEP[kind]
    levels, step = 1, 1 << 11
    while step:
        try:
            found = read(json_text(patient(**{element: [nested(levels + step, wrap, inner)]})))
            levels += step
            assert isinstance(answered(found), list)
        except JsonError:
            pass
        step //= 2
    assert levels > 50


def json_text(value: Any) -> bytes:
    """JSON without recursion of its own, for what is nested beyond the standard encoder."""
    out: list[str] = []
    waiting: list[Any] = [value]
    while waiting:
        match waiting.pop():
            case _Raw() as text:
                out.append(text)
            case dict() as found:
                waiting.append(_Raw("}"))
                for number, (key, inner) in reversed(list(enumerate(found.items()))):
                    waiting += [inner, _Raw(f"{',' if number else ''}{json.dumps(key)}:")]
                waiting.append(_Raw("{"))
            case list() as found:
                waiting.append(_Raw("]"))
                for number, inner in reversed(list(enumerate(found))):
                    waiting += [inner, _Raw("," if number else "")]
                waiting.append(_Raw("["))
            case other:
                out.append(json.dumps(other))
    return "".join(out).encode()


class _Raw(str):
    """A piece of JSON text."""


@pytest.mark.parametrize("levels", [15, 17, 200, 2_000])
def test_bundles_in_bundles_are_followed_only_so_far(levels: int) -> None:
    resource = nested(
        levels,
        lambda inner: {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": inner}]},
        patient(gender="x"),
    )
    codes = {issue.code for issue in answered(resource)}
    assert codes & ({"code-invalid"} if levels < 16 else {"too-costly", "structure"})


def test_a_contained_resource_in_a_contained_one_is_not_followed() -> None:
    resource = nested(300, lambda inner: patient(id="p", contained=[inner]), patient(id="p"))
    assert "dom-2" in {issue.constraint for issue in answered(resource)}


# Width


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    entries = [{"fullUrl": f"urn:uuid:{number}", "resource": one} for number, one in enumerate(resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


WIDE: dict[str, Callable[[], dict[str, Any]]] = {
    "given names": lambda: patient(name=[{"given": ["x"] * MANY}]),
    "given names of null": lambda: patient(name=[{"given": [None] * MANY}]),
    "given names with an extension each": lambda: patient(
        name=[{"given": [None] * 10_000, "_given": [{"extension": [EXTENSION]}] * 10_000}]
    ),
    "empty names": lambda: patient(name=[{}] * MANY),
    "names that are numbers": lambda: patient(name=[0] * 5 * MANY),
    "names with a wrong use": lambda: patient(name=[{"use": "x"}] * 50_000),
    "names without a meaning": lambda: patient(name=[{"x": 0}] * MANY),
    "elements without a meaning": lambda: patient(**{f"x{number}": 0 for number in range(MANY)}),
    "extensions": lambda: patient(extension=[EXTENSION] * 25_000),
    "extensions in one": lambda: patient(extension=[{"url": "urn:x", "extension": [EXTENSION] * 25_000}]),
    "unknown modifiers": lambda: patient(modifierExtension=[EXTENSION] * 20_000),
    "periods turned round": lambda: patient(
        name=[{"period": {"start": "2026-12-04", "end": "2026-11-20"}}] * 15_000
    ),
    "identifiers": lambda: patient(identifier=[{"system": "urn:x", "value": "1"}] * 25_000),
    "codings": lambda: patient(maritalStatus={"coding": [{"system": "urn:x", "code": "x"}] * 25_000}),
    "codings of a required value set": lambda: {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/x"},
        "clinicalStatus": {"coding": [{"system": "urn:x", "code": "x"}] * 25_000},
    },
    "references to the wrong type": lambda: task(
        basedOn=[{"reference": "Patient/x"}] * 5_000, partOf=[{"reference": "Patient/x"}] * 20_000
    ),
    "references to nothing": lambda: task(partOf=[{"reference": "#x"}] * 30_000),
    "contained resources": lambda: patient(
        contained=[{"resourceType": "Basic", "id": f"b{n}", "code": {"text": "x"}} for n in range(8_000)]
    ),
    "contained resources of one id": lambda: patient(
        contained=[{"resourceType": "Basic", "id": "b", "code": {"text": "x"}}] * 8_000
    ),
    "contained resources without a type": lambda: patient(contained=[{}] * MANY),
    "contained resources, all used": lambda: task(
        contained=[
            {"resourceType": "Task", "id": f"t{n}", "status": "draft", "intent": "order"}
            for n in range(5_000)
        ],
        partOf=[{"reference": f"#t{n}"} for n in range(5_000)],
    ),
    "outputs": lambda: task(output=[{"type": {"text": "x"}, "valueString": "x"}] * 15_000),
    "entries": lambda: bundle(*[patient(gender="unknown")] * 8_000),
    "entries of one full URL": lambda: {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Basic", "code": {"text": "x"}}}]
        * 8_000,
    },
    "entries that are empty": lambda: {"resourceType": "Bundle", "type": "collection", "entry": [{}] * MANY},
    "entries that refer to each other": lambda: bundle(
        *[task(partOf=[{"reference": f"urn:uuid:{(n + 1) % 4_000}"}]) for n in range(4_000)]
    ),
    "entries that all refer to one that is not there": lambda: bundle(
        *[task(partOf=[{"reference": "Task/none"}]) for _ in range(4_000)]
    ),
    "profiles claimed": lambda: patient(meta={"profile": [f"urn:example:{n}" for n in range(30_000)]}),
    "one profile claimed often": lambda: patient(meta={"profile": [canonical.PATIENT] * 10_000}),
    "parameters": lambda: {"resourceType": "Parameters", "parameter": [{"name": "x"}] * 50_000},
    "questions and answers": lambda: {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "item": [{"linkId": "x", "answer": [{"valueBoolean": True}] * 20_000}] * 2,
    },
}


@pytest.mark.parametrize("kind", WIDE)
def test_width_is_answered(kind: str) -> None:
    answered(WIDE[kind]())


@pytest.mark.parametrize("profile", [canonical.REFERRAL_TASK])
@pytest.mark.parametrize(
    "output",
    [
        {"type": {"text": "x"}, "valueString": "x"},
        {"type": {"coding": [{"system": canonical.TASK_OUTPUT, "code": "x"}]}, "valueString": "x"},
        {"type": {"coding": [{"code": "x"}] * 8}, "valueReference": {"reference": "Procedure/x"}},
    ],
    ids=["words", "a coding", "many codings"],
)
def test_the_slices_of_five_thousand_outputs(profile: str, output: dict[str, Any]) -> None:
    resource = task(output=[output] * 5_000, input=[output] * 5_000)
    answered(resource, profile)


# What it claims to be


NO_TYPES = [
    *(None, True, 3, 1.5, [], ["Patient"], {}, {"resourceType": "Patient"}),
    *("", "patient", "Patient ", "Patient\n", "../Patient", "__class__", "x" * LONG),
    *("Resource", "DomainResource", "Element", "BackboneElement", "HumanName", "Patient.contact", "xhtml"),
]


@pytest.mark.parametrize("name", NO_TYPES, ids=lambda name: repr(name)[:24])
def test_a_resource_type_of_the_wrong_kind(name: Any) -> None:
    for resource in (
        {"resourceType": name},
        patient(contained=[{"resourceType": name}]),
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {"resourceType": name}}]},
        {"resourceType": "Parameters", "parameter": [{"name": "x", "resource": {"resourceType": name}}]},
    ):
        assert {issue.code for issue in answered(resource)} == {"structure"}


@pytest.mark.parametrize(
    "content", [None, True, 0, "x", "x" * LONG, [], [patient()], [[]] * MANY, {}, {"": ""}]
)
def test_what_is_no_resource(content: Any) -> None:
    assert [issue.code for issue in answered(content)] == ["structure"]


# Circles


def self_referring() -> Definitions:
    """A profile whose references must again conform to it."""
    url = "urn:example:StructureDefinition/link"
    definition = {
        "resourceType": "StructureDefinition",
        "url": url,
        "name": "Link",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Task",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Task",
        "derivation": "constraint",
    }
    reference = [{"code": "Reference", "targetProfile": [url]}]
    elements = [
        {"id": "Task", "path": "Task", "min": 0, "max": "*"},
        {"id": "Task.partOf", "path": "Task.partOf", "min": 0, "max": "*", "type": reference},
        {"id": "Task.focus", "path": "Task.focus", "min": 0, "max": "1", "type": reference},
    ]
    parts = {"snapshot": {"element": elements}, "differential": {"element": elements}}
    return Definitions([Package("example", "1", resources=({**definition, **parts},))])


LINK = "urn:example:StructureDefinition/link"


@pytest.mark.parametrize("length", [1, 2, 50, 3_000])
@pytest.mark.parametrize("closed", [True, False], ids=["a circle", "a chain"])
def test_references_that_lead_on_and_on(length: int, closed: bool) -> None:
    entries = [
        task(meta={"profile": [LINK]}, focus={"reference": f"urn:uuid:{n + 1}"}) for n in range(length)
    ]
    entries[-1] = task(meta={"profile": [LINK]}, **({"focus": {"reference": "urn:uuid:0"}} if closed else {}))
    answered(bundle(*entries), held=self_referring())


def test_references_from_all_to_all() -> None:
    everything = [{"reference": f"urn:uuid:{n}"} for n in range(150)]
    entries = [task(meta={"profile": [LINK]}, partOf=everything) for _ in everything]
    answered(bundle(*entries), held=self_referring())


def test_contained_resources_that_refer_to_each_other() -> None:
    inner = [
        task(id=f"t{n}", meta={"profile": [LINK]}, focus={"reference": f"#t{(n + 1) % 40}"})
        for n in range(40)
    ]
    outer = task(meta={"profile": [LINK]}, contained=inner, focus={"reference": "#t0"})
    answered(outer, held=self_referring())
    answered(task(meta={"profile": [LINK]}, focus={"reference": "#"}), held=self_referring())
