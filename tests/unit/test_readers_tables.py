"""A record set: rows are joined by key, and a record that may lack a row is never made."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.readers import csv_tables
from mappings.readers.source import Source
from mappings.readers.tables import TableReader
from mappings.record import PathError, Record, RecordError

TABLES: dict[str, dict[str, Any]] = {
    "Event": {},
    "Enrollment": {"key": "EnrollmentID", "is": "Event.EnrollmentID"},
    "Project": {"key": "ProjectID", "is": "Enrollment.ProjectID"},
    "HealthAndDV": {"key": "EnrollmentID", "is": "Event.EnrollmentID", "many": True, "optional": True},
    "Export": {"optional": True},
}
COLUMNS: dict[str, tuple[str, ...]] = {
    "Event": ("EventID",),
    "Enrollment": ("EntryDate",),
    "Project": ("ProjectName",),
    "HealthAndDV": ("When", "DV Survivor"),
    "Export": ("CSVVersion",),
}
READER = TableReader("csv", "Event", TABLES, COLUMNS, optional=frozenset({"Export.CSVVersion"}))
FILES = {
    "Event.csv": "EventID,EnrollmentID\r\ne1,n1\r\ne2,n2\r\n",
    "Enrollment.csv": 'EnrollmentID,ProjectID,EntryDate\nn2,p1,"2025\n-02"\n\nn1,p1,2025-01\nn3,,2025-03\n',
    "Project.csv": "ProjectName,ProjectID\nNorth, p1 \n",
    "HealthAndDV.csv": "EnrollmentID,When,DV Survivor\nn1,a,1\nn2,b,0\nn1,c,8\n",
    "Export.csv": "CSVVersion\n2026 v1\n",
    "notes.txt": "passed over",
}
SET_OF_JSON = {
    "Event": [{"EventID": "e1", "EnrollmentID": 1}, {"EventID": "e2", "EnrollmentID": " 2 "}],
    "Enrollment": [
        {"EnrollmentID": "2", "EntryDate": "2025-02", "ProjectID": 7},
        {"EnrollmentID": "1", "EntryDate": "2025-01", "ProjectID": "7"},
    ],
    "Project": [{"ProjectID": "7", "ProjectName": "North"}],
    "HealthAndDV": [
        {"EnrollmentID": 1, "When": "a", "DV Survivor": 1},
        {"EnrollmentID": 2, "When": "b", "DV Survivor": 0},
        {"EnrollmentID": 1, "When": "c", "DV Survivor": 8},
    ],
    "Export": [{"CSVVersion": "2026 v1"}],
    "Other": "passed over",
}
JSON_READER = TableReader("json", "Event", TABLES, COLUMNS)


def zipped(files: dict[str, str | bytes]) -> Source:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return Source.of_bytes(body.getvalue())


def read(source: Source, reader: TableReader = READER) -> list[Record | str]:
    """Records, and the text of each RecordError that came or ended it."""
    found: list[Record | str] = []
    try:
        for record in reader.records(source):
            found.append(str(record) if isinstance(record, RecordError) else record)
    except RecordError as end:
        found.append(f"end: {end}")
    return found


def from_files(changed: dict[str, str | bytes | None], reader: TableReader = READER) -> list[Record | str]:
    files = {name: text for name, text in {**FILES, **changed}.items() if text is not None}
    return read(zipped(files), reader)


def from_json(changed: dict[str, Any], reader: TableReader = JSON_READER) -> list[Record | str]:
    tables = {name: rows for name, rows in {**SET_OF_JSON, **changed}.items() if rows is not None}
    return read(Source.of_bytes(json.dumps(tables).encode()), reader)


def values(record: Record | str, *paths: str, reader: TableReader = READER) -> list[Any]:
    assert isinstance(record, Record), record
    return [reader.getter(path)(record.values) for path in paths]


PATHS = (
    "Event.EventID",
    "Enrollment.EntryDate",
    "Project.ProjectName",
    "HealthAndDV.When",
    "HealthAndDV[*].When",
    "HealthAndDV[When=c].DV Survivor",
    "HealthAndDV[1].When",
    "Export.CSVVersion",
)


def test_rows_of_csv_files_are_joined_by_key_along_a_chain() -> None:
    first, second = from_files({})
    assert values(first, *PATHS) == ["e1", "2025-01", "North", "a", ["a", "c"], "8", "c", "2026 v1"]
    assert values(second, *PATHS) == ["e2", "2025\n-02", "North", "b", ["b"], None, None, "2026 v1"]


def test_objects_in_a_json_document_are_joined_by_key_be_it_text_or_number() -> None:
    first, second = from_json({})
    assert values(first, *PATHS, reader=JSON_READER) == [
        "e1",
        "2025-01",
        "North",
        "a",
        ["a", "c"],
        8,
        "c",
        "2026 v1",
    ]
    assert values(second, *PATHS, reader=JSON_READER)[:5] == ["e2", "2025-02", "North", "b", ["b"]]


def test_a_folder_is_read_like_a_zip(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    assert read(Source.of_path(tmp_path)) == from_files({})


def test_a_row_that_is_not_there_is_none_and_its_fields_are_nothing() -> None:
    (record,) = from_files({"Event.csv": "EventID,EnrollmentID\ne9,n9\n"})
    assert values(record, *PATHS[:-1]) == ["e9", *[None] * 6]
    assert isinstance(record, Record)
    assert record.values["Enrollment"] is None
    assert record.values["HealthAndDV"] == []


@pytest.mark.parametrize("key", ["", "  "])
def test_a_blank_key_joins_nothing_not_even_rows_with_a_blank_key(key: str) -> None:
    enrolled = FILES["Enrollment.csv"] + ",p1,2025-04\n"
    (record,) = from_files({"Event.csv": f"EventID,EnrollmentID\ne9,{key}\n", "Enrollment.csv": enrolled})
    assert values(record, "Enrollment.EntryDate") == [None]


def test_a_record_knows_its_line_and_file_and_the_lines_of_its_rows() -> None:
    _, record = from_files({})
    assert isinstance(record, Record)
    assert (record.line, record.name) == (3, "Event.csv")
    assert READER.place(record, "Enrollment.EntryDate") == 2
    assert READER.place(record, "Project.ProjectName") == 2
    assert READER.place(record, "HealthAndDV[When=b].When") == 3
    first, _ = from_files({})
    assert isinstance(first, Record)
    assert READER.place(first, "Enrollment.EntryDate") == 5
    assert READER.place(first, "HealthAndDV.When") is None
    assert READER.place(first, "no path") == 2


def test_only_declared_columns_and_keys_are_kept() -> None:
    open_ended = TableReader("csv", "Event", TABLES, COLUMNS, open_ended=frozenset({"Event"}))
    first, _ = from_files({"Event.csv": "SSN,EventID,EnrollmentID\n9,e1,n1\n9,e2,n2\n"}, open_ended)
    assert isinstance(first, Record)
    assert first.values["Event"] == {"EventID": "e1", "EnrollmentID": "n1"}
    assert open_ended.undeclared([])(first.values) == []
    open_ended = TableReader("json", "Event", TABLES, COLUMNS, open_ended=frozenset({"Event"}))
    first, _ = from_json({"Event": [{**row, "SSN": 9} for row in SET_OF_JSON["Event"]]}, open_ended)  # type: ignore[dict-item]
    assert isinstance(first, Record)
    assert first.values["Event"] == {"EventID": "e1", "EnrollmentID": 1}
    assert open_ended.undeclared([])(first.values) == []


def test_members_of_json_rows_that_nothing_declares_are_told() -> None:
    first, _ = from_json({"Project": [{"ProjectID": 7, "ProjectName": "North", "Owner": "Marisol"}]})
    assert isinstance(first, Record)
    assert JSON_READER.undeclared([])(first.values) == ["Project"]


def test_two_tables_may_be_one_file_with_other_keys() -> None:
    tables = {
        "Phone": {"file": "Phone.csv"},
        "Of": {"file": "Phone.csv", "key": "parent", "is": "Phone.id", "many": True},
    }
    reader = TableReader("csv", "Phone", tables, {"Phone": ("id",), "Of": ("id",)})
    records = read(zipped({"Phone.csv": "id,parent\n1,\n2,1\n3,1\n"}), reader)
    assert [values(record, "Of[*].id", reader=reader) for record in records] == [[["2", "3"]], [None], [None]]
    reader = TableReader("json", "Phone", tables, {"Phone": ("id",), "Of": ("id",)})
    (record,) = read(
        Source.of_bytes(b'{"Phone.csv": [{"id": 1, "parent": 1}], "Phone": [{"id": 1}]}'), reader
    )
    assert values(record, "Of.id", reader=reader) == [1]
    assert isinstance(record, Record)
    assert reader.undeclared([])(record.values) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Enrollment.csv": None}, "end: there is no file Enrollment.csv"),
        ({"Event.csv": None}, "end: there is no file Event.csv"),
        ({"Event.csv": "EventID,EnrollmentID\n"}, "end: Event: the table has no rows"),
        ({"Project.csv": ""}, "end: Project: the record is empty"),
        (
            {"Project.csv": "ProjectID\np1\n"},
            "end: line 1, Project.ProjectName: the header lacks this column",
        ),
        (
            {"Project.csv": "ProjectName\nNorth\n"},
            "end: line 1, Project.ProjectID: the header lacks this column",
        ),
        (
            {"Event.csv": "EventID,EnrollmentID,Marisol\n"},
            "end: line 1, Event: column 3 is not one that the mapping knows",
        ),
        (
            {"Project.csv": b"ProjectName,ProjectID\nNorth,\xff\n"},
            "end: line 2, Project: the text is not UTF-8",
        ),
        (
            {"Project.csv": 'ProjectName,ProjectID\n"North"x,1\n'},
            "end: line 2, Project: the quoting is broken",
        ),
        (
            {"Project.csv": f"ProjectName,ProjectID\n{'x' * 2_000_000},1\n"},
            "end: line 2, Project: the row is longer than 1,048,576 characters",
        ),
    ],
)
def test_a_table_that_cannot_be_read_ends_it(changed: dict[str, str | bytes | None], message: str) -> None:
    assert from_files(changed)[-1] == message


def test_an_optional_table_may_be_missing_and_an_optional_column_too() -> None:
    first, _ = from_files({"HealthAndDV.csv": None, "Export.csv": None})
    assert values(first, "HealthAndDV[*].When", "Export.CSVVersion") == [None, None]
    first, _ = from_json({"HealthAndDV": None, "Export": None})
    assert values(first, "HealthAndDV[*].When", "Export.CSVVersion", reader=JSON_READER) == [None, None]
    reader = TableReader(
        "csv", "Event", TABLES, COLUMNS, frozenset({"Export.CSVVersion"}), frozenset({"Export"})
    )
    first, _ = from_files({"Export.csv": "ExportID\n1\n"}, reader)
    assert values(first, "Export.CSVVersion") == [None]


def test_a_record_with_two_rows_where_there_may_be_one_is_refused_and_the_rest_goes_on() -> None:
    refused, record = from_files({"Enrollment.csv": FILES["Enrollment.csv"] + "n1,p1,2025-09\n"})
    assert refused == "line 2, Enrollment: 2 rows have the key of this record"
    assert values(record, "Event.EventID") == ["e2"]
    refused, record = from_json({"Enrollment": [*SET_OF_JSON["Enrollment"], {"EnrollmentID": "1"}]})
    assert refused == "Enrollment: 2 rows have the key of this record"
    assert values(record, "Event.EventID", reader=JSON_READER) == ["e2"]


def test_a_table_without_a_key_has_one_row() -> None:
    refused = from_files({"Export.csv": "CSVVersion\n2024\n2026\n"})
    assert refused == [f"line {line}, Export: 2 rows have the key of this record" for line in (2, 3)]


def test_a_row_of_the_records_that_cannot_be_read_is_named_and_the_rest_goes_on() -> None:
    long = "x" * 2_000_000
    first, second, record = from_files({"Event.csv": f"EventID,EnrollmentID\ne1\ne1,{long}\ne2,n2\n"})
    assert first == "line 2, Event: the row has 1 field, the header 2"
    assert second == "line 3, Event: the row is longer than 1,048,576 characters"
    assert values(record, "Event.EventID") == ["e2"]


def test_rows_whose_keys_share_a_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = from_files({})
    monkeypatch.setattr(csv_tables, "_hashed", lambda key: 1 << 32)
    assert from_files({}) == expected


@pytest.mark.parametrize("ragged", ["n1,d", "9, n1 ,d,1", "d,x,y,n1"])
def test_a_record_that_may_lack_a_ragged_row_is_refused(ragged: str) -> None:
    named, refused, record = from_files({"HealthAndDV.csv": f"{FILES['HealthAndDV.csv']}{ragged}\n"})
    assert isinstance(named, str)
    assert named.startswith("line 5, HealthAndDV: the row has ")
    assert refused == "line 2, HealthAndDV: line 5, which may be of this record, is ragged"
    assert values(record, "Event.EventID") == ["e2"]


def test_a_ragged_row_of_a_table_without_a_key_may_be_of_any_record() -> None:
    assert from_files({"Export.csv": "CSVVersion\n1,2\n"})[1:] == [
        f"line {line}, Export: line 2, which may be of this record, is ragged" for line in (2, 3)
    ]


def test_json_that_is_no_record_set_is_refused() -> None:
    assert read(Source.of_bytes(b"[]"), JSON_READER) == [
        "end: line 1: the document must be a JSON object of tables"
    ]
    assert from_json({"Project": None}) == ["end: Project: the document lacks this table"]
    assert from_json({"Project": {}}) == ["end: Project: is not a list of objects"]
    assert from_json({"Event": []}) == ["end: Event: the table has no rows"]
    named, *records = from_json({"Project": ["Marisol"]})
    assert named == "Project: item 1 is not an object"
    assert [values(record, "Project.ProjectName", reader=JSON_READER) for record in records] == [
        [None],
        [None],
    ]


def test_what_is_neither_text_nor_a_number_is_no_key() -> None:
    joined = {"EnrollmentID": True, "EntryDate": "x"}
    for key in (True, None, [1], {"a": 1}, 1.5, ""):
        (record,) = from_json(
            {
                "Event": [{"EventID": "e", "EnrollmentID": key}],
                "Enrollment": [joined, {**joined, "EnrollmentID": key}],
            }
        )
        assert values(record, "Enrollment.EntryDate", reader=JSON_READER) == [None]


def test_the_rows_of_a_table_are_a_group() -> None:
    first, second = from_files({})
    for path, expected in (
        ("HealthAndDV", [["a", "c"], ["b"]]),
        ("HealthAndDV[*]", [["a", "c"], ["b"]]),
        ("HealthAndDV[When=c]", [["c"], []]),
        ("HealthAndDV[0]", [["a"], ["b"]]),
    ):
        group = READER.group(path)
        when = group.getter(".When")
        records = [record.values for record in (first, second) if isinstance(record, Record)]
        assert [[when(item) for item in group.items(record)] for record in records] == expected
    assert READER.group("HealthAndDV[When=c]").names(".DV Survivor") == [
        "HealthAndDV.When",
        "HealthAndDV.DV Survivor",
    ]
    group = JSON_READER.group("HealthAndDV")
    assert [group.getter(".When")(item) for item in group.items(SET_OF_JSON)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "path", ["", "Event", "Nobody.Name", "Event.Nobody", "Event[x].EventID", "Event..", "EventID"]
)
def test_what_is_not_a_path_is_refused_when_the_mapping_loads(path: str) -> None:
    with pytest.raises(PathError):
        READER.getter(path)


@pytest.mark.parametrize("path", ["", "Nobody", "HealthAndDV.When", "HealthAndDV[x]"])
def test_what_is_not_a_group_is_refused_when_the_mapping_loads(path: str) -> None:
    with pytest.raises(PathError):
        READER.group(path)


@pytest.mark.parametrize("path", [".", ".Nobody", ""])
def test_a_path_in_a_group_is_one_of_its_columns(path: str) -> None:
    with pytest.raises(PathError):
        READER.group("HealthAndDV").getter(path)
    with pytest.raises(PathError):
        READER.group("HealthAndDV").group(".When")


def test_names_are_columns_and_what_picks_look_at_and_keys_what_joins_read() -> None:
    assert READER.names("HealthAndDV[When=c].DV Survivor") == ["HealthAndDV.When", "HealthAndDV.DV Survivor"]
    assert READER.keys == {
        "Event.EnrollmentID",
        "Enrollment.EnrollmentID",
        "Enrollment.ProjectID",
        "Project.ProjectID",
        "HealthAndDV.EnrollmentID",
    }


@pytest.mark.parametrize(
    "tables",
    [
        {"Event": {"key": "a", "is": "B.a"}, "B": {}},
        {"Event": {}, "B": {"key": "a"}},
        {"Event": {}, "B": {"is": "Event.a"}},
        {"Event": {}, "B": {"key": "a", "is": "Event"}},
        {"Event": {}, "B": {"key": "a", "is": "C.a"}, "C": {}},
        {"Event": {}, "B": {"key": "a", "is": "Event.a", "many": True}, "C": {"key": "a", "is": "B.a"}},
    ],
)
def test_tables_that_do_not_hang_together_are_refused_when_the_mapping_loads(tables: Any) -> None:
    with pytest.raises(PathError, match="table "):
        TableReader("csv", "Event", tables, dict.fromkeys(tables, ("a",)))


def test_a_key_that_is_no_json_path_is_refused_when_the_mapping_loads() -> None:
    for told in ({"key": "a..b", "is": "Event.a"}, {"key": "a", "is": "Event.a..b"}):
        with pytest.raises(PathError):
            TableReader("json", "Event", {"Event": {}, "B": told}, {"Event": ("a",), "B": ("a",)})


def test_a_file_that_changes_while_it_is_read_refuses_its_records(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    with (tmp_path / "HealthAndDV.csv").open("a") as file:
        file.write("n9\n")
    records = READER.records(Source.of_path(tmp_path))
    assert "ragged" not in str(next(records))  # the row, which is told when the tables before it are known
    (tmp_path / "Project.csv").write_text("ProjectName\n")
    assert [str(record) for record in records] == [
        f"line {line}, Project: the file was changed while it was read" for line in (2, 3)
    ]


CELL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)


@given(
    people=st.dictionaries(st.integers(0, 9), CELL, max_size=6),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_every_row_is_found_again_wherever_it_stands(
    people: dict[int, str], encoding: str, ending: str
) -> None:
    tables = {"Event": {}, "Client": {"key": "id", "is": "Event.client"}}
    reader = TableReader("csv", "Event", tables, {"Event": ("client",), "Client": ("id", "name")})
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator=ending).writerows(
        [("id", "name"), *people.items()]
    )
    events = "client\n" + "".join(f"{number}\n" for number in range(10))
    records = read(zipped({"Event.csv": events, "Client.csv": text.getvalue().encode(encoding)}), reader)
    found = [values(record, "Client.name", reader=reader)[0] for record in records]
    assert found == [people.get(number, "").strip() or None for number in range(10)]


@given(st.binary(max_size=120), st.sampled_from(sorted(FILES)))
def test_any_bytes_in_any_file_are_read_or_refused(body: bytes, name: str) -> None:
    with suppress(RecordError):  # where the set holds a ZIP
        from_files({name: body})


def test_memory_does_not_grow_with_the_rows_but_for_where_they_stand() -> None:
    count = 20_000
    enrolled = "".join(f"n{number},p1,{'x' * 200}\n" for number in range(count))
    events = "".join(f"e{number},n{number}\n" for number in range(count))
    source = zipped(
        {
            **FILES,
            "Event.csv": f"EventID,EnrollmentID\n{events}",
            "Enrollment.csv": f"EnrollmentID,ProjectID,EntryDate\n{enrolled}",
        }
    )
    tracemalloc.start()
    assert sum(isinstance(record, Record) for record in READER.records(source)) == count
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 120 * count
