"""Our profiles, told as data: one good resource each, and what every single wrong fact is answered with."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles import canonical, errors, validate
from profiles.document import load

CASES = Path(__file__).parents[1] / "cases" / "profiles"
EXPECT = {
    "type": "object",
    "required": ["code", "expression"],
    "additionalProperties": False,
    "properties": {
        **{key: {"type": "string"} for key in ("code", "expression", "constraint")},
        # What FHIR R4 itself says of the same fact: constraint keys, or the codes of issues without one.
        "also": {"type": "array", "items": {"type": "string"}},
    },
}
REFUSAL = {
    "type": "object",
    "required": ["because", "expect"],
    "additionalProperties": False,
    "properties": {
        "because": {"type": "string"},
        "set": {"type": "object"},
        "remove": {"type": "array", "items": {"type": "string"}},
        "expect": EXPECT,
    },
    "oneOf": [{"required": ["set"]}, {"required": ["remove"]}],
}
SCHEMA = {
    "type": "object",
    "required": ["profile", "good", "refusals"],
    "additionalProperties": False,
    "properties": {
        "profile": {"type": "string"},
        "good": {"type": "object"},
        "refusals": {"type": "array", "items": REFUSAL, "minItems": 1},
    },
}
FILES = {path.stem: load(path, SCHEMA).data for path in sorted(CASES.glob("*.yaml"))}


def url(case: dict[str, Any]) -> str:
    return f"{canonical.BASE}/StructureDefinition/{case['profile']}"


def find(node: Any, path: list[str]) -> Any:
    for part in path:
        node = node[int(part) if isinstance(node, list) else part]
    return node


def changed(good: dict[str, Any], refusal: dict[str, Any]) -> dict[str, Any]:
    """The good resource with the one fact changed."""
    resource = deepcopy(good)
    for path, value in refusal.get("set", {}).items():
        *before, last = path.split(".")
        owner = find(resource, before)
        owner[int(last) if isinstance(owner, list) else last] = value
    for path in refusal.get("remove", []):
        *before, last = path.split(".")
        del find(resource, before)[last]
    return resource


@pytest.mark.parametrize("name", FILES)
def test_the_good_resource_passes(name: str) -> None:
    assert errors(validate(FILES[name]["good"], url(FILES[name]))) == []


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        pytest.param(name, refusal, id=f"{name}: {refusal['because']}")
        for name, case in FILES.items()
        for refusal in case["refusals"]
    ],
)
def test_one_wrong_fact_is_refused_for_that_reason_alone(name: str, refusal: dict[str, Any]) -> None:
    case = FILES[name]
    expect = refusal["expect"]
    found = errors(validate(changed(case["good"], refusal), url(case)))
    others = [i for i in found if (i.constraint or i.code) in expect.get("also", ())]
    assert sorted(i.constraint or i.code for i in others) == expect.get("also", [])
    assert [(i.code, i.expression, i.constraint) for i in found if i not in others] == [
        (expect["code"], expect["expression"], expect.get("constraint", ""))
    ]


def places(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every value in a resource."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(found for key, child in children for found in places(child, (*path, key)))]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(data=st.data())
def test_whatever_stands_in_one_place_is_answered_never_raised(data: st.DataObject) -> None:
    case = FILES[data.draw(st.sampled_from(sorted(FILES)))]
    resource = deepcopy(case["good"])
    path = data.draw(st.sampled_from(places(resource)[1:]))
    find(resource, [str(part) for part in path[:-1]])[path[-1]] = data.draw(ANYTHING)
    assert isinstance(validate(resource, url(case)), list)
    assert isinstance(validate(resource), list)


CANARY = "Zq7Canary"


@given(data=st.data())
def test_no_message_repeats_a_value_or_a_strange_name(data: st.DataObject) -> None:
    case = FILES[data.draw(st.sampled_from(sorted(FILES)))]
    resource = deepcopy(case["good"])
    path = data.draw(st.sampled_from(places(resource)[1:]))
    spoilt = data.draw(
        st.sampled_from([CANARY, [CANARY], {CANARY: CANARY}, {"value": CANARY}, f"{CANARY} \x00"])
    )
    find(resource, [str(part) for part in path[:-1]])[path[-1]] = spoilt
    assert CANARY not in repr(validate(resource, url(case)))


@given(ANYTHING)
def test_any_json_is_answered_with_issues(content: Any) -> None:
    assert validate(content)
