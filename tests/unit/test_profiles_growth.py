"""What a check costs as resources, and the definitions held, grow: counted in steps of Python, not in time.

A step is one instruction of the interpreter, so the count is the same on every machine and in every run. What
runs outside of the interpreter (the JSON Schema validator, look-ups) is not seen here; bench/validate.py
measures that.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from profiles import canonical, errors, validate
from profiles.registry import Definitions, Package, shipped

LINEAR = 1.1  # how much steeper than linear the count may grow


def steps(run: Callable[[], object]) -> int:
    """How many instructions `run` takes the second time, when all that is compiled once is compiled."""
    run()
    counted = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal counted
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        counted += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return counted


def task(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Task", "status": "requested", "intent": "order", **elements}


def entries(resources: list[dict[str, Any]]) -> dict[str, Any]:
    found = [{"fullUrl": f"urn:uuid:{number}", "resource": one} for number, one in enumerate(resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": found}


OUTPUT = {"type": {"coding": [{"system": canonical.TASK_OUTPUT, "code": "x"}]}, "valueString": "x"}
GROWING: dict[str, Callable[[int], dict[str, Any]]] = {
    "outputs of a Task": lambda size: task(output=[OUTPUT] * size),
    "codings": lambda size: task(
        code={"coding": [{"system": "urn:x", "code": f"c{n}"} for n in range(size)]}
    ),
    "extensions": lambda size: task(extension=[{"url": f"urn:{n}", "valueString": "x"} for n in range(size)]),
    "contained resources": lambda size: task(
        contained=[task(id=f"t{n}") for n in range(size)],
        partOf=[{"reference": f"#t{n}"} for n in range(size)],
    ),
    "entries that refer to the next": lambda size: entries(
        [task(partOf=[{"reference": f"urn:uuid:{(n + 1) % size}"}]) for n in range(size)]
    ),
    "entries that refer to one": lambda size: entries(
        [task(partOf=[{"reference": "urn:uuid:0"}]) for _ in range(size)]
    ),
    "mistakes": lambda size: task(output=[{"type": {"text": "x"}, "valueCode": " x "}] * size),
}

OF_A_TASK = [kind for kind, made in GROWING.items() if made(1)["resourceType"] == "Task"]


@pytest.mark.parametrize(
    ("kind", "profile"),
    [*((kind, None) for kind in GROWING), *((kind, canonical.REFERRAL_TASK) for kind in OF_A_TASK)],
)
def test_the_cost_grows_in_step_with_the_size(kind: str, profile: str | None) -> None:
    none, some, many = (GROWING[kind](size) for size in (1, 40, 160))
    base = steps(lambda: validate(none, profile))
    small = steps(lambda: validate(some, profile)) - base
    large = steps(lambda: validate(many, profile)) - base
    assert large <= small * 159 / 39 * LINEAR


def more(count: int) -> Definitions:
    """The definitions that ship, and `count` profiles of a stranger beside them, each with its rules."""
    package = Package("example", "1", resources=tuple(profile(number) for number in range(count)))
    return Definitions([package])


def profile(number: int) -> dict[str, Any]:
    name = "Task" if number % 2 else "ServiceRequest"
    elements = [
        {"id": name, "path": name, "min": 0, "max": "*"},
        {"id": f"{name}.status", "path": f"{name}.status", "min": 1, "max": "1"},
        {"id": f"{name}.note", "path": f"{name}.note", "min": 0, "max": str(number + 1)},
    ]
    return {
        "resourceType": "StructureDefinition",
        "url": f"urn:example:StructureDefinition/{number}",
        "name": f"Example{number}",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": name,
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{name}",
        "derivation": "constraint",
        "snapshot": {"element": elements},
        "differential": {"element": elements},
    }


@pytest.mark.parametrize("claimed", [canonical.REFERRAL_TASK, "urn:example:none"])
def test_definitions_that_are_held_and_not_used_cost_nothing(claimed: str) -> None:
    resource = task(meta={"profile": [claimed]}, output=[OUTPUT] * 3)
    without, with_500 = shipped(), more(500)
    for number in range(500):  # all of them compiled, not only held
        validate(task(), f"urn:example:StructureDefinition/{number}", with_500)
    assert steps(lambda: validate(resource, None, with_500)) == steps(
        lambda: validate(resource, None, without)
    )


def test_each_of_500_profiles_is_enforced() -> None:
    held = more(500)
    for number in (1, 3, 499):
        notes = [{"text": "x"}] * (number + 2)
        found = errors(validate(task(note=notes), f"urn:example:StructureDefinition/{number}", held))
        assert [issue.expression for issue in found] == ["Task.note"]
        assert not errors(validate(task(note=notes[1:]), f"urn:example:StructureDefinition/{number}", held))


def test_the_count_sees_a_loop_in_a_loop() -> None:
    def quadratic(size: int) -> int:
        return sum(1 for _ in range(size) for _ in range(size))

    assert steps(lambda: quadratic(160)) > steps(lambda: quadratic(40)) * 4 * LINEAR
