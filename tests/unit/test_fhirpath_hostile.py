"""Predicates on what no schema has checked: a bounded, clear answer, in time that grows with the size."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from fhirpath_world import context
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import r4
from profiles.fhirpath import EvaluationError, Unsupported, compile_predicate
from profiles.fhirpath.parse import parse
from profiles.fhirpath.xhtml import is_narrative

TYPES = [
    "Task",
    "Bundle",
    "Questionnaire.item",
    "Reference",
    "Period",
    "Observation",
    "Range",
    "Timing.repeat",
]
WORDS = ["name", "exists", "where", "iif", "is", "and", "or", "$this", "%resource", "String", "@2020", "1"]
SIGNS = ["(", ")", ".", "=", "|", "[", "]", ",", "-", "{}", "%", "`", "'", "'a'", "#"]


def scalars() -> st.SearchStrategy[Any]:
    texts = st.sampled_from(
        ["", "a", "#a", "2024-01-01T10:00:00Z", "2024-13-01", "9999-12-31T23:59:59-14:00", "\ud800"]
    )
    return st.none() | st.booleans() | st.integers() | st.floats() | st.decimals(allow_nan=False) | texts


@st.composite
def shaped(draw: st.DrawFn, type_: str, depth: int = 3) -> Any:
    """JSON of the names of a type, and mostly of its shape."""
    keys = list(r4.by_key(type_))
    names = draw(st.lists(st.sampled_from(keys), max_size=5, unique=True))
    found: dict[str, Any] = {"resourceType": type_} if type_ in r4.resource_types() else {}
    for name in names:
        element, inner = r4.by_key(type_)[name]
        if depth and inner.code not in r4.primitives() and draw(st.integers(0, 9)):
            code = "Task" if inner.code == "Resource" else inner.code
            value = draw(shaped(code, depth - 1))
        else:
            value = draw(scalars())
            if draw(st.booleans()):
                found["_" + name] = draw(st.none() | st.just({"id": "a"}) | st.just([{"id": "a"}]))
        found[name] = (
            [value] * draw(st.integers(0, 2)) if element.max != 1 and draw(st.integers(0, 9)) else value
        )
    return found


@pytest.mark.parametrize("type_", TYPES)
def test_any_json_is_judged_or_refused(type_: str) -> None:
    predicates = [compile_predicate(one.expression, type_).predicate for one in r4.constraints(type_)]
    assert predicates

    @settings(max_examples=30, deadline=None)
    @given(shaped(type_))
    def judge(value: Any) -> None:
        for predicate in predicates:
            try:
                assert predicate(value, context(value)) in {True, False}
            except EvaluationError as fault:
                assert str(fault)

    judge()


@given(st.lists(st.sampled_from(WORDS + SIGNS), max_size=12).map(" ".join))
def test_any_text_is_compiled_or_refused(expression: str) -> None:
    try:
        predicate = compile_predicate(expression, "Patient").predicate
    except Unsupported as refused:
        assert str(refused)
        return
    patient = {"resourceType": "Patient", "name": [{"text": "a"}]}
    try:
        assert predicate(patient, context(patient)) in {True, False}
    except EvaluationError as fault:
        assert str(fault)


@pytest.mark.parametrize(
    ("expression", "because"),
    [
        ("name.frob()", r"frob\(\)"),
        ("name.where()", "where"),
        ("name.is(Nonsense)", "Nonsense"),
        ("%nothing.exists()", "variable"),
        ("gender.matches('(a)\\\\1')", "linear"),
        ("gender.replaceMatches('(a+)+', '')", "linear"),
        ("name.", "name"),
        ("name exists()", "ends early"),
        ("name = #", "character 8"),
        ("", "operand"),
        ("(" * 20_000 + "true", "deeply"),
        ("-" * 20_000 + "1 = 1", "deeply"),
        ("name" + ".first()" * 20_000, "deeply"),
    ],
)
def test_what_cannot_be_run_is_named_when_it_is_compiled(expression: str, because: str) -> None:
    with pytest.raises(Unsupported, match=because):
        compile_predicate(expression, "Patient")


def test_a_long_chain_is_a_loop() -> None:
    chain = " or ".join(["gender = 'male'"] * 5_000)
    patient = {"resourceType": "Patient", "gender": "male"}
    assert compile_predicate(chain, "Patient").predicate(patient, context(patient))


def test_a_deep_element_is_refused_where_equality_would_go_down_to_its_end() -> None:
    deep: dict[str, Any] = {"url": "a"}
    for _ in range(5_000):
        deep = {"url": "a", "extension": [deep]}
    patient = {"resourceType": "Patient", "extension": [deep, deep]}
    with pytest.raises(EvaluationError, match="deep"):
        compile_predicate("extension.isDistinct()", "Patient").predicate(patient, context(patient))
    assert compile_predicate("descendants().count() > 5000", "Patient").predicate(patient, context(patient))


def test_no_fault_repeats_a_value() -> None:
    secret = {
        "resourceType": "Patient",
        "name": [{"family": "Alvarado"}],
        "contact": "Alvarado",
        "birthDate": "Alvarado",
    }
    for expression in (
        "contact.name.given.exists()",
        "birthDate < today()",
        "name.family > 1",
        "name.family - 1 = 2",
    ):
        with pytest.raises(EvaluationError) as fault:
            compile_predicate(expression, "Patient").predicate(secret, context(secret))
        assert "Alvarado" not in str(fault.value) and fault.value.__cause__ is None


def contained(size: int) -> dict[str, Any]:
    return {
        "resourceType": "Task",
        "contained": [{"resourceType": "Patient", "id": f"p{n}"} for n in range(size)],
        "input": [{"valueReference": {"reference": f"#p{n}"}} for n in range(size)],
    }


def observation(size: int) -> dict[str, Any]:
    codes = [{"system": "s", "code": str(n)} for n in range(size)]
    parts = [{"code": {"coding": [{"system": "s", "code": "x"}]}} for _ in range(size)]
    return {"resourceType": "Observation", "valueString": "a", "code": {"coding": codes}, "component": parts}


def questions(size: int) -> dict[str, Any]:
    return {"resourceType": "Questionnaire", "item": [{"linkId": str(n)} for n in range(size)]}


def definition(size: int) -> dict[str, Any]:
    paths = [{"path": "Patient"}, *({"path": f"Patient.{n}"} for n in range(size))]
    return {"resourceType": "StructureDefinition", "type": "Patient", "snapshot": {"element": paths}}


def narrative(size: int) -> dict[str, Any]:
    return {"resourceType": "Patient", "text": {"div": "<div" + " " * size + "<b " * size}}


@pytest.mark.parametrize(
    ("make", "expression", "expected"),
    [
        (contained, "dom-3", True),
        (contained, "descendants().ofType(Reference).all(resolve().exists())", True),
        (observation, "obs-7", True),
        (questions, "que-2", True),
        (questions, "(item | repeat(item)).count() = item.count()", True),
        (definition, "snapshot.element.all(path.startsWith(%resource.snapshot.element.first().path))", True),
        (narrative, "text.`div`.htmlChecks()", False),
        (questions, "item.linkId.first().matches('(0*)*$')", True),
    ],
)
def test_time_grows_with_the_size(make: Callable[[int], Any], expression: str, expected: bool) -> None:
    """Ten times the size may take up to 50 times as long, where a quadratic rule would take 100."""
    type_ = make(1)["resourceType"]
    known = {one.key: one.expression for one in r4.constraints(type_)}
    predicate = compile_predicate(known.get(expression, expression), type_).predicate

    def seconds(size: int) -> float:
        best = float("inf")
        for _ in range(3):
            resource = make(size)
            begun = time.process_time()
            assert predicate(resource, context(resource)) is expected
            best = min(best, time.process_time() - begun)
        return best

    assert seconds(2_000) < max(50 * seconds(200), 0.02)


def test_one_context_lists_the_contained_resources_once() -> None:
    """Five thousand contained resources that refer to each other: ref-1 of each is a look-up."""
    task = contained(5_000)
    root = context(task)
    predicate = compile_predicate(next(iter(r4.constraints("Reference"))).expression, "Reference").predicate
    begun = time.process_time()
    for one in task["contained"]:
        assert predicate({"reference": f"#{one['id']}"}, root.within(one))
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("inside", "good"),
    [
        ("A", True),
        ("<p>A &amp; B&nbsp;&#10;&#x41;</p><br/>", True),
        ('<img src="a.png" alt="A"/>', True),
        ('<a href="https://waymeet.example">A</a><!-- a remark -->', True),
        ("", False),
        ("<!-- A -->", False),
        ("<p>A", False),
        ("<p>A</b>", False),
        ("<script>A</script>", False),
        ('<p onclick="a()">A</p>', False),
        ('<p class="a" class="b">A</p>', False),
        ("A & B", False),
        ("A &nothing; B", False),
        ("A <!-- B", False),
        ("A < B", False),
        ("<![CDATA[A]]>", False),
        ("<?php A ?>", False),
    ],
)
def test_a_narrative_is_plain_xhtml(inside: str, good: bool) -> None:
    assert is_narrative(f'<div xmlns="http://www.w3.org/1999/xhtml">{inside}</div>') is good


@pytest.mark.parametrize(
    "text",
    ["", "A", "<div>A</div>", '<p xmlns="http://www.w3.org/1999/xhtml">A</p>']
    + [
        f'{before}<div xmlns="http://www.w3.org/1999/xhtml">A</div>{after}'
        for before, after in (("A", ""), ("", "A"), ("", "<b/>"))
    ],
)
def test_a_narrative_is_one_div_of_xhtml(text: str) -> None:
    assert not is_narrative(text)


def test_equal_trees_are_one() -> None:
    assert parse("a.where(b = 'c')[0]") == parse(" a . where ( b='c' ) [ 0 ] ")
