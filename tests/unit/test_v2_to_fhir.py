"""`hl7v2-referral` beside HL7's own mapping of version 2 to FHIR, and beside messages that others published.

What ours does with a field is taken from the compiled mapping, not from what the table says of it.
"""

from __future__ import annotations

import json
import re
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mappings import LocalMapping, RecordError, load, shipped
from mappings.bundle import bundle, linked
from mappings.readers.source import Source
from profiles import errors, validate

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT.parent / "shared" / "samples"
NOW = "2026-11-21T12:00:00Z"

PAGE = runpy.run_path(str(ROOT / "scripts" / "v2_to_fhir.py"))
ROWS: list[dict[str, Any]] = PAGE["rows"]()
_FIELD = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(\[[^\]]*\])?-(?P<field>\d+)(\[[^\]]*\])?(\.(?P<component>\d+))?"
)


def where_ours_puts(mapping: LocalMapping) -> dict[str, set[str]]:
    """Field, and field with component, to what it can reach; `condition` where it only decides."""
    found: dict[str, set[str]] = {}
    for line in mapping.lineage:
        path = _FIELD.match(line.field)
        assert path
        element = re.sub(r"\[\d+\]", "", line.element)
        # Of the envelope around the resources the section's name: key.0 is of the key.
        where = element if element[0].isupper() else element.partition(".")[0]
        field = f"{path['segment']}-{path['field']}"
        for name in (field, f"{field}.{path['component'] or 1}"):
            found.setdefault(name, set()).add("condition" if line.function == "when" else where)
    return found


OURS = where_ours_puts(load(shipped("hl7v2-referral")))


def below(element: str, parent: str) -> bool:
    return element == parent or element.startswith(f"{parent}.")


def verdict(theirs: list[str], ours: set[str]) -> str:
    elements = [where for where in ours if where[0].isupper()]
    if not ours:
        return "not read" if theirs else "neither"
    if not theirs:
        return "ours alone"
    covered = all(any(below(element, target) for element in elements) for target in theirs)
    within = all(any(below(element, target) for target in theirs) for element in elements)
    return "same" if elements and covered and within else "different"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["field"])
def test_the_table_says_what_the_mapping_does(row: dict[str, Any]) -> None:
    ours = OURS.get(row["field"], set())
    assert {told for told in row["ours"] if not any(below(where, told) for where in ours)} == set()
    assert {where for where in ours if not any(below(where, told) for told in row["ours"])} == set()
    assert row["verdict"] == verdict(row["hl7"], ours)
    assert ("why" in row) == (row["verdict"] not in ("same", "neither"))


@pytest.mark.parametrize(("segment", "fields"), [("PID", 40), ("PV1", 54), ("ORC", 38)])
def test_every_field_of_these_segments_has_a_row(segment: str, fields: int) -> None:
    whole = [row["field"] for row in ROWS if re.fullmatch(rf"{segment}-\d+", row["field"])]
    assert whole == [f"{segment}-{number}" for number in range(1, fields + 1)]
    assert max(Counter(row["field"] for row in ROWS).values()) == 1


def test_the_page_holds_the_table() -> None:
    page = (ROOT / "docs" / "reference" / "mappings" / "v2-to-fhir.md").read_text("utf-8")
    shown = page.partition("<!-- tables -->\n")[2].partition("<!-- /tables -->")[0]
    assert shown == PAGE["tables"](), "run: python scripts/v2_to_fhir.py"


# What others published. Each message makes these kinds of record, or is refused for the fields named.
PUBLISHED = {
    ("hl7v2-referral", "REF-I12-01.hl7"): ["referral"],
    ("hl7v2-referral", "ORM-O01-01.hl7"): ["referral"],
    ("hl7v2-referral", "ORM-O01-03.hl7"): ["referral", "referral"],  # two orders
    ("hl7v2-referral", "ORM_O01_03.hl7"): ["referral"],
    ("hl7v2-referral", "OMG-O19-01.hl7"): ["status", "status"],  # two orders that are put on hold
    ("360x", "SIU-S12-01.hl7"): ["status"],
    # An ORC alone: no PID. A referral without a person cannot be made.
    ("hl7v2-referral", "ORM_O01_01.hl7"): {"PID-3[5=MR].1, PID-3.1"},
}
needs_samples = pytest.mark.skipif(
    not SAMPLES.exists(), reason="the published samples are not beside the project"
)


@needs_samples
@pytest.mark.parametrize(("system", "name"), PUBLISHED, ids=str)
def test_a_published_message_maps_to_valid_resources(system: str, name: str) -> None:
    made = kinds_of(load(shipped(system)), Source.of_path(SAMPLES / "hl7v2" / name))
    assert made == PUBLISHED[system, name]


@needs_samples
def test_every_published_message_is_looked_at() -> None:
    assert {path.name for path in (SAMPLES / "hl7v2").glob("*.hl7")} == {name for _, name in PUBLISHED}


@needs_samples
def test_the_published_360x_request_maps_though_its_message_names_nobody() -> None:
    envelope = json.loads((SAMPLES / "360x" / "inbound_pcc55.json").read_bytes())
    mapping = load(shipped("360x"))
    assert kinds_of(mapping, Source.of_bytes(envelope["hl7v2"].encode())) == ["referral"]


def kinds_of(mapping: LocalMapping, source: Source) -> list[str] | set[str]:
    """The kinds of record in a message, each checked; or the fields for which one is refused."""
    kinds = []
    with source:
        for record in mapping.records(source):
            assert not isinstance(record, RecordError)
            try:
                mapped = mapping.map(record)
            except RecordError as refused:
                return {issue.field for issue in refused.issues}
            for resource in linked(mapping, mapped, NOW).values():
                assert errors(validate(resource)) == []
            assert errors(validate(bundle(mapping, mapped, NOW))) == []
            kinds.append(str(mapped.kind))
    return kinds
