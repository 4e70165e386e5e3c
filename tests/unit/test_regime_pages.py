"""The pages about regimes say what the policy files say."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from consent.policy import load_policy

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference" / "regimes"
SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "regime_pages.py"))
MADE: dict[str, str] = SCRIPT["pages"]()


@pytest.mark.parametrize("name", MADE)
def test_the_page_is_what_the_script_makes(name: str) -> None:
    assert (PAGES / name).read_text(encoding="utf-8") == MADE[name], "run: python scripts/regime_pages.py"


def test_there_is_a_page_for_each_regime_and_no_other() -> None:
    names = {f"{regime}.md" for regime in load_policy().regimes}
    assert {page.name for page in PAGES.glob("*.md")} == names | {"README.md"} == MADE.keys()


def test_a_page_shows_every_rule_with_its_words_and_its_law() -> None:
    for regime in load_policy(state="US-CT").regimes.values():
        page = " ".join(MADE[f"{regime.id}.md"].split())
        closed = [regime.closed] if regime.closed else []
        cited = [*regime.rules, *closed, *regime.notices, *regime.substitutions]
        for rule in cited:
            assert f"`{rule.id}`" in page
            assert rule.text in page
            assert rule.citation in page
        marks = sum(rule.ask_counsel for rule in cited)
        assert page.count("**Ask counsel**") == marks + bool(marks)


def test_every_word_list_of_the_script_is_used() -> None:
    """Words for a label or a purpose that no regime names any more would only mislead."""
    shown = "".join(MADE.values())
    for codes in (SCRIPT["LABELS"], SCRIPT["PURPOSES"]):
        assert [code for code in codes if f"`{code}`" not in shown] == []
