"""What a mapping's author is told before it runs: each kind of finding by one change of a good mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mappings import LocalMapping, Record, load, shipped
from mappings.check import Destinations, Finding, check
from mappings.check.samples import Functions
from mappings.codes import CodeTable
from mappings.functions import FUNCTIONS

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


FILES = {"mapping.yaml": GOOD, "need.csv": NEED, "state.json": STATE}


def loaded(folder: Path, file: str = "", before: str = "", after: str = "") -> LocalMapping:
    """The good mapping, with one change in one of its files."""
    for name, text in FILES.items():
        (folder / name).write_text(changed(text, before, after) if name == file else text)
    return load(folder / "mapping.yaml")


def changed(text: str, before: str, after: str) -> str:
    assert text.count(before) == 1, before
    return text.replace(before, after)


def told(mapping: LocalMapping) -> list[Finding]:
    """The errors and warnings."""
    return [one for one in check(mapping) if one.issue.severity != "information"]


def test_a_good_mapping_has_nothing_wrong_with_it(tmp_path: Path) -> None:
    assert told(loaded(tmp_path)) == []


def where(one: Finding) -> str:
    """The finding without the field's name, and without its way out."""
    issue = one.issue
    place = ":".join(str(part) for part in (one.file, issue.line, issue.column) if part is not None)
    return f"{place}: {issue.severity}: {issue.message}"


REQUIRED = "value: {from: person, required: true}"
IDENTIFIER = f"        identifier:\n          - system: urn:tiny\n            {REQUIRED}\n"
NEEDED = "          - {from: need, concept: need, required: true}\n"
CODE = """\
        code:
          coding:
            - system: http://snomed.info/sct
              code: "3457005"
"""
SIZE = "          valueInteger: {from: size, integer: {min: 1, max: 40}}\n"
REASON = "{first: [why, {constant: No reason was given.}]}"
STATUS = "{from: state, code: state, required: true}"
STATUS_SOMETIMES = "{from: state, code: state}"
ANSWER = GOOD[GOOD.index("    when: {from: state") :]
SDOHCC = "ServiceRequest.category: lacks the required entry SDOHCC (waymeet-service-request)"
ONE_SDOHCC = "ServiceRequest.category: has more than 1 entries of kind SDOHCC (waymeet-service-request)"
NO_CODE = "this code is not in the required value set (FHIR R4)"
TAKE_ONE = "take one of them: {first: [{each: …, make: …}]}, or 'nth: 1'"
# What it is, the file and what is changed in it, what is told, and the way out.
FAULTS = [
    (
        "an element that the profile requires, made by nobody",
        ("mapping.yaml", IDENTIFIER, ""),
        "mapping.yaml:18:7: error: Patient.identifier is required by waymeet-patient, and nothing makes it",
        "add 'identifier'",
    ),
    (
        "one that is made only sometimes",
        ("mapping.yaml", "intent: order", "intent: {constant: order, when: {from: size, present: true}}"),
        "mapping.yaml:30:9: error: ServiceRequest.intent: is required and missing (FHIR R4), "
        "and no entry always gives it",
        "add 'required: true' to an entry, or a constant as the last of its 'first'",
    ),
    (
        "one that is missing where another field makes the resource",
        ("mapping.yaml", REQUIRED, "value: {from: note}"),
        "mapping.yaml:22:9: error: Patient.identifier: is required and missing (waymeet-patient), "
        "where Patient.birthDate is given",
        "give 'identifier' as well, or ask for it in a 'when' around both",
    ),
    (
        "a part that another part calls for",
        ("mapping.yaml", "              system: phone\n", ""),
        "mapping.yaml:26:15: error: Patient.telecom.system: is required and missing (waymeet-patient), "
        "where Patient.telecom.value is given",
        "give 'system' as well, or ask for it in a 'when' around both",
    ),
    (
        "a constant outside a value set",
        ("mapping.yaml", "status: active", "status: actif"),
        f"mapping.yaml:29:9: error: ServiceRequest.status: {NO_CODE}",
        "did you mean 'active'?",
    ),
    (
        "a number that the element cannot hold",
        (
            "mapping.yaml",
            "phone: US}\n",
            "phone: US}\n              rank: {from: ref, integer: {min: 0, max: 9}}\n",
        ),
        "mapping.yaml:28:15: error: Patient.telecom.rank: is not a valid positiveInt of FHIR R4 (FHIR R4)",
        "change 'integer' or what it is given",
    ),
    (
        "text copied to an element of codes",
        ("mapping.yaml", "        telecom:\n", "        gender: {from: note}\n        telecom:\n"),
        f"mapping.yaml:23:9: warning: is copied, whatever the record holds: Patient.gender: {NO_CODE}",
        "translate it with 'code: TABLE'",
    ),
    (
        "a rule of the profile that some codes call for",
        ("mapping.yaml", REASON, "{from: why}"),
        "mapping.yaml:58:9: error: Task breaks waymeet-task-1 of waymeet-referral-task (A Task that is "
        "rejected, cancelled, on hold or failed says why in statusReason), "
        "where Task.status is made from 'no'",
        "make what is missing as well, or keep this entry out with a 'when'",
    ),
    (
        "two forms of one choice",
        ("mapping.yaml", SIZE, SIZE + "          valueString: {from: note}\n"),
        "mapping.yaml:45:11: error: Observation.value: only one form of this choice may be given (FHIR R4), "
        "when Observation.valueInteger and Observation.valueString (line 46) are both given",
        "rule one out where the other is given: 'when' or 'first'",
    ),
    (
        "more of a list than the profile allows",
        ("mapping.yaml", NEEDED, NEEDED + "          - {from: note, concept: need}\n"),
        f"mapping.yaml:33:13: error: with any code of the table 'need': {ONE_SDOHCC}",
        "use a table with other targets, or another element",
    ),
    (
        "a group with more items than the profile allows",
        ("mapping.yaml", NEEDED, "          - {each: phones, make: {from: need, concept: need}}\n"),
        f"mapping.yaml:32:28: error: {ONE_SDOHCC}, when 'phones' holds two",
        TAKE_ONE,
    ),
    (
        "a field of several values, of which one is allowed",
        (
            "mapping.yaml",
            NEEDED,
            '          - {from: {from: need, split: ","}, concept: need, required: true}\n',
        ),
        f"mapping.yaml:32:13: error: {ONE_SDOHCC}, when 'need' holds two",
        TAKE_ONE,
    ),
    (
        "a code table for another value set",
        ("mapping.yaml", CODE, "        code: {from: note, concept: need, required: true}\n"),
        "mapping.yaml:33:9: error: ServiceRequest.code: has no code of the required value set "
        "(waymeet-service-request)",
        "change 'concept' or what it is given",
    ),
    (
        "one row of a code table, in CSV",
        ("need.csv", "homelessness", "roofless"),
        f"need.csv:3: error: code 'housing': {SDOHCC}, as line 32 of the mapping uses it",
        "give it another target, or say that it is unmatched",
    ),
    (
        "the first row, which other records would have",
        ("need.csv", "food-insecurity", "hungry"),
        f"need.csv:2: error: code 'food': {SDOHCC}, as line 32 of the mapping uses it",
        "give it another target, or say that it is unmatched",
    ),
    (
        "one row of a code table, in JSON",
        ("state.json", '"completed"', '"complete"'),
        f"state.json:9:9: error: code 'done': Task.status: {NO_CODE}, as line 58 of the mapping uses it",
        "did you mean 'completed'?",
    ),
    (
        "words kept as text where a code is required",
        ("mapping.yaml", "unmapped: reject", "unmapped: text"),
        f"mapping.yaml:32:13: error: words that the code table 'need' lacks become text alone: {SDOHCC}",
        "choose 'unmapped: reject' for this table, or give what stands for them",
    ),
    (
        "words left out where a code is required",
        ("mapping.yaml", STATUS, STATUS_SOMETIMES),
        "mapping.yaml:58:9: error: words that the code table 'state' lacks are left out: "
        "Task.status: is required and missing (FHIR R4)",
        "choose 'unmapped: reject' for this table, or give what stands for them",
    ),
    (
        "a code that makes a record one of this kind, and no more",
        (
            "mapping.yaml",
            ANSWER,
            ANSWER.replace("present: true", "is: [done, odd]").replace(STATUS, STATUS_SOMETIMES),
        ),
        "mapping.yaml:58:9: error: Task.status: is required and missing (FHIR R4), "
        "and no entry always gives it",
        "add 'required: true' to an entry, or a constant as the last of its 'first'",
    ),
    (
        "words kept as text by a function without text",
        ("mapping.yaml", "state.json, unmapped: drop", "state.json, unmapped: text"),
        "mapping.yaml:58:31: error: 'state' keeps words that it lacks as text, "
        "and 'code' has no place for text",
        "use 'concept', or choose 'unmapped: reject' or 'drop' for the table",
    ),
    (
        "a code of the system without a row",
        ("need.csv", "magic,,,unmatched\n", ""),
        "mapping.yaml:6:43: warning: has no row for 'magic': records' codes of this kind are refused",
        "add rows to 'need', with 'unmatched' where there is no target",
    ),
    (
        "the same, where it is left out",
        ("mapping.yaml", "state.json, unmapped: drop", "state.json, unmapped: drop, values: [done, no, odd]"),
        "mapping.yaml:7:44: information: has no row for 'odd': records' codes of this kind are left out",
        "add rows to 'state', with 'unmatched' where there is no target",
    ),
    (
        "a row for no code of the system",
        ("mapping.yaml", "[food, housing, magic]", "[food, magic]"),
        "need.csv:3: warning: code 'housing': is not among the 'values' of 'need'",
        "list it there, or remove the row",
    ),
    (
        "a code table for nothing",
        ("mapping.yaml", "  state: {map", "  spare: {map: state.json, unmapped: drop}\n  state: {map"),
        "mapping.yaml:7:3: warning: nothing uses this code table",
        "remove it",
    ),
    (
        "an entry that nothing comes to",
        ("mapping.yaml", "{from: note}\n      Obs", "{first: [{constant: none}, note]}\n      Obs"),
        "mapping.yaml:38:13: information: was not tried: no record could be made up that comes to it",
        "",
    ),
    (
        "a kind of record that none is of",
        (
            "mapping.yaml",
            "{from: state, present: true}",
            "{all: [{from: state, is: a}, {from: state, is: b}]}",
        ),
        "mapping.yaml:50:3: information: no record of this kind could be made up, "
        "so that its entries were not tried",
        "",
    ),
    (
        "an entry that cannot be written back",
        ("mapping.yaml", STATUS, "{from: {from: state, lower: true}, code: state, required: true}"),
        "mapping.yaml:58:9: information: cannot be read backwards when news is written back: "
        "is made from several fields, or in several steps",
        "",
    ),
]
FAULTY = [pytest.param(*fault[1:], id=fault[0]) for fault in FAULTS]


@pytest.mark.parametrize(("change", "said", "suggestion"), FAULTY)
def test_one_fault_is_told_with_its_place_and_a_way_out(
    tmp_path: Path, change: tuple[str, str, str], said: str, suggestion: str
) -> None:
    found = check(loaded(tmp_path, *change))
    assert (said, suggestion) in [(where(one), one.suggestion) for one in found], "\n".join(map(str, found))


@pytest.mark.parametrize(("change", "said", "suggestion"), FAULTY)
def test_every_finding_points_to_what_is_there(
    tmp_path: Path, change: tuple[str, str, str], said: str, suggestion: str
) -> None:
    found = check(loaded(tmp_path, *change))
    assert any(str(one).endswith(suggestion) for one in found)
    for one in found:
        line = (tmp_path / one.file).read_text().splitlines()[(one.issue.line or 0) - 1]
        assert line[(one.issue.column or 1) - 1 :].strip(), said


# What looks like a fault, and no record can have.
SOUND = [
    (
        "forms of a choice that rule each other out",
        (SIZE, SIZE + "          valueString: {from: note, when: {from: size, present: false}}\n"),
    ),
    (
        "a reason for the one code that calls for it",
        (REASON, "{first: [why, {constant: Not said., when: {from: state, is: 'no'}}]}"),
    ),
    (
        "codes that never reach an element",
        (
            "        intent: order\n",
            "        intent: order\n"
            "        priority: {from: ref, code: state, when: {from: ref, is: other}}\n",
        ),
    ),
    (
        "two entries for one, told apart by what an earlier one passes over",
        (
            NEEDED,
            "          - required: true\n"
            "            first: [{from: need, concept: need}, {from: note, concept: need}]\n",
        ),
    ),
    (
        "several values of which one is taken",
        (
            NEEDED,
            '          - {from: {from: {from: need, split: ","}, concept: need}, nth: 1, required: true}\n',
        ),
    ),
    (
        "one of a group",
        (
            NEEDED,
            "          - first:\n              - {each: phones, make: {from: need, concept: need}}\n"
            "              - {from: need, concept: need}\n",
        ),
    ),
    (
        "a part that comes with the other",
        (
            "              system: phone\n",
            "              system: {constant: phone, when: {from: .number, present: true}}\n",
        ),
    ),
    (
        "an element that hangs on a field of the group, read from outside",
        (
            "          - each: phones\n",
            "          - when: {from: phones.number, present: false}\n            system: url\n"
            "            value: urn:none\n          - each: phones\n",
        ),
    ),
    (
        "a kind that an earlier kind leaves no room in",
        (
            "{from: state, present: true}",
            "{any: [{from: state, present: true}, {from: ref, is: x}]}",
        ),
    ),
]


@pytest.mark.parametrize("change", [pytest.param(each[1], id=each[0]) for each in SOUND])
def test_what_no_record_can_have_is_no_fault(tmp_path: Path, change: tuple[str, str]) -> None:
    assert told(loaded(tmp_path, "mapping.yaml", *change)) == []


def test_a_code_that_another_table_refuses_is_told_at_its_row(tmp_path: Path) -> None:
    loaded(tmp_path)
    (tmp_path / "urgent.csv").write_text("code,target_system,target_code\nfood,urn:urgency,urgent\n")
    text = changed(GOOD, "  state: {map", "  urgent: {map: urgent.csv, unmapped: reject}\n  state: {map")
    text = changed(
        text,
        "        intent: order\n",
        "        intent: order\n        priority: {from: need, code: urgent}\n",
    )
    (tmp_path / "mapping.yaml").write_text(text)
    (found,) = told(load(tmp_path / "mapping.yaml"))
    assert str(found) == (
        "need.csv:3: warning: code 'housing': a record with it is refused: need: "
        "the code table 'urgent' does not have this code; "
        "give the other table this code too, or choose another 'unmapped' for that"
    )


ARGUMENTS: dict[str, list[Any]] = {
    "date": ["YYYY-MM-DD", "M/D/YYYY", "HL7", "ISO", "YYYY"],
    "datetime": [
        {"formats": each, "zone": "UTC"} for each in ("M/D/YYYY h:mm pm", "HL7", "ISO", "YYYYMMDDhhmmsszzz")
    ],
    "time": ["hh:mm", "hh:mm:ss", "hhmm", "hh:mm pm", ["hh:mm:ss", "hh:mm"]],
    "age": [{"formats": "M/D/YYYY", "on": "born"}],
    "hl7_time": [True],
    "phone": ["US", {"plan": "US", "otherwise": "drop"}],
    "name": ["given", "family"],
    "age_band": [[18, 25, 65]],
    "zip5": [True],
    "zip3": [True],
    "county": ["zip"],
    "safe_contact": ["need"],
    "integer": [{"min": 2, "max": 3}],
    "decimal": [{"min": 0.5, "max": 1}],
    "boolean": [{"yes": ["Y", True], "no": "N"}],
    "identifier": ["oid", "uuid", "uri", "npi"],
    "split": [";"],
    "nth": [1],
    "text": [True],
    "lower": [True],
    "without": ["tel:"],
    "code": ["need"],
    "coding": ["need"],
    "concept": ["need"],
    "uncode": ["need"],
}


@pytest.mark.parametrize("name", [*FUNCTIONS, "age"])
def test_every_function_has_a_sample_that_it_takes(name: str) -> None:
    zip_codes = CodeTable("zip", "drop", {"06510": ({"system": "s", "code": "New Haven"},)}, {})
    need = CodeTable("need", "reject", {"food": ({"system": "s", "code": "F"},)}, {"F": "food"})
    functions = Functions({"zip": zip_codes, "need": need})
    for argument in ARGUMENTS[name]:
        samples = functions.samples(((name, argument),), None)
        assert samples, argument
        assert all(functions.apply(((name, argument),), sample.value) is not None for sample in samples)


SENSITIVE = GOOD + "sensitive: {size: SDV, born: N}\n"


@pytest.mark.parametrize(
    ("text", "destinations", "found"),
    [
        (SENSITIVE, {}, []),
        (SENSITIVE, {"Observation": "V", "Patient": "N"}, []),
        (
            SENSITIVE,
            {"Observation": "N"},
            [
                "mapping.yaml:45:11: 'size' is sensitive (SDV) and reaches "
                "Observation[0].valueInteger, where N is the highest"
            ],
        ),
        (SENSITIVE, {"Observation": "N", "Observation.valueInteger": "R"}, []),
        (SENSITIVE, {"Observation.value": "N"}, []),
        (
            SENSITIVE,
            {"Patient.birthDate": "M"},
            [
                "mapping.yaml:22:9: 'born' is sensitive (N) and reaches "
                "Patient.birthDate, where M is the highest"
            ],
        ),
        (
            changed(SENSITIVE, "recipient: note", "recipient: size"),
            {},
            ["mapping.yaml:15:5: 'size' is sensitive (SDV) and reaches recipient, where N is the highest"],
        ),
        (
            changed(SENSITIVE, "local: {ref: ref}", "local: {ref: size}"),
            {},
            ["mapping.yaml:16:13: 'size' is sensitive (SDV) and reaches local.ref, where N is the highest"],
        ),
        (
            changed(SENSITIVE, "{constant: tiny}, ref]", "size, ref]"),
            {},
            ["mapping.yaml:13:11: 'size' is sensitive (SDV) and reaches key.0, where N is the highest"],
        ),
        (
            changed(
                SENSITIVE,
                "          - text: {from: note}\n",
                "          - when: {from: size, present: true}\n            text: {from: note}\n",
            ),
            {"ServiceRequest": "N"},
            [
                "mapping.yaml:39:13: 'size' is sensitive (SDV) and decides whether there is "
                "ServiceRequest.note[0], where N is the highest"
            ],
        ),
    ],
)
def test_what_is_sensitive_goes_no_further_than_its_destination(
    tmp_path: Path, text: str, destinations: Destinations, found: list[str]
) -> None:
    loaded(tmp_path)
    (tmp_path / "mapping.yaml").write_text(text)
    issues = [
        one for one in check(load(tmp_path / "mapping.yaml"), destinations) if one.issue.code == "security"
    ]
    assert [f"{one.file}:{one.issue.line}:{one.issue.column}: {one.issue.message}" for one in issues] == found
    assert all(one.suggestion and one.issue.severity == "error" for one in issues)


def test_a_kind_of_record_tells_of_the_field_it_is_known_by(tmp_path: Path) -> None:
    loaded(tmp_path)
    (tmp_path / "mapping.yaml").write_text(GOOD + "sensitive: {need: R}\n")
    found = [one for one in check(load(tmp_path / "mapping.yaml")) if one.issue.code == "security"]
    assert [(one.issue.severity, one.issue.line) for one in found] == [("information", 12)]


def record(line: int, **fields: object) -> Record:
    return Record({"ref": str(line), "person": "p", "need": "food", **fields}, line)


def in_sample(folder: Path, records: list[Record], **change: str) -> list[str]:
    mapping = loaded(folder, **change)
    before = set(check(mapping))
    return [str(one) for one in check(mapping, sample=records) if one not in before]


def test_a_code_that_several_records_share_is_told(tmp_path: Path) -> None:
    records = [record(line, need="rent") for line in range(3)] + [
        record(9, note="x", born="2000-01-01", size=1)
    ]
    assert in_sample(tmp_path, records)[0] == (
        "mapping.yaml:6:3: warning: codes.need: the sample has codes that this table lacks: 'rent' (3); "
        "add them, or let 'unmapped: reject' stand for them"
    )


@pytest.mark.parametrize("word", ["rent", "Ana Souza", "12 Elm Street"])
def test_what_few_records_hold_or_is_no_token_is_told_by_its_line_alone(tmp_path: Path, word: str) -> None:
    records = [record(line, need=word) for line in range(5, 5 + (2 if word == "rent" else 4))]
    said = in_sample(tmp_path, records)[0]
    assert "1 more that few records have (lines 5, 6" in said
    assert word not in said


def test_a_code_that_the_mapping_lists_is_told_of_one_record_too(tmp_path: Path) -> None:
    change = {"file": "need.csv", "before": "magic,,,unmatched\n", "after": ""}
    assert "'magic' (1)" in in_sample(tmp_path, [record(1, need="magic")], **change)[0]


def test_a_field_that_no_record_fills_is_told(tmp_path: Path) -> None:
    records = [record(1, size=2, phones=[{"kind": "home"}, {"number": "2035550123"}]), record(2, note="n")]
    never = [said for said in in_sample(tmp_path, records) if "is filled in none of the 2 records" in said]
    assert [said.split(": ")[2] for said in never] == [
        "fields[3]",
        "records.answer.fields[1]",
        "records.answer.fields[2]",
    ]


MAPPINGS = sorted(path.parent.name for path in shipped("shelter-csv").parent.parent.glob("*/mapping.yaml"))


@pytest.mark.parametrize("system", MAPPINGS)
def test_the_shipped_mappings_have_no_error(system: str) -> None:
    found = check(load(shipped(system)))
    assert [str(one) for one in found if one.issue.severity == "error"] == []
