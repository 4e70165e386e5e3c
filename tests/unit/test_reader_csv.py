"""CSV is found by header and refused by line."""

from __future__ import annotations

import pytest

from mappings.reader_csv import CsvReader
from mappings.record import PathError, RecordError

READER = CsvReader(("ref", "name", "need"))


def refused(body: bytes, reader: CsvReader = READER) -> list[str]:
    with pytest.raises(RecordError) as caught:
        reader.read(body)
    return [issue.diagnostics() for issue in caught.value.issues]


def test_columns_are_found_by_name_in_any_order_and_cells_are_trimmed() -> None:
    (record,) = READER.read(b"need, name ,ref\r\nfood,  Ana ,1\r\n")
    values = {column: READER.getter(column)(record.values) for column in ("ref", "name", "need")}
    assert values == {"ref": "1", "name": "Ana", "need": "food"}


def test_a_blank_cell_is_nothing_and_not_an_empty_text() -> None:
    (record,) = READER.read(b"ref,name,need\n1,  ,food\n")
    assert READER.getter("name")(record.values) is None


def test_a_byte_order_mark_quotes_and_line_breaks_in_cells_are_read() -> None:
    first, second = READER.read(b'\xef\xbb\xbf"ref",name,need\n1,"A ""B""\nC, D",food\n\n2,E,food\n')
    assert READER.getter("name")(first.values) == 'A "B"\nC, D'
    assert (first.line, second.line) == (2, 5)


def test_the_delimiter_is_the_mappings() -> None:
    reader = CsvReader(("a", "b"), ";")
    (record,) = reader.read(b"a;b\n1,5;2\n")
    assert reader.getter("a")(record.values) == "1,5"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the record is empty"),
        (b"\xef\xbb\xbf\r\n", "the record is empty"),
        (b"ref,name,need\n", "line 1: there is a header and no row after it"),
        (b"ref,name\n1,A\n", "line 1, need: the header lacks this column"),
        (b"ref,name,need,need\n1,A,x,y\n", "line 1, need: the header has this column twice"),
        (b"ref,name,need,Marisol\n1,A,x,y\n", "line 1: column 4 is not one that the mapping knows"),
        (b"ref,name,need\n1,A\n", "line 2: the row has 2 fields, the header 3"),
        (b"ref,name,need\n1,A,x\n2,B,y,z\n", "line 3: the row has 4 fields, the header 3"),
        (b"ref,name,need\n1,Jos\xe9,x\n", "line 2: the text is not UTF-8"),
        (b"\xff\xfer\x00e\x00f\x00", "line 1: the text is UTF-16; UTF-8 is needed"),
        (b"ref,name,need\n1,A,x\n2,\x00,x\n", "line 3: the text holds a NUL character"),
        (b'ref,name,need\n1,"A,x\n', "line 2: the quoting is broken, or a field is too long"),
        (b'ref,name,need\n1,"A"B,x\n', "line 2: the quoting is broken, or a field is too long"),
        (
            b"ref,name,need\n1," + b"x" * 200_000 + b",y\n",
            "line 2: the quoting is broken, or a field is too long",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_line(body: bytes, message: str) -> None:
    assert message in refused(body)


def test_every_ragged_row_is_named_at_once() -> None:
    assert len(refused(b"ref,name,need\n1\n2,B,x\n3\n")) == 2


def test_a_file_without_its_header_shows_nobodys_data() -> None:
    shown = " ".join(refused(b"7,Marisol Alvarado,food\n8,Luz Marrero,food\n"))
    assert "Marisol" not in shown
    assert "Luz" not in shown


def test_a_column_that_is_not_declared_is_no_path() -> None:
    with pytest.raises(PathError):
        READER.getter("Name")
