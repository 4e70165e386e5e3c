"""tests/cases/consent-forms: what each law asks of a release, and what is said where one thing is missing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from consent_world import POLICY, changed, org
from pytest import param

from consent.advice import MISSING
from consent.elements import ELEMENTS
from consent.release import lacking, missing_elements, new_consent
from profiles.document import load

CASES = Path(__file__).parents[1] / "cases" / "consent-forms"
_CODES = {"type": "array", "items": {"type": "string"}}
_WORDS: dict[str, dict[str, Any]] = load(
    CASES / "elements.yaml",
    {
        "additionalProperties": {
            "required": ["without", "says"],
            "additionalProperties": False,
            "properties": {"without": _CODES, "also": _CODES, "says": {"type": "string"}},
        }
    },
).data
_LAWS: dict[str, list[dict[str, Any]]] = load(
    CASES / "regimes.yaml",
    {
        "additionalProperties": {
            "type": "array",
            "items": {
                "required": ["to", "asks"],
                "additionalProperties": False,
                "properties": {
                    "to": _CODES,
                    "asks": _CODES,
                    "minor": {"const": True},
                    "refused": {"const": True},
                },
            },
        }
    },
).data


def release(*, minor: bool) -> dict[str, Any]:
    """A release as we write it."""
    return new_consent(
        patient=("https://example.org/ids", "42"),
        source=org("safe-harbor"),
        recipients=[org("harbor-food-pantry")],
        purpose="COC",
        items=["alias", "household-size"],
        start="2026-06-01",
        end="2026-06-19",
        signed="paper form, in the locked cabinet",
        recorded=datetime(2026, 6, 1, 9, tzinfo=UTC),
        regime="vawa",
        signers=["patient", "guardian"] if minor else ["patient"],
    )


def _situations() -> Iterator[Any]:
    for law, situations in _LAWS.items():
        for one in situations:
            name = f"{law}, to {one['to'][0]}{', of a minor' if one.get('minor') else ''}"
            yield param(law, one, id=name)


def _lacks() -> Iterator[Any]:
    for one in _situations():
        law, situation = one.values
        for element in situation["asks"]:
            yield param(law, situation, element, id=f"{one.id}: no {element}")


def test_every_law_and_every_element_has_its_case() -> None:
    assert _LAWS.keys() == POLICY.regimes.keys()
    assert _WORDS.keys() == MISSING.keys() == ELEMENTS.keys()


@pytest.mark.parametrize(("law", "situation"), list(_situations()))
def test_a_complete_release_lacks_nothing(law: str, situation: dict[str, Any]) -> None:
    minor = situation.get("minor", False)
    found = lacking(release(minor=minor), POLICY.regimes[law], kinds=situation["to"], minor=minor)
    assert found
    assert [one.elements for one in found] == [()] * len(found)
    assert frozenset().union(*(one.rule.must_contain for one in found)) == set(situation["asks"])
    assert any(one.rule.consent == "refused" for one in found) == situation.get("refused", False)


@pytest.mark.parametrize(("law", "situation", "element"), list(_lacks()))
def test_without_one_thing_that_one_is_missing(law: str, situation: dict[str, Any], element: str) -> None:
    minor = situation.get("minor", False)
    written = changed(release(minor=minor), dict.fromkeys(_WORDS[element]["without"]))
    missing = missing_elements(written, POLICY.regimes[law], kinds=situation["to"], minor=minor)
    gone = {element, *_WORDS[element].get("also", [])} & set(situation["asks"])
    assert set(missing) == gone


@pytest.mark.parametrize("element", _WORDS)
def test_an_advocate_is_told_what_to_write(element: str) -> None:
    assert str(MISSING[element]) == _WORDS[element]["says"]
