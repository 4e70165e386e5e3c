"""The mapping language: a good mapping, and what its author is told for each single mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mappings import LocalMapping, RecordError, load
from profiles.document import DocumentError

GOOD = """\
system: tiny
version: "1"
title: A tiny system
format: {type: csv}
codes:
  need: {map: need.json, unmapped: reject}
records:
  referral:
    kind: referral
    fields: [ref, person, need, born, secret]
    key: [{constant: tiny}, ref]
    subject: {system: {constant: "urn:tiny"}, value: person}
    resources:
      Patient:
        identifier:
          - system: urn:tiny
            value: {from: person}
        birthDate: {from: born, date: YYYY-MM-DD}
      ServiceRequest:
        status: active
        intent: order
        category:
          - {from: need, concept: need, required: true}
    ignored:
      secret: Nobody needs to know this.
"""
TABLE = {
    "resourceType": "ConceptMap",
    "url": "urn:tiny:need",
    "status": "active",
    "group": [
        {
            "target": "urn:needs",
            "element": [
                {"code": "food", "target": [{"code": "F", "equivalence": "equivalent"}]},
                {"code": "meals", "target": [{"code": "F", "equivalence": "wider"}]},
                {"code": "magic", "target": [{"equivalence": "unmatched", "comment": "no such service"}]},
            ],
        }
    ],
}


def write(folder: Path, text: str = GOOD, table: Any = TABLE) -> Path:
    (folder / "need.json").write_text(json.dumps(table), encoding="utf-8")
    path = folder / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(folder: Path, text: str = GOOD) -> LocalMapping:
    return load(write(folder, text))


def test_the_good_mapping_loads_and_maps(tmp_path: Path) -> None:
    mapping = loaded(tmp_path)
    (record,) = mapping.read(b"ref,person,need,born,secret\n1,P,food,1990-01-02,x\n")
    mapped = mapping.map(record)
    assert (mapped.key, mapped.subject) == ("tiny|1", ("urn:tiny", "P"))
    assert mapped.resources["ServiceRequest"]["category"] == [
        {"coding": [{"system": "urn:needs", "code": "F"}]}
    ]


@pytest.mark.parametrize(
    ("before", "after", "line", "told"),
    [
        ("concept: need,", "konzept: need,", 23, "unknown function 'konzept'"),
        ("concept: need,", "concept: needs,", 23, "must name a code table from 'codes' (known here: need)"),
        ("concept: need,", "code: need, text: true,", 23, "has two functions"),
        ("{from: born,", "{from: borne,", 18, "'borne' is not one of the columns under 'fields'"),
        ("YYYY-MM-DD}", "year-month-day}", 18, "uses YYYY MM DD hh mm ss zzz once each"),
        ("birthDate:", "birthdate:", 18, "Patient has no element 'birthdate'; did you mean 'birthDate'?"),
        ("intent: order", "intent: [order]", 21, "does not repeat: no list"),
        ("          - {from: need, concept", "          {from: need, concept", 22, "repeats: write a list"),
        ("{from: person}\n", "person\n", 17, "'person' is a field: write {from: person}"),
        ("status: active", "status: {code: active}", 20, "code is a single value, not an object"),
        (
            "[ref, person, need",
            "[ref, person, extra, need",
            10,
            "'extra' is neither used nor under 'ignored'",
        ),
        ("born, secret]", "born]", 25, "'fields' does not list this field"),
        ("      secret:", "      born:", 25, "the field is used, so it is not ignored"),
        ("unmapped: reject", "unmapped: ignore", 6, 'must be one of "reject", "text", "drop"'),
        ("need.json", "needs.json", 6, "the code table is not usable"),
        ("    kind: referral\n", "    kind: referal\n", 9, 'must be one of "referral", "amendment"'),
        ('    subject: {system: {constant: "urn:tiny"}, value: person}\n', "", 8, "needs 'subject'"),
        ("version:", "verzion:", 2, "unknown key 'verzion'"),
        (
            "    kind: referral\n",
            "    kind: referral\n    when: {from: need}\n",
            10,
            "a condition has 'from' and one of",
        ),
        ("Nobody needs to know this.", "no", 25, "needs at least 10"),
        ("required: true}", "required: false}", 23, "is true or not there at all"),
        ("{from: person}", "{from: person, when: {from: need, present: maybe}}", 17, "is true or false"),
    ],
)
def test_one_mistake_is_told_with_its_line(
    tmp_path: Path, before: str, after: str, line: int, told: str
) -> None:
    assert before in GOOD
    with pytest.raises(DocumentError) as wrong:
        loaded(tmp_path, GOOD.replace(before, after, 1))
    assert any(issue.line == line and told in issue.message for issue in wrong.value.issues), str(wrong.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("birthDate", "birthdate").replace("concept: need", "konzept: need")
    with pytest.raises(DocumentError) as wrong:
        loaded(tmp_path, text)
    assert len(wrong.value.issues) == 2


def test_several_kinds_of_record_need_a_condition_each(tmp_path: Path) -> None:
    second = GOOD[GOOD.index("  referral:\n") :].replace("referral:\n", "other:\n", 1)
    with pytest.raises(DocumentError, match="needs 'when'"):
        loaded(tmp_path, GOOD + second)


@pytest.mark.parametrize(
    ("policy", "word", "made"),
    [
        ("text", "firewood", {"text": "firewood"}),
        ("text", "magic", {"text": "magic"}),
        ("text", "meals", {"coding": [{"system": "urn:needs", "code": "F"}]}),
    ],
)
def test_an_unmapped_code_follows_what_was_chosen(tmp_path: Path, policy: str, word: str, made: Any) -> None:
    mapping = loaded(tmp_path, GOOD.replace("unmapped: reject", f"unmapped: {policy}"))
    (record,) = mapping.read(f"ref,person,need,born,secret\n1,P,{word},,\n".encode())
    assert mapping.map(record).resources["ServiceRequest"]["category"] == [made]


@pytest.mark.parametrize("word", ["firewood", "magic", "Food"])
def test_reject_refuses_and_drop_leaves_out(tmp_path: Path, word: str) -> None:
    body = f"ref,person,need,born,secret\n1,P,{word},1990-01-02,\n".encode()
    rejecting = loaded(tmp_path)
    with pytest.raises(RecordError, match="does not have this code"):
        rejecting.map(rejecting.read(body)[0])
    text = GOOD.replace("unmapped: reject", "unmapped: drop").replace(", required: true", "")
    dropping = loaded(tmp_path, text.replace("intent: order", "intent: {from: born}"))
    assert "category" not in dropping.map(dropping.read(body)[0]).resources["ServiceRequest"]


def test_a_table_in_which_two_words_become_one_code_is_not_read_backwards(tmp_path: Path) -> None:
    rendering = "render: {task: [{name: t, csv: {need: {from: task.status, uncode: need}}}]}\n"
    with pytest.raises(DocumentError, match="several codes become F"):
        loaded(tmp_path, GOOD + rendering)


@pytest.mark.parametrize(
    ("rendering", "told"),
    [
        ("{name: t, csv: {a: {from: status}}}", "does not start with one of referral, source, task"),
        ("{name: t, csv: {a: {from: local.order}}}", "is not a value that a record kind keeps under 'local'"),
        ("{name: t, csv: {a: task.status}}", "'task.status' is a field"),
        ("{name: t}", "needs exactly one of json, csv, hl7v2"),
        ("{name: t, hl7v2: [{MSA-1: AA, MSH-2: x}]}", "holds fields of one segment"),
        ("{name: t, hl7v2: [{MSA: AA}]}", "must match the pattern"),
    ],
)
def test_a_mistake_in_a_rendering_is_told_when_the_mapping_loads(
    tmp_path: Path, rendering: str, told: str
) -> None:
    with pytest.raises(DocumentError) as wrong:
        loaded(tmp_path, GOOD + f"render: {{task: [{rendering}]}}\n")
    assert told in str(wrong.value)


def test_a_broken_code_table_is_told_at_its_entry(tmp_path: Path) -> None:
    broken = TABLE | {"status": "nearly"}
    with pytest.raises(DocumentError) as wrong:
        load(write(tmp_path, GOOD, broken))
    assert wrong.value.issues[0].line == 6


def test_the_fingerprint_follows_the_meaning_of_mapping_and_tables(tmp_path: Path) -> None:
    first = loaded(tmp_path).fingerprint
    assert loaded(tmp_path, "# a comment\n" + GOOD).fingerprint == first
    assert loaded(tmp_path, GOOD.replace("intent: order", "intent: plan")).fingerprint != first
    more = json.loads(json.dumps(TABLE))
    more["group"][0]["element"].pop()
    assert load(write(tmp_path, GOOD, more)).fingerprint != first
    assert len(first) == 64
