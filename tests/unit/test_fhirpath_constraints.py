"""R4's own constraints: how they are run, and whether an engine that is not ours agrees."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fhirpath_world import elements

from profiles import r4
from profiles.document import load
from profiles.fhirpath import Context, EvaluationError, Predicate, Unsupported, compile_predicate
from profiles.fhirpath.errata import corrected, corrections
from profiles.fhirpath.library import interpreted
from profiles.fhirpath.parse import parse

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases"
REFS = ROOT.parent / "shared" / "refs"
_EXTENSION_ONLY = {"extension": [{"url": "urn:a", "valueString": "A"}]}

# Where the library stops with an error: it takes a primitive that has an extension and no value for an
# object, which it cannot read as text or as a date. R4 has it that such an element is there and has no value;
# the official validator and we go on without one.
STOPS_WITHOUT_VALUE = {"ref-1", "per-1", "bdl-8", "inv-1"}


def everywhere() -> Iterator[tuple[r4.Constraint, str]]:
    """Every constraint of R4 with the type of the element it is on."""
    for type_ in sorted(r4.type_names()):
        yield from ((constraint, type_) for constraint in r4.constraints(type_))
        if type_ not in r4.primitives():
            for element in r4.elements(type_).values():
                for one in element.types:
                    yield from ((constraint, one.code) for constraint in element.constraints)


def how(constraint: r4.Constraint, type_: str) -> str:
    try:
        return "native" if compile_predicate(constraint.expression, type_).native else "interpreted"
    except Unsupported:
        return "not supported"


def test_every_constraint_of_r4_is_native() -> None:
    assert Counter(how(*where) for where in everywhere()) == {"native": 957}


def test_every_correction_is_of_a_constraint_of_r4() -> None:
    assert set(corrections()) <= {constraint.expression for constraint, _ in everywhere()}


def test_every_constraint_of_the_guides_is_native() -> None:
    definitions = list(_definitions())
    if not definitions:
        pytest.skip("the guides' definitions are not beside the project")
    found = Counter(
        how(r4.Constraint(one["key"], "error", "", one["expression"], False), type_)
        for definition in definitions
        for one, type_ in _constrained(definition)
    )
    assert set(found) == {"native"} and found["native"] > 1_000


def _definitions() -> Iterator[dict[str, Any]]:
    for path in sorted(
        [*REFS.glob("us-core-*/*.json"), *REFS.glob("sdoh-clinicalcare-*/definitions/*.json")]
    ):
        resource = json.loads(path.read_text(encoding="utf-8"))
        if resource["resourceType"] == "StructureDefinition":
            yield resource


def _constrained(definition: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for element in definition["snapshot"]["element"]:
        path = element["path"]
        types = [path] if path in r4.type_names() else [one["code"] for one in element.get("type", [])]
        for one in element.get("constraint", []):
            yield from ((one, type_) for type_ in types if "expression" in one and type_ in r4.type_names())


@cache
def both(expression: str, type_: str) -> tuple[Predicate, Predicate]:
    expression = corrected(expression)
    tree = parse(expression)
    return compile_predicate(expression, type_).predicate, interpreted(expression, tree, type_, "")


def variants(value: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """An element as it is, and with each property in turn removed, doubled, reversed or without its value."""
    yield "as it is", value
    for name in value.keys() - {"resourceType"}:
        without = {key: content for key, content in value.items() if key != name}
        content = value[name]
        yield "removed", without
        if isinstance(content, list):
            yield "doubled", {**value, name: content * 2}
        elif isinstance(content, str):
            if not content[:4].isdigit():  # a date turned round is none, and the schema would say so
                yield "reversed", {**value, name: content[::-1]}
            yield "without value", {**without, f"_{name}": _EXTENSION_ONLY}


def disagreements(resource: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Constraint, variant and what the library says, wherever it does not say the same as we do."""
    for original, type_, env in elements(resource, "", None):
        for constraint in r4.constraints(type_):
            native, library = both(constraint.expression, type_)
            for variant, value in variants(original):
                here = Context(
                    value if original is env.resource else env.resource,
                    value if original is env.root else env.root,
                    env.resolve,
                    env.member_of,
                    env.conforms_to,
                )
                try:
                    ours: bool | str = native(value, here)
                except EvaluationError:
                    ours = "untold"
                try:
                    theirs: bool | str = library(value, here)
                except Exception:
                    theirs = "stops"
                if ours != theirs and not (ours == "untold" and theirs == "stops"):
                    yield constraint.key, variant, str(theirs)


def own_resources() -> dict[str, dict[str, Any]]:
    lines = (CASES / "validation" / "fidelity.ndjson").read_text(encoding="utf-8").splitlines()
    fidelity = {f"fidelity {n}": json.loads(line, parse_float=Decimal) for n, line in enumerate(lines, 1)}
    good = {path.stem: load(path, {}).data["good"] for path in sorted((CASES / "profiles").glob("*.yaml"))}
    return good | fidelity


def published() -> dict[str, Path]:
    return {path.stem: path for path in sorted(REFS.glob("sdoh-clinicalcare-*/examples/*.json"))}


def agrees(resource: dict[str, Any]) -> None:
    for key, variant, theirs in disagreements(resource):
        assert (variant, theirs) == ("without value", "stops") and key in STOPS_WITHOUT_VALUE, (
            key,
            variant,
            theirs,
        )


@pytest.mark.parametrize("name", own_resources())
def test_another_engine_agrees_on_our_resources(name: str) -> None:
    agrees(own_resources()[name])


@pytest.mark.parametrize(
    "name", published() or [pytest.param("", marks=pytest.mark.skip(reason="no examples here"))]
)
def test_another_engine_agrees_on_published_examples(name: str) -> None:
    agrees(json.loads(published()[name].read_text(encoding="utf-8"), parse_float=Decimal))


def test_the_comparison_would_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    real = both

    def yielding(expression: str, type_: str) -> tuple[Predicate, Predicate]:
        return (lambda _value, _env: True), real(expression, type_)[1]

    period = {"resourceType": "Encounter", "period": {"start": "2024-02-01", "end": "2024-01-01"}}
    assert ("per-1", "as it is", "False") not in disagreements(period)
    monkeypatch.setitem(globals(), "both", yielding)
    assert ("per-1", "as it is", "False") in disagreements(period)
