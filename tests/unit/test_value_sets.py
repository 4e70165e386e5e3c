"""What is in a value set, what is not, and what cannot be told."""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import yaml

from profiles import canonical, code_systems, r4, value_sets
from profiles.code_systems import TerminologyError
from profiles.registry import Definitions, Package, shipped
from profiles.value_sets import Coding, NotEnumerable, ValueSet, code_system, value_set

CASES = yaml.safe_load((Path(__file__).parents[1] / "cases/terminology/value-sets.yaml").read_text("utf-8"))
THIS = "urn:x:this"


def full(name: str) -> str:
    return name if name.startswith("urn:") or not name else f"urn:x:{name}"


def named(part: Any) -> Any:
    """A part of a case with the systems and value sets under their full names."""
    if isinstance(part, list):
        return [named(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    told = {key: named(value) for key, value in part.items()}
    if "system" in told:
        told["system"] = full(told["system"])
    if "valueSet" in told:
        told["valueSet"] = [full(name) for name in told["valueSet"]]
    return told


def one(compose: Any, url: str = THIS, **more: Any) -> dict[str, Any]:
    resource = {"resourceType": "ValueSet", "url": url, "version": "1", **more}
    return resource | ({"compose": named(compose)} if compose is not None else {})


def held(*resources: dict[str, Any]) -> Definitions:
    return Definitions([Package("x", "1", resources=resources)])


SYSTEMS = [
    {"resourceType": "CodeSystem", "url": full(name), "version": "1", **content}
    for name, content in CASES["code-systems"].items()
]
IMPORTED = [one(compose, full(name)) for name, compose in CASES["imports"].items()]


def compiled(compose: Any, *more: dict[str, Any], **keys: Any) -> ValueSet:
    found = value_set(THIS, held(*SYSTEMS, *IMPORTED, *more, one(compose, **keys)))
    assert found is not None
    return found


def answer(members: ValueSet, coding: str) -> bool | None:
    system, _, code = coding.rpartition("#")
    return members.has(full(system), code) if system else members.has_code(code)


@pytest.mark.parametrize("case", CASES["value-sets"], ids=lambda case: case["is"])
def test_what_can_be_told(case: dict[str, Any]) -> None:
    expansion = {"expansion": named(case["expansion"])} if "expansion" in case else {}
    members = compiled(case.get("compose"), **expansion)
    answers = {
        coding: answer(members, coding) for key in ("yes", "no", "untold") for coding in case.get(key, ())
    }
    expected = dict.fromkeys(case.get("yes", ()), True) | dict.fromkeys(case.get("no", ()), False)
    assert answers == expected | dict.fromkeys(case.get("untold", ()))
    if "list" in case:
        listed = [f"{coding.system.removeprefix('urn:x:')}#{coding.code}" for coding in members.expand()]
        assert listed == case["list"]
        assert all(members.has(*coding) for coding in members.expand())
    elif "untold" in case:
        with pytest.raises(NotEnumerable):
            members.expand()
    if "lacks" in case:
        assert members.open == case["lacks"]


def test_what_is_not_held_is_none_and_what_is_no_value_set_too() -> None:
    assert value_set("urn:x:nothing", shipped()) is None
    assert value_set(canonical.ACT_REASON, shipped()) is None
    assert code_system("http://hl7.org/fhir/ValueSet/task-status", shipped()) is None


def test_each_package_means_its_own_version() -> None:
    def package(version: str) -> Package:
        listed = {"include": [{"system": "s", "concept": [{"code": version}]}]}
        return Package("p", version, resources=(one(listed, version=version),))

    older, newer = package("1.0.0"), package("2.0.0")
    user = Package("user", "1", {"p": "1.0.0"})
    both = Definitions([older, newer, user])
    for within, code in ((None, "2.0.0"), (older, "1.0.0"), (user, "1.0.0")):
        members = value_set(THIS, both, within)
        assert members is not None
        assert members.expand() == (Coding("urn:x:s", code),)


def test_definitions_that_nobody_uses_any_more_are_let_go() -> None:
    definitions = held(*SYSTEMS, one({"include": [{"system": "animals"}]}))
    assert value_set(THIS, definitions) is value_set(THIS, definitions)
    gone = weakref.ref(definitions)
    del definitions
    gc.collect()
    assert gone() is None


def chain(length: int) -> list[dict[str, Any]]:
    """Value sets of which each imports the next one twice, beside a system that is not held."""
    next_ = [{"valueSet": [f"v{number}"]} for number in range(1, length + 1)]
    return [
        one(
            {"include": [{"system": "nobody", "valueSet": part["valueSet"]} for _ in "ab"]},
            f"urn:x:v{number}",
        )
        for number, part in enumerate(next_)
    ]


def test_value_sets_that_import_each_other_are_refused_each_time() -> None:
    definitions = held(
        one({"include": [{"valueSet": ["that"]}]}), one({"include": [{"valueSet": ["this"]}]}, "urn:x:that")
    )
    for _ in "ab":
        with pytest.raises(TerminologyError, match=r"this imports itself|that imports itself"):
            value_set(THIS, definitions)


def test_a_long_chain_of_imports_is_refused() -> None:
    links = [one({"include": [{"valueSet": [f"v{n + 1}"]}]}, f"urn:x:v{n}") for n in range(60)]
    with pytest.raises(TerminologyError, match="more than 50 deep"):
        value_set("urn:x:v0", held(*links))


def test_imports_that_double_the_work_at_each_step_are_refused() -> None:
    """One question to it would ask 2^40 others."""
    with pytest.raises(TerminologyError, match="more than 10,000 parts"):
        value_set("urn:x:v0", held(*chain(40)))


def test_concepts_nested_too_deep_are_refused() -> None:
    nested: dict[str, Any] = {"code": "0"}
    for number in range(1, 101):
        nested = {"code": str(number), "concept": [nested]}
    system = {"resourceType": "CodeSystem", "url": "urn:x:deep", "content": "complete", "concept": [nested]}
    definitions = held(system, one({"include": [{"system": "deep"}]}))
    with pytest.raises(TerminologyError, match="more than 100 deep"):
        value_set(THIS, definitions)


def test_too_many_concepts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_systems, "MOST_CONCEPTS", 6)
    with pytest.raises(TerminologyError, match="animals has more than 6 concepts"):
        compiled({"include": [{"system": "animals"}]})


@pytest.mark.parametrize(
    "include",
    [
        [{"system": "animals"}] * 9,
        [{"system": "animals", "filter": [{"property": "code", "op": "regex", "value": "x"}] * 9}],
        [{"valueSet": ["pets"]}] * 30,
    ],
    ids=["whole systems", "filters", "imports"],
)
def test_a_value_set_that_takes_too_much_work_is_refused(
    include: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(value_sets, "MOST_STEPS", 60)
    with pytest.raises(TerminologyError, match="more than 60 steps"):
        compiled({"include": include})


@pytest.mark.parametrize(
    "compose",
    [
        [],
        {},
        {"include": ["x"]},
        {"include": [{"system": ["x"]}]},
        {"include": [{"system": "urn:x:animals", "filter": [{"op": "="}]}]},
        {"include": [{"system": "urn:x:animals", "concept": [{}]}]},
    ],
)
def test_a_value_set_of_the_wrong_form_is_refused(compose: Any) -> None:
    broken = {"resourceType": "ValueSet", "url": "urn:x:broken", "compose": compose}
    with pytest.raises(TerminologyError, match="broken is not a well-formed ValueSet"):
        value_set("urn:x:broken", held(*SYSTEMS, broken))


def test_a_code_system_of_the_wrong_form_is_refused() -> None:
    broken = {
        "resourceType": "CodeSystem",
        "url": "urn:x:broken",
        "content": "complete",
        "concept": [{"x": 1}],
    }
    with pytest.raises(TerminologyError, match="broken is not a well-formed CodeSystem"):
        compiled({"include": [{"system": "broken"}]}, broken)


@pytest.mark.parametrize(
    ("stated", "found"), [({"caseSensitive": True}, False), ({"caseSensitive": False}, True), ({}, True)]
)
def test_case_matters_where_the_system_says_so(stated: dict[str, bool], found: bool) -> None:
    system = {"url": "urn:x:s", "content": "complete", "concept": [{"code": "Aa"}], **stated}
    loaded = code_systems.load_code_system(system)
    assert loaded.has("Aa")
    assert loaded.has("aA") is found
    assert not loaded.has("b")


def test_what_is_told_by_its_form_has_no_list() -> None:
    members = value_set("http://hl7.org/fhir/ValueSet/all-languages", shipped())
    assert members is not None
    with pytest.raises(NotEnumerable, match="urn:ietf:bcp:47 has no list of codes"):
        members.expand()


def test_nearly_every_binding_of_r4_can_be_told_of_every_code() -> None:
    """What is left needs UCUM, LOINC, DICOM, RadLex or IHE's format codes."""
    bindings = {
        element.binding
        for name in r4.type_names() - r4.primitives().keys()
        for element in r4.elements(name).values()
        if element.binding
    }
    found = {binding: value_set(binding.value_set, shipped(), shipped().packages[0]) for binding in bindings}
    of_others = ("ucum", "loinc", "dicom", "rsna", "consent-content-class")
    lacking = {
        binding.value_set
        for binding, members in found.items()
        if members is None or (members.open and "numeric codes" not in members.open)
    }
    assert lacking == {url for url in lacking if any(name in url for name in of_others)}
    assert len(bindings) > 300 and len(lacking) == 7


def test_our_value_sets_are_closed_open_or_below_a_code() -> None:
    base = f"{canonical.BASE}/ValueSet"
    types, services, purposes = (
        value_set(f"{base}/{name}", shipped()) for name in ("referral-type", "service-code", "purpose-of-use")
    )
    assert types and services and purposes
    assert types.has(canonical.SDOHCC_CODES, "food-insecurity")
    assert not types.has(canonical.SDOHCC_CODES, "sdoh")
    assert services.has(canonical.SNOMED, "1") is None
    assert services.has("urn:other", "1") is False
    assert purposes.has(canonical.ACT_REASON, "COC")
    assert purposes.has(canonical.ACT_REASON, "FLRCNV") is False


def test_the_referral_states_are_fhirs_without_ready_and_received() -> None:
    fhir = {code for codes in r4.codes("task-status").values() for code in codes}
    ours = value_set(f"{canonical.BASE}/ValueSet/referral-task-status", shipped())
    assert ours is not None
    assert {coding.code for coding in ours.expand()} == fhir - {"ready", "received"}
