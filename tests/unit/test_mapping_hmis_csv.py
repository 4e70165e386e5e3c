"""HMIS CSV: what a whole export gives, and what must never come of it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from consent.minimise import present
from consent.policy import load_policy
from mappings import load, shipped
from mappings.readers.source import Source
from mappings.record import Record
from mappings.result import Mapped
from profiles import canonical

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "cases" / "mapping" / "hmis-csv"
HMIS = load(shipped("hmis-csv"))


def mapped(folder: Path) -> list[Mapped]:
    with Source.of_path(folder) as source:
        return [HMIS.map(record) for record in HMIS.records(source) if isinstance(record, Record)]


def with_cell(story: str, to: Path, file: str, column: str, value: str) -> Mapped:
    """The first record of a story in which one cell of the first row is another."""
    to.mkdir()
    for path in (CASES / story).iterdir():
        rows = list(csv.reader(io.StringIO(path.read_text())))
        if path.name == file:
            rows[1][rows[0].index(column)] = value
        with (to / path.name).open("w", newline="") as out:
            csv.writer(out).writerows(rows)
    return mapped(to)[0]


def test_every_event_of_an_invented_export_is_a_referral_a_tombstone_or_passed_over(tmp_path: Path) -> None:
    spec = spec_from_file_location("hmis_export", ROOT / "bench" / "mapping" / "hmis_export.py")
    assert spec is not None and spec.loader is not None
    export = module_from_spec(spec)
    spec.loader.exec_module(export)
    export.write(tmp_path, 400)
    kinds = Counter(made.kind for made in mapped(tmp_path))
    assert kinds == {"referral": 356, "skip": 40, "cancellation": 4}


@pytest.mark.parametrize(
    ("code", "made"),
    [
        ("1", True),
        ("0", False),
        ("8", "asked-unknown"),
        ("9", "asked-declined"),
        ("99", "not-asked"),
        ("", None),
    ],
)
def test_not_known_refused_and_not_collected_stay_apart_and_are_never_a_no(
    code: str, made: Any, tmp_path: Path
) -> None:
    record = with_cell("hashed-names", tmp_path / "x", "HealthAndDV.csv", "DomesticViolenceSurvivor", code)
    found = record.resources.get("Observation", [])
    if made is None:
        assert found == []
        return
    (observation,) = found
    if isinstance(made, bool):
        assert observation["valueBoolean"] is made
        assert "dataAbsentReason" not in observation
    else:
        assert "valueBoolean" not in observation
        assert observation["dataAbsentReason"]["coding"][0]["code"] == made


@pytest.mark.parametrize("status", ["2", "3", "4", ""])
def test_no_hash_is_taken_for_a_name(status: str, tmp_path: Path) -> None:
    record = with_cell("hashed-names", tmp_path / "x", "Export.csv", "HashStatus", status)
    assert [list(name) for name in record.resources["Patient"]["name"]] == [["extension"]]
    assert "9f9f" not in str(record)
    assert "3c3c" not in str(record)


def test_domestic_violence_is_labelled_and_no_disclosure_item_reaches_it() -> None:
    read = [line for line in HMIS.lineage if line.field.startswith("HealthAndDV.")]
    assert {line.element.partition("[")[0].partition(".")[0] for line in read} == {"Observation"}
    told = [line for line in read if line.field.endswith(("Survivor", "Fleeing"))]
    assert {line.sensitivity for line in told} == {"SDV"}
    (first, *_) = mapped(CASES / "open-and-answered")
    labels = [
        {label["code"] for label in each["meta"]["security"]} for each in first.resources["Observation"]
    ]
    assert labels == [{"SDV", "R"}, {"SDV", "R"}]
    without = {name: made for name, made in first.resources.items() if name != "Observation"}
    policy = load_policy()
    assert present(first.resources, policy) == present({**without, "Observation": []}, policy)


@pytest.mark.parametrize(
    ("status", "reason", "result"),
    [
        ("accepted", None, "1"),
        ("in-progress", None, "1"),
        ("rejected", "provider-no-capacity", "3"),
        ("rejected", "client-declined", "2"),
        ("cancelled", "client-declined", "2"),
        ("cancelled", "withdrawn", ""),
    ],
)
def test_the_answer_comes_back_as_the_result_that_hud_has_for_it(
    status: str, reason: str | None, result: str
) -> None:
    told = (
        {"statusReason": {"coding": [{"system": canonical.STATUS_REASON, "code": reason}]}} if reason else {}
    )
    facts = {
        "referral": "9f1c2a7e",
        "task": {"resourceType": "Task", "status": status, **told},
        "local": {"event": "V-1", "enrollment": "E-1"},
        "now": "2026-11-18T15:40:00Z",
        "message": "M-1",
    }
    header, row = csv.reader(io.StringIO(HMIS.render("task", facts).body.decode()))
    assert dict(zip(header, row, strict=True))["ReferralResult"] == result
