"""A proposed mapping: it always loads, reads nothing that is not surely understood, and shows no value."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pytest import param

from mappings import LocalMapping, RecordError, load
from mappings.infer import DOUBT, Proposal, propose
from mappings.infer.content import DATE_FORMATS, date_formats
from mappings.infer.words import vocabulary, words_of
from mappings.readers.source import Source

HEADER = [
    "Request ID",
    "Client ID",
    "Last Name",
    "DOB",
    "Cell Phone",
    "Need",
    "Notes",
    "DV flag",
    "Shoe size",
]
ROWS = [
    [
        "R-1",
        "C-1",
        "Quillfeather",
        "03/24/1988",
        "(203) 555-0101",
        "Food pantry",
        "Has a stroller",
        "N",
        "41",
    ],
    ["R-2", "C-2", "Marrowby", "03/08/1991", "203-555-0102", "Rent help", "Ask for Zephyrine", "Y", "38"],
    ["R-3", "C-3", "Thistlewood", "07/12/1975", "203-555-0103", "Food pantry", "", "N", "44"],
    ["R-4", "C-4", "Underhay", "11/02/1990", "203-555-0104", "Rent help", "", "N", "39"],
    ["R-5", "C-5", "Vandermolen", "11/02/1990", "203-555-0105", "Zither lessons", "", "N", "40"],
]


def csv_text(rows: Sequence[Sequence[str]], delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(rows)
    return out.getvalue().encode()


def proposal(body: bytes, name: str = "intake.csv") -> Proposal:
    with Source.of_bytes(body, name) as source:
        return propose(source, "Intake 2026")


def loaded(found: Proposal) -> LocalMapping:
    """The mapping, written down and loaded as anybody would."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in found.files.items():
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        return load(Path(folder) / "mapping.yaml")


def fields_read(mapping: LocalMapping) -> set[str]:
    return {name for kind in mapping.kinds for line in kind.lines for name in line.fields} | {
        way.field for kind in mapping.kinds for way in kind.lineage
    }


def ignored(mapping: LocalMapping) -> dict[str, str]:
    return dict(mapping.kinds[-1].fields.ignored)


# ---------------------------------------------------------------- what is read


def test_what_is_understood_is_read_and_all_else_is_left() -> None:
    mapping = loaded(proposal(csv_text([HEADER, *ROWS])))
    assert fields_read(mapping) == {"Request ID", "Client ID", "Last Name", "DOB", "Cell Phone", "Need"}
    assert ignored(mapping).keys() == {"Notes", "DV flag", "Shoe size"}
    assert "Free text" in ignored(mapping)["Notes"]
    assert ignored(mapping)["Shoe size"].startswith("Not looked at yet")


def test_what_may_tell_of_violence_is_labelled_and_never_read() -> None:
    mapping = loaded(proposal(csv_text([HEADER, *ROWS])))
    assert mapping.kinds[-1].fields.sensitive == {"DV flag": "SDV"}


def test_the_codes_of_the_sample_wait_for_somebody_to_confirm_them() -> None:
    found = proposal(csv_text([HEADER, *ROWS]))
    mapping = loaded(found)
    rows = list(csv.DictReader(found.files["codes/need.csv"].splitlines()[2:]))
    assert [row["code"] for row in rows] == ["Food pantry", "Rent help"]
    assert [row["target_code"] for row in rows] == ["food-insecurity", "housing-instability"]
    assert {row["equivalence"] for row in rows} == {"unmatched"}
    assert mapping.document.data["codes"]["need"]["values"] == ["Food pantry", "Rent help"]
    with Source.of_bytes(csv_text([HEADER, *ROWS])) as source:
        for record in mapping.records(source):
            assert not isinstance(record, RecordError)
            with pytest.raises(RecordError, match="does not have this code"):
                mapping.map(record)


def test_no_value_is_in_the_proposal_but_codes_that_were_seen_twice() -> None:
    text = "".join(proposal(csv_text([HEADER, *ROWS])).files.values())
    for row in ROWS:
        for column, value in zip(HEADER, row, strict=True):
            if len(value) > 2 and (column != "Need" or value == "Zither lessons"):
                assert value not in text


def test_a_filled_table_makes_valid_referrals() -> None:
    found = proposal(csv_text([HEADER, *ROWS]))
    files = dict(found.files)
    files["codes/need.csv"] = files["codes/need.csv"].replace("unmatched", "equivalent")
    mapping = loaded(Proposal(found.system, files, 0, 0, 0))
    with Source.of_bytes(csv_text([HEADER, *ROWS[:4]])) as source:
        made = [
            mapping.map(record) for record in mapping.records(source) if not isinstance(record, RecordError)
        ]
    codes = [one.resources["ServiceRequest"]["category"][1]["coding"][0]["code"] for one in made]
    assert codes == ["food-insecurity", "housing-instability"] * 2
    assert made[0].subject == ("https://waymeet.example/fhir/sid/intake-2026-client", "C-1")
    assert made[0].resources["Patient"]["birthDate"] == "1988-03-24"


@pytest.mark.parametrize(
    ("body", "name", "says"),
    [
        (
            csv_text([HEADER, *ROWS]),
            "intake.csv",
            "Request ID,status,reason,changed_at\nR-1,accepted,,2026-11-20",
        ),
        (
            b'[{"id": 7, "need": "food"}, {"id": 8, "need": "food"}]',
            "cases.json",
            '"referral":"7","status":"accepted"',
        ),
    ],
)
def test_the_agency_hears_what_became_of_a_referral(body: bytes, name: str, says: str) -> None:
    found = proposal(body, name)
    mapping = loaded(found)
    local = {"referral": "R-1" if name == "intake.csv" else "7"}
    facts = {"task": {"status": "accepted"}, "local": local, "now": "2026-11-20"}
    assert says in mapping.render("task", facts).body.decode().replace("\r\n", "\n")


# ---------------------------------------------------------------- doubts


def doubts(found: Proposal) -> str:
    lines = found.files["mapping.yaml"].splitlines()
    return "\n".join(line.strip() for line in lines if line.lstrip().startswith(DOUBT))


def column(name: str, values: Sequence[str], **other: Sequence[str]) -> bytes:
    """A CSV of an id, a person, a need and one more column."""
    columns = {
        "Request ID": [f"R{n}" for n in range(len(values))],
        "Client ID": [f"C{n}" for n in range(len(values))],
    }
    columns |= {"Need": ["food"] * len(values), name: list(values)} | {k: list(v) for k, v in other.items()}
    return csv_text([list(columns), *zip(*columns.values(), strict=True)])


@pytest.mark.parametrize(
    ("name", "values", "says", "read"),
    [
        param(
            "DOB",
            ["1990-01-31"] * 9 + ["unknown"],
            "1 of 10 values do not look like a date of birth",
            True,
            id="a few",
        ),
        param("DOB", ["1990-01-31"] * 2 + ["?"] * 8, "8 of 10 values do not look so", False, id="most"),
        param("DOB", [""] * 4, "empty in the sample", False, id="empty"),
        param("DOB", ["3/4/1990"] * 4, "Month or day first?", True, id="day or month"),
        param(
            "Alternate phone", ["203-555-0101"] * 4, "Is it a telephone number?", False, id="a name not known"
        ),
        param(
            "Priority", [f"{n} days, more or less" for n in range(40)], "free text?", False, id="many codes"
        ),
        param(
            "Priority",
            ["high", "high", "low"],
            "1 value stands in the sample only once",
            True,
            id="a rare code",
        ),
        param("Created at", ["2026-11-20 10:15"] * 4, "those of New York", True, id="a time without a zone"),
    ],
)
def test_a_doubt_is_told(name: str, values: list[str], says: str, read: bool) -> None:
    found = proposal(column(name, values))
    assert says in doubts(found)
    assert found.doubts == doubts(found).count(DOUBT)
    assert (name in fields_read(loaded(found))) is read


def test_the_second_column_of_a_role_is_left() -> None:
    found = proposal(column("DOB", ["1990-01-31"] * 3, **{"Date of birth": ["1990-01-31"] * 3}))
    assert "One column is read as that already" in doubts(found)
    assert "Date of birth" in ignored(loaded(found))


def test_several_telephones_are_all_read() -> None:
    found = proposal(column("Home phone", ["203-555-0101"] * 3, **{"Cell phone": ["203-555-0102"] * 3}))
    assert {"Home phone", "Cell phone"} <= fields_read(loaded(found))


def test_a_number_that_stands_twice_is_no_key() -> None:
    found = proposal(csv_text([HEADER, *ROWS, ROWS[0]]))
    assert "some stand in several records" in doubts(found)


def test_until_key_person_and_need_are_known_every_record_is_refused() -> None:
    body = csv_text([["Shoe size", "Hat"], ["41", "7"], ["42", "8"]])
    found = proposal(body)
    assert all(
        f"Not found: which column {what}" in doubts(found) for what in ("is the number of the", "says what")
    )
    mapping = loaded(found)
    with Source.of_bytes(body) as source:
        for record in mapping.records(source):
            assert not isinstance(record, RecordError)
            with pytest.raises(RecordError, match="This mapping is not finished"):
                mapping.map(record)


# ---------------------------------------------------------------- forms of files


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    mapping = loaded(proposal(csv_text([HEADER, *ROWS], delimiter)))
    assert mapping.document.data["format"]["delimiter"] == delimiter


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("utf-8", None), ("utf-8-sig", None), ("utf-16", None), ("windows-1252", "windows-1252")],
)
def test_the_encoding_is_found(encoding: str, told: str | None) -> None:
    body = csv_text([HEADER, *([*row[:2], "Muñoz", *row[3:]] for row in ROWS)]).decode().encode(encoding)
    found = proposal(body)
    mapping = loaded(found)
    assert mapping.document.data["format"].get("encoding") == told
    assert ("is a guess" in doubts(found)) is (told is not None)
    with Source.of_bytes(body) as source:
        assert all(not isinstance(record, RecordError) for record in mapping.records(source))


def test_json_paths_are_columns() -> None:
    records = [
        {
            "id": n,
            "need": "food",
            "client": {"id": n + 100, "name": {"last": "Quillfeather"}, "phones": [{"number": "1"}]},
        }
        for n in range(4)
    ]
    mapping = loaded(proposal(json.dumps(records).encode(), "cases.json"))
    assert fields_read(mapping) == {"id", "client.id", "need", "client.name.last"}
    assert ignored(mapping).keys() == {"client.phones.number"}
    with Source.of_bytes(json.dumps(records).encode()) as source:
        assert len([1 for record in mapping.records(source) if not isinstance(record, RecordError)]) == 4


@pytest.mark.parametrize(
    ("document", "at"),
    [
        param({"contents": [{"id": 1}, {"id": 2}], "page": 1}, "contents", id="a page of records"),
        param({"id": 1, "phones": [{"number": "1"}]}, None, id="a record with a list"),
    ],
)
def test_where_the_records_are_in_a_json_document(document: object, at: str | None) -> None:
    mapping = loaded(proposal(json.dumps(document).encode(), "one.json"))
    assert mapping.document.data["format"].get("at") == at


def write_tables(folder: Path) -> Path:
    tables = {
        "Referral.csv": [["ReferralID", "ClientID", "Need"], *([f"R{n}", f"C{n}", "food"] for n in range(4))],
        "Client.csv": [["ClientID", "LastName"], *([f"C{n}", "Quillfeather"] for n in range(4))],
        "Visit.csv": [
            ["VisitID", "ClientID", "VisitDate"],
            *([f"V{n}", "C1", "2026-11-20"] for n in range(4)),
        ],
        "Staff.csv": [["Badge", "Hat"], ["1", "2"]],
    }
    for name, rows in tables.items():
        (folder / name).write_bytes(csv_text(rows))
    return folder


def test_tables_are_joined_by_their_keys(tmp_path: Path) -> None:
    with Source.of_path(write_tables(tmp_path)) as source:
        found = propose(source, "export")
        mapping = loaded(found)
        records = list(mapping.records(source))
    assert mapping.document.data["format"]["record"] == "Referral"
    assert mapping.document.data["format"]["tables"] == {
        "Referral": {},
        "Client": {"key": "ClientID", "is": "Referral.ClientID"},
        "Visit": {"key": "ClientID", "is": "Client.ClientID", "many": True},
    }
    assert "No key leads to Staff" in doubts(found)
    assert "Client.LastName" in fields_read(mapping)
    assert len(records) == 4 and not any(isinstance(record, RecordError) for record in records)


# ---------------------------------------------------------------- what nothing can be made of


@pytest.mark.parametrize(
    ("body", "says"),
    [
        param(b"", "empty", id="empty"),
        param(b"a,b\n", "no row after it", id="no rows"),
        param(
            b"Ana,203-555-0101,1990-01-31\nBo,203-555-0102,1991-01-31\n",
            "looks like a record",
            id="no header",
        ),
        param(b"a,b,a\n1,2,3\n", "columns 3 have the name of an earlier one", id="doubled header"),
        param(b'a,b\n"1,2\n', "quoting is broken", id="quoting"),
        param(b"a,b\n1,\0\n", "NUL", id="NUL"),
        param(b"MSH|^~\\&|A\rPID|1\r", "hl7v2-referral", id="HL7 v2"),
        param(b"<?xml version='1.0'?><a/>", "ccda-referral-note", id="XML"),
        param(b'{"resourceType": "Patient"}', "fhir-r4", id="FHIR"),
        param(b'{"a": ', "not JSON", id="broken JSON"),
        param(b"[1, 2]", "no JSON object", id="no objects"),
        param(
            json.dumps([{f"person {n}": 1} for n in range(400)]).encode(),
            "are some names data",
            id="names as keys",
        ),
    ],
)
def test_what_cannot_be_read_is_said_and_shows_no_value(body: bytes, says: str) -> None:
    with pytest.raises(RecordError, match=says) as fault:
        proposal(body, "some file")
    assert "Ana" not in str(fault.value) and "person 1" not in str(fault.value)


# ---------------------------------------------------------------- properties

_NAMES = st.one_of(
    st.sampled_from([" ".join(words) for role in vocabulary().roles for words in sorted(role.words)]),
    st.sampled_from(
        ["Homeless?", "Name*", "*", "null", "true", "phone", "official", "final", "a.b", "x: y", "#", "-"]
    ),
    st.text(max_size=12),
)
_CELLS = st.one_of(
    st.sampled_from(
        ["food", "yes", "", "203-555-0101", "1990-01-31", "3/4/1990", "06511", "=1+1", "a  b", "'", "12"]
    ),
    st.text(max_size=12),
)


def assert_sound(found: Proposal) -> None:
    mapping = loaded(found)
    names = set(mapping.kinds[-1].fields.names)
    assert not fields_read(mapping) & ignored(mapping).keys()
    assert fields_read(mapping) <= names
    for name, code in mapping.kinds[-1].fields.sensitive.items():
        assert name in ignored(mapping) and code


@given(
    st.lists(_NAMES, min_size=1, max_size=8).flatmap(
        lambda names: st.tuples(
            st.just(names),
            st.lists(st.lists(_CELLS, min_size=len(names), max_size=len(names)), min_size=1, max_size=6),
        )
    )
)
@example((["phone", "email", "final"], [["203-555-0101", "a@b.example", "x"]]))
@example((["Homeless?", "Name*", "*"], [["1", "2", "3"]]))
@example((["engagement id", "410606002"], [["food", "food"]]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_csv_the_proposal_loads_or_the_file_is_refused(
    table: tuple[list[str], list[list[str]]],
) -> None:
    names, rows = table
    try:
        found = proposal(csv_text([names, *rows]))
    except RecordError:
        return
    assert_sound(found)


@given(st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_whatever_the_bytes_nothing_else_is_raised(body: bytes) -> None:
    try:
        found = proposal(body, "some file")
    except RecordError:
        return
    assert_sound(found)


_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 10**6), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=4)),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(_NAMES, _JSON, max_size=4), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_json_the_proposal_loads_or_the_file_is_refused(
    records: list[dict[str, object]],
) -> None:
    try:
        found = proposal(json.dumps(records).encode(), "cases.json")
    except RecordError:
        return
    assert_sound(found)


# ---------------------------------------------------------------- words and content


@pytest.mark.parametrize("name", ["PersonalID", "personal_id", "Personal ID", "personal-id", "PersonalID__c"])
def test_names_are_taken_apart(name: str) -> None:
    assert words_of(name) == ("personal", "id")


def test_no_name_has_two_roles() -> None:
    roles = vocabulary().roles
    shared = {(a.name, b.name) for a in roles for b in roles if a.name < b.name and a.words & b.words}
    assert shared == set()


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["2026-11-20", "2026-11-21"], ["YYYY-MM-DD"]),
        (["3/4/2026", "11/20/2026"], ["M/D/YYYY"]),
        (["11/20/2026", "2026-11-21", "nothing"], ["YYYY-MM-DD", "M/D/YYYY"]),
        (["11/20/2026 3:04 PM"], ["M/D/YYYY h:mm pm"]),
        (["nothing"], []),
    ],
)
def test_the_formats_of_dates(values: list[str], formats: list[str]) -> None:
    assert sorted(date_formats(values)[0]) == sorted(formats)
    assert set(formats) <= set(DATE_FORMATS)
