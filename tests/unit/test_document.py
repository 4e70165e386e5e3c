"""Data files: what is read, and what whoever wrote a bad one is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.document import Document, DocumentError, load, parse

SCHEMA = {
    "type": "object",
    "required": ["id"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "effective": {"type": "string", "format": "date"},
        "days": {"type": "integer", "minimum": 1},
        "state": {"enum": ["active", "draft"]},
        "codes": {"type": "object", "additionalProperties": {"type": "string"}},
        "contacts": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "object", "required": ["role"], "properties": {"role": {"type": "string"}}},
        },
        "to": {"oneOf": [{"type": "string"}, {"type": "object", "required": ["url"]}]},
    },
}

GOOD = """\
id: no
effective: 2026-11-20
days: 30
state: active
codes:
  01: yes
  on: off
contacts:
  - role: steward
  - role: backup
"""


def test_words_and_dates_stay_text_and_numbers_are_numbers() -> None:
    assert parse(GOOD, SCHEMA, "a.yaml").data == {
        "id": "no",
        "effective": "2026-11-20",
        "days": 30,
        "state": "active",
        "codes": {"01": "yes", "on": "off"},
        "contacts": [{"role": "steward"}, {"role": "backup"}],
    }


def test_every_value_keeps_its_place_and_an_unknown_one_gives_the_nearest() -> None:
    document = parse(GOOD, SCHEMA, "a.yaml")
    assert document.line(("codes", "on")) == 7
    assert document.line(("contacts", 1, "role")) == 10
    assert document.line(("contacts", 1, "missing", 3)) == 10
    assert document.line(("missing",)) == 1
    assert document.column(("codes", "on")) == 3
    assert document.column(("contacts", 1, "missing", 3)) == 5
    assert Document("rows.csv", [], {(0,): 2}).column((0, "code")) is None


def test_a_later_check_can_point_at_a_place() -> None:
    document = parse(GOOD, SCHEMA, "a.yaml")
    fault = document.error([document.issue(("contacts", 1, "role"), "is listed nowhere")])
    assert str(fault) == "a.yaml:10:5: contacts[1].role: is listed nowhere"


# (what is wrong, the line that is changed, what it becomes, what is said)
REFUSALS = [
    ("misspelt key", "days: 30", "day: 30", "a.yaml:3:1: day: unknown key 'day'; did you mean 'days'?"),
    ("missing key", "id: no\n", "", "a.yaml:1:1: needs 'id'"),
    ("wrong type", "days: 30", "days: thirty", "a.yaml:3:1: days: must be a whole number"),
    ("out of range", "days: 30", "days: 0", "a.yaml:3:1: days: is out of range (minimum 1)"),
    ("no such day", "2026-11-20", "2026-02-30", "a.yaml:2:1: effective: must be a valid date"),
    ("not in the list", "active", "gone", 'a.yaml:4:1: state: must be one of "active", "draft"'),
    ("key twice", "days: 30", "id: yes", "a.yaml:3:1: the key 'id' stands here twice"),
    ("alias", "days: 30", "days: &d 30\nto: *d", "a.yaml:4:5: an alias (*name) is not allowed here"),
    ("tag", "days: 30", "days: !!str 30", "a.yaml:3:1: days: must be a whole number"),
    (
        "own tag",
        "days: 30",
        "days: !python/name:os.system x",
        "a.yaml:3:7: a tag (!name) is not allowed here",
    ),
    ("not YAML", "days: 30", "days: [30", "a.yaml:4:6: not YAML: expected ',' or ']', but got ':'"),
    (
        "no form fits",
        "days: 30",
        "to: 3",
        "a.yaml:3:1: to: fits none of the allowed forms; the nearest: must be text",
    ),
]


@pytest.mark.parametrize(("line", "instead", "said"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_a_bad_file_is_told_where_and_why(line: str, instead: str, said: str) -> None:
    assert line in GOOD
    with pytest.raises(DocumentError) as fault:
        parse(GOOD.replace(line, instead, 1), SCHEMA, "a.yaml")
    assert str(fault.value) == said


def test_all_faults_are_told_in_the_order_of_the_file() -> None:
    bad = GOOD.replace("days: 30", "days: x").replace("role: backup", "rolle: backup")
    with pytest.raises(DocumentError) as fault:
        parse(bad, SCHEMA, "a.yaml")
    assert [(issue.line, issue.field) for issue in fault.value.issues] == [(3, "days"), (10, "contacts[1]")]


def test_json_is_read_strictly_and_keeps_lines() -> None:
    document = parse('{\n\t"id": "\\ud83d\\ude00",\n\t"days": 2\n}', SCHEMA, "a.json")
    assert document.data == {"id": "\N{GRINNING FACE}", "days": 2}
    assert (document.line(("days",)), document.column(("days",))) == (3, 2)


@pytest.mark.parametrize(
    "text", ["{id: a}", '{"id": "a",}', '{"id": NaN}', '{"id": "a", "id": "b"}', "[" * 9999]
)
def test_what_only_looks_like_json_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        parse(text, SCHEMA, "a.json")


@pytest.mark.parametrize("text", ["", "# nothing", "\x00", "[" * 9999, "days: " + "9" * 5000])
def test_a_strange_file_is_refused_and_not_a_crash(text: str) -> None:
    with pytest.raises(DocumentError):
        parse(text, SCHEMA, "a.yaml")


def test_a_missing_file_and_one_that_is_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"id: caf\xe9")
    for name in ("none.yaml", "latin.yaml"):
        with pytest.raises(DocumentError, match=f"{name}: the file"):
            load(tmp_path / name, SCHEMA)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(JSON)
def test_json_comes_back_as_it_went_in(value: Any) -> None:
    assert parse(json.dumps(value, indent="\t"), {}, "a.json").data == value


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for name in ("a.yaml", "a.json"):
        try:
            parse(text, SCHEMA, name)
        except DocumentError as fault:
            assert fault.issues
