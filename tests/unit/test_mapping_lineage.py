"""Lineage proves which fields can ever leave: checked against what mapping really does."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from mappings import Lineage, RecordError, lineage_csv, load, shipped
from mappings.lineage import lineage_json, lineage_provenance
from profiles import validate

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


SYSTEMS = sorted(path.parent.name for path in shipped("case-json").parent.parent.glob("*/mapping.yaml"))
NOW = "2026-11-18T15:40:00Z"


# The other pages follow a standard's own structure; what becomes of each path in it, `map lineage` tells.
@pytest.mark.parametrize(
    "system", ["360x", "case-json", "hl7v2-referral", "hmis-csv", "nonprofit-crm", "shelter-csv"]
)
def test_the_reference_page_says_what_becomes_of_every_field(system: str) -> None:
    docs = Path(__file__).parent.parent.parent / "docs" / "reference" / "mappings"
    page = (docs / f"{system}.md").read_text("utf-8")
    declared = {field for kind in load(shipped(system)).kinds for field in kind.fields.names}
    assert {field for field in declared if f"`{field}" not in page} == set()


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_table_lists_every_declared_field_once_used_or_ignored(system: str) -> None:
    mapping = load(shipped(system))
    rows = list(csv.DictReader(io.StringIO(lineage_csv(mapping))))
    assert list(rows[0]) == ["record", "field", "function", "element", "sensitivity", "reason"]
    for kind in mapping.kinds:
        used = {row["field"] for row in rows if (row["record"], row["reason"]) == (kind.name, "")}
        ignored = {
            row["field"]: row["reason"] for row in rows if row["record"] == kind.name and row["reason"]
        }
        assert not used & set(ignored)
        assert all(len(reason) > 10 for reason in ignored.values())
        assert set(ignored) == set(kind.fields.ignored)


def test_the_table_and_the_json_say_the_same() -> None:
    rows = list(csv.DictReader(io.StringIO(lineage_csv(SHELTER))))
    whole = json.loads(lineage_json(SHELTER))
    assert (whole["system"], whole["fingerprint"]) == ("shelter-csv", SHELTER.fingerprint)
    assert whole["lineage"] == [{name: cell for name, cell in row.items() if cell} for row in rows]


def test_what_is_sensitive_is_marked_used_or_ignored() -> None:
    rows = list(csv.DictReader(io.StringIO(lineage_csv(load(shipped("hmis-csv"))))))
    marked = {(row["field"], row["function"] == "ignored") for row in rows if row["sensitivity"] == "SDV"}
    assert ("HealthAndDV.DomesticViolenceSurvivor", False) in marked
    assert ("HealthAndDV.WhenOccurred", True) in marked
    assert {row["sensitivity"] for row in rows if row["field"] == "Client.FirstName"} == {""}


def test_no_cell_of_the_table_is_a_formula(tmp_path: Path) -> None:
    text = shipped("shelter-csv").read_text("utf-8").replace("danger_level", "=1+1")
    (tmp_path / "codes").symlink_to(shipped("shelter-csv").parent / "codes")
    (tmp_path / "mapping.yaml").write_text(text, encoding="utf-8")
    rows = csv.DictReader(io.StringIO(lineage_csv(load(tmp_path / "mapping.yaml"))))
    assert "'=1+1" in {row["field"] for row in rows}


@pytest.mark.parametrize("system", SYSTEMS)
def test_as_provenance_it_is_valid_and_names_every_way_to_a_resource(system: str) -> None:
    mapping = load(shipped(system))
    made = lineage_provenance(mapping, NOW)
    assert [issue for each in made for issue in validate(each)] == []
    found = {
        (each["entity"][1]["what"]["display"], each["activity"]["text"], target["display"])
        for each in made
        for target in each["target"]
    }
    ways = {(way.field, way.function, way.element) for way in mapping.lineage}
    assert found == {way for way in ways if way[2][0].isupper()}
    assert all(mapping.fingerprint in each["entity"][0]["what"]["identifier"]["value"] for each in made)


def test_provenance_points_to_elements_by_path() -> None:
    paths = {
        (each["entity"][1]["what"]["display"], target["extension"][0]["valueString"])
        for each in lineage_provenance(SHELTER, NOW)
        for target in each["target"]
    }
    language = "https://waymeet.example/fhir/StructureDefinition/preferred-language"
    assert {
        ("first_name_or_alias", "Patient.name.given"),
        ("household_size", "Observation.value.ofType(integer)"),
        ("diet", "Observation.value.ofType(CodeableConcept).text"),
        ("language", f"ServiceRequest.extension('{language}').value.ofType(code)"),
    } <= paths
