"""What other checks of FHIR R4 let through, or wrongly refuse: told as data in tests/cases/validation.

`fhir.resources` is asked as well, so that a case which it gets right one day is no longer called a hole.
"""

from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from profiles import errors, validate
from profiles.document import load
from profiles.models import ModelError, typed

TEXT = {"type": "string"}
ERROR = {
    "type": "object",
    "required": ["code", "expression"],
    "additionalProperties": False,
    "properties": {"code": TEXT, "expression": TEXT, "constraint": TEXT},
}
SCHEMA = {
    "type": "object",
    "required": ["good", "cases"],
    "additionalProperties": False,
    "properties": {
        "good": {"type": "object", "minProperties": 1, "additionalProperties": {"type": "object"}},
        "cases": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["because", "on", "expect"],
                "additionalProperties": False,
                "anyOf": [{"required": ["set"]}, {"required": ["remove"]}],
                "properties": {
                    "because": TEXT,
                    "on": TEXT,
                    "set": {"type": "object"},
                    "remove": {"type": "array", "items": TEXT},
                    "wrong": {"type": "array", "items": {"enum": ["schema", "models"]}},
                    "expect": {
                        "oneOf": [
                            {"const": "accepted"},
                            ERROR,
                            {"type": "array", "minItems": 2, "items": ERROR},
                        ]
                    },
                },
            },
        },
    },
}
HOLES = load(Path(__file__).parents[1] / "cases" / "validation" / "known-holes.yaml", SCHEMA).data
each = pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{case['on']}: {case['because']}") for case in HOLES["cases"]]
)


def find(node: Any, path: list[str]) -> Any:
    for part in path:
        node = node[int(part) if isinstance(node, list) else part]
    return node


def changed(case: dict[str, Any]) -> dict[str, Any]:
    """The good resource with the case's facts changed; an index just past the end of a list adds to it."""
    resource = deepcopy(HOLES["good"][case["on"]])
    for path, value in case.get("set", {}).items():
        *before, last = path.split(".")
        owner = find(resource, before)
        if isinstance(owner, list):
            owner[int(last) : int(last) + 1] = [deepcopy(value)]
        else:
            owner[last] = deepcopy(value)
    for path in case.get("remove", []):
        *before, last = path.split(".")
        del find(resource, before)[last]
    return resource


@pytest.mark.parametrize("name", HOLES["good"])
def test_the_good_resource_passes(name: str) -> None:
    assert errors(validate(HOLES["good"][name])) == []
    assert typed(deepcopy(HOLES["good"][name])) is not None


@each
def test_the_hole_is_closed(case: dict[str, Any]) -> None:
    found = errors(validate(changed(case)))
    expected = [] if case["expect"] == "accepted" else case["expect"]
    expected = expected if isinstance(expected, list) else [expected]
    assert [(i.code, i.expression) for i in found] == [(e["code"], e["expression"]) for e in expected]
    assert [e.get("constraint", i.constraint) for i, e in zip(found, expected, strict=True)] == [
        i.constraint for i in found
    ]


@each
def test_fhir_resources_still_answers_as_the_case_says(case: dict[str, Any]) -> None:
    accepts = (case["expect"] == "accepted") != ("models" in case.get("wrong", ()))
    try:
        typed(changed(case))
    except ModelError:
        assert not accepts
    else:
        assert accepts


@pytest.mark.parametrize("word", ["1.0", "1.00", "2.5", "1E+2"])
def test_an_integer_is_written_without_a_point_or_an_exponent(word: str) -> None:
    patient = {**HOLES["good"]["Patient"], "multipleBirthInteger": Decimal(word)}
    assert [(i.code, i.expression) for i in errors(validate(patient))] == [
        ("value", "Patient.multipleBirth.ofType(integer)")
    ]


def test_both_kinds_of_mistake_are_there() -> None:
    """The data file is worth something only while it holds cases of both kinds of mistake."""
    wrong = [(case["expect"] == "accepted", who) for case in HOLES["cases"] for who in case.get("wrong", ())]
    assert {(False, "schema"), (False, "models"), (True, "schema")} <= set(wrong)
