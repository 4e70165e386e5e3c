"""Who may send to whom for what: a combination nobody listed is denied, also with the fullest consent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from consent_world import facts, org, record

import consent
from consent import Facts, Party
from profiles.document import load

MATRIX = Path(__file__).parent.parent / "cases" / "regime-matrix.yaml"
_CODES = {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}
_AXES = dict.fromkeys(("sources", "recipients", "purposes", "labels"), _CODES)
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["what", *_AXES, "permitted"],
        "additionalProperties": False,
        "properties": {
            "what": {"type": "string"},
            **_AXES,
            "permitted": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["sources", "consent"],
                    "additionalProperties": False,
                    "properties": {**_AXES, "consent": {"enum": ["none", "full"]}},
                },
            },
        },
    },
}
TABLES: list[Mapping[str, Any]] = load(MATRIX, SCHEMA).data
ITEM = "diet"
WORLD = {
    "now": "2026-06-01T12:00:00+00:00",
    "source": {"organization": "from"},
    "recipient": {"organization": "to"},
    "person": {"minor": False},
    "purpose": "COC",
    "referral-type": "food-insecurity",
    "state": "accepted",
    "items": ["need", "given-name", ITEM],
    "agreement": {
        "parties": ["from", "to"],
        "period": {"start": "2026-01-01", "end": "2026-12-31"},
        "purposes": ["COC"],
        "referral-type": "food-insecurity",
        "offer": ["need"],
        "dossier": ["given-name", ITEM],
        "consent-required": False,
    },
    "consents": [],
}


def _for(purpose: str, *, consented: bool) -> Facts:
    """The facts for one purpose, without a consent or with one that states all that a consent can."""
    full = {
        "source": "from",
        "recipients": ["to"],
        "purpose": purpose,
        "items": ["need", "given-name", ITEM],
        "start": "2026-05-20",
        "end": "2026-06-30",
    }
    covering = {**WORLD["agreement"], "purposes": [purpose]}  # type: ignore[dict-item]
    world = {**WORLD, "purpose": purpose, "agreement": covering, "consents": [full] if consented else []}
    return facts(world)[0]


NOW = facts(WORLD)[1]


def _listed(table: Mapping[str, Any], cell: Mapping[str, str]) -> str:
    """What the file says of one combination: none, full, or denied where nobody listed it."""
    for row in table["permitted"]:
        if all(value in row.get(axis, table[axis]) for axis, value in cell.items()):
            return str(row["consent"])
    return "denied"


def _decided(cell: Mapping[str, str], without: Facts, fully: Facts) -> str:
    """What the engine makes of it."""
    kinds = _kinds(cell["sources"])
    labels = {ITEM: [cell["labels"]]} if cell["labels"] != "nothing" else {}
    held = record({"source": {"kinds": kinds}, "items": WORLD["items"], "labels": labels})
    asked = {
        "source": Party(org("from"), kinds),
        "recipient": Party(org("to"), _kinds(cell["recipients"])),
        "record": held,
    }
    if ITEM in consent.decide(replace(without, **asked), NOW).items:
        return "none"
    return "full" if ITEM in consent.decide(replace(fully, **asked), NOW).items else "denied"


def _kinds(name: str) -> frozenset[str]:
    return frozenset() if name == "nothing" else frozenset({name})


def _cells(table: Mapping[str, Any], purpose: str) -> Iterator[Mapping[str, str]]:
    for source, recipient, label in product(table["sources"], table["recipients"], table["labels"]):
        yield {"sources": source, "recipients": recipient, "purposes": purpose, "labels": label}


@pytest.mark.parametrize(
    ("table", "purpose"),
    [
        pytest.param(table, purpose, id=f"{table['what']}: {purpose}")
        for table in TABLES
        for purpose in table["purposes"]
    ],
)
def test_what_nobody_listed_is_denied_and_what_is_listed_goes(table: Mapping[str, Any], purpose: str) -> None:
    without, fully = _for(purpose, consented=False), _for(purpose, consented=True)
    wrong = [
        (cell, listed, decided)
        for cell in _cells(table, purpose)
        if (listed := _listed(table, cell)) != (decided := _decided(cell, without, fully))
    ]
    assert wrong == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table["what"])
def test_every_line_of_the_matrix_says_something(table: Mapping[str, Any]) -> None:
    """A line that another line already says, or that lies outside the axes, would be a typing error."""
    cells = [cell for purpose in table["purposes"] for cell in _cells(table, purpose)]
    for number, row in enumerate(table["permitted"]):
        rest = {**table, "permitted": [one for at, one in enumerate(table["permitted"]) if at != number]}
        assert any(_listed(table, cell) != _listed(rest, cell) for cell in cells), row
        assert all(set(row.get(axis, ())) <= set(table[axis]) for axis in _AXES), row
