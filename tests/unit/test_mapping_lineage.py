"""Lineage proves which fields can ever leave: checked against what mapping really does."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from mappings import Lineage, RecordError, lineage_csv, load, shipped
from profiles.document import parse

CASES = Path(__file__).parent.parent / "cases" / "mapping"
SHELTER = load(shipped("shelter-csv"))
HEADER, ROW = csv.reader(io.StringIO((CASES / "shelter-csv" / "whole-row.csv").read_text("utf-8")))


def test_each_path_is_named_with_its_function() -> None:
    assert Lineage("first_name_or_alias", "copy", "Patient.name[0].given[0]") in SHELTER.lineage
    assert Lineage("birth_date", "date", "Patient.birthDate") in SHELTER.lineage
    assert Lineage("household_size", "when", "Observation[0].valueInteger") in SHELTER.lineage
    assert Lineage("referral_ref", "copy", "local.referral_ref") in SHELTER.lineage


def test_a_field_from_inside_an_hl7_field_keeps_its_full_name() -> None:
    lineage = load(shipped("hl7v2-referral")).lineage
    assert Lineage("PRD[1=RT]-7.1", "first", "recipient") in lineage
    assert Lineage("PID-11.3", "copy", "Patient.address[0].city") in lineage


@pytest.mark.parametrize("column", HEADER)
def test_changing_a_column_changes_what_lineage_says_and_nothing_else(column: str) -> None:
    """For ignored columns that is nothing at all."""
    reached = {line.element.split(".")[0].split("[")[0] for line in SHELTER.lineage if line.field == column}
    emptied = ["" if name == column else cell for name, cell in zip(HEADER, ROW, strict=True)]
    before, after = mapped(ROW), mapped(emptied)
    if after is None:
        assert reached, "a column whose absence is refused must be used"
        return
    assert before is not None
    differing = {name for name in before if before[name] != after.get(name)}
    assert differing <= reached
    assert bool(differing) == bool(reached)


def mapped(row: list[str]) -> dict[str, object] | None:
    out = io.StringIO()
    csv.writer(out).writerows([HEADER, row])
    try:
        result = SHELTER.map(SHELTER.read(out.getvalue().encode())[0])
    except RecordError:
        return None
    return {
        **result.resources,
        "key": result.key,
        "subject": result.subject,
        "recipient": result.recipient,
        "local": result.local,
    }


@pytest.mark.parametrize("system", ["shelter-csv", "case-json", "hl7v2-referral"])
def test_the_reference_page_says_what_becomes_of_every_field(system: str) -> None:
    docs = Path(__file__).parent.parent.parent / "docs" / "reference" / "mappings"
    page = (docs / f"{system}.md").read_text("utf-8")
    declared = parse(shipped(system).read_text("utf-8"), {"type": "object"}, "mapping.yaml").data["records"]
    missing = {field for kind in declared.values() for field in kind["fields"] if f"`{field}" not in page}
    assert not missing


@pytest.mark.parametrize("system", ["shelter-csv", "case-json", "hl7v2-referral"])
def test_the_table_lists_every_declared_field_once_used_or_ignored(system: str) -> None:
    mapping = load(shipped(system))
    rows = list(csv.DictReader(io.StringIO(lineage_csv(mapping))))
    assert list(rows[0]) == ["record", "field", "function", "element", "reason"]
    used = {row["field"] for row in rows if row["function"] != "ignored"}
    ignored = {row["field"]: row["reason"] for row in rows if row["function"] == "ignored"}
    assert not used & set(ignored)
    assert all(len(reason) > 10 for reason in ignored.values())
