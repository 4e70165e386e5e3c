"""SECURITY.md: every threat names the code that answers it and a test, and both are there."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text("utf-8")
FLOWS = ("Node", "Peer", "Local system", "Directory", "Operator")
STRIDE = "STRIDE"
_ROW = re.compile(r"^\| ([A-Z]) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_NAMED = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Threat:
    """One line of a table: which kind of threat in which flow, what answers it and what proves that."""

    flow: str
    kind: str
    what: str
    code: tuple[str, ...]
    tests: tuple[str, ...]


def threats() -> list[Threat]:
    found = []
    for section in TEXT.split("\n## ")[1:]:
        flow = section.partition(":")[0]
        for kind, what, code, tests in _ROW.findall(section):
            found.append(Threat(flow, kind, what, _names(code), _names(tests)))
    return found


def _names(cell: str) -> tuple[str, ...]:
    return tuple(_NAMED.findall(cell))


THREATS = threats()


@cache
def functions(file: str) -> frozenset[str]:
    """The tests of a file that run: those that nothing skips."""
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    return frozenset(
        one.name
        for one in tree.body
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        and one.name.startswith("test_")
        and not any("skip" in ast.dump(mark) for mark in one.decorator_list)
    )


def test_every_line_of_the_tables_is_read() -> None:
    assert len(THREATS) == len(re.findall(r"^\| [A-Z] \|", TEXT, re.MULTILINE)) > 40
    assert {threat.flow for threat in THREATS} == set(FLOWS)


@pytest.mark.parametrize("flow", FLOWS)
def test_every_kind_of_threat_is_thought_of_in_every_flow(flow: str) -> None:
    assert {threat.kind for threat in THREATS if threat.flow == flow} == set(STRIDE)


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: f"{threat.flow}-{threat.kind}-{threat.what}")
def test_what_answers_a_threat_is_there(threat: Threat) -> None:
    assert threat.code and threat.tests
    assert [path for path in threat.code if not (ROOT / path).is_file()] == []
    for test in threat.tests:
        file, _, name = test.partition("::")
        assert name in functions(file), f"there is no test {name} in {file}"


def test_the_commands_for_tonight_are_shown() -> None:
    for command in ("waymeet keys revoke", "waymeet client suspend", "waymeet directory suspend"):
        assert f"`{command}`" in TEXT
