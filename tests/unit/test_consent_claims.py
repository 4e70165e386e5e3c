"""Every claim of docs/explanation/deciding.md and the regimes is shown by a case or a test that is there."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from stories import CASES

from profiles.document import load

UNIT = Path(__file__).parent
NAMES = {"type": "array", "minItems": 1, "items": {"type": "string"}}
CLAIM = {
    "type": "object",
    "required": ["claim"],
    "additionalProperties": False,
    "properties": {"claim": {"type": "string"}, "cases": NAMES, "tests": NAMES},
}
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["group", "claims"],
        "additionalProperties": False,
        "properties": {"group": {"type": "string"}, "claims": {"type": "array", "items": CLAIM}},
    },
}
CLAIMS = [
    pytest.param(one, id=f"{group['group']}: {one['claim']}")
    for group in load(CASES / "consent-claims.yaml", SCHEMA).data
    for one in group["claims"]
]


def _cases() -> frozenset[str]:
    """`file: name` of every case about deciding; a file's story is its first case."""
    found: list[str] = []
    for folder in ("decide", "consent", "consent/regimes"):
        for path in sorted((CASES / folder).glob("*.yaml")):
            told = load(path, {}).data
            found += [
                f"{path.stem}: {name}" for name in (told["story"], *(one["name"] for one in told["cases"]))
            ]
    assert len(found) == len(set(found)), "two cases of one name"
    return frozenset(found)


HELD = _cases()


def _tests(module: str) -> frozenset[str]:
    path = UNIT / f"{module}.py"
    if not path.is_file():
        return frozenset()
    parsed = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(one.name for one in parsed.body if isinstance(one, ast.FunctionDef))


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_is_shown(claim: dict[str, Any]) -> None:
    cases, tests = claim.get("cases", []), claim.get("tests", [])
    assert cases or tests, "nothing shows it"
    assert [name for name in cases if name not in HELD] == []
    named = [name.partition("::") for name in tests]
    assert ["::".join((module, test)) for module, _, test in named if test not in _tests(module)] == []


def test_no_claim_is_made_twice() -> None:
    said = [one.values[0]["claim"] for one in CLAIMS]
    assert len(said) == len(set(said))
