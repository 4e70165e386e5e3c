"""`waymeet map preview`: the record, the resources and the lineage, on the terminal and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import map_cli
import pytest
from map_cli import GOOD, changed, run, write

from mappings import shipped


def test_side_by_side_on_a_wide_terminal_and_below_one_another_on_a_narrow_one(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", {})
    wide, narrow = (
        run("preview", "shelter-csv", file, columns=200),
        run("preview", "shelter-csv", file, columns=100),
    )
    assert wide.exit_code == narrow.exit_code == 0
    titles = ("record 1: referral", "resources", "lineage")
    assert all(title in wide.stdout.splitlines()[0] for title in titles)
    assert [
        title
        for line in narrow.stdout.splitlines()
        for title in titles
        if f" {title} " in line and "──" in line
    ] == [*titles]


def test_it_shows_what_is_read_what_it_becomes_and_what_stays(tmp_path: Path) -> None:
    shown = run("preview", "shelter-csv", write(tmp_path / "records.csv", {}), columns=240).stdout
    assert "Thistlewood" in shown and "name[1].family" in shown
    assert "Patient.telecom[0].value" in shown and "+12035550142" in shown
    assert "Site Vermilion" in shown and "stays: A shelter's location" in shown


def test_what_is_empty_is_only_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", {"diet": "", "notes": ""})
    shown = run("preview", "shelter-csv", file, columns=240).stdout
    assert "empty here: 4 fields" in shown  # with the two that name whom the client fears
    assert "Observation[1]" not in shown


def test_the_sensitivity_of_a_field_is_shown(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", {})
    records = map_cli.records()
    records["referral"]["sensitive"] = {"safe_phone": "SDV"}
    assert "SDV" in run("preview", changed(tmp_path / "some", records=records), file, columns=240).stdout
    del records["referral"]["sensitive"]
    none = run("preview", changed(tmp_path / "none", records=records), file, columns=240)
    assert none.exit_code == 0 and "sensitivity" not in none.stdout


def test_another_record_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", {}, {"last_name": "Underhay"})
    shown = run("preview", "shelter-csv", file, "--record", "2", columns=240)
    assert "Underhay" in shown.stdout and "Thistlewood" not in shown.stdout
    missing = run("preview", "shelter-csv", file, "--record", "3")
    assert missing.exit_code == 2 and "there is no record 3; it has 2" in missing.stderr.replace("\n", " ")


def test_a_record_that_cannot_be_mapped_says_why(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", {"birth_date": "the day of the comet"})
    result = run("preview", "shelter-csv", file)
    assert result.exit_code == 1 and "birth_date" in result.stderr and "comet" not in result.output


def test_the_items_of_a_group_are_shown_together(tmp_path: Path) -> None:
    numbers = [{"kind": "home", "number": "203-555-0101"}, {"kind": "cell", "number": "203-555-0102"}]
    record = {"id": "1", "to": "x", "need": "food", "client": {"id": "7", "phones": numbers}}
    file = tmp_path / "record.json"
    file.write_text(json.dumps(record))
    shown = run("preview", "case-json", file, columns=240).stdout
    assert "203-555-0101, 203-555-0102" in shown


def test_a_value_does_nothing_to_the_terminal(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", {"city": "New\x1b[31mHaven\x07"})
    shown = run("preview", "shelter-csv", file, columns=240).stdout
    assert "\x1b" not in shown and "\x07" not in shown and "[31mHaven" in shown


@pytest.mark.parametrize(
    ("system", "sample"),
    [
        ("hl7v2-referral", "REF-I12.hl7"),
        ("case-json", "referral.json"),
        ("hmis-csv", "fy2026"),
        ("fhir-r4", "*.json"),
        ("ccda-referral-note", "*.xml"),
        ("hsds", "*.json"),
    ],
)
def test_every_format_can_be_shown(system: str, sample: str) -> None:
    folder = shipped(system).parent / "sample"
    file = next(iter(sorted(folder.glob(sample))))
    result = run("preview", system, file, columns=200)
    assert result.exit_code in (0, 1), result.output
    assert "Traceback" not in result.output


def test_nothing_is_written_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "records.csv", {})
    monkeypatch.chdir(tmp_path)
    run("preview", "shelter-csv", file)
    assert list(tmp_path.iterdir()) == [file]


def test_the_shown_record_is_whole(tmp_path: Path) -> None:
    shown = run("preview", "shelter-csv", write(tmp_path / "records.csv", {}), columns=400).stdout
    assert [name for name, value in GOOD.items() if value not in shown] == []
