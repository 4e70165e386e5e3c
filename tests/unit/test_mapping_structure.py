"""Groups, parts, kinds that are like others, fields in common: what several records or elements share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mappings import LocalMapping, Mapped, RecordError, load
from profiles.document import DocumentError

MAPPING = """\
system: tiny
version: "1"
title: A tiny system
format: {type: json}
fields: [id, person, event, phones.kind, phones.number, phones.safe, kin.names.first, born, seen, flags, note]
sensitive: {note: PSY}
ignored:
  - {fields: [flags], because: Nobody needs to know these.}
parts:
  person: {from: person, text: true, required: true}
  is-new: {from: event, is: new}
  telephone:
    system: phone
    value: {from: .number, phone: US}
    use: {from: .kind, lower: true}
    when: {from: .safe, is: true}
records:
  referral:
    kind: referral
    when: {part: is-new}
    key: [{constant: tiny}, id]
    subject: {system: {constant: "urn:tiny"}, value: {part: person}}
    resources:
      Patient:
        identifier: [{system: "urn:tiny", value: {part: person}}]
        name:
          - given:
              - {each: kin, make: {first: [{each: .names, make: {from: .first}}]}}
        telecom:
          - {each: phones, make: {part: telephone}}
      ServiceRequest:
        status: active
        intent: order
        note:
          - text:
              join: [note, {from: {from: born, age: {formats: ISO, on: seen}}, age_band: [18, 65]}]
              with: " "
        authoredOn: {from: seen, datetime: {formats: ISO, zone: America/New_York}}
  change:
    like: referral
    kind: amendment
    when: {from: event, is: changed}
    of: [{constant: tiny}, id]
    key: [{constant: tiny}, id, seen]
  private:
    kind: refuse
    when: {all: [{from: event, is: other}, {not: {each: phones, every: {from: .kind, only: [home]}}}]}
    because: Only home numbers may be here.
  other:
    kind: skip
    when: {from: event, is: other}
    because: Nothing is asked for here.
"""
RECORD: dict[str, Any] = {
    "id": 7,
    "person": 12,
    "event": "new",
    "phones": [
        {"kind": "HOME", "number": "203-555-0142", "safe": True},
        {"kind": "WORK", "number": "203-555-0143", "safe": False},
    ],
    "kin": [{"names": [{"first": "Ana"}, {"first": "Bo"}]}, {"names": [{"first": "Cy"}]}],
    "born": "2000-05-01",
    "seen": "2026-11-21",
    "flags": "x",
    "note": "Call first.",
}


def loaded(folder: Path, *changes: tuple[str, str]) -> LocalMapping:
    text = MAPPING
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "mapping.yaml"
    path.write_text(text, "utf-8")
    return load(path)


def mapped(mapping: LocalMapping, **changes: Any) -> Mapped:
    (record,) = mapping.read(json.dumps(RECORD | changes).encode())
    return mapping.map(record)


def test_a_group_makes_one_element_for_each_item_that_gives_something(tmp_path: Path) -> None:
    patient = mapped(loaded(tmp_path)).resources["Patient"]
    assert patient["telecom"] == [{"system": "phone", "value": "+12035550142", "use": "home"}]


def test_groups_inside_groups_and_the_first_of_a_group(tmp_path: Path) -> None:
    assert mapped(loaded(tmp_path)).resources["Patient"]["name"] == [{"given": ["Ana", "Cy"]}]


def test_a_group_without_items_makes_nothing(tmp_path: Path) -> None:
    patient = mapped(loaded(tmp_path), phones=[], kin=None).resources["Patient"]
    assert patient.keys() == {"resourceType", "identifier"}


def test_an_age_is_told_as_a_band(tmp_path: Path) -> None:
    request = mapped(loaded(tmp_path)).resources["ServiceRequest"]
    assert request["note"] == [{"text": "Call first. 18-64"}]


def test_a_kind_that_is_like_another_has_its_resources_and_a_key_of_its_own(tmp_path: Path) -> None:
    mapping = loaded(tmp_path)
    first, change = mapped(mapping), mapped(mapping, event="changed")
    assert change.resources == first.resources
    assert (change.kind, change.of, change.key) == ("amendment", first.key, "tiny|7|2026-11-21")


def test_a_record_is_passed_over_or_refused_with_the_reason(tmp_path: Path) -> None:
    mapping = loaded(tmp_path)
    home = [{"kind": "home", "number": "203-555-0142", "safe": True}]
    passed = mapped(mapping, event="other", phones=home)
    assert (passed.kind, passed.because, passed.resources) == ("skip", "Nothing is asked for here.", {})
    with pytest.raises(RecordError, match="Only home numbers may be here"):
        mapped(mapping, event="other")


def test_a_value_that_cannot_be_read_is_not_taken_for_one_that_is_absent(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="event: is an object"):
        mapped(loaded(tmp_path), event={"kind": "other"})


def test_the_lineage_tells_what_is_sensitive_and_what_is_only_looked_at(tmp_path: Path) -> None:
    lineage = loaded(tmp_path).kinds[0].lineage
    assert {(line.field, line.function, line.sensitivity) for line in lineage} >= {
        ("note", "join", "PSY"),
        ("phones.number", "phone", ""),
        ("phones.safe", "when", ""),
        ("event", "when", ""),
    }


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("value: {part: person}}\n    res", "value: {part: nobody}}\n    res", "no part has this name"),
        ("  is-new: {from: event, is: new}\n", "  is-new: {part: is-new}\n", "the part uses itself"),
        ("when: {part: is-new}", "when: {from: event, is: new}", "nothing uses this part"),
        ("like: referral", "like: nothing", "must name another kind of record"),
        ("    of: [{constant: tiny}, id]\n", "", "needs 'of'"),
        ("    because: Nothing is asked for here.\n", "", "needs 'because'"),
        (
            "{each: phones, make: {part: telephone}}",
            "{each: .phones, make: {part: telephone}}",
            "starts with a dot",
        ),
        ("join: [note,", "join: [.note,", "starts with a dot"),
        ("value: {from: .number, phone: US}", "value: {from: .nummer, phone: US}", "reads phones.nummer"),
        ("{note: PSY}", "{note: SECRET}", "is no code of v3-Confidentiality"),
        ("{note: PSY}", "{notes: PSY}", "'fields' does not list this field"),
        ("fields: [flags], because", "fields: [note], because", "the field is used"),
        ("only: [home]}", "only: [home], is: home}", "a condition has 'from' and one of"),
        ("{from: .kind, lower: true}", "{from: .kind, integer: {min: 1, max: 2}}", "does not make a code"),
        ("age: {formats: ISO, on: seen}", "age: {formats: ISO}", "needs 'formats', and 'on'"),
        (
            "{from: seen, datetime: {formats: ISO, zone: America/New_York}}",
            "{from: seen}",
            "use date or datetime",
        ),
    ],
)
def test_one_mistake_is_told(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(DocumentError) as wrong:
        loaded(tmp_path, (old, new))
    assert told in str(wrong.value)
    assert all(issue.line for issue in wrong.value.issues)
