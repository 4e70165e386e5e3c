"""Every case file in tests/cases/agreement: one agreement that is in force, then one fact of it changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from agreement_world import CASES, URL, decided, forged, key, loaded, signed, stated, terms_of
from consent_world import changed

from consent.agreement_signing import verify
from profiles.document import load

_STATES = {"enum": ["signed", "missing", "bad"]}
_EXPECT = {
    "type": "object",
    "required": ["code"],
    "additionalProperties": False,
    "properties": {
        "hospital": _STATES,
        "pantry": _STATES,
        "clinic": _STATES,
        "says": {"type": "string"},
        "status": {"enum": ["draft", "active", "suspended", "terminated"]},
        "code": {"type": "string"},
        "items": {"type": "array"},
        "until": {"type": "string"},
        "remedy": {"type": "string"},
    },
}
_CASE = {
    "name": {"type": "string"},
    "now": {"type": "string"},
    "state": {"type": "string"},
    "before": {"type": "object"},
    "sign": {"type": "object"},
    "after": {"type": "object"},
    "forge": {"type": "object"},
    "swap": {"type": "boolean"},
    "statements": {"type": "array"},
    "newer": {"type": "object"},
    "newer-sign": {"type": "object"},
    "newer-statements": {"type": "array"},
    "expect": _EXPECT,
}
_SCHEMA = {
    "type": "object",
    "required": ["story", "now", "expect", "cases"],
    "additionalProperties": False,
    "properties": {
        "story": {"type": "string"},
        "now": {"type": "string"},
        "expect": _EXPECT,
        "cases": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "expect"],
                "additionalProperties": False,
                "properties": _CASE,
            },
        },
    },
}


def _cases() -> list[Any]:
    found = []
    for path in sorted(CASES.glob("*.yaml")):
        story = load(path, _SCHEMA).data
        for case in ({"name": story["story"], "expect": story["expect"]}, *story["cases"]):
            found.append(pytest.param({"now": story["now"], **case}, id=f"{path.stem}: {case['name']}"))
    return found


def _keyed(changes: Mapping[str, Any]) -> dict[str, Any]:
    """`key:NAME` in a case is the thumbprint of that key."""
    return {
        path: key(value[4:]).thumbprint() if isinstance(value, str) and value.startswith("key:") else value
        for path, value in changes.items()
    }


def on_file(case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The agreement of a case as it lies in the folder, and the newer version where there is one."""
    first = signed(terms_of(_keyed(case.get("before", {}))), case.get("sign"))
    for party, kind in case.get("forge", {}).items():
        first = forged(first, party, kind)
    if case.get("swap"):
        one, other = first["signatures"]
        first["signatures"] = [one | {"jws": other["jws"]}, other | {"jws": one["jws"]}]
    first = changed(stated(first, case.get("statements", [])), _keyed(case.get("after", {})))
    if "newer" not in case:
        return [first]
    newer = signed(changed(terms_of(), case["newer"]), case.get("newer-sign"))
    return [first, stated(newer, case.get("newer-statements", []))]


@pytest.mark.parametrize("case", _cases())
def test_case(case: Mapping[str, Any]) -> None:
    documents, expect = on_file(case), case["expect"]
    agreements = [loaded(one) for one in documents]
    found = {one.organization: one for one in verify(documents[0])}
    for party in {"hospital", "pantry", "clinic"} & expect.keys():
        assert found[URL + party].state == expect[party], found
    if "says" in expect:
        assert any(expect["says"] in one.reason for one in found.values()), found
    assert agreements[0].signed == all(one.state == "signed" for one in found.values())
    assert set(agreements[0].unsigned) == {who for who, one in found.items() if one.state != "signed"}
    if "status" in expect:
        assert agreements[0].status == expect["status"]

    decision = decided(agreements, datetime.fromisoformat(case["now"]), case.get("state", "accepted"))
    assert decision.code == expect["code"], decision.reasons
    if "items" in expect:
        assert sorted(decision.items) == sorted(expect["items"])
    if "until" in expect:
        assert decision.until is not None and decision.until.isoformat() == expect["until"]
    if "remedy" in expect:
        assert expect["remedy"] in decision.remedies
