"""The page docs/reference/security-conformance.md: its tables are those of the cases, its tests are tests."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from profiles.document import load

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "security-conformance.md"
TESTS = {"type": "array", "items": {"type": "string", "pattern": r"^tests/\w+/test_\w+\.py::test_\w+$"}}
REQUIREMENT = {
    "type": "object",
    "required": ["id", "who", "says", "what", "result"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "integer"},
        "who": {"enum": ["server", "client"]},
        "says": {"enum": ["SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "MAY"]},
        "what": {"type": "string", "minLength": 1},
        "result": {"enum": ["met", "otherwise", "not here", "not done"]},
        "why": {"type": "string", "minLength": 1},
        "tests": TESTS | {"minItems": 1},
    },
}
BEYOND = {
    "type": "object",
    "required": ["name", "what", "tests"],
    "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "what": {"type": "string"}, "tests": TESTS | {"minItems": 1}},
}
SCHEMA = {
    "type": "object",
    "required": ["requirements", "beyond"],
    "properties": {
        "requirements": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": REQUIREMENT},
        },
        "beyond": {"type": "array", "items": BEYOND},
    },
}
CASES: dict[str, Any] = load(ROOT / "tests" / "cases" / "smart-requirements.yaml", SCHEMA).data
REQUIREMENTS = [one for section in CASES["requirements"].values() for one in section]
BEGIN = "<!-- written by tests/unit/test_security_conformance.py from here on -->"


# ------------------------------------------------------------------------------------------------ the page


def tables() -> str:
    """What the page says from its mark on."""
    return "\n".join([BEGIN, "", *_requirements(), *_beyond()])


def _requirements() -> Iterator[str]:
    yield "## What SMART App Launch 2.2.0 asks for"
    yield ""
    count = Counter(one["result"] for one in REQUIREMENTS)
    said = ", ".join(f"{count[name]} {name}" for name in ("met", "otherwise", "not here", "not done"))
    yield f"{len(REQUIREMENTS)} requirements: {said}."
    for section, found in CASES["requirements"].items():
        yield ""
        yield f"### {section}"
        yield ""
        yield "| No. | Who | Says | What | Result | Tests |"
        yield "|---|---|---|---|---|---|"
        for one in found:
            why = f": {one['why']}" if "why" in one else ""
            cells = (one["id"], one["who"], one["says"], one["what"], one["result"] + why)
            yield f"| {' | '.join(map(str, cells))} | {_names(one.get('tests', []))} |"
    yield ""


def _beyond() -> Iterator[str]:
    yield "## What the public kits do not try"
    yield ""
    yield "| What | How | Tests |"
    yield "|---|---|---|"
    for one in CASES["beyond"]:
        yield f"| {one['name']} | {one['what']} | {_names(one['tests'])} |"
    yield ""


def _names(tests: list[str]) -> str:
    return "<br>".join(f"`{test.removeprefix('tests/')}`" for test in tests)


def test_the_page_shows_what_the_cases_say() -> None:
    _before, mark, shown = PAGE.read_text("utf-8").partition(BEGIN)
    assert mark + shown == tables()


# ------------------------------------------------------------------------------------------------ the cases


def test_each_requirement_stands_here_once() -> None:
    assert [number for number, times in Counter(one["id"] for one in REQUIREMENTS).items() if times > 1] == []


def test_everything_that_is_asked_for_backend_services_is_here() -> None:
    """Backend services, introspection, both ways of client authentication: each of their numbers."""
    # The guide has withdrawn these: they say when to choose which profile.
    withdrawn = {221, 222, 223, 224, 284}
    assert set(range(221, 346)) - {one["id"] for one in REQUIREMENTS} == withdrawn


@pytest.mark.parametrize("one", REQUIREMENTS, ids=lambda one: one["id"])
def test_a_requirement_has_a_test_or_a_reason(one: dict[str, Any]) -> None:
    """No SHALL without a test, but for what there is nothing here that it could be about."""
    if one["result"] in ("met", "otherwise"):
        assert one.get("tests")
    else:
        assert "tests" not in one
    if one["result"] != "met":
        assert one.get("why")
    if one["result"] == "not done":
        assert not one["says"].startswith("SHALL")


@cache
def collected() -> frozenset[str]:
    """Every test that pytest finds in the files that are named."""
    named = {test for one in (*REQUIREMENTS, *CASES["beyond"]) for test in one.get("tests", [])}
    files = sorted({test.partition("::")[0] for test in named})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return frozenset(line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line)


def test_every_test_that_is_named_is_one() -> None:
    named = {test for one in (*REQUIREMENTS, *CASES["beyond"]) for test in one.get("tests", [])}
    assert len(named) > 100
    assert named - collected() == set()


if __name__ == "__main__":
    before = PAGE.read_text("utf-8").partition(BEGIN)[0].rstrip("\n")
    PAGE.write_text(f"{before}\n\n{tables()}", "utf-8")
