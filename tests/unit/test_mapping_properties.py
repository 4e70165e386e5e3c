"""What must never happen, whatever comes in."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import LocalMapping, RecordError, load, shipped

CASES = Path(__file__).parent.parent / "cases" / "mapping"
MAPPINGS = {name: load(shipped(name)) for name in ("shelter-csv", "case-json", "hl7v2-referral")}
GOOD = {
    "shelter-csv": (CASES / "shelter-csv" / "whole-row.csv").read_bytes(),
    "case-json": (CASES / "case-json" / "referral-out.json").read_bytes(),
    "hl7v2-referral": (CASES / "hl7v2-referral" / "food-insecurity.hl7").read_bytes(),
}
HEADER, ROW = csv.reader(io.StringIO(GOOD["shelter-csv"].decode()))
CANARY = "kanarienvogel"
CANARIES = st.sampled_from(
    [CANARY, f"{CANARY} 3", f"{CANARY}@mail.example", f'"{CANARY}', f"{CANARY}|x", f"{{{CANARY}"]
)


def take(mapping: LocalMapping, body: bytes) -> str:
    """Read and map; the text of the refusal, or nothing. Any other exception fails the test."""
    try:
        for record in mapping.read(body):
            mapping.map(record)
    except RecordError as refused:
        return f"{refused} {refused.issues}"
    return ""


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "id",
    "to",
    "need",
    "urgency",
    "created",
    "client",
    "language",
    "county",
    "note",
    "referral",
    "status",
    "outcome",
]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_json_in_the_places_of_fields_is_mapped_or_refused(record: dict[str, Any]) -> None:
    take(MAPPINGS["case-json"], json.dumps(record).encode())


@settings(deadline=None)
@given(column=st.sampled_from(HEADER), canary=CANARIES, ragged=st.booleans(), headless=st.booleans())
def test_no_csv_value_is_ever_in_a_refusal(column: str, canary: str, ragged: bool, headless: bool) -> None:
    row = [canary if name == column else cell for name, cell in zip(HEADER, ROW, strict=True)]
    out = io.StringIO()
    csv.writer(out).writerows([row, row] if headless else [HEADER, row[:-1] if ragged else row])
    assert CANARY not in take(MAPPINGS["shelter-csv"], out.getvalue().encode())


@settings(deadline=None)
@given(
    path=st.sampled_from(["id", "need", "urgency", "client.phone", "client.birth_date", "client", "x"]),
    canary=CANARIES,
)
def test_no_json_value_or_key_is_ever_in_a_refusal(path: str, canary: str) -> None:
    record = json.loads(GOOD["case-json"])
    *parents, name = path.split(".")
    target = record
    for parent in parents:
        target = target[parent]
    target[name] = {canary: canary} if name in ("client", "x") else canary
    text = json.dumps(record)
    assert CANARY not in take(MAPPINGS["case-json"], text.encode())
    assert CANARY not in take(MAPPINGS["case-json"], text.replace("}", "", 1).encode())


@settings(deadline=None)
@given(line=st.integers(0, 15), field=st.integers(0, 16), canary=CANARIES)
def test_no_hl7_value_is_ever_in_a_refusal(line: int, field: int, canary: str) -> None:
    lines = [text.split("|") for text in GOOD["hl7v2-referral"].decode().split("\n")]
    segment = lines[line % len(lines)]
    segment[field % len(segment)] = canary
    assert CANARY not in take(
        MAPPINGS["hl7v2-referral"], "\n".join("|".join(fields) for fields in lines).encode()
    )


@settings(deadline=None)
@given(word=st.sampled_from(["unknown", "refused", "not asked", "", "no", "0", "none"]))
def test_not_knowing_never_becomes_a_number_or_no(word: str) -> None:
    row = [word if name == "household_size" else cell for name, cell in zip(HEADER, ROW, strict=True)]
    out = io.StringIO()
    csv.writer(out).writerows([HEADER, row])
    mapping = MAPPINGS["shelter-csv"]
    try:
        made = mapping.map(mapping.read(out.getvalue().encode())[0]).resources["Observation"]
    except RecordError:
        assert word in ("no", "0", "none")
        return
    sizes = [each for each in made if each["code"]["coding"][0]["code"] == "household-size"]
    expected = {"unknown": "asked-unknown", "refused": "asked-declined", "not asked": "not-asked"}
    assert [size["dataAbsentReason"]["coding"][0]["code"] for size in sizes] == (
        [expected[word]] if word else []
    )
    assert not any("valueInteger" in size for size in sizes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a|accepted|b", "c"), ("a", "b|accepted|c")),
        (("a\\|accepted|b", "c"), ("a\\", "b|accepted|c")),
        (("a", "1"), ("a", "2")),
    ],
)
def test_two_records_do_not_share_a_key_by_accident(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert answer_key(one) == answer_key(one)
    assert answer_key(one) != answer_key(other)


def answer_key(parts: tuple[str, str]) -> str:
    mapping = MAPPINGS["case-json"]
    body = {"referral": parts[0], "status": "accepted", "at": parts[1]}
    return mapping.map(mapping.read(json.dumps(body).encode())[0]).key
