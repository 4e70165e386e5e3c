"""An agreement that comes with a question: it only narrows what the consents permit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from agreement_world import PANTRY, URL, signed, terms_of
from consult_world import bundle, consent

from consent.question import RequestError
from consent.request import answer
from profiles.canonical import DISCLOSURE_ITEM


def fact(code: str) -> dict[str, Any]:
    """An Observation that states one disclosure item."""
    return {
        "resource": {
            "resourceType": "Observation",
            "id": code,
            "status": "final",
            "code": {"coding": [{"system": DISCLOSURE_ITEM, "code": code}]},
            "subject": {"reference": "Patient/p1"},
            "valueInteger": 3,
        }
    }


CONDITION = {"resource": {"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/p1"}}}


def ask(agreement: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    request = {
        "now": "2026-06-01T12:00:00Z",
        "consents": [consent(period={"end": "2030-12-31"})],
        "query": {"patient": "Patient/p1", "actor": PANTRY, "purpose": "COC"},
        "agreement": agreement,
        "content": bundle(fact("household-size"), CONDITION),
    }
    return answer({name: value for name, value in (request | changes).items() if value is not None})


def test_only_what_the_agreement_covers_goes_and_no_longer_than_it_lasts() -> None:
    told = ask(signed(terms_of()))
    assert (told["decision"], told["released"]) == ("permit", ["Observation/household-size"])
    first, second = told["reasons"]
    assert first["code"] == "agreement-covers"
    assert (second["code"], second["withheld"]) == ("agreement", ["Condition/c"])
    assert told["basis"][0] == "agreement hospital-pantry v1"
    assert told["until"] == "2026-12-31T23:59:59.999999+00:00"
    assert any(duty.get("promised") for duty in told["obligations"])


def test_without_content_the_items_of_the_agreement_are_the_only_ones_that_may_go() -> None:
    told = ask(signed(terms_of()), content=None)
    assert told["decision"] == "permit"
    (limit,) = [duty["parameters"] for duty in told["obligations"] if "parameters" in duty]
    codes = {one["code"] for one in limit["exceptAnyOfCodes"]}
    assert "household-size" in codes and {one["system"] for one in limit["exceptAnyOfCodes"]} == {
        DISCLOSURE_ITEM
    }


@pytest.mark.parametrize(
    ("changes", "query", "code"),
    [
        ({"status": "suspended"}, {}, "agreement-not-active"),
        ({}, {"actor": URL + "another"}, "agreement-missing"),
        ({}, {"actor": URL + "hospital"}, "agreement-missing"),
        ({}, {"purpose": "HMARKT"}, "agreement-purpose"),
        ({}, {"purpose": ["COC", "HMARKT"]}, "agreement-purpose"),
        ({}, {"purpose": []}, "agreement-purpose"),
        ({"period.end": "2026-05-31"}, {}, "agreement-expired"),
        ({"period.start": "2026-06-02"}, {}, "agreement-not-yet"),
    ],
)
def test_what_the_agreement_does_not_allow(changes: dict[str, Any], query: dict[str, Any], code: str) -> None:
    asked = {"patient": "Patient/p1", "actor": PANTRY, "purpose": "COC"} | query
    for content in (bundle(fact("household-size")), None):
        told = ask(signed(terms_of(changes)), query=asked, content=content)
        assert (told["decision"], told["released"], told["until"]) == ("deny", [], None)
        assert told["reasons"][0]["code"] == code
        assert not [duty for duty in told["obligations"] if duty.get("promised") or "parameters" in duty]


def test_one_that_not_all_have_signed_allows_nothing() -> None:
    half = signed(terms_of(), {"hospital": "hospital"}) | {"status": "active"}
    assert ask(half)["reasons"][0]["code"] in ("agreement-unsigned", "agreement-not-active")


def test_an_agreement_is_no_consent() -> None:
    for consents, decision in (([], "no-consent"), ([consent(type="deny")], "deny")):
        told = ask(signed(terms_of()), consents=consents)
        assert (told["decision"], told["released"]) == (decision, [])


@pytest.mark.parametrize(
    "agreement",
    [{}, {"id": "qzx"}, signed(terms_of()) | {"colour": "qzx"}, terms_of() | {"title": "q" * 200_000}],
    ids=["empty", "hardly anything", "a part that is not known", "far too long"],
)
def test_one_that_cannot_be_read_names_its_part(agreement: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as refused:
        ask(agreement)
    assert all(issue.expression.startswith("agreement") for issue in refused.value.issues)
    assert "qzx" not in str(refused.value)
