"""What holds for every shipped mapping, whatever comes in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mapping_world import STORIES, SYSTEMS, mapping_of, with_change

from mappings import Mapped, Record, RecordError
from mappings.readers.source import Source

FILES = [path for path in STORIES if path.is_file()]
CANARY = "kanarienvogel"


def mapped(system: str, data: bytes | Path) -> Iterator[Mapped]:
    """What is made of a file; refusals are passed over, any other exception fails the test."""
    mapping = mapping_of(system)
    try:
        with Source.of_bytes(data) if isinstance(data, bytes) else Source.of_path(data) as source:
            for record in mapping.records(source):
                try:
                    if isinstance(record, Record):
                        yield mapping.map(record)
                except RecordError:
                    continue
    except RecordError:
        return


@pytest.mark.parametrize("system", SYSTEMS)
@settings(deadline=None, max_examples=60)
@given(body=st.binary(max_size=400))
def test_any_bytes_are_taken_or_refused(system: str, body: bytes) -> None:
    list(mapped(system, body))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}: {path.stem}")
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_good_record_with_damage_is_taken_or_refused(path: Path, data: st.DataObject) -> None:
    body = path.read_bytes()
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 30)))
    damaged = body[:start] + data.draw(st.binary(max_size=20)) + body[end:]
    list(mapped(path.parent.name, damaged))


def ignored(system: str) -> set[str]:
    """The fields that no kind of record reads, by name; whole tables' wildcards have none."""
    kinds = mapping_of(system).kinds
    used = {line.field for kind in kinds for line in kind.lineage}
    return {
        name
        for kind in kinds
        for name in kind.fields.ignored
        if not name.endswith("*") and not any(field.startswith(name) for field in used)
    }


def changes(path: Path, field: str) -> dict[str, Any] | None:
    """How `with_change` puts a canary into an ignored field of this case; None where it has no such place."""
    mapping = mapping_of(path.parent.name)
    if path.is_dir():
        table, _, column = field.partition(".")
        told = mapping.document.data["format"]["tables"].get(table, {})
        file = path / told.get("file", f"{table}.csv")
        header = file.read_text("utf-8-sig").splitlines()[0] if file.exists() else ""
        return {"file": file.name, "row": 1, column: CANARY} if column in header.split(",") else None
    match mapping.format:
        case "csv":
            return {field: CANARY}
        case "json" | "fhir":
            place = in_json(json.loads(path.read_bytes()), field.split("."))
            return {place: CANARY} if place else None
        case "hl7v2":
            body = path.read_text("utf-8")
            return {field: CANARY} if "-" in field and f"\n{field[:3]}|" in body else None
    return None


def under_wildcards(path: Path) -> list[dict[str, Any]]:
    """The same for the columns of a set that no field names: those that a table's wildcard stands for."""
    if not path.is_dir():
        return []
    mapping = mapping_of(path.parent.name)
    files = {
        table: told.get("file", f"{table}.csv")
        for table, told in mapping.document.data["format"]["tables"].items()
    }
    named = {
        (files.get(table), column)
        for kind in mapping.kinds
        for table, _, column in (name.partition(".") for name in kind.fields.names)
    }
    return [
        {"file": file.name, "row": 1, column: CANARY}
        for file in sorted(path.glob("*.csv"))
        for column in file.read_text("utf-8-sig").splitlines()[0].split(",")
        if (file.name, column) not in named
    ]


def in_json(data: Any, steps: list[str]) -> str | None:
    """Where these steps lead, by way of the first item of every list; None where they lead nowhere."""
    place = []
    for step in steps:
        if isinstance(data, list) and data:
            data = data[0]
            place.append("0")
        if not isinstance(data, dict) or step not in data:
            return None
        data = data[step]
        place.append(step)
    return ".".join(place)


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_value_of_an_ignored_field_is_ever_in_what_is_made(system: str, tmp_path: Path) -> None:
    tried = 0
    for path in (one for one in STORIES if one.parent.name == system):
        told = [changes(path, field) for field in sorted(ignored(system))]
        for number, change in enumerate([*told, *under_wildcards(path)]):
            if change is None:
                continue
            folder = tmp_path / f"{path.stem}-{number}"
            folder.mkdir()
            changed = with_change(path, change, folder)
            made = list(mapped(system, changed))
            tried += 1
            assert CANARY not in f"{made}", change
    assert tried or mapping_of(system).format in ("xml", "fhir")  # whose fields are not told by such paths


def refusals(system: str, path: Path) -> list[str]:
    """What is said of everything in a file that is refused."""
    mapping, said = mapping_of(system), []
    try:
        with Source.of_path(path) as source:
            for record in mapping.records(source):
                try:
                    if isinstance(record, RecordError):
                        raise record
                    mapping.map(record)
                except RecordError as refused:
                    said.append(f"{refused} {refused.issues}")
    except RecordError as refused:
        said.append(f"{refused} {refused.issues}")
    return said


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_value_is_ever_in_a_refusal(system: str, tmp_path: Path) -> None:
    named = {name for kind in mapping_of(system).kinds for name in kind.fields.names} - ignored(system)
    refused = 0
    for path in (one for one in STORIES if one.parent.name == system):
        for number, field in enumerate(sorted(named)):
            change = changes(path, field)
            if change is not None:
                folder = tmp_path / f"{path.stem}-{number}"
                folder.mkdir()
                said = refusals(system, with_change(path, change, folder))
                refused += bool(said)
                assert CANARY not in f"{said}", field
    assert refused or mapping_of(system).format in ("xml", "fhir")  # whose fields are not told by such paths


def test_the_canary_does_reach_what_is_made_from_a_field_that_is_used(tmp_path: Path) -> None:
    path = next(path for path in STORIES if path.name == "whole-row.csv")
    changed = with_change(path, {"notes": CANARY}, tmp_path)
    assert CANARY in f"{list(mapped('shelter-csv', changed))}"
