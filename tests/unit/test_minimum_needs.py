"""A need that a case record tells is one that a minimum set is written for, there and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

import consent
from gateway.route import referral_type
from mappings import load, shipped
from profiles import errors, validate
from profiles.canonical import SERVICE_REQUEST

CASE = load(shipped("case-json"))
SETS = {code: one.title for one in consent.load_policy().minimum.values() for code in one.referral_types}
# What the record says, and the set that is for it.
NEEDS = [
    ("food", "Food"),
    ("homelessness", "Emergency shelter"),
    ("housing", "Housing"),
    ("transportation", "Transport"),
    ("utilities", "Utilities"),
    ("household goods", "Emergency supplies"),
    ("employment", "Employment"),
    ("domestic violence", "Domestic violence advocacy"),
    ("legal help", "Legal aid"),
    ("health care", "Health care"),
    ("counseling", "Behavioral health"),
    ("children and family", "Child and family services"),
]


def request(need: str) -> dict[str, Any]:
    """The ServiceRequest of a record that asks for it."""
    record = {"id": "R-1", "to": "SOMEBODY", "need": need, "client": {"id": "7"}}
    (read,) = CASE.read(json.dumps(record).encode())
    made = dict(CASE.map(read).resources["ServiceRequest"])
    return {"subject": {"reference": "Patient/one"}, **made}


@pytest.mark.parametrize(("need", "title"), NEEDS)
def test_a_need_is_valid_and_finds_its_set(need: str, title: str) -> None:
    asked = request(need)
    assert not errors(validate(asked, SERVICE_REQUEST))
    assert SETS[referral_type(asked)] == title


@pytest.mark.parametrize("need", [need for need, _ in NEEDS])
def test_an_offer_calls_the_need_what_the_record_called_it(need: str) -> None:
    facts = {
        "referral": "9f1c2a7e",
        "task": {"resourceType": "Task", "status": "requested"},
        "resources": {"ServiceRequest": request(need)},
        "local": {},
        "now": "2026-11-18T15:40:00.123Z",
        "message": "MSG-1",
    }
    assert json.loads(CASE.render("offer", facts).body)["need"] == need


def test_every_set_can_be_asked_for() -> None:
    assert {title for _, title in NEEDS} == set(SETS.values())
