"""Runs `waymeet map` in process, on records of the shipped shelter-csv mapping."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from mappings import load, shipped

SHELTER = shipped("shelter-csv")
GOOD: Mapping[str, str] = {
    "referral_ref": "R-7101",
    "client_ref": "C-7102",
    "first_name_or_alias": "Quilla",
    "last_name": "Thistlewood",
    "birth_date": "1991-03-08",
    "street": "7103 Zephyr Lane",
    "city": "Quinnipiac",
    "county": "Fairhaven County",
    "zip": "06511",
    "safe_phone": "(203) 555-0142",
    "safe_contact_rule": "text only",
    "household_size": "3",
    "diet": "no marzipan",
    "language": "Spanish",
    "need": "food",
    "urgency": "this week",
    "notes": "plays the theorbo",
    "advocate_name": "J. Okafor-Umber",
    "shelter_site": "Site Vermilion",
    "danger_level": "obsidian",
    "partner": "harbor-food-pantry",
    "exported_at": "2026-11-16 10:15",
}


def records() -> Any:
    """The `records` of the shelter's mapping, for a test to change."""
    return deepcopy(load(SHELTER).document.data["records"])


def run(*arguments: str | Path, columns: int = 80) -> Result:
    environment = {"COLUMNS": str(columns), "TERM": "dumb"}
    return CliRunner().invoke(app, ["map", *(str(one) for one in arguments)], env=environment)


def write(path: Path, *rows: Mapping[str, str]) -> Path:
    """A CSV of these rows; each is the good one but for what it says."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(GOOD))
        writer.writeheader()
        writer.writerows(dict(GOOD) | dict(row) for row in rows)
    return path


def changed(folder: Path, **sections: object) -> Path:
    """The shelter's mapping with other sections, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    data = yaml.safe_load(SHELTER.read_text(encoding="utf-8")) | sections
    (folder / "mapping.yaml").write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    (folder / "codes").mkdir(exist_ok=True)
    for table in (SHELTER.parent / "codes").iterdir():
        (folder / "codes" / table.name).write_bytes(table.read_bytes())
    return folder / "mapping.yaml"
