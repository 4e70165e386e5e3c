"""Published consents with the decision that their authors give, put to the engine as they are.

What does not come out as its author says is listed in tests/cases/consent-suites.yaml with the reason, and
the test holds us to it: a case that is listed must be refused in just that way. The consents themselves are
other people's and are read from ../shared.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from consent.request import answer
from profiles.canonical import ACT_CODE, CONFIDENTIALITY, CONSENT_SCOPE
from profiles.document import load

ROOT = Path(__file__).parents[2]
SUITES = ROOT.parent / "shared" / "refs" / "consent-cases"
CONFORMANCE = ROOT / "docs" / "reference" / "consent-conformance.md"
WORDS = {"CONSENT_PERMIT": "permit", "CONSENT_DENY": "deny", "NO_CONSENT": "no-consent"}
SCHEMA = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["decision", "code", "why"],
        "additionalProperties": False,
        "properties": {name: {"type": "string"} for name in ("decision", "code", "why")},
    },
}
EXCEPTIONS = load(ROOT / "tests" / "cases" / "consent-suites.yaml", SCHEMA).data


def suite(name: str) -> list[Any]:
    """The cases of one suite, or one that is skipped where ../shared is not beside the checkout."""
    path = SUITES / f"{name}.json"
    if not path.exists():
        return [
            pytest.param({}, marks=pytest.mark.skip(reason="needs the published cases in ../shared"), id=name)
        ]
    return [pytest.param(case, id=case["id"]) for case in json.loads(path.read_text())]


def decided(case: dict[str, Any], got: dict[str, Any]) -> bool:
    """Whether a case came out as published; for one that is listed, whether as it is listed."""
    listed = EXCEPTIONS.get(case["id"])
    if listed is None:
        return bool(got["decision"] == WORDS[case["expected"]["decision"]])
    assert (got["decision"], got["reasons"][0]["code"]) == (listed["decision"], listed["code"]), got
    assert got["released"] == []
    return False


# ------------------------------------------------------------------------------------------------ IHE PCF

GROUPS = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "resource": {
                "resourceType": "Group",
                "id": "ex-privilegedUsers",
                "type": "practitioner",
                "actual": True,
                "member": [{"entity": {"reference": "Practitioner/ex-practitioner"}}],
            }
        }
    ],
}


def _labelled(*codes: str) -> dict[str, Any]:
    systems = {code: CONFIDENTIALITY if code in "NRV" else ACT_CODE for code in codes}
    return {"security": [{"system": system, "code": code} for code, system in systems.items()]}


def _observation(name: str, labels: list[str], when: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "meta": _labelled(*labels) if labels else {},
        "status": "final",
        "effectiveDateTime": when,
        "subject": {"reference": "Patient/ex-patient"},
        "encounter": {"reference": "Encounter/ex-encounter"},
        **more,
    }


# The guide's example patient, as far as its consents tell them apart, and three of the suite's own.
CONTENT = [
    {
        "resourceType": "Encounter",
        "id": "ex-encounter",
        "meta": _labelled("N"),
        "status": "finished",
        "subject": {"reference": "Patient/ex-patient"},
    },
    _observation("ex-alcoholUse", ["R", "ETHUD"], "2022-02-01"),
    _observation("ex-bloodPressure", ["N"], "2012-02-01"),
    _observation("ex-bloodSugar", ["N"], "2015-02-01"),
    _observation("ex-weight", ["N"], "2017-02-01"),
    _observation("ex-weight-2", ["N"], "2018-02-01"),
]
SYNTHETIC = {
    "syn-psy": _observation(
        "syn-psy", ["R", "PSY"], "2022-05-01", performer=[{"reference": "Practitioner/ex-practitioner"}]
    ),
    "syn-sdv": _observation(
        "syn-sdv", ["R", "SDV"], "2010-05-01", encounter={"reference": "Encounter/another"}
    ),
    "syn-unlabelled": _observation("syn-unlabelled", [], "2022-05-01"),
}


@pytest.mark.parametrize("case", suite("ihe-pcf"))
def test_ihe_privacy_consent_on_fhir(case: dict[str, Any]) -> None:
    query, expected = case["query"], case["expected"]
    content = [*CONTENT, *SYNTHETIC.values()]
    got = answer(
        {
            "now": case["now"],
            "consents": case["consents"],
            "directory": GROUPS,
            "query": {
                "patient": query["patient"],
                "actor": [query["actor"]],
                "purpose": [query["purposeOfUse"]],
            },
            "content": {"resourceType": "Bundle", "entry": [{"resource": one} for one in content]},
        }
    )
    assert decided(case, got)
    if "releasedResources" in expected:
        of_the_guide = set(got["released"]) - {f"Observation/{name}" for name in SYNTHETIC}
        assert of_the_guide - set(expected.get("undetermined", ())) == set(expected["releasedResources"])
        for name, goes in expected["synthetic"].items():
            assert (f"Observation/{name}" in got["released"]) == goes, name
    for name in expected.get("undetermined", ()):
        assert name in got["withheld"]  # what the guide leaves open stays


# ------------------------------------------------------------------------------------------------ AB 352


@pytest.mark.parametrize("case", suite("shift-ab352"))
def test_california_ab_352(case: dict[str, Any]) -> None:
    query = case["query"]
    resource = query["resource"]
    got = answer(
        {
            "now": case["now"],
            "consents": case["consents"],
            "query": {
                "purpose": [query["purposeOfUse"]],
                "location": [f"Location/{query['recipientState'].lower()}-location"],
            },
            "content": {
                "resourceType": "Bundle",
                "entry": [
                    {
                        "resource": {
                            "resourceType": "Observation",
                            "id": "one",
                            "meta": {"security": resource["security"]},
                            "effectiveDateTime": resource["date"],
                        }
                    }
                ],
            },
        }
    )
    assert decided(case, got) or case["id"] in EXCEPTIONS


# ------------------------------------------------------------------------------------------------ HL7 R4


@pytest.mark.parametrize("case", suite("hl7-r4-examples"))
def test_hl7s_own_examples_are_refused_as_unusable(case: dict[str, Any]) -> None:
    """They need two readings that exclude each other, so none of them may decide anything."""
    query = case["query"]
    got = answer(
        {
            "now": case.get("now", "2016-01-01T00:00:00Z"),
            "consents": case["consents"],
            "query": {
                "actor": [query["actor"]] if "/" in query.get("actor", "") else [],
                "purpose": [query["purposeOfUse"]] if "purposeOfUse" in query else [],
            },
        }
    )
    assert case["id"] in EXCEPTIONS
    assert not decided(case, got)
    assert got["reasons"][0]["issues"]


# ------------------------------------------------------------------------------------------------ TORCH

MII = "https://example.org/consent-codes"


def _rule(rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": rule["type"],
        "code": [{"coding": [{"system": MII, "code": rule["code"]}]}],
        "dataPeriod": {"start": rule["start"], "end": rule["end"]},
    }


def _authored(number: int, said: dict[str, Any]) -> dict[str, Any]:
    """One of TORCH's lists of rules as a Consent of our profile.

    A list with a permit is a permit list under a root deny. One that only refuses says so at the root itself:
    a root deny around refusals would deny everything.
    """
    rules = [_rule(rule) for rule in said["rules"]]
    only_refuses = all(rule["type"] == "deny" for rule in rules)
    assert not only_refuses or len(rules) == 1
    return {
        "resourceType": "Consent",
        "id": f"torch-{number}",
        "status": "active",
        "scope": {"coding": [{"system": CONSENT_SCOPE, "code": "patient-privacy"}]},
        "patient": {"reference": "Patient/one"},
        "dateTime": said.get("dateTime", "2024-01-01"),
        "policy": [{"uri": "https://example.org/policy"}],
        "provision": rules[0] if only_refuses else {"type": "deny", "provision": rules},
    }


@pytest.mark.parametrize("case", suite("torch-intervals"))
def test_torchs_intervals(case: dict[str, Any]) -> None:
    """Each permitted interval to the day: its first and last day go, and the days around it do not."""
    expected = case["expected"]["permitted"]
    edges = {
        date.fromisoformat(day) + timedelta(days=step)
        for consent in case["consentRules"]
        for rule in consent["rules"]
        for day in (rule["start"], rule["end"])
        for step in (-1, 0, 1)
    }
    asked = {f"{code}-{day}": (code, day) for code in case["query"]["codes"] for day in sorted(edges)}
    got = answer(
        {
            "now": "2026-01-01T00:00:00Z",
            "consents": [_authored(number, said) for number, said in enumerate(case["consentRules"])],
            "query": {"patient": "Patient/one"},
            "content": {
                "resourceType": "Bundle",
                "entry": [
                    {
                        "resource": {
                            "resourceType": "Observation",
                            "id": name,
                            "effectiveDateTime": day.isoformat(),
                            "code": {"coding": [{"system": MII, "code": code}]},
                        }
                    }
                    for name, (code, day) in asked.items()
                ],
            },
        }
    )
    if case["id"] in EXCEPTIONS:
        assert got["decision"] == EXCEPTIONS[case["id"]]["decision"]
        return
    wanted = {
        f"Observation/{name}"
        for name, (code, day) in asked.items()
        if any(start <= day.isoformat() <= end for start, end in expected.get(code, ()))
    }
    assert set(got["released"]) == wanted
    assert (got["decision"] == "permit") == bool(wanted)


# ------------------------------------------------------------------------------------------------ the page


def test_the_page_lists_every_exception_with_its_reason() -> None:
    text = " ".join(CONFORMANCE.read_text().split())
    for name, listed in EXCEPTIONS.items():
        assert f"`{name}`" in text
        assert listed["why"] in text


@pytest.mark.skipif(not SUITES.exists(), reason="needs the published cases in ../shared")
def test_no_exception_is_of_a_case_that_is_not_there() -> None:
    names = {case["id"] for path in SUITES.glob("*.json") for case in json.loads(path.read_text())}
    assert EXCEPTIONS.keys() <= names
