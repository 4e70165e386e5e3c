"""The definitions that ship: good FHIR themselves, complete, explained, and never looser than their bases."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from profiles_guides import GUIDES, guides

import profiles
from gateway.trust.directory import Entry, organization_resource
from profiles import canonical, errors, r4
from profiles.document import load
from profiles.engine import engine
from profiles.models import typed
from profiles.registry import Definitions, Package, shipped
from profiles.structure import check

ROOT = Path(profiles.__file__).parents[1]
PAGES = ROOT / "docs" / "reference" / "profiles"
CASES = {path.stem: load(path, {}).data for path in (ROOT / "tests" / "cases" / "profiles").glob("*.yaml")}
FILES = sorted((ROOT / "profiles" / "definitions").glob("*.json"))
NAMES = [value for name, value in vars(canonical).items() if isinstance(value, str) and name.isupper()]
OURS = {
    held.resource["id"]: held
    for held in shipped().all("StructureDefinition")
    if held.resource["kind"] == "resource" and held.url.startswith(canonical.BASE)
}
GOOD = {"resourceType": "Patient", "gender": "unknown"}
each_profile = pytest.mark.parametrize("slug", OURS)
each_case = pytest.mark.parametrize("name", CASES)


def url(slug: str) -> str:
    return f"{canonical.BASE}/StructureDefinition/{slug}"


def differential(slug: str) -> list[dict[str, Any]]:
    elements: list[dict[str, Any]] = OURS[slug].resource["differential"]["element"]
    return elements


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(f"{canonical.BASE}/")])
def test_each_of_our_names_is_defined(name: str) -> None:
    assert shipped().find(name) is not None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_definition_is_valid_fhir_by_us_and_by_an_independent_model(path: Path) -> None:
    resource = json.loads(path.read_text("utf-8"))
    assert path.stem == f"{resource['resourceType']}-{resource['id']}"
    assert resource["url"] == f"{canonical.BASE}/{resource['resourceType']}/{resource['id']}"
    assert check(resource) == []
    assert typed(resource) is not None
    assert resource["description"]


@each_profile
def test_a_constraint_is_said_in_words_and_in_fhirpath(slug: str) -> None:
    for element in differential(slug):
        for constraint in element.get("constraint", []):
            assert constraint["human"].endswith(".")
            assert constraint["expression"]


@each_profile
def test_nothing_of_ours_is_unenforced_but_what_waits_for_a_guides_package(slug: str) -> None:
    report = engine(shipped()).report(OURS[slug])
    assert [lack for lack in report.not_supported if "is not held" not in lack] == []
    assert report.native + report.interpreted == sum(len(e.get("constraint", ())) for e in differential(slug))


@each_profile
def test_elements_stand_in_fhirs_order(slug: str) -> None:
    """Readers that make a snapshot go through both lists at once, and lose what stands out of order."""
    places = [_place(element["path"]) for element in differential(slug)]
    by_slice: dict[str, list[tuple[int, ...]]] = {}
    for element, place in zip(differential(slug), places, strict=True):
        by_slice.setdefault(re.sub(r"\.[^.:]+$", "", element["id"]), []).append(place)
    assert all(group == sorted(group) for group in by_slice.values())
    unsliced = [p for e, p in zip(differential(slug), places, strict=True) if ":" not in e["id"]]
    assert unsliced == sorted(unsliced)


def _place(path: str) -> tuple[int, ...]:
    """Where an element stands in R4: its position in its parent, and those of its parents before it."""
    type_name, *names = path.split(".")
    found = []
    for name in names:
        table = r4.elements(type_name)
        found.append(list(table).index(name))
        type_name = table[name].types[0].code
    return tuple(found)


# (an element of a differential that cannot be enforced, what the report says of it)
UNENFORCEABLE = [
    ({"id": "Patient.nickname", "path": "Patient.nickname", "min": 1}, "has no such element"),
    ({"id": "Patient.name:x", "path": "Patient.name", "sliceName": "x", "min": 1}, "tells this slice apart"),
    (
        {
            "id": "Patient",
            "path": "Patient",
            "constraint": [
                {"key": "nobody-1", "severity": "error", "human": "x", "expression": "name.dance()"}
            ],
        },
        "nobody-1 is not checked",
    ),
]


@pytest.mark.parametrize(("element", "said"), UNENFORCEABLE)
def test_a_rule_that_is_not_enforced_is_named(element: dict[str, Any], said: str) -> None:
    definition = {
        "resourceType": "StructureDefinition",
        "url": "urn:example:profile",
        "version": "1",
        "kind": "resource",
        "type": "Patient",
        "baseDefinition": f"{canonical.FHIR}/Patient",
        "differential": {"element": [element]},
    }
    held = Definitions([Package("example", "1", resources=(definition,))])
    found = held.find("urn:example:profile")
    assert found is not None
    (lack,) = engine(held).report(found).not_supported
    assert said in lack


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


@pytest.mark.parametrize("name", ["urn:example:other", canonical.STATUS_REASON])
def test_asking_for_what_is_no_profile_is_a_fault_of_the_caller(name: str) -> None:
    with pytest.raises(LookupError):
        profiles.validate(GOOD, name)


def _base(slug: str) -> str:
    """The first base that is not ours."""
    base: str = OURS[slug].resource["baseDefinition"]
    return _base(base.rpartition("/")[2]) if base.startswith(canonical.BASE) else base


@each_case
@pytest.mark.skipif(not GUIDES.exists(), reason="the guides' definitions are not beside this checkout")
def test_an_instance_of_ours_is_one_of_the_profile_it_is_derived_from(name: str) -> None:
    good, slug = CASES[name]["good"], CASES[name]["profile"]
    base = _base(slug)
    assert guides().find(base) or base.startswith(canonical.FHIR)
    assert errors(profiles.validate(good, url(slug), guides())) == []
    if not base.startswith(canonical.FHIR):
        assert errors(profiles.validate(good, base, guides())) == []


def test_the_organization_that_a_node_serves_is_one_of_ours() -> None:
    entry = Entry(
        organization="https://directory.example.org/Organization/harbor-food-pantry",
        name="Harbor Food Pantry",
        address="https://waymeet.harbor-pantry.example.org",
        jwks={"keys": []},
        purposes=frozenset(),
        services=(),
        contacts={},
        status="suspended",
    )
    assert profiles.validate(organization_resource(entry), url("waymeet-organization")) == []


@each_case
def test_the_page_of_a_profile_shows_the_instance_that_is_tested(name: str) -> None:
    page = (PAGES / f"{name}.md").read_text("utf-8")
    definition = OURS[CASES[name]["profile"]].resource
    assert page.startswith(f"# {definition['name']}\n")
    assert f"`{definition['url']}`" in page
    assert json.loads(page.partition("```json\n")[2].partition("```")[0]) == CASES[name]["good"]


def test_the_index_lists_every_profile_with_its_base() -> None:
    index = (PAGES / "README.md").read_text("utf-8")
    listed = re.findall(r"^\| \[(\w+)\]\(([\w-]+)\.md\) \| ([\w-]+) \|", index, re.MULTILINE)
    names = {held.url: held.resource["name"] for held in OURS.values()}
    bases = {
        held.resource["name"]: names.get(
            held.resource["baseDefinition"], held.resource["baseDefinition"].rpartition("/")[2]
        )
        for held in OURS.values()
    }
    assert {name: base for name, _, base in listed} == bases
    assert {page for _, page, _ in listed} == CASES.keys()
