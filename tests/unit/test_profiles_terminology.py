"""Which codes stand above others, and what a code is called in another system."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles import canonical, r4
from profiles.canonical import ACT_REASON, CONFIDENTIALITY
from profiles.terminology import ConceptMapError, known, load_concept_map, subsumes
from profiles.value_sets import value_set


@pytest.mark.parametrize("specific", ["TREAT", "COC", "ETREAT", "BTG"])
def test_treatment_covers_what_stands_below_it(specific: str) -> None:
    assert subsumes(ACT_REASON, "TREAT", specific)


@pytest.mark.parametrize(
    ("general", "specific"),
    [
        ("COC", "TREAT"),
        ("TREAT", "CAREMGT"),
        ("ETREAT", "COC"),
        ("TREAT", "HOPERAT"),
        ("TREAT", "coc"),
        ("", ""),
    ],
)
def test_a_purpose_covers_nothing_beside_or_above_it(general: str, specific: str) -> None:
    assert not subsumes(ACT_REASON, general, specific)


def test_care_management_is_an_operation_and_not_treatment() -> None:
    assert subsumes(ACT_REASON, "HOPERAT", "CAREMGT")


def test_restricted_covers_normal_and_not_very_restricted() -> None:
    assert subsumes(CONFIDENTIALITY, "R", "N")
    assert subsumes(CONFIDENTIALITY, "R", "R")
    assert not subsumes(CONFIDENTIALITY, "R", "V")


@given(st.sampled_from([ACT_REASON, CONFIDENTIALITY]), st.text())
def test_a_code_nobody_knows_is_not_even_covered_by_itself(system: str, code: str) -> None:
    assert subsumes(system, code, code) == known(system, code)
    assert known(system, code) <= (
        code in {"U", "L", "M", "N", "R", "V"} or code.isupper() or code == "PurposeOfUse"
    )


def test_another_system_has_no_hierarchy_here() -> None:
    with pytest.raises(LookupError):
        subsumes(canonical.SNOMED, "1", "1")


def concept_map(**unmapped: str) -> dict[str, Any]:
    group: dict[str, Any] = {
        "source": "urn:example:local",
        "target": canonical.STATUS_REASON,
        "element": [
            {"code": "FULL", "target": [{"code": "provider-no-capacity", "equivalence": "equivalent"}]},
            {"code": "NOSHOW", "target": [{"code": "client-unreachable", "equivalence": "wider"}]},
            {"code": "???", "target": [{"equivalence": "unmatched"}]},
        ],
    }
    if unmapped:
        group["unmapped"] = unmapped
    return {"resourceType": "ConceptMap", "status": "active", "group": [group]}


def found(map_: dict[str, Any], code: str) -> list[tuple[str, str]]:
    return [(t.code, t.equivalence) for t in load_concept_map(map_).translate("urn:example:local", code)]


def test_a_listed_code_is_translated_with_its_equivalence() -> None:
    assert found(concept_map(), "FULL") == [("provider-no-capacity", "equivalent")]
    assert found(concept_map(), "NOSHOW") == [("client-unreachable", "wider")]


def test_a_code_listed_as_unmatched_has_no_translation_whatever_unmapped_says() -> None:
    assert found(concept_map(mode="fixed", code="provider-other"), "???") == []


def test_an_unlisted_code_follows_unmapped() -> None:
    assert found(concept_map(), "NEW") == []
    assert found(concept_map(mode="provided"), "NEW") == [("NEW", "equivalent")]
    assert found(concept_map(mode="fixed", code="provider-other"), "NEW") == [("provider-other", "inexact")]


def test_another_source_system_has_no_translation() -> None:
    assert load_concept_map(concept_map(mode="provided")).translate("urn:example:other", "FULL") == ()


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        (concept_map(mode="other-map", url="urn:x"), "ConceptMap.group[0].unmapped.mode"),
        (concept_map(mode="fixed"), "ConceptMap.group[0].unmapped.code"),
        (concept_map(mode="guess"), "ConceptMap.group[0].unmapped.mode"),
        ({"resourceType": "ConceptMap"}, "ConceptMap.status"),
        ({"resourceType": "Basic", "code": {"text": "x"}}, "ConceptMap"),
    ],
)
def test_a_map_that_cannot_be_used_is_refused_when_it_is_loaded(bad: dict[str, Any], where: str) -> None:
    with pytest.raises(ConceptMapError) as fault:
        load_concept_map(bad)
    assert [issue.expression for issue in fault.value.issues] == [where]


def test_value_sets_are_closed_open_or_below_a_code() -> None:
    assert value_set(f"{canonical.BASE}/ValueSet/referral-type").has(
        canonical.SDOHCC_CODES, "food-insecurity"
    )
    assert not value_set(f"{canonical.BASE}/ValueSet/referral-type").has(canonical.SDOHCC_CODES, "sdoh")
    assert value_set(f"{canonical.BASE}/ValueSet/service-code").has(canonical.SNOMED, "1")
    assert not value_set(f"{canonical.BASE}/ValueSet/service-code").has("urn:other", "1")
    assert value_set(f"{canonical.BASE}/ValueSet/purpose-of-use").has(ACT_REASON, "COC")
    assert not value_set(f"{canonical.BASE}/ValueSet/purpose-of-use").has(ACT_REASON, "FLRCNV")
    assert value_set("http://hl7.org/fhir/ValueSet/request-status|4.0.1").has_code("active")
    with pytest.raises(LookupError):
        value_set("http://hl7.org/fhir/ValueSet/nobody-holds-this")


def test_the_referral_states_are_fhirs_without_ready_and_received() -> None:
    fhir = {code for codes in r4.codes("task-status").values() for code in codes}
    ours = value_set(f"{canonical.BASE}/ValueSet/referral-task-status").closed[
        "http://hl7.org/fhir/task-status"
    ]
    assert ours == fhir - {"ready", "received"}
