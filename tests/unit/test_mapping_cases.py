"""Each shipped mapping against records and the resources they become, as files that people can read.

A case is a record (`story.csv`, `.json`, `.hl7`) beside `story.yaml`, which is what it maps to. A refusal
changes one fact of a good case.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from mappings import LocalMapping, RecordError, load, shipped
from profiles import errors, validate
from profiles.document import parse

CASES = Path(__file__).parent.parent / "cases" / "mapping"
RECORDS = sorted(path for path in CASES.glob("*/*") if path.suffix in (".csv", ".json", ".hl7"))
REFUSALS = parse((CASES / "refusals.yaml").read_text("utf-8"), {"type": "array"}, "refusals.yaml").data
SYSTEMS = sorted(path.name for path in CASES.iterdir() if path.is_dir())
MAPPINGS = {system: load(shipped(system)) for system in SYSTEMS}


def story(path: Path) -> str:
    return f"{path.parent.name}: {path.stem}"


@pytest.mark.parametrize("path", RECORDS, ids=story)
def test_a_record_becomes_exactly_these_resources(path: Path) -> None:
    expected = parse(path.with_suffix(".yaml").read_text("utf-8"), {"type": "object"}, "expected.yaml").data
    (record,) = MAPPINGS[path.parent.name].read(path.read_bytes())
    mapped = MAPPINGS[path.parent.name].map(record)
    made = {
        "kind": mapped.kind,
        "key": mapped.key,
        "subject": list(mapped.subject) if mapped.subject else None,
        "recipient": mapped.recipient,
        "local": dict(mapped.local),
        "resources": dict(mapped.resources),
    }
    assert made == expected


@pytest.mark.parametrize("path", RECORDS, ids=story)
def test_what_is_made_is_valid_once_the_gateway_has_added_its_references(path: Path) -> None:
    (record,) = MAPPINGS[path.parent.name].read(path.read_bytes())
    resources = MAPPINGS[path.parent.name].map(record).resources
    flat = [each for made in resources.values() for each in (made if isinstance(made, list) else [made])]
    for resource in flat:
        whole = resource | ADDED.get(resource["resourceType"], {})
        assert errors(validate(whole)) == []


ADDED: dict[str, dict[str, Any]] = {
    "ServiceRequest": {"subject": {"reference": "Patient/p"}},
    "Observation": {"subject": {"reference": "Patient/p"}},
    "Procedure": {"subject": {"reference": "Patient/p"}},
    "Task": {"intent": "order"},
}


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case['system']}: {case['change']}")
def test_one_changed_fact_is_refused_by_field_and_line_and_never_by_value(case: dict[str, Any]) -> None:
    mapping = MAPPINGS[case["system"]]
    good = (CASES / case["system"] / case["good"]).read_bytes()
    body = changed(case["system"], good, case["change"])
    with pytest.raises(RecordError) as refused:
        for record in mapping.read(body):
            mapping.map(record)
    found = {(issue.field, issue.code, issue.line) for issue in refused.value.issues}
    assert (case["refused"], case["code"], case["line"]) in found
    for value in case["change"].values():
        if isinstance(value, str) and len(value) > 2:
            assert value not in str(refused.value)


def changed(system: str, body: bytes, change: dict[str, Any]) -> bytes:
    ((field, value),) = change.items()
    match MAPPINGS[system].format:
        case "csv":
            (header, row) = csv.reader(io.StringIO(body.decode("utf-8-sig")))
            row[header.index(field)] = value
            out = io.StringIO()
            csv.writer(out).writerows([header, row])
            return out.getvalue().encode()
        case "json":
            data = json.loads(body)
            *parents, name = field.split(".")
            target = data
            for parent in parents:
                target = target[parent]
            target[name] = value
            return json.dumps(data).encode()
        case _:
            return _changed_segment(body.decode(), field, value).encode()


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
    mapping: LocalMapping = MAPPINGS[system]
    samples = sorted((shipped(system).parent / "sample").iterdir())
    assert samples
    for sample in samples:
        assert [mapping.map(record).key for record in mapping.read(sample.read_bytes())]


def test_an_order_sent_again_under_a_new_message_id_keeps_its_key() -> None:
    mapping = MAPPINGS["hl7v2-referral"]
    first = (CASES / "hl7v2-referral" / "bare-minimum.hl7").read_bytes()
    again = first.replace(b"|M-2|", b"|M-99|").replace(b"202611161015", b"202611161020")
    other = first.replace(b"RF-90001", b"RF-90003")
    keys = [mapping.map(mapping.read(body)[0]).key for body in (first, again, other)]
    assert keys[0] == keys[1] != keys[2]


def test_one_record_changed_afterwards_does_not_change_the_next() -> None:
    mapping = MAPPINGS["shelter-csv"]
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
