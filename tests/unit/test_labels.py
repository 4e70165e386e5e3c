"""Labels by code and by mapping: what a coded fact carries inside, and what a mapping declares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from consent.items import POLICIES
from consent.label_files import load_labels
from consent.label_list import CPT, ICD_10_CM
from consent.labelling import LabelTable, declared
from consent.labels import outward
from consent.sensitivity import RESTRICTED, label_named, settled
from profiles.canonical import ACT_CODE, CONFIDENTIALITY, LOINC, SNOMED
from profiles.terminology import subsumes

CASES: list[Mapping[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases/labels/resources.yaml").read_text()
)
TABLE = load_labels([POLICIES / "labels"])
LISTED = sorted(
    (group.system, code) for one in TABLE.lists for group in one.groups for code in group.exact | group.below
)
ORDINARY = [(ICD_10_CM, "S82.101A"), (LOINC, "24320-4"), (SNOMED, "183524004"), ("", "B20"), (ICD_10_CM, "")]
LABELS = [
    *((CONFIDENTIALITY, code) for code in "ULMNRV"),
    *((ACT_CODE, code) for code in ("SDV", "HIV", "PERSISTLABEL", "42CFRPart2", "AMB", "NEVER-HEARD-OF")),
    ("http://example.org/labels", "OWN"),
]

codings = st.lists(st.sampled_from([*LISTED, *ORDINARY]), max_size=5)
labels = st.lists(st.sampled_from(LABELS), max_size=4)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["meta", "security", "coding", "system", "code", "url", "valueCoding", "x"])
            | st.just("confidentiality")
            | st.just("securityLabel"),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def codes(found: frozenset[tuple[str, str]]) -> list[str]:
    return sorted(code for _, code in found)


def rank(found: frozenset[tuple[str, str]]) -> int:
    return max(("ULMNRV".index(code) for system, code in found if system == CONFIDENTIALITY), default=-1)


@pytest.mark.parametrize("case", CASES, ids=[case["story"] for case in CASES])
def test_a_resource_carries_the_labels_of_its_codes(case: Mapping[str, Any]) -> None:
    assert codes(TABLE.of_resource(case["resource"])) == sorted(case["labels"])


@pytest.mark.parametrize("one", TABLE.lists, ids=[one.id for one in TABLE.lists])
def test_every_list_says_what_it_is_for_and_restricts(one: Any) -> None:
    assert one.citation
    assert one.text.endswith(".")
    assert rank(one.labels) >= "ULMNRV".index("R")
    for group in one.groups:
        assert group.source
        assert group.system != CPT, "CPT codes are the American Medical Association's"
        for code in group.exact | group.below:
            assert one.labels <= TABLE.of_codes([(group.system, code)])


def test_a_beginning_covers_what_is_under_it_and_nothing_beside_it() -> None:
    def of(code: str) -> list[str]:
        return codes(TABLE.of_codes([(ICD_10_CM, code)]))

    assert of("B20") == of("B20.0") == ["HIV", "R"]
    assert of("Z62.810") == ["R", "SDV"]
    assert of("Z62.29") == ["R"]  # problems of upbringing: a social need
    assert of("B2") == []
    assert of("B21") == []


def test_a_label_that_no_code_gives_away_is_not_given() -> None:
    """That a record is a Part 2 program's, a shelter's, a therapist's note, no code can say."""
    never = {"42CFRPart2", "SSP", "LOCIS", "PSYTHPN"}
    assert not never & {code for one in TABLE.lists for _, code in one.labels}


@pytest.mark.parametrize(
    ("sensitivity", "labels"),
    [
        ("SDV", ["R", "SDV"]),
        ("V", ["V"]),
        ("N", ["N"]),
        ("42CFRPart2", ["42CFRPart2", "R"]),
        ("AMB", ["AMB", "R"]),
    ],
)
def test_what_a_mapping_declares_sensitive_is_restricted(sensitivity: str, labels: list[str]) -> None:
    assert codes(declared(sensitivity)) == labels


def test_a_sensitivity_that_hl7_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no code of v3-Confidentiality or v3-ActCode"):
        declared("SECRET")


def test_what_goes_out_says_nothing_of_what_is_inside() -> None:
    marks = {(mark["system"], mark["code"]) for read in (True, False) for mark in outward(read_only=read)}
    inside = {label for one in TABLE.lists for label in one.labels} - {RESTRICTED}
    assert not marks & inside


def test_headings_and_other_codes_of_v3_are_no_labels() -> None:
    assert label_named("SDV") == (ACT_CODE, "SDV")
    assert label_named("R") == RESTRICTED
    assert label_named("PERSISTLABEL") == (ACT_CODE, "PERSISTLABEL")
    for code in ("_InformationSensitivityPolicy", "SecurityPolicy", "AMB", "SOCIAL", "SECRET", ""):
        assert label_named(code) is None


@given(codings, codings)
def test_more_codes_never_take_a_label_away(some: list[tuple[str, str]], more: list[tuple[str, str]]) -> None:
    few, many = TABLE.of_codes(some), TABLE.of_codes([*some, *more])
    assert {label for label in few if label[0] != CONFIDENTIALITY} <= many
    assert rank(few) <= rank(many)


@given(codings, labels, st.sampled_from(["code", "category", "contained", "extension", "anything-new"]))
def test_wherever_a_code_stands_its_labels_are_found(
    some: list[tuple[str, str]], brought: list[tuple[str, str]], place: str
) -> None:
    resource = {
        "resourceType": "Basic",
        "meta": {"security": [{"system": system, "code": code} for system, code in brought]},
        place: [{"deep": {"coding": [{"system": system, "code": code} for system, code in some]}}],
    }
    found = TABLE.of_resource(resource)
    assert found == settled(TABLE.of_codes(some) | frozenset(brought))
    assert {label for label in brought if label[0] != CONFIDENTIALITY} <= found


@given(labels)
def test_labels_come_to_one_confidentiality_the_highest(some: list[tuple[str, str]]) -> None:
    found = settled(some)
    stated = [code for system, code in found if system == CONFIDENTIALITY]
    assert len(stated) <= 1
    for system, code in some:
        if system == CONFIDENTIALITY:
            assert subsumes(CONFIDENTIALITY, stated[0], code)
    if {code for _, code in some} & {"SDV", "HIV", "42CFRPart2", "NEVER-HEARD-OF", "OWN"}:
        assert stated[0] in "RV"
    assert settled(found) == found


@given(anything)
def test_no_resource_is_too_broken_to_be_labelled(resource: Any) -> None:
    assert all(isinstance(label, tuple) for label in TABLE.of_resource(resource))


def test_an_empty_table_still_knows_sensitivities_when_it_sees_them() -> None:
    empty = LabelTable()
    assert empty.of_codes([(ICD_10_CM, "B20")]) == frozenset()
    assert codes(empty.of_codes([(ACT_CODE, "HIV")])) == ["HIV", "R"]
