"""The definitions that ship: good FHIR themselves, complete, and none of their rules left unenforced."""

from pathlib import Path
from typing import Any

import pytest

import profiles
from profiles import canonical, compiler, registry
from profiles.compiler import ProfileError
from profiles.models import typed
from profiles.structure import check

URLS = [value for name, value in vars(canonical).items() if isinstance(value, str) and name.isupper()]
OURS = [url for url in URLS if url.startswith(f"{canonical.BASE}/")]
FILES = sorted((Path(profiles.__file__).parent / "definitions").glob("*.json"))
GOOD = {"resourceType": "Patient", "gender": "unknown"}


@pytest.mark.parametrize("url", OURS)
def test_each_of_our_names_is_defined(url: str) -> None:
    assert registry.definition(url)["url"] == url


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_definition_is_valid_fhir_by_us_and_by_an_independent_model(path: Path) -> None:
    resource = dict(registry.definition(f"{canonical.BASE}/{path.stem.replace('-', '/', 1)}"))
    assert check(resource) == []
    assert typed(resource) is not None
    assert resource["description"]


@pytest.mark.parametrize("url", registry.profiles())
def test_a_constraint_is_said_in_words_and_in_fhirpath(url: str) -> None:
    for element in registry.definition(url)["differential"]["element"]:
        for constraint in element.get("constraint", []):
            assert constraint["human"].endswith(".")
            assert constraint["expression"]


# (an element of a differential that cannot be enforced, why)
UNENFORCEABLE = [
    ({"id": "Patient.name", "path": "Patient.name", "maxLength": 3}, "maxLength is not supported"),
    ({"id": "Patient.nickname", "path": "Patient.nickname", "min": 1}, "no such element"),
    ({"id": "Patient.name:x", "path": "Patient.name", "sliceName": "x", "min": 1}, "this slicing"),
    (
        {"id": "Patient", "path": "Patient", "constraint": [{"key": "nobody-1", "human": "x"}]},
        "nobody-1 has no function",
    ),
]


@pytest.mark.parametrize(("element", "why"), UNENFORCEABLE)
def test_a_rule_that_would_not_be_enforced_fails_when_the_profile_is_loaded(
    element: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = {
        "resourceType": "StructureDefinition",
        "type": "Patient",
        "differential": {"element": [element]},
    }
    monkeypatch.setattr(registry, "definition", lambda _: definition)
    with pytest.raises(ProfileError, match=why):
        compiler.profile.__wrapped__("urn:example:profile")


def test_a_profile_that_is_not_held_gives_a_warning_and_never_silence() -> None:
    issues = profiles.validate(
        {**GOOD, "meta": {"profile": ["urn:example:other", canonical.US_CORE_PATIENT]}}
    )
    assert [(i.severity, i.expression) for i in issues] == [
        ("warning", "Patient.meta.profile[0]"),
        ("warning", "Patient.meta.profile[1]"),
    ]


def test_fhirs_own_definition_named_as_a_profile_is_always_checked() -> None:
    assert profiles.validate({**GOOD, "meta": {"profile": [f"{canonical.FHIR}/Patient"]}}) == []


@pytest.mark.parametrize("version", ["", "|0.1.0"])
def test_a_profile_of_ours_named_in_the_resource_is_applied(version: str) -> None:
    issues = profiles.validate({**GOOD, "meta": {"profile": [canonical.PATIENT + version]}})
    assert [i.expression for i in issues] == ["Patient.identifier", "Patient.name"]
    assert {i.profile for i in issues} == {canonical.PATIENT}


def test_a_profile_for_another_type_does_not_fit() -> None:
    assert [i.code for i in profiles.validate(GOOD, canonical.REFERRAL_TASK)] == ["structure"]


@pytest.mark.parametrize("url", ["urn:example:other", canonical.STATUS_REASON])
def test_asking_for_what_is_no_profile_of_ours_is_a_fault_of_the_caller(url: str) -> None:
    with pytest.raises(LookupError):
        profiles.validate(GOOD, url)
