"""Which codes stand above others, and what a code is called in another system."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles import canonical
from profiles.canonical import ACT_CODE, ACT_REASON, CONFIDENTIALITY
from profiles.registry import Definitions, Package
from profiles.terminology import ConceptMapError, known, load_concept_map, subsumes


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


def test_a_reason_that_is_no_purpose_of_use_is_not_known() -> None:
    """v3-ActReason has them (`FLRCNV`, a reason to refuse), but nobody asks for data for such a reason."""
    assert not known(ACT_REASON, "FLRCNV")
    assert not subsumes(ACT_REASON, "_ActReason", "TREAT")


def test_another_system_has_no_hierarchy_here() -> None:
    with pytest.raises(LookupError):
        subsumes(canonical.SNOMED, "1", "1")


def test_any_system_that_is_held_whole_has_its_hierarchy() -> None:
    assert subsumes(ACT_CODE, "_ActConsentDirective", "OPTOUT")
    assert not subsumes(ACT_CODE, "OPTOUT", "_ActConsentDirective")
    assert known(canonical.STATUS_REASON, "provider-other")


def test_a_system_that_was_added_is_known_where_it_is_held() -> None:
    concepts = [{"code": "L-100", "concept": [{"code": "L-110"}]}]
    system = {
        "resourceType": "CodeSystem",
        "url": "urn:x:licensed",
        "content": "complete",
        "concept": concepts,
    }
    held = Definitions([Package("licensed", "1", resources=(system,))])
    assert subsumes("urn:x:licensed", "L-100", "L-110", held)
    assert not known("urn:x:licensed", "L-111", held)
    with pytest.raises(LookupError):
        known("urn:x:licensed", "L-100")


def test_a_system_held_in_part_is_no_ground_for_an_answer() -> None:
    part = {"resourceType": "CodeSystem", "url": "urn:x:p", "content": "fragment", "concept": [{"code": "a"}]}
    with pytest.raises(LookupError):
        known("urn:x:p", "a", Definitions([Package("p", "1", resources=(part,))]))


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
