"""A mapping as a StructureMap: what it says is what the mapping does, and what it cannot say is listed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fhirpathpy import evaluate
from hypothesis import given
from hypothesis import strategies as st

from mappings import LocalMapping, load, shipped
from mappings.structure_conditions import fhirpath
from mappings.structure_map import not_exported, structure_map
from profiles import validate
from profiles.document import Document

SYSTEMS = sorted(path.parent.name for path in shipped("case-json").parent.parent.glob("*/mapping.yaml"))
NEED = {
    "resourceType": "ConceptMap",
    "url": "http://need.example/map",
    "status": "active",
    "group": [
        {
            "target": "http://need.example",
            "element": [{"code": "food", "target": [{"code": "F", "equivalence": "equal"}]}],
        }
    ],
}
TINY = """
system: tiny
version: "3"
title: A tiny system
format: {type: json}
codes:
  need: {map: need.json, unmapped: reject}
  same: {map: same.json, unmapped: reject}
records:
  asked for:
    kind: referral
    fields: [id, first, last, born, seen, mobile, home, need, why, urgent, phones.number, phones.kind]
    key: [{constant: tiny}, id]
    subject: {system: {constant: "urn:tiny"}, value: id}
    resources:
      Patient:
        identifier:
          - system: urn:tiny
            value: {from: id, required: true}
        name:
          - given: [{join: [first, last], with: " "}]
            text: {first: [first, last], when: {from: urgent, is: "yes"}}
        birthDate: {from: born, date: [ISO, MM/DD/YYYY]}
        telecom:
          - each: phones
            make: {value: {from: .number}, use: {constant: mobile, when: {from: .kind, is: [m, mob]}}}
          - value: {from: mobile, phone: US}
      ServiceRequest:
        status: active
        intent: order
        doNotPerform: false
        category: [{from: need, concept: need}]
        priority: {from: need, code: same}
        authoredOn: {from: seen, datetime: {formats: ISO, zone: America/New_York}}
        note:
          - when: {not: {from: why, present: false}}
            text: {from: why}
          - when: {from: {from: why, lower: true}, is: a}
            text: {from: home}
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LocalMapping:
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "need.json").write_text(json.dumps(NEED), encoding="utf-8")
    same = {key: value for key, value in NEED.items() if key != "url"}
    (folder / "same.json").write_text(json.dumps(same), encoding="utf-8")
    path = folder / "mapping.yaml"
    path.write_text(TINY, encoding="utf-8")
    return load(path)


def leaves(
    rules: list[dict[str, Any]], sources: tuple[Any, ...] = ()
) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Each innermost rule with the sources of all rules around it and its own."""
    for rule in rules:
        around = (*sources, *rule["source"])
        if rule.get("rule"):
            yield from leaves(rule["rule"], around)
        else:
            yield around, rule


def said(mapping: LocalMapping, element: str) -> list[tuple[list[str], str, list[Any]]]:
    """How the rules for an element's name make it: conditions and fields, transform, parameters."""
    (group,) = structure_map(mapping, mapping.kinds[0])["group"]
    found = []
    for sources, rule in leaves(group["rule"]):
        target = rule.get("target", [{}])[-1]
        if target.get("element") == element and "transform" in target:
            way = [source.get("condition", source.get("element")) for source in sources]
            values = [next(iter(one.values())) for one in target["parameter"] if "valueId" not in one]
            found.append(([step for step in way if step], target["transform"], values))
    return found


def test_a_map_names_itself_and_the_types_it_makes(tiny: LocalMapping) -> None:
    made = structure_map(tiny, tiny.kinds[0])
    assert validate(made) == []
    assert made["url"] == "https://waymeet.example/fhir/StructureMap/tiny-asked-for"
    assert (made["name"], made["version"]) == ("MapTinyAskedFor", "3")
    assert [part["url"].rpartition("/")[2] for part in made["structure"]] == [
        "Bundle",
        "Patient",
        "ServiceRequest",
    ]
    (group,) = made["group"]
    assert [rule["target"][1]["element"] for rule in group["rule"]] == ["resource", "resource"]


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ("system", [([], "copy", ["urn:tiny"])]),
        ("doNotPerform", [([], "copy", [False])]),
        ("birthDate", [(["born"], "dateOp", ["ISO", "MM/DD/YYYY"])]),
        ("authoredOn", [(["seen"], "dateOp", ["ISO", "America/New_York"])]),
        ("category", [(["need"], "translate", ["http://need.example/map", "CodeableConcept"])]),
        (
            "priority",
            [(["need"], "translate", ["https://waymeet.example/fhir/ConceptMap/tiny-same", "code"])],
        ),
        ("value", [(["id"], "copy", []), (["phones", "number"], "copy", [])]),
        ("use", [(["phones", "`kind`.intersect('m' | 'mob').exists()"], "copy", ["mobile"])]),
        (
            "text",
            [
                (["`urgent`.intersect('yes').exists()", "first"], "copy", []),
                (["`urgent`.intersect('yes').exists() and `first`.empty()", "last"], "copy", []),
                (["`why`.empty().not()", "why"], "copy", []),
            ],
        ),
    ],
)
def test_what_the_subset_can_say_is_said(tiny: LocalMapping, element: str, expected: Any) -> None:
    assert said(tiny, element) == expected


def test_what_is_required_is_asked_for(tiny: LocalMapping) -> None:
    sources = [
        source for way, _ in leaves(structure_map(tiny, tiny.kinds[0])["group"][0]["rule"]) for source in way
    ]
    assert [source["element"] for source in sources if source.get("min") == 1] == ["id"]


def test_what_the_subset_cannot_say_is_listed_and_has_no_transform(tiny: LocalMapping) -> None:
    assert [(line.element, reason) for line, reason in not_exported(tiny, tiny.kinds[0])] == [
        ("Patient.name[0].given[0]", "a value that is joined, or made in several steps"),
        ("Patient.telecom[1].value", "the function 'phone'"),
        ("ServiceRequest.note[1].text", "a condition on what a function makes"),
    ]
    rules = structure_map(tiny, tiny.kinds[0])["group"][0]["rule"]
    documented = [rule for _, rule in leaves(rules) if "documentation" in rule]
    assert [rule["documentation"] for rule in documented] == [
        "not expressible: a value that is joined, or made in several steps",
        "not expressible: the function 'phone'",
        "not expressible: a condition on what a function makes",
    ]
    assert not any("transform" in target for rule in documented for target in rule.get("target", []))


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_map_of_a_shipped_mapping_is_valid_and_says_or_lists_every_entry(system: str) -> None:
    mapping = load(shipped(system))
    kinds = [kind for kind in mapping.kinds if kind.kind not in ("skip", "refuse")]
    assert kinds
    for kind in kinds:
        made = structure_map(mapping, kind)
        assert validate(made) == []
        rules = [rule for _, rule in leaves(made["group"][0]["rule"])]
        transforms = [rule for rule in rules if "transform" in rule.get("target", [{}])[-1]]
        left = tuple(line.element for line, _ in not_exported(mapping, kind))
        lines = {line.element for line in kind.lines if line.kind is not None}
        assert len(transforms) >= len({element for element in lines if not element.startswith(left)})


values = st.one_of(st.sampled_from(["a", "b", "true", "7"]), st.booleans(), st.integers(6, 8))
records = st.fixed_dictionaries(
    {},
    optional={
        "x": values,
        "y": st.lists(values, min_size=1, max_size=3),
        "group": st.lists(st.fixed_dictionaries({}, optional={"n": values}), min_size=1, max_size=3),
    },
)
words = st.one_of(
    st.sampled_from(["a", "b'", "true", "7"]),
    st.lists(st.sampled_from(["a", "b", "7"]), min_size=1, max_size=2),
)


def simple(*fields: str) -> st.SearchStrategy[dict[str, Any]]:
    field = st.sampled_from(fields)
    return st.one_of(
        st.builds(lambda name, word: {"from": name, "is": word}, field, words),
        st.builds(lambda name, word: {"from": name, "only": word}, field, words),
        st.builds(lambda name, there: {"from": name, "present": there}, field, st.booleans()),
    )


def compound(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, min_size=1, max_size=2)
    return st.one_of(
        st.builds(lambda parts: {"all": parts}, several),
        st.builds(lambda parts: {"any": parts}, several),
        st.builds(lambda part: {"not": part}, inner),
    )


in_group = st.builds(
    lambda every: {"each": "group", "every": every}, st.recursive(simple(".n", "x"), compound, max_leaves=3)
)
conditions = st.recursive(st.one_of(simple("x", "y"), in_group), compound, max_leaves=4)
CONDITIONAL = """
system: tiny
version: "1"
title: A tiny system
format: {type: json}
records:
  one:
    kind: status
    when: %s
    fields: [x, y, group.n, id]
    key: [id]
    resources:
      Task: {status: accepted, note: [{text: {first: [x, y]}}, {each: group, make: {text: {from: .n}}}]}
"""


@given(condition=conditions, record=records)
def test_a_condition_means_the_same_as_fhirpath(
    condition: dict[str, Any], record: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An independent engine tells what the FHIRPath means."""
    path = tmp_path_factory.getbasetemp() / "mapping.yaml"
    path.write_text(CONDITIONAL % json.dumps(condition), encoding="utf-8")
    (kind,) = load(path).kinds
    assert kind.fits is not None
    expression = fhirpath(Document("", {}, {}), (), condition, inside=False)
    assert evaluate(record, expression, {"record": record}) == [kind.fits(record, [])]
