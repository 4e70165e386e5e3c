"""Why an answer is as it is: in words for three readers, item by item, and with one fact changed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from consent_world import NAMES, changed, facts

import consent
from consent import Facts
from consent.explain import difference, explanation
from consent.what_if import CHANGES, what_if
from profiles.document import load

CASES = Path(__file__).parent.parent / "cases" / "consent"
ACCEPTED = {"state": "accepted"}
TRIED = [
    ("now=2027-06-01T12:00:00+00:00", "agreement-expired"),
    ("state=requested", "permit"),
    ("purpose=HRESCH", "agreement-purpose"),
    ("referral-type=stress", "agreement-referral-type"),
    ("recipient.known=false", "recipient-unknown"),
    ("recipient.active=no", "recipient-inactive"),
    ("recipient.suspended=true", "recipient-suspended"),
    ("recipient.kinds=covered-entity", "permit"),
    ("source.kinds=library", "law-unlisted"),
    ("source.suspended=true", "source-not-active"),
    ("excluded=true", "recipient-excluded"),
    ("person.minor=true", "permit"),
    ("agreement=none", "agreement-missing"),
    ("agreement=suspended", "agreement-not-active"),
    ("agreement.signed=false", "agreement-unsigned"),
    ("consent=none", "consent-missing"),
    ("consent=withdrawn", "consent-revoked"),
    ("consent.release=withdrawn", "consent-revoked"),
    ("consent.release=none", "consent-missing"),
    ("item.need=absent", "minimum-required"),
    ("item.contact-rule=present", "permit"),
    ("label.need=PSYTHPN", "law-refused"),
]


def good(**change: Any) -> tuple[Facts, datetime]:
    """The hospital's accepted referral to the pantry, with some facts changed."""
    story = load(CASES / "hospital-to-pantry.yaml", {}).data
    return facts(changed(story["facts"], ACCEPTED | change))


def test_every_item_of_the_record_is_explained_once() -> None:
    about, now = good()
    told = explanation(about, consent.decide(about, now), NAMES, "steward")
    assert sorted(line.item for line in told.items) == sorted(about.items)
    lines = {line.item: line for line in told.items}
    assert lines["household-size"].goes
    assert lines["household-size"].why == "it decides how much food"
    assert not lines["address"].goes
    assert lines["address"].why == "the agreement does not cover it"
    assert told.answer.startswith("Yes")


def test_the_person_is_spoken_to_and_hears_no_law_and_no_code() -> None:
    about, now = good()
    told = explanation(about, consent.decide(about, now), NAMES, "person")
    text = repr(told)
    assert "nothing else" in told.answer
    assert "our agreement with them does not cover this" in text
    assert "You have given permission for this." in told.reasons
    assert "CFR" not in text
    assert "https://" not in text
    assert not any(line.elements for line in told.items)


def test_the_steward_sees_what_each_step_rests_on() -> None:
    about, now = good()
    told = explanation(about, consent.decide(about, now), NAMES, "steward")
    assert any("45 CFR 164.506(c)(1)" in reason for reason in told.reasons)
    assert any("Consent/release provision.provision[0]" in reason for reason in told.reasons)


def test_the_engineer_sees_steps_codes_and_elements() -> None:
    about, now = good()
    told = explanation(about, consent.decide(about, now), NAMES, "engineer")
    assert [reason.split()[0] for reason in told.reasons][:2] == ["recipient", "agreement"]
    lines = {line.item: line for line in told.items}
    assert lines["address"].code == "agreement"
    assert any(path.startswith("Patient.address[") for path in lines["address"].elements)
    assert lines["household-size"].elements == ("Observation/household-size.valueInteger",)


@pytest.mark.parametrize("audience", ["person", "steward", "engineer"])
@pytest.mark.parametrize(
    "change", [{}, {"consents": []}, {"recipient.suspended": True}, {"state": "completed"}]
)
def test_no_reader_is_left_without_an_answer(audience: Any, change: dict[str, Any]) -> None:
    about, now = good(**change)
    decision = consent.decide(about, now)
    told = explanation(about, decision, NAMES, audience)
    assert told.answer.startswith("No" if not decision.permit else ("Yes", "They"))
    assert told.reasons
    assert all(line.goes == (line.item in decision.items) for line in told.items)


@pytest.mark.parametrize(("change", "code"), TRIED)
def test_one_fact_changed_gives_another_answer(change: str, code: str) -> None:
    about, now = good()
    assert consent.decide(about, now).code == "permit"
    other, then = what_if(about, now, change)
    assert consent.decide(other, then).code == code


def test_every_change_that_is_listed_is_tried_above() -> None:
    tried = {change.partition("=")[0] for change, _ in TRIED}
    heads = {name.partition(".")[0] if name.endswith((".ID", ".ITEM")) else name for name in CHANGES}
    assert heads <= {one if one in CHANGES else one.partition(".")[0] for one in tried}


@pytest.mark.parametrize(
    "change",
    [
        "colour=blue",
        "recipient.suspended",
        "recipient.suspended=perhaps",
        "state=ready",
        "now=tomorrow",
        "now=2026-01-01T00:00:00",
        "agreement=signed",
        "consent.stranger=withdrawn",
        "consent=maybe",
        "item.shoe-size=present",
        "item.need=perhaps",
        "label.need=AMB",
        "label.email=HIV",
        "person.minor=17",
    ],
)
def test_a_change_that_is_none_is_refused_with_what_would_be(change: str) -> None:
    about, now = good()
    with pytest.raises(ValueError, match=r"takes|called|written|id"):
        what_if(about, now, change)


def test_the_difference_is_told_in_words() -> None:
    about, now = good()
    before = consent.decide(about, now)
    other, then = what_if(about, now, "consent=withdrawn")
    told = difference(about, before, consent.decide(other, then))
    assert told[0] == "The answer would be no (consent-revoked) instead of yes."
    assert "number of people in the household" in told[1]
    assert difference(about, before, before) == ["Nothing would change."]


def test_what_if_never_lets_a_label_make_less_strict() -> None:
    about, now = good()
    before = consent.decide(about, now)
    for code in ("HIV", "SDV", "PSY", "SUD", "42CFRPart2"):
        other, then = what_if(about, now, f"label.household-size={code}")
        assert consent.decide(other, then).items <= before.items
