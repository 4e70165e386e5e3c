"""What a mapping's author is told before it runs: each kind of finding by one change of a good mapping."""

from __future__ import annotations

from pathlib import Path

from mappings import LocalMapping, load
from mappings.check import Finding, check

GOOD = """\
system: tiny
version: "1"
title: A tiny system
format: {type: json}
codes:
  need: {map: need.csv, unmapped: reject, values: [food, housing, magic]}
  state: {map: state.json, unmapped: drop}
fields: [ref, person, need, born, phones.number, phones.kind, size, note, state, why]
records:
  referral:
    kind: referral
    when: {from: need, present: true}
    key: [{constant: tiny}, ref]
    subject: {system: {constant: "urn:tiny"}, value: person}
    recipient: note
    local: {ref: ref}
    resources:
      Patient:
        identifier:
          - system: urn:tiny
            value: {from: person, required: true}
        birthDate: {from: born, date: [YYYY-MM-DD, MM/DD/YYYY]}
        telecom:
          - each: phones
            make:
              system: phone
              value: {from: .number, phone: US}
      ServiceRequest:
        status: active
        intent: order
        category:
          - {from: need, concept: need, required: true}
        code:
          coding:
            - system: http://snomed.info/sct
              code: "3457005"
        note:
          - text: {from: note}
      Observation:
        - status: final
          code:
            coding:
              - system: https://waymeet.example/fhir/CodeSystem/disclosure-item
                code: household-size
          valueInteger: {from: size, integer: {min: 1, max: 40}}
    ignored:
      phones.kind: Nobody needs to know this.
      state: An answer has a state and a referral has none.
      why: An answer has a reason and a referral has none.
  answer:
    kind: status
    fields: [ref, state, why]
    key: [ref]
    when: {from: state, present: true}
    resources:
      Task:
        id: {from: ref, required: true}
        status: {from: state, code: state, required: true}
        statusReason:
          text: {first: [why, {constant: No reason was given.}]}
"""
GRAVITY = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
NEED = f"""\
code,target_system,target_code,equivalence
food,{GRAVITY},food-insecurity,equivalent
housing,{GRAVITY},homelessness,equivalent
magic,,,unmatched
"""
STATE = """\
{
  "resourceType": "ConceptMap",
  "url": "urn:tiny:state",
  "status": "active",
  "group": [
    {
      "target": "http://hl7.org/fhir/task-status",
      "element": [
        {"code": "done", "target": [{"code": "completed", "equivalence": "equivalent"}]},
        {"code": "no", "target": [{"code": "rejected", "equivalence": "equivalent"}]}
      ]
    }
  ]
}
"""


def loaded(folder: Path, mapping: str = GOOD, need: str = NEED, state: str = STATE) -> LocalMapping:
    for name, text in (("need.csv", need), ("state.json", state), ("mapping.yaml", mapping)):
        (folder / name).write_text(text, encoding="utf-8")
    return load(folder / "mapping.yaml")


def changed(text: str, before: str, after: str) -> str:
    assert text.count(before) == 1, before
    return text.replace(before, after)


def wrong(found: list[Finding]) -> list[Finding]:
    return [one for one in found if one.issue.severity != "information"]


def test_a_good_mapping_has_nothing_wrong_with_it(tmp_path: Path) -> None:
    found = check(loaded(tmp_path))
    assert wrong(found) == []
