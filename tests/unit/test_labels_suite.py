"""The SHIFT Task Force's labelled records: which of its labels we find, which we miss and why.

Measured with its own value sets, with the lists we ship, with those less the codes that were taken from these
very records, and with both. Every miss is listed in tests/cases/labels/suite.yaml with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from consent.items import POLICIES
from consent.label_files import load_labels
from consent.labelling import LabelTable

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "refs" / "consent-cases"
RECORDS = SHARED / "shift-sls-labelling.json"
STATED: Mapping[str, Any] = yaml.safe_load((ROOT / "tests/cases/labels/suite.yaml").read_text())
TABLES = sorted(STATED["tables"])

needs_suite = pytest.mark.skipif(not RECORDS.exists(), reason="needs the cases in ../shared")


@cache
def table(name: str) -> LabelTable:
    shipped = load_labels([POLICIES / "labels"])
    if name == "shipped":
        return shipped
    if name == "shipped-without-demo-codes":
        return LabelTable(
            replace(one, groups=tuple(each for each in one.groups if "demo data" not in each.source))
            for one in shipped.lists
        )
    shift = [SHARED / "labels" / "shift"]
    return load_labels(shift if name == "shift" else [POLICIES / "labels", *shift])


@cache
def records() -> tuple[Mapping[str, Any], ...]:
    return tuple(json.loads(RECORDS.read_text()))


def labelled(name: str) -> Iterator[tuple[str, set[str], set[str]]]:
    """Each record's id, the labels it should have and those it gets."""
    for record in records():
        wanted = {label["code"] for label in record["expected"]["security"]}
        yield record["id"], wanted, {code for _, code in table(name).of_resource(record["input"])}


@needs_suite
@pytest.mark.parametrize("name", TABLES)
def test_as_many_labels_are_found_as_the_documentation_says(name: str) -> None:
    results = list(labelled(name))
    assert sum(len(wanted) for _, wanted, _ in results) == STATED["expected"]
    assert {
        "found": sum(len(wanted & given) for _, wanted, given in results),
        "given": sum(len(given) for _, _, given in results),
        "exact": sum(wanted == given for _, wanted, given in results),
    } == STATED["tables"][name]


@needs_suite
@pytest.mark.parametrize("name", TABLES)
def test_every_miss_has_its_reason(name: str) -> None:
    reasons: dict[str, set[str]] = {}
    for miss in STATED["misses"]:
        if name in miss["tables"]:
            for record, labels in miss["labels"].items():
                reasons.setdefault(record, set()).update(labels)
    assert {record: wanted - given for record, wanted, given in labelled(name) if wanted - given} == reasons


def test_the_documentation_states_these_figures() -> None:
    text = (ROOT / "docs/reference/labels.md").read_text()
    expected = STATED["expected"]
    for figures in STATED["tables"].values():
        found, given = figures["found"], figures["given"]
        recall, precision = round(100 * found / expected), round(100 * found / given)
        cells = [
            f"{found} of {expected}, {recall} %",
            f"{found} of {given}, {precision} %",
            f"{figures['exact']} of 29",
        ]
        row = " | ".join(cells)
        assert row in text, row
