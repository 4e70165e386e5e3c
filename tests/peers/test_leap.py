"""Our consent engine beside LEAP's consent decision service, an implementation that is not ours.

Needs Node.js and a checkout of sdhealthconnect/leap-cds beside the project with its packages installed; LEAP
names the folder. More of the same cases: `make peers-leap LEAP=<checkout>`. What the two differ in is listed
in leap/differences.yaml with what the published text says; docs/reference/consent-peers.md says it in words.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from leap import prose
from leap.compare import CLASSES, Compared, compare, explained
from leap.generator import cases
from leap.ours import decide
from leap.service import missing

pytestmark = pytest.mark.slow

CHECKOUT = os.environ.get("LEAP")
COUNT = 2000
DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "consent-peers.md"
absent = missing(CHECKOUT)
needs_leap = pytest.mark.skipif(absent is not None, reason=str(absent))


@pytest.fixture(scope="module")
def found() -> list[Compared]:
    assert CHECKOUT is not None
    return compare(CHECKOUT, COUNT)


@needs_leap
def test_every_difference_is_explained(found: list[Compared]) -> None:
    assert [each.case.number for each in found if each.causes is None] == []


@needs_leap
def test_both_engines_are_really_asked(found: list[Compared]) -> None:
    """Permits and denies on both sides, agreement and difference: neither side has been skipped."""
    for side in ("theirs", "ours"):
        assert {"permit", "deny", "no-consent"} == {getattr(each, side).decision for each in found}
    agreed = sum(each.agreed for each in found)
    assert len(found) * 0.2 < agreed < len(found)
    assert any(each.wrongly_sent_by_them for each in found), "the published text is never put to the test"


@needs_leap
def test_every_class_of_difference_is_met(found: list[Compared]) -> None:
    met = set().union(*(each.causes or () for each in found))
    assert {each["id"] for each in CLASSES} - met == set()


def test_nothing_goes_that_the_published_text_denies() -> None:
    """Needs no LEAP: the naive reading of the text beside our engine."""
    wrong = {case.number for case in cases(3 * COUNT) if decide(case).released & prose.forbidden(case).keys()}
    assert wrong == set()


def test_the_document_says_what_each_class_of_difference_is() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert [line for line in explained() if line not in text] == []
