"""Every case file in tests/cases/consent: one good case, then cases that change a fact of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from consent_record import audit_entry, record_of
from consent_world import NAMES, POLICY, facts
from stories import CASES, told

import consent
from gateway.audit import Entry

EXPECT = {
    "type": "object",
    "required": ["code"],
    "additionalProperties": False,
    "properties": {
        "code": {"type": "string"},
        "view": {"enum": ["task", "offer", "dossier"]},
        "items": {"type": "array"},
        "withheld": {"type": "object"},
        "obligations": {"type": "array"},
        "basis": {"type": "array"},
        "until": {"type": "string"},
        "remedies": {"type": "array"},
        "says": {"type": "array"},
        "reasons": {"type": "array"},
        "withheld-paths": {"type": "array"},
        "audit": {"type": "object"},
    },
}

ALL = told(CASES / "consent", EXPECT)


@pytest.mark.parametrize(("world", "expect"), ALL)
def test_case(world: Mapping[str, Any], expect: Mapping[str, Any]) -> None:
    given, now = facts(world)
    decision = consent.decide(given, now)
    assert decision.code == expect["code"], decision.reasons
    assert decision.permit == (expect["code"] == "permit")
    stated = {
        "view": decision.view,
        "items": sorted(decision.items),
        "withheld": dict(decision.withheld),
        "obligations": [duty.code for duty in decision.obligations],
        "basis": list(decision.basis),
        "until": decision.until.isoformat() if decision.until else "",
        "reasons": [reason.code for reason in decision.reasons],
    }
    for name, value in stated.items():
        if name in expect:
            wanted = sorted(expect[name]) if name == "items" else expect[name]
            assert value == wanted, name
    explained = consent.sentences(decision, NAMES)
    for words in expect.get("remedies", []):
        assert any(words in line for line in explained if line.startswith("What would change this")), (
            explained
        )
    for words in expect.get("says", []):
        assert any(words in line for line in explained), explained


@pytest.mark.parametrize(
    ("world", "expect"),
    [case for case in ALL if {"withheld-paths", "audit"} & case.values[1].keys()],
)
def test_what_is_left_out_and_what_is_written_down(
    world: Mapping[str, Any], expect: Mapping[str, Any]
) -> None:
    """The paths that minimising withholds, and the audit entry that the gateway makes of the decision."""
    given, now = facts(world)
    decision = consent.decide(given, now)
    resources = record_of(world["items"])
    ids = dict.fromkeys(consent.served_names(resources, POLICY), "id")
    disclosed = consent.minimise(resources, decision, POLICY, ids)
    if "withheld-paths" in expect:
        assert sorted(disclosed.withheld) == sorted(expect["withheld-paths"])
    entry = Entry(
        "decide", "E", "us", refused=not decision.permit, decision=decision, withheld=disclosed.withheld
    )
    told = audit_entry(entry)
    for name, value in expect.get("audit", {}).items():
        assert told.get(name) == value, name
    for value in ("Ana", "Ortiz", "New Haven", "stroller", "anaemia", "5550100"):
        assert value not in repr(told)


@pytest.mark.parametrize(("world", "expect"), ALL)
def test_a_denied_case_lets_nothing_through(world: Mapping[str, Any], expect: Mapping[str, Any]) -> None:
    given, now = facts(world)
    decision = consent.decide(given, now)
    if not decision.permit:
        assert decision.items == frozenset()
        assert decision.obligations == ()
        assert decision.until is None
        assert set(decision.withheld) == given.items
        assert [reason.outcome for reason in decision.reasons].count("deny") == 1
        assert decision.reasons[-1].outcome == "deny"
