"""The minimum sets that ship: few items, each with its own reason; nobody needs an address to be served."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from consent_world import changed, facts

import consent
from consent.items import shipped
from consent.minimum import MinimumSet, load_minimum
from consent.policy import SHIPPED
from profiles.canonical import BASE, SDOHCC_CODES
from profiles.document import DocumentError, load
from profiles.registry import shipped as definitions
from profiles.value_sets import value_set

ROOT = Path(__file__).parents[2]
CONSENT_CASES = ROOT / "tests" / "cases" / "consent"
FILES = sorted((SHIPPED / "minimum").glob("*.yaml"))
SETS = {path.stem: load_minimum(path, shipped()) for path in FILES}
each_set = pytest.mark.parametrize("one", SETS.values(), ids=SETS)

WRITTEN = """\
referral-type: something
title: Something
offer:
  - item: need
    why: it must be known what for
dossier:
  - item: phone
    why: to call
"""


def written(tmp_path: Path, old: str = "", new: str = "") -> MinimumSet:
    """The set in WRITTEN with one thing changed."""
    assert old in WRITTEN
    path = tmp_path / "own.yaml"
    path.write_text(WRITTEN.replace(old, new, 1) if old else WRITTEN)
    return load_minimum(path, shipped())


def test_there_is_a_set_for_each_kind_of_service() -> None:
    assert sorted(one.title for one in SETS.values()) == [
        "Behavioral health",
        "Child and family services",
        "Domestic violence advocacy",
        "Emergency shelter",
        "Emergency supplies",
        "Employment",
        "Food",
        "Health care",
        "Housing",
        "Legal aid",
        "Transport",
        "Utilities",
    ]


def test_each_kind_of_need_is_a_code_of_gravity_or_of_ours_and_has_one_set() -> None:
    codes = [code for one in SETS.values() for code in one.referral_types]
    assert len(codes) == len(set(codes))
    gravity = value_set(f"{BASE}/ValueSet/referral-type", definitions())
    ours = value_set(f"{BASE}/ValueSet/other-referral-type", definitions())
    assert gravity and ours
    for code in codes:
        assert gravity.has(SDOHCC_CODES, code) != ours.has(f"{BASE}/CodeSystem/referral-type", code), code
    assert {coding.code for coding in ours.expand()} <= set(codes)
    # Who only says that there is a need of some kind has not said what is needed for it.
    assert "sdoh-category-unspecified" not in codes


def test_the_policy_knows_each_set_by_all_its_codes() -> None:
    policy = consent.load_policy()
    assert policy.minimum == {code: one for one in SETS.values() for code in one.referral_types}


def test_deciding_goes_by_what_is_needed() -> None:
    """A number that may go stays here all the same, where the rule of how to use it stays."""
    case = load(CONSENT_CASES / "hospital-to-pantry.yaml", {}).data["facts"]
    advocacy = "intimate-partner-violence"
    items = ["need", "phone", "contact-rule"]
    told = {
        "state": "accepted",
        "referral-type": advocacy,
        "agreement.referral-type": advocacy,
        "agreement.consent-required": False,
        "consents": [],
        "agreement.dossier": items,
        "items": items,
    }
    decided = consent.decide(*facts(changed(case, told)))
    assert decided.items == {"need", "phone", "contact-rule"}
    for change in ({"items": ["need", "phone"]}, {"agreement.dossier": ["need", "phone"]}):
        decided = consent.decide(*facts(changed(case, told | change)))
        assert decided.items == {"need"}
        assert decided.withheld["phone"] == "minimum"


def test_people_without_an_address_are_served() -> None:
    """Only the utilities list an address, say what could not be done without it, and do not insist on it."""
    asking = {
        name: entry
        for name, one in SETS.items()
        for entry in one.entries("dossier")
        if entry.item == "address"
    }
    assert list(asking) == ["utilities"]
    assert "meter" in asking["utilities"].otherwise
    assert not asking["utilities"].required


def test_nothing_but_the_need_is_required() -> None:
    """Whatever a person keeps to themselves, the referral goes on."""
    for one in SETS.values():
        assert [entry.item for entry in one.entries("dossier") if entry.required] == ["need"]


@each_set
def test_an_offer_is_about_the_need_and_never_about_the_person(one: MinimumSet) -> None:
    for entry in one.offer:
        item = shipped().entries[entry.item]
        assert (item.group, item.resource) == ("offer", "ServiceRequest")


@each_set
def test_a_telephone_never_goes_without_its_rules(one: MinimumSet) -> None:
    listed = [entry.item for entry in one.dossier]
    assert {"contact-rule", "contact-times"} <= set(listed[: listed.index("phone")])


@each_set
def test_the_whole_name_and_the_date_of_birth_are_for_those_who_cannot_do_without(one: MinimumSet) -> None:
    listed = {entry.item for entry in one.dossier}
    assert ("family-name" in listed) == (one.title in ("Legal aid", "Health care"))
    assert ("birth-date" in listed) == (one.title == "Health care")
    # Where a name is only to be called by, the one a person has chosen stands in for the given one.
    if "family-name" not in listed:
        assert [entry.unless for entry in one.dossier if entry.item == "given-name"] == ["alias"]


def test_each_reason_is_a_sentence_of_its_own() -> None:
    """A reason that fits two services was not thought about for either."""
    reasons = [entry.why for one in SETS.values() for entry in (*one.offer, *one.dossier)]
    assert len(reasons) == len(set(reasons))
    assert all(len(reason.split()) > 3 for reason in reasons)
    assert all(reason == reason.strip() and not reason.endswith(".") for reason in reasons)


def test_every_item_is_in_a_set_or_says_why_it_is_in_none() -> None:
    used = {entry.item for one in SETS.values() for entry in one.entries("dossier")}
    for code, item in shipped().entries.items():
        assert (code in used) != bool(item.in_no_set), code


def test_advocates_get_the_safe_way_of_contact_first_and_no_number_without_it() -> None:
    advocacy = SETS["domestic-violence"]
    assert [entry.item for entry in advocacy.dossier][:2] == ["contact-rule", "contact-times"]
    held = frozenset(shipped().entries)
    assert "phone" in advocacy.needed("dossier", held, held)
    assert "phone" not in advocacy.needed("dossier", held, held - {"contact-rule"})
    assert "phone" not in advocacy.needed("dossier", held - {"contact-rule"}, held - {"contact-rule"})


def test_refusing_the_alias_does_not_bring_out_the_name() -> None:
    held = frozenset({"need", "alias", "given-name"})
    for one in SETS.values():
        if "alias" in {entry.item for entry in one.dossier}:
            assert "given-name" not in one.needed("dossier", held, held - {"alias"})
            assert "given-name" in one.needed("dossier", held - {"alias"}, held - {"alias"})


def test_the_page_about_the_sets_is_what_they_say() -> None:
    page = (ROOT / "docs/reference/minimum-sets.md").read_text(encoding="utf-8")
    drawn = runpy.run_path(str(ROOT / "scripts/minimum_pages.py"))["page"]()
    assert page == drawn, "run: python scripts/minimum_pages.py > docs/reference/minimum-sets.md"


def test_a_set_can_be_for_several_kinds_of_need(tmp_path: Path) -> None:
    one = written(tmp_path, "referral-type: something", "referral-types: [something, something-else]")
    assert one.referral_types == ("something", "something-else")
    assert one.referral_type == "something"
    assert written(tmp_path).referral_types == ("something",)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("referral-type: something\n", "", 1, "referral-type"),
        ("title:", "referral-types: [other]\ntitle:", 1, "more than one"),
        ("referral-type: something", "referral-types: []", 1, "referral-types"),
        ("item: phone", "item: address", 7, "needs `otherwise`"),
        (
            "why: to call",
            "only-with: contact-rule\n    why: to call",
            8,
            "only-with: is not an item listed before",
        ),
        ("why: to call", "why: ''", 8, "why"),
        ("    why: to call\n", "", 7, "why"),
    ],
)
def test_a_set_that_is_not_thought_through_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        written(tmp_path, old, new)
    assert any(
        text.startswith(f"own.yaml:{line}:") and says in text for text in str(refused.value).splitlines()
    ), str(refused.value)
