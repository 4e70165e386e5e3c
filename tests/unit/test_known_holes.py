"""The pins lie above every hole that docs/dependencies.md names. `make audit` asks for those since found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\S+) \| (\S+) \| (CVE-\d{4}-\d+) \| (\S+) \| .+ \|$", re.MULTILINE)
HOLES = ROW.findall((ROOT / "docs" / "dependencies.md").read_text("utf-8"))


def pins(file: str) -> dict[str, str]:
    text = (ROOT / file).read_text("utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+) \\$", text, re.MULTILINE))


def test_the_table_is_read() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    assert len(HOLES) == text.count("| CVE-") > 10


@pytest.mark.parametrize(("package", "said", "hole", "mended"), HOLES, ids=[one[2] for one in HOLES])
def test_no_pin_has_a_known_hole(package: str, said: str, hole: str, mended: str) -> None:
    for file in ("requirements.txt", "requirements-dev.txt"):
        pinned = pins(file)[package]
        assert pinned == said, f"{file} pins {package} {pinned}; the table says {said}"
        assert Version(pinned) >= Version(mended), f"{package} {pinned} has {hole}"


def test_both_files_pin_the_same() -> None:
    """What is tested is what runs."""
    run, test = pins("requirements.txt"), pins("requirements-dev.txt")
    assert len(run) > 30
    assert {name: test.get(name) for name in run} == run


def test_no_pin_says_where_it_comes_from() -> None:
    """So that each machine takes it from its own registry, and the hash decides."""
    for file in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / file).read_text("utf-8")
        assert not re.search(r"://|--(extra-)?index-url|--find-links", text), file
    assert '"resolved"' not in (ROOT / "tests/peers/package-lock.json").read_text("utf-8")
