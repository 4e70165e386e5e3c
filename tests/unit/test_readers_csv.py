"""CSV is found by header, refused by line, and read as a stream."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.readers.csv_file import CsvReader
from mappings.readers.csv_rows import MAX_ROW
from mappings.readers.source import Source
from mappings.record import PathError, Record, RecordError

COLUMNS = ("ref", "name", "need")
READER = CsvReader(COLUMNS)


def read(body: bytes, reader: CsvReader = READER) -> list[Record | str]:
    """Records, and the text of each RecordError that came or ended it."""
    found: list[Record | str] = []
    try:
        for record in reader.records(Source.of_bytes(body, "list.csv")):
            found.append(str(record) if isinstance(record, RecordError) else record)
    except RecordError as end:
        found.append(f"end: {end}")
    return found


def rows(body: bytes, reader: CsvReader = READER) -> list[tuple[str | None, ...]]:
    getters = [reader.getter(column) for column in COLUMNS]
    records = read(body, reader)
    assert all(isinstance(record, Record) for record in records), records
    return [tuple(get(record.values) for get in getters) for record in records if isinstance(record, Record)]


def test_columns_are_found_by_name_in_any_order_and_cells_are_trimmed() -> None:
    assert rows(b"need, name ,ref\r\nfood,  Ana ,1\r\n") == [("1", "Ana", "food")]


def test_a_blank_cell_is_nothing_and_not_an_empty_text() -> None:
    assert rows(b"ref,name,need\n1,  ,food\n") == [("1", None, "food")]


def test_a_record_knows_its_line_and_file_also_behind_blank_lines_and_line_breaks_in_cells() -> None:
    body = b'\xef\xbb\xbf"ref",name,need\n1,"A ""B""\nC, D",food\n\n2,E,food\n'
    assert rows(body) == [("1", 'A "B"\nC, D', "food"), ("2", "E", "food")]
    assert [(record.line, record.name) for record in read(body)] == [(2, "list.csv"), (5, "list.csv")]


def test_delimiter_and_quote_are_the_mappings() -> None:
    assert rows(b"ref;name;need\n1,5;'a;b';x\n", CsvReader(COLUMNS, delimiter=";", quote="'")) == [
        ("1,5", "a;b", "x")
    ]
    assert rows(b"ref\tname\tneed\n1\ta b\tx\n", CsvReader(COLUMNS, delimiter="\t")) == [("1", "a b", "x")]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("written", "declared"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-8"),
        ("utf-16", "windows-1252"),
        ("cp1252", "windows-1252"),
        ("latin-1", "iso-8859-1"),
    ],
)
def test_text_is_read_in_the_encoding_that_is_stated_or_marked(
    written: str, declared: str, ending: str
) -> None:
    body = ending.join(["ref,name,need", "1,José Nuñez,x", '2,"Ü', 'ß",y', ""]).encode(written)
    assert rows(body, CsvReader(COLUMNS, encoding=declared)) == [
        ("1", "José Nuñez", "x"),
        ("2", f"Ü{ending}ß", "y"),
    ]


def test_utf_16_with_its_high_byte_first_is_read_too() -> None:
    assert rows(b"\xfe\xff" + "ref,name,need\n1,Ĝ,x\n".encode("utf-16-be")) == [("1", "Ĝ", "x")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the record is empty"),
        (b"\xef\xbb\xbf\r\n", "the record is empty"),
        (b"ref,name,need\n", "line 1: there is a header and no row after it"),
        (b"ref,name\n1,A\n", "line 1, need: the header lacks this column"),
        (b"\nref,name\n1,A\n", "line 2, need: the header lacks this column"),
        (b"ref,name,need,need\n1,A,x,y\n", "line 1, need: the header has this column twice"),
        (b"ref,name,need,Marisol\n1,A,x,y\n", "line 1: column 4 is not one that the mapping knows"),
        (b"ref,name,need\n1,Jos\xe9,x\n", "line 2: the text is not UTF-8"),
        (b"r\x00e\x00f\x00", "line 1: the text holds a NUL character"),
        (b'ref,name,need\n1,"A,x\n', "line 2: the quoting is broken"),
        (b'ref,name,need\n1,"A"B,x\n', "line 2: the quoting is broken"),
        (b'ref,name,need\n1,"' + b"A,x\n" * MAX_ROW, "line 2: the quoting is broken"),
        (b"x" * (MAX_ROW + 1), f"line 1: the row is longer than {MAX_ROW:,} characters"),
        (
            b"\xff\xfe" + "ref,name,need\n1,x,y\n".encode("utf-16-le") + b"\x00\xd8",
            "line 3: the text is not UTF-16",
        ),
    ],
)
def test_what_cannot_be_read_on_is_refused_by_line(body: bytes, message: str) -> None:
    assert read(body)[-1] == f"end: {message}"


def test_bytes_that_windows_1252_does_not_have_are_refused_by_line() -> None:
    assert read(b"ref,name,need\n1,\x81,x\n", CsvReader(COLUMNS, encoding="windows-1252")) == [
        "end: line 2: the text is not windows-1252"
    ]


def test_rows_before_a_fault_in_the_text_are_not_lost() -> None:
    good = b"ref,name,need\n" + b"1,A,x\n" * 5
    for bad in (b"2,\xff,x\n", b"2,\x00,x\n", b'2,"A"B,x\n'):
        assert [isinstance(record, Record) for record in read(good + bad)] == [True] * 5 + [False]


def test_a_ragged_row_is_named_and_the_rest_goes_on() -> None:
    first, second, third, fourth = read(b"ref,name,need\n1\n2,B,x\n3,C,y,z\n4,D,x\n")
    assert first == "line 2: the row has 1 field, the header 3"
    assert third == "line 4: the row has 4 fields, the header 3"
    assert [record.values["ref"] for record in (second, fourth) if isinstance(record, Record)] == ["2", "4"]


@pytest.mark.parametrize("long", ["x" * 10_000_000, '"' + 'x ""y""\n,' * 1_000_000 + '"'])
def test_a_field_of_ten_megabytes_costs_its_row_alone(long: str) -> None:
    body = f"ref,name,need\n1,{long},y\n2,B,x\n".encode()
    refused, record = read(body)
    assert refused == f"line 2: the row is longer than {MAX_ROW:,} characters"
    assert isinstance(record, Record)
    assert (record.values["ref"], record.line) == ("2", 3 + long.count("\n"))


def test_a_field_of_a_hundred_thousand_characters_is_read() -> None:
    (record,) = read(b"ref,name,need\n1," + b"x" * 200_000 + b",y\n")
    assert isinstance(record, Record)
    assert len(record.values["name"]) == 200_000


@pytest.mark.parametrize(
    ("unit", "times", "most"),
    [
        (b"1,A,x\n", 50_000, MAX_ROW // 8),
        (b"1\n", 50_000, MAX_ROW // 8),
        (b"x", 30 * MAX_ROW, 8 * MAX_ROW),
        (b'"' + (b"x" * 1_000 + b"\n") * 10_000, 4, 8 * MAX_ROW),
        (b",", 30 * MAX_ROW, 8 * MAX_ROW),
    ],
)
def test_memory_is_bounded_whatever_the_rows_are(unit: bytes, times: int, most: int) -> None:
    source = Source.of_bytes(b"ref,name,need\n" + unit * times)
    tracemalloc.start()
    try:
        for _ in READER.records(source):
            pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < most


def test_a_file_without_its_header_shows_nobodys_data() -> None:
    (shown,) = read(b"7,Marisol Alvarado,food\n8,Luz Marrero,food\n")
    assert "Marisol" not in str(shown)
    assert "Luz" not in str(shown)


def test_an_optional_column_may_be_missing_and_is_then_nothing() -> None:
    reader = CsvReader(COLUMNS, optional=frozenset({"need"}))
    assert rows(b"ref,name\n1,A\n", reader) == [("1", "A", None)]
    assert rows(b"ref,name,need\n1,A,x\n", reader) == [("1", "A", "x")]
    assert read(b"name,need\nA,x\n", reader) == ["end: line 1, ref: the header lacks this column"]


def test_other_columns_are_passed_over_and_not_kept_where_the_mapping_says_so() -> None:
    (record,) = read(b"ssn,ref,x,x,name,need\n9,1,8,7,A,y\n", CsvReader(COLUMNS, open_ended=True))
    assert isinstance(record, Record)
    assert record.values == {"ref": "1", "name": "A", "need": "y"}


def test_a_column_that_is_not_declared_is_no_path_and_nothing_repeats() -> None:
    with pytest.raises(PathError):
        READER.getter("Name")
    with pytest.raises(PathError):
        READER.group("name")


def test_a_row_has_one_line_and_a_column_one_name() -> None:
    (record,) = read(b'ref,name,need\n1,"A\nB",x\n')
    assert isinstance(record, Record)
    assert READER.place(record, "need") == 2
    assert READER.names("need") == ["need"]
    assert READER.undeclared(COLUMNS)(record.values) == []


def test_a_set_of_files_is_not_one_list(tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("ref,name,need\n1,A,x\n")
    with pytest.raises(RecordError, match="several files"):
        next(READER.records(Source.of_path(tmp_path)))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    read(body)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5), st.sampled_from(["utf-8", "utf-16"]))
def test_what_is_written_as_csv_is_read_as_it_was(table: list[tuple[str, str, str]], encoding: str) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([COLUMNS, *table])
    assert rows(text.getvalue().encode(encoding)) == [
        tuple(cell.strip() or None for cell in row) for row in table
    ]
