"""Every case file in tests/cases/decide: one good request, then cases that change a fact of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from decide_world import coded, request
from stories import CASES, told

from consent.request import answer

_LIST = {"type": "array", "items": {"type": "string"}}
EXPECT = {
    "type": "object",
    "required": ["decision", "reason"],
    "additionalProperties": False,
    "properties": {
        "decision": {"enum": ["permit", "deny", "no-consent"]},
        "reason": {"type": "string"},
        "released": _LIST,
        "why": {"type": "object"},  # of what is withheld
        "obligations": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"only": _LIST, "never": _LIST},
            },
        },
        "basis": _LIST,
        "until": {"type": ["string", "null"]},
    },
}


ALL = told(CASES / "decide", EXPECT, "request")


def _obligations(expect: list[Mapping[str, list[str]]]) -> list[dict[str, Any]]:
    return [
        {"exceptAnyOfCodes": coded(one["only"])} if "only" in one else {"codes": coded(one["never"])}
        for one in expect
    ]


@pytest.mark.parametrize(("world", "expect"), ALL)
def test_case(world: Mapping[str, Any], expect: Mapping[str, Any]) -> None:
    told = answer(request(world))
    assert told["decision"] == expect["decision"], told["reasons"]
    assert told["reasons"][0]["code"] == expect["reason"], told["reasons"]
    assert told["released"] == expect.get("released", [])
    named = [key.partition("#")[0] for key in world.get("content", {})]
    entries = dict.fromkeys(f"entry[{n}]" if key.endswith("/") else key for n, key in enumerate(named))
    assert told["withheld"] == [key for key in entries if key not in told["released"]]
    why = {key: reason["code"] for reason in told["reasons"] for key in reason.get("withheld", ())}
    assert {key: why[key] for key in expect.get("why", {})} == expect.get("why", {}), why
    limits = [duty["parameters"] for duty in told["obligations"] if "parameters" in duty]
    assert limits == _obligations(expect.get("obligations", []))
    for name in ("basis", "until"):
        if name in expect:
            assert told[name] == expect[name]


@pytest.mark.parametrize(("world", "expect"), ALL)
def test_nothing_goes_unless_it_is_permitted(world: Mapping[str, Any], expect: Mapping[str, Any]) -> None:
    """Whatever the case: no consents, nothing; one that cannot be read beside them, nothing."""
    asked = request(world)
    unreadable = {"resourceType": "Consent", "status": "active", "patient": asked["consents"][0]["patient"]}
    for consents in ([], [*asked["consents"], unreadable]):
        told = answer(asked | {"consents": consents})
        assert told["decision"] != "permit" and told["released"] == [] and told["until"] is None
        assert [duty for duty in told["obligations"] if "parameters" in duty] == []
