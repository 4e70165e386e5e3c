"""FHIRPath told as data: elements for which an expression holds, is breached, or cannot be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fhirpath_world import context

from profiles import r4
from profiles.document import load
from profiles.fhirpath import EvaluationError, compile_predicate

CASES = Path(__file__).parents[1] / "cases" / "fhirpath"
_VALUES = {"type": "array"}
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["on", "holds", "breached"],
        "additionalProperties": False,
        "properties": {
            "on": {"type": "string"},
            "expression": {"type": "string"},
            "key": {"type": "string"},
            "resource": {"type": "object"},
            "holds": _VALUES,
            "breached": _VALUES,
            "untold": _VALUES,
        },
        "oneOf": [{"required": ["expression"]}, {"required": ["key"]}],
    },
}


def expression(case: dict[str, Any]) -> str:
    if "expression" in case:
        return str(case["expression"])
    (found,) = {one.expression for one in r4.constraints(case["on"]) if one.key == case["key"]}
    return found


def verdict(case: dict[str, Any], value: Any) -> str:
    type_ = case["on"]
    if type_ in r4.resource_types():
        value = {"resourceType": type_, **value}
    resource = case.get("resource") or (value if type_ in r4.resource_types() else {})
    try:
        holds = compile_predicate(expression(case), type_).predicate(value, context(resource))
    except EvaluationError:
        return "untold"
    return "holds" if holds else "breached"


def every_case() -> list[Any]:
    return [
        pytest.param(
            path.stem, case, wanted, value, id=f"{case.get('key') or case['expression']}-{wanted}-{n}"
        )
        for path in sorted(CASES.glob("*.yaml"))
        for case in load(path, SCHEMA).data
        for wanted in ("holds", "breached", "untold")
        for n, value in enumerate(case.get(wanted, []))
    ]


@pytest.mark.parametrize(("file", "case", "wanted", "value"), every_case())
def test_a_case(file: str, case: dict[str, Any], wanted: str, value: Any) -> None:
    assert verdict(case, value) == wanted
    assert compile_predicate(expression(case), case["on"]).native is (file != "library")
