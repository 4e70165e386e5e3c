"""Service directories: statuses that stay apart, hours that can be said, published records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mappings import LocalMapping, RecordError, load, shipped
from mappings.bundle import linked
from mappings.readers.source import Source
from mappings.record import Record
from mappings.result import Mapped
from profiles import errors, validate

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "hsds"
CASES = Path(__file__).parents[1] / "cases" / "mapping"
HSDS, HSDS_CSV = load(shipped("hsds")), load(shipped("hsds-csv"))
NOW = "2026-11-21T12:00:00Z"
published = pytest.mark.skipif(
    not SAMPLES.exists(), reason="needs the samples in ../shared beside the checkout"
)


def mapped(mapping: LocalMapping, path: Path) -> Iterator[Mapped]:
    with Source.of_path(path) as source:
        for record in mapping.records(source):
            assert isinstance(record, Record)
            yield mapping.map(record)


def pantry(**said: Any) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((CASES / "hsds" / "food-pantry.json").read_text("utf-8"))
    return record | said


def service(**said: Any) -> dict[str, Any]:
    (made,) = HSDS.map(Record(pantry(**said))).resources["HealthcareService"]
    return dict(made)


@published
@pytest.mark.parametrize(
    ("name", "makes"),
    [
        ("service_full", ["Organization", "HealthcareService", "Location"]),
        ("service_list", ["Organization", "HealthcareService"]),
        ("service_at_location_full", ["Organization", "HealthcareService", "Location"]),
        ("organization_full", ["Organization", "HealthcareService", "Location"]),
    ],
)
def test_published_records_are_valid_directory_entries(name: str, makes: list[str]) -> None:
    (made,) = mapped(HSDS, SAMPLES / f"{name}.json")
    assert list(made.resources) == makes
    for resource in linked(HSDS, made, NOW).values():
        assert errors(validate(resource)) == []


@published
@pytest.mark.parametrize("name", ["base", "taxonomy_term_list"])
def test_what_is_no_directory_record_is_refused(name: str) -> None:
    with pytest.raises(RecordError):
        list(mapped(HSDS, SAMPLES / f"{name}.json"))


@published
def test_every_row_of_a_published_set_of_files_is_a_service() -> None:
    made = list(mapped(HSDS_CSV, SAMPLES / "ohana-csv"))
    assert [each.key for each in made] == [f"hsds-csv|{number}" for number in range(1, 24)]
    closed = [each for each in made if not each.resources["HealthcareService"]["active"]]
    assert [each.key for each in closed] == ["hsds-csv|20", "hsds-csv|21"]
    for each in made:
        for resource in linked(HSDS_CSV, each, NOW).values():
            assert errors(validate(resource)) == []


@pytest.mark.parametrize(
    ("status", "active", "note"),
    [
        ("active", True, "Closed on 26 November."),
        ("inactive", False, "Not given at present."),
        ("defunct", False, "No longer given."),
        ("temporarily closed", False, "Temporarily closed."),
    ],
)
def test_statuses_stay_apart(status: str, active: bool, note: str) -> None:
    made = service(status=status)
    assert made["active"] is active
    assert made["comment"].startswith(note)


@pytest.mark.parametrize(
    ("hours", "days"),
    [
        ({"byday": "MO,TU"}, ["mon", "tue"]),
        ({"byday": "SA", "freq": "WEEKLY", "interval": 1}, ["sat"]),
        ({"byday": "MO, SU"}, ["mon", "sun"]),
        ({"byday": "2MO", "freq": "MONTHLY"}, None),
        ({"byday": "2MO,TU"}, None),
        ({"byday": "MO", "interval": 2}, None),
        ({"byday": "MO", "bymonthday": "1"}, None),
        ({"byday": "MO", "valid_to": "2026-12-31"}, None),
        ({"byday": "MO", "until": "2026-12-31"}, None),
        ({"freq": "WEEKLY"}, None),
    ],
)
def test_hours_that_are_not_the_same_every_week_are_told_in_words(
    hours: dict[str, Any], days: list[str] | None
) -> None:
    told = {"id": "h", "description": "As it is", "opens_at": "09:00", "closes_at": "17:00"} | hours
    made = service(schedules=[told], service_at_locations=[])
    if days is None:
        assert "availableTime" not in made
        assert made["availabilityExceptions"].startswith("As it is")
    else:
        assert [each["daysOfWeek"] for each in made["availableTime"]] == [days]
        assert "availabilityExceptions" not in made


def test_a_term_is_carried_as_it_comes_and_types_the_service_only_if_the_table_knows_it() -> None:
    unknown = {
        "id": "t",
        "taxonomy_term": {"id": "t", "code": "QQ-1", "name": "Kites", "taxonomy": "211HSIS"},
    }
    made = service(attributes=[unknown])
    assert made["specialty"] == [
        {"coding": [{"system": "http://211hsis.org", "code": "QQ-1", "display": "Kites"}], "text": "Kites"}
    ]
    assert made["category"][0]["coding"][1]["code"] == "sdoh-category-unspecified"
    known = {"id": "t", "taxonomy_term": {"id": "t", "code": "QQ-2", "name": "Food Pantry"}}
    assert service(attributes=[unknown, known])["category"][0]["coding"][1]["code"] == "food-insecurity"


@pytest.mark.parametrize("column", ["location_type", "is_private", "isPrivate", "redacted"])
@pytest.mark.parametrize("mark", ["redacted", "yes", "TRUE", "1", "?"])
def test_a_private_place_in_files_is_not_told_however_it_is_marked(
    column: str, mark: str, tmp_path: Path
) -> None:
    good = CASES / "hsds-csv" / "two-services-one-place-private"
    for file in good.iterdir():
        text = file.read_text("utf-8")
        if file.name == "locations.csv":
            text = text.replace(",is_private", f",{column}").replace("false,yes", f"false,{mark}")
            text = text.replace("false,no", "false," + ("physical" if column == "location_type" else "no"))
        (tmp_path / file.name).write_text(text, "utf-8")
    public, private = mapped(HSDS_CSV, tmp_path)
    assert "Location" in public.resources
    said = json.dumps(dict(private.resources))
    assert "Location" not in private.resources
    assert [word for word in ("Larkspur", "larkspur", "0166", "41.312", "06001") if word in said] == []
