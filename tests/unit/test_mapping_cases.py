"""Each shipped mapping against records and the resources they become, as files that people can read.

A case is a record (`story.csv`, `.json`, `.hl7`, `.xml`), or a folder of files, beside `story.yaml`, which is
what it maps to: one mapping, or a list of them under `records`. A refusal changes one fact of a good case.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mappings import LocalMapping, RecordError, load, shipped
from mappings.bundle import bundle, linked
from mappings.readers.source import Source
from mappings.record import Record
from mappings.result import Mapped
from profiles import errors, validate
from profiles.document import parse

CASES = Path(__file__).parent.parent / "cases" / "mapping"
STORIES = sorted(path for path in CASES.glob("*/*") if path.suffix != ".yaml")
REFUSALS = [
    case
    for path in [CASES / "refusals.yaml", *sorted(CASES.glob("*/refusals.yaml"))]
    for case in parse(path.read_text("utf-8"), {"type": "array"}, "refusals.yaml").data
]
SYSTEMS = sorted(path.name for path in CASES.iterdir() if path.is_dir())
NOW = "2026-11-21T12:00:00Z"


@cache
def mapping_of(system: str) -> LocalMapping:
    return load(shipped(system))


def story(path: Path) -> str:
    return f"{path.parent.name}: {path.stem}"


def mapped(path: Path) -> list[Mapped]:
    mapping = mapping_of(path.parent.name)
    with Source.of_path(path) as source:
        return [mapping.map(must_be_record(each)) for each in mapping.records(source)]


def must_be_record(found: Record | RecordError) -> Record:
    if isinstance(found, RecordError):
        raise found
    return found


def as_told(made: Mapped) -> dict[str, Any]:
    """A mapping as the cases write it; what a kind of record does not have is left out."""
    if made.kind == "skip":
        return {"kind": "skip"}
    told = {
        "kind": made.kind,
        "key": made.key,
        "of": made.of,
        "subject": list(made.subject) if made.subject else None,
        "recipient": made.recipient,
        "local": dict(made.local),
        "resources": dict(made.resources),
    }
    return {name: value for name, value in told.items() if value or name in ("key", "resources")}


@pytest.mark.parametrize("path", STORIES, ids=story)
def test_a_record_becomes_exactly_these_resources(path: Path) -> None:
    expected = parse(path.with_suffix(".yaml").read_text("utf-8"), {"type": "object"}, "expected.yaml").data
    told = expected.get("records", [expected])
    wanted = [{name: value for name, value in each.items() if value} for each in told]
    assert json.loads(json.dumps([as_told(each) for each in mapped(path)], default=float)) == wanted


@pytest.mark.parametrize("path", STORIES, ids=story)
def test_what_is_made_is_valid_by_its_profiles_once_joined(path: Path) -> None:
    mapping = mapping_of(path.parent.name)
    for each in [one for one in mapped(path) if one.kind != "skip"]:
        for resource in linked(mapping, each, NOW).values():
            assert errors(validate(resource)) == []
        assert errors(validate(bundle(mapping, each, NOW))) == []


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case['system']}: {case['change']}")
def test_one_changed_fact_is_refused_by_field_and_line_and_never_by_value(
    case: dict[str, Any], tmp_path: Path
) -> None:
    mapping = mapping_of(case["system"])
    changed = with_change(CASES / case["system"] / case["good"], case["change"], tmp_path)
    issues = []
    with Source.of_path(changed) as source:
        try:
            for record in mapping.records(source):
                try:
                    mapping.map(must_be_record(record))
                except RecordError as refused:
                    issues += refused.issues
        except RecordError as refused:
            issues += refused.issues
    found = {(issue.field, issue.code, issue.line) for issue in issues}
    assert (case["refused"], case["code"], case.get("line")) in found
    for name, value in case["change"].items():
        if name not in ("file", "text") and isinstance(value, str) and len(value) > 2:
            assert value not in str([issue.diagnostics() for issue in issues])


def with_change(good: Path, change: dict[str, Any], folder: Path) -> Path:
    """A copy of a good case in which one fact is another.

    CSV `{column: value}`; a folder `{file: Event.csv, row: 1, column: value}`; JSON `{path: value}`, or
    `{file_text: value}`; HL7 `{PID-7: value}`; XML and any text `{text: old, becomes: new}`.
    """
    if good.is_dir():
        copy = folder / good.name
        shutil.copytree(good, copy)
        told = dict(change)
        file, row = copy / told.pop("file"), int(told.pop("row", 1))
        file.write_bytes(_changed_cell(file.read_bytes(), told, row))
        return copy
    copy = folder / good.name
    body = good.read_bytes()
    if "becomes" in change:
        assert change["text"].encode() in body
        copy.write_bytes(body.replace(change["text"].encode(), change["becomes"].encode()))
    elif good.suffix == ".csv":
        copy.write_bytes(_changed_cell(body, change, 1))
    elif good.suffix == ".json":
        copy.write_bytes(_changed_member(body, change))
    else:
        ((field, value),) = change.items()
        copy.write_text(_changed_segment(body.decode(), field, value), "utf-8")
    return copy


def _changed_cell(body: bytes, change: dict[str, Any], row: int) -> bytes:
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))
    ((column, value),) = change.items()
    rows[row][rows[0].index(column)] = value
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _changed_member(body: bytes, change: dict[str, Any]) -> bytes:
    ((field, value),) = change.items()
    data = json.loads(body)
    *parents, name = [int(step) if step.isdecimal() else step for step in field.split(".")]
    target = data
    for parent in parents:
        target = target[parent]
    target[name] = value
    return json.dumps(data).encode()


def _changed_segment(text: str, field: str, value: str) -> str:
    """The field in the first segment of that name; for PRD in the one that is referred to."""
    name, _, number = field.partition("-")
    lines = text.split("\n")
    wanted = "PRD|RT" if name == "PRD" else f"{name}|"
    index = next(i for i, line in enumerate(lines) if line.startswith(wanted))
    fields = lines[index].split("|")
    fields[int(number) - (name == "MSH")] = value
    lines[index] = "|".join(fields)
    return "\n".join(lines)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_shipped_samples_map(system: str) -> None:
    mapping: LocalMapping = mapping_of(system)
    samples = sorted((shipped(system).parent / "sample").iterdir())
    assert samples
    for sample in samples:
        with Source.of_path(sample) as source:
            made = [mapping.map(must_be_record(record)) for record in mapping.records(source)]
        assert made and all(each.key or each.kind == "skip" for each in made)


def test_an_order_sent_again_under_a_new_message_id_keeps_its_key() -> None:
    mapping = mapping_of("hl7v2-referral")
    first = (CASES / "hl7v2-referral" / "bare-minimum.hl7").read_bytes()
    again = first.replace(b"|M-2|", b"|M-99|").replace(b"202611161015", b"202611161020")
    other = first.replace(b"RF-90001", b"RF-90003")
    keys = [mapping.map(mapping.read(body)[0]).key for body in (first, again, other)]
    assert keys[0] == keys[1] != keys[2]


def test_one_record_changed_afterwards_does_not_change_the_next() -> None:
    mapping = mapping_of("shelter-csv")
    (record,) = mapping.read((CASES / "shelter-csv" / "whole-row.csv").read_bytes())
    first = mapping.map(record).resources
    before = json.dumps(first)
    for name in ("Patient", "ServiceRequest"):
        scramble(first[name])
    assert json.dumps(mapping.map(record).resources) == before


def scramble(value: Any) -> None:
    if isinstance(value, dict):
        for inner in value.values():
            scramble(inner)
        value["scrambled"] = True
    elif isinstance(value, list):
        for inner in value:
            scramble(inner)
        value.append("scrambled")


def test_no_shipped_system_has_an_unknown_name() -> None:
    with pytest.raises(ValueError, match="shelter-csv"):
        shipped("shelter")
