"""Law, minimum sets and agreements are data: what the engine does not know is refused with file and line."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

import consent
from consent.items import load_items
from consent.labels import outward, provenance
from consent.policy import SHIPPED
from profiles import canonical
from profiles.document import DocumentError

TEMPLATE = Path(consent.__file__).parent / "templates" / "minimal-data-coordination.json"
POLICY = consent.load_policy()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(copytree(SHIPPED, tmp_path / "policies"))


def spoil(path: Path, old: str, new: str) -> int:
    """Replace the first `old` in a file; the number of its line."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("regimes/vawa.yaml", "consent: required", "consent: maybe", "must be one of"),
        ("regimes/vawa.yaml", "title:", "titel:", "unknown key 'titel'"),
        ("regimes/vawa.yaml", "purposes: any", "purposes: [WHATEVER]", "not a purpose"),
        ("regimes/vawa.yaml", "evidence]", "seal]", "must be one of patient, discloser"),
        ("regimes/vawa.yaml", "[need, priority, period]", "[need, alias]", "not an item of the offer"),
        ("regimes/vawa.yaml", "labels: [R, SDV", "labels: [R, XYZ", "not a security label"),
        ("regimes/vawa.yaml", "notice: limited-time", "notice: shout", "not in notices.yaml"),
        ("regimes/vawa.yaml", "answer: nothing", "answer: everything", "must be one of"),
        ("minimum/food-insecurity.yaml", "item: diet", "item: shoe-size", "not a disclosure item"),
        ("minimum/food-insecurity.yaml", "item: area", "item: alias", "not an item of the offer"),
        ("minimum/food-insecurity.yaml", "item: diet", "item: narrative", "served without the person"),
        ("minimum/food-insecurity.yaml", "item: diet", "item: alias", "listed twice"),
        ("minimum/food-insecurity.yaml", "unless: alias", "unless: phone", "listed before"),
    ],
)
def test_an_unknown_term_is_refused_with_file_and_line(
    folder: Path, file: str, old: str, new: str, says: str
) -> None:
    line = spoil(folder / file, old, new)
    with pytest.raises(DocumentError) as refused:
        consent.load_policy(folder)
    name = Path(file).name
    assert any(
        text.startswith((f"{name}:{line}:", f"{name}:{line + 1}:")) and says in text
        for text in str(refused.value).splitlines()
    ), str(refused.value)


def test_another_state_is_another_folder(tmp_path: Path) -> None:
    (tmp_path / "regimes").mkdir()
    text = (SHIPPED / "regimes" / "hipaa.yaml").read_text()
    (tmp_path / "regimes" / "own.yaml").write_text(
        text.replace("id: hipaa", "id: state-law", 1).replace("[covered-entity]", "[state-clinic]", 1)
    )
    policy = consent.load_policy(SHIPPED, tmp_path)
    assert policy.regimes.keys() == POLICY.regimes.keys() | {"state-law"}
    with pytest.raises(DocumentError, match="already in use"):
        consent.load_policy(SHIPPED, SHIPPED)
    with pytest.raises(DocumentError, match="no such policy folder"):
        consent.load_policy(tmp_path / "nowhere")


def test_a_path_that_is_none_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "items.yaml"
    path.write_text((SHIPPED / "items.yaml").read_text())
    line = spoil(path, "[gender]", "['gender[']")
    with pytest.raises(DocumentError, match=f"items.yaml:{line}:[0-9]+: .*not an element path"):
        load_items(path)


def test_every_rule_has_a_citation_and_a_plain_sentence() -> None:
    for regime in POLICY.regimes.values():
        closed = [regime.closed] if regime.closed else []
        for rule in (*regime.rules, *closed, *regime.notices, *regime.substitutions):
            assert rule.citation
            assert rule.text.endswith(".")


def test_no_notice_names_a_law_or_a_kind_of_agency() -> None:
    for words in POLICY.notices.values():
        assert not any(name in words.lower() for name in ("vawa", "victim", "shelter", "violence", "hipaa"))


def test_the_items_are_the_code_systems_own() -> None:
    import json

    import profiles

    path = Path(profiles.__file__).parent / "definitions" / "CodeSystem-disclosure-item.json"
    codes = {concept["code"] for concept in json.loads(path.read_text())["concept"]}
    assert POLICY.items.entries.keys() == codes


def test_inside_labels_come_from_provenance_and_outward_marks_do_not() -> None:
    regimes = POLICY.regimes.values()
    inside = provenance(frozenset({"victim-service-provider"}), regimes)
    assert (canonical.ACT_CODE, "SDV") in inside
    assert provenance(frozenset({"school"}), regimes) == ((canonical.CONFIDENTIALITY, "R"),)
    assert [mark["code"] for mark in outward(read_only=False)] == ["R", "NORDSCLCD"]
    assert [mark["code"] for mark in outward(read_only=True)] == ["R", "NORDSCLCD", "SUBSETTED"]


def test_the_template_is_an_agreement_that_is_not_in_force_yet() -> None:
    agreement = consent.agreement.load(TEMPLATE)
    assert agreement.status == "draft"
    assert agreement.consent_required
    assert agreement.ends.isoformat() == "2026-12-31T23:59:59.999999-05:00"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"status": "draft"', '"status": "signed"', "must be one of"),
        ('"version": 1', '"version": 1, "colour": 1', "unknown key 'colour'"),
        ('["COC"]', '["WHATEVER"]', "not a purpose"),
        ('"diet"', '"shoe-size"', "not a disclosure item"),
        ('["need", "priority"', '["alias", "priority"', "an offer never is"),
        ('"America/New_York"', '"Mars/Olympus"', "not a time zone"),
        ('"2026-12-31"', '"2025-12-31"', "before the start"),
        ('"2026-12-31"', '"2026-12-32"', "valid date"),
        ("Organization/referral-recipient", "Organization/referral-source", "is a party twice"),
        ("https://directory.example.org/Organization/referral-source", "urn:x", "must match the pattern"),
    ],
)
def test_an_agreement_with_an_unknown_term_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    path = tmp_path / "ours.json"
    path.write_text(TEMPLATE.read_text())
    line = spoil(path, old, new)
    with pytest.raises(DocumentError) as refused:
        consent.agreement.load(path)
    assert any(
        text.startswith(f"ours.json:{line}:") and says in text for text in str(refused.value).splitlines()
    ), str(refused.value)


def test_a_steward_of_an_organization_that_is_no_party_is_refused() -> None:
    text = TEMPLATE.read_text()
    at = text.index('"stewards"')
    other = text[at:].replace("Organization/referral-source", "Organization/stranger", 1)
    with pytest.raises(DocumentError, match=r"stewards\[0\].organization: is not a party"):
        consent.agreement.loads(text[:at] + other, "ours.json")


def test_a_states_law_counts_in_that_state_and_where_none_is_named() -> None:
    def shown(state: str | None) -> set[str]:
        return set(consent.load_policy(state=state).regimes)

    connecticut = {one for one in shown("US-CT") if one.startswith("ct-")}
    assert connecticut
    assert shown(None) == shown("US-CT")
    assert shown("US-NY") == shown("US-CT") - connecticut


def test_without_a_state_nothing_stands_in_for_what_the_record_holds() -> None:
    named, unnamed = consent.load_policy(state="US-CT"), consent.load_policy()
    assert any(one.substitutions for one in named.regimes.values())
    assert not any(one.substitutions for one in unnamed.regimes.values())
