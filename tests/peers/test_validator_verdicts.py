"""Valid or not: ours beside the HAPI validator (Java), over good resources and thousands of changed ones.

Both hold the same definitions; no network, no terminology server. What the two differ in is listed in
validator_disagreements.yaml with who is right; docs/reference/validation.md says it in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agreement import Class, Verdict, classes, classify, refusals, side_by_side, table, verdicts
from java_validator import SDOH_CC, US_CORE
from mutants import Mutant

pytestmark = pytest.mark.slow

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "validation.md"
GUIDES = SDOH_CC.is_dir() and US_CORE.is_dir()
needs_guides = pytest.mark.skipif(not GUIDES, reason="the guides' definitions are not beside this checkout")

MISSING = re.compile(r"Validation_VAL_Profile_Minimum$")
MISTYPED = re.compile(r"must be an? (JSON )?(Array|Object|simple value)|the primitive value must be")
OUTSIDE = re.compile(r"required from (this|the) value set|from this value set is required")

# Bound to value sets of CPT, HCPCS, SNOMED CT by filter, or VSAC.
NOT_CHECKED = (
    "Condition-SDOHCC-ConditionFoodInsecurityExample Condition.code",
    "HealthcareService-SDOHCC-HealthcareServiceSocialCareProgram HealthcareService.program[0]",
    "Organization-SDOHCC-OrganizationClinicExample Organization.address[0].state",
    "Patient-pat-53234 Patient.extension[0].extension[0].value.ofType(Coding)",
    "Patient-pat-53234 Patient.extension[2].value.ofType(code)",
    "PractitionerRole-SDOHCC-PractitionerRoleDrJanWaterExample PractitionerRole.code[0]",
    "Procedure-SDOHCC-ProcedureProvisionOfFoodExample Procedure.code",
    "ServiceRequest-SDOHCC-ServiceRequestActiveFoodPantryApplicationAssistExample ServiceRequest.code",
)


@pytest.fixture(scope="module")
def ask() -> Iterator[Callable[[str, Mutant], Verdict]]:
    with side_by_side() as both:
        yield both


@pytest.fixture(scope="module")
def found(ask: Callable[[str, Mutant], Verdict]) -> list[Verdict]:
    return list(verdicts(ask))


@pytest.fixture(scope="module")
def listed() -> list[Class]:
    return classes()


def told(each: Verdict) -> str:
    return f"{each.seed}, {each.mutant.kind} {each.mutant.path}: {each.reasons()[:3]}"


def test_every_good_resource_is_valid_for_both(found: list[Verdict]) -> None:
    seeds = [each for each in found if each.mutant.kind == "none"]
    assert len(seeds) > (60 if GUIDES else 40)
    assert [told(each) for each in seeds if each.we_refuse or each.they_refuse] == []


@needs_guides
def test_at_least_2000_changed_resources_and_99_of_100_verdicts_alike(found: list[Verdict]) -> None:
    assert len(found) > 2_500
    assert sum(each.they_refuse for each in found) > 1_000
    assert sum(not each.they_refuse for each in found) > 500
    assert sum(each.agreed for each in found) >= 0.99 * len(found), "\n".join(table(found))


def test_every_difference_is_listed_with_its_reason(found: list[Verdict], listed: list[Class]) -> None:
    unlisted = [told(each) for each in found if not each.agreed and classify(each, listed) is None]
    assert unlisted == []


def test_every_difference_that_is_listed_is_still_there(
    ask: Callable[[str, Mutant], Verdict], listed: list[Class]
) -> None:
    for each in listed:
        shown = ask(each.id, Mutant("example", "", each.example))
        assert (shown.we_refuse, shown.they_refuse) == (each.refuses == "we", each.refuses == "they"), each.id
        assert classify(shown, [each]) == {each.id}


def test_the_document_names_every_difference(listed: list[Class]) -> None:
    text = DOCUMENT.read_text("utf-8")
    assert [each.id for each in listed if f"`{each.id}`" not in text] == []


def test_nothing_required_that_is_missing_is_valid(found: list[Verdict]) -> None:
    missing = [each for each in found if any(MISSING.match(str(m["id"])) for m in refusals(each.theirs))]
    assert len(missing) > 50
    assert [told(each) for each in missing if not each.we_refuse] == []


def test_nothing_of_a_wrong_type_is_valid(found: list[Verdict]) -> None:
    mistyped = [each for each in found if any(MISTYPED.search(m["message"]) for m in refusals(each.theirs))]
    assert len(mistyped) > 200
    assert [told(each) for each in mistyped if not each.we_refuse] == []


def test_no_code_outside_a_required_binding_is_valid(found: list[Verdict], listed: list[Class]) -> None:
    theirs_alone = [each for each in listed if each.id == "second-coding-of-an-unknown-system"]
    outside = [each for each in found if any(OUTSIDE.search(m["message"]) for m in refusals(each.theirs))]
    passed = [each for each in outside if not each.we_refuse and classify(each, theirs_alone) is None]
    assert len(outside) > 50
    assert [told(each) for each in passed] == []


@needs_guides
def test_a_code_whose_value_set_is_not_held_is_said_not_to_be_checked(found: list[Verdict]) -> None:
    said = {
        f"{each.seed.removeprefix('guide/')} {issue.expression}"
        for each in found
        if each.mutant.kind == "none" and not each.we_refuse
        for issue in each.ours
        if issue.code == "not-supported" and "was not checked" in issue.message
    }
    assert [each for each in NOT_CHECKED if each not in said] == []
