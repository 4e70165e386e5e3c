"""Each shipped mapping against records and the resources they become, as files that people can read.

A case is a record (`story.csv`, `.json`, `.hl7`, `.xml`), or a folder of files, beside `story.yaml`, which is
what it maps to: one mapping, or a list of them under `records`. A refusal changes one fact of a good case.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mapping_world import CASES, STORIES, SYSTEMS, mapping_of, must_be_record, with_change

from mappings import LocalMapping, RecordError, shipped
from mappings.bundle import bundle, linked
from mappings.readers.source import Source
from mappings.result import Mapped
from profiles import errors, validate
from profiles.document import parse

REFUSALS = [
    case
    for path in [CASES / "refusals.yaml", *sorted(CASES.glob("*/refusals.yaml"))]
    for case in parse(path.read_text("utf-8"), {"type": "array"}, "refusals.yaml").data
]
NOW = "2026-11-21T12:00:00Z"


def story(path: Path) -> str:
    return f"{path.parent.name}: {path.stem}"


def mapped(path: Path) -> list[Mapped]:
    mapping = mapping_of(path.parent.name)
    with Source.of_path(path) as source:
        return [mapping.map(must_be_record(each)) for each in mapping.records(source)]


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
