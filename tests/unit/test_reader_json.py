"""JSON by path, stricter than Python's own reader."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mappings.reader_json import JsonReader
from mappings.record import PathError, RecordError, Rejected

READER = JsonReader()


def value(body: bytes, path: str) -> Any:
    (record,) = READER.read(body)
    return READER.getter(path)(record.values)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("client.name.first", "Ana"),
        ("client.phones[1].number", "222"),
        ("client.phones[kind=home].number", "111"),
        ("client.phones.number", "111"),
        ("client.phones[*].number", ["111", "222"]),
        ("client.phones[9].number", None),
        ("client.phones[kind=fax].number", None),
        ("client.nick", None),
        ("client.blank", None),
        ("client.nothing", None),
        ("client.age", 41),
        ("client.rent", Decimal("2.00")),
        ("client.veteran", False),
        ("client.tags", ["a", "b"]),
    ],
)
def test_a_path_finds_a_value_or_nothing(path: str, expected: Any) -> None:
    body = b"""{"client": {"name": {"first": " Ana "}, "blank": "  ", "nothing": null, "age": 41,
      "rent": 2.00, "veteran": false, "tags": ["a", " b"],
      "phones": [{"kind": "home", "number": "111"}, {"kind": "cell", "number": "222"}]}}"""
    found = value(body, path)
    assert found == expected
    assert str(found) == str(expected)


@pytest.mark.parametrize(
    "path", ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[=1]", "a b", "a[b.=1]", "[0]"]
)
def test_what_is_not_a_path_is_refused_when_the_mapping_loads(path: str) -> None:
    with pytest.raises(PathError):
        READER.getter(path)


def test_an_object_where_a_value_is_expected_is_rejected() -> None:
    with pytest.raises(Rejected):
        value(b'{"a": {"b": 1}}', "a")


def test_a_list_and_one_object_a_line_are_several_records() -> None:
    assert len(READER.read(b'[{"a": 1}, {"a": 2}]')) == 2
    lines = READER.read(b'{"a": 1}\n\n{"a": 2}\n')
    assert [record.line for record in lines] == [1, 3]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"", None),
        (b'{"a": 1,\n "b": }', 2),
        (b'{"a": "cut o', 1),
        (b'{"a": 1}\n{"a": oops}\n', 2),
        (b'{"a": NaN}', 1),
        (b'{"a": 1, "a": 2}', 1),
        (b'{"a": "\\ud83d"}', 1),
        (b'{"a": "\\u0000"}', 1),
        (b'{"a": "\x00"}', 1),
        (b'{\n"a": "Jos\xe9"}', 2),
        (b'"text"', 1),
        (b"[]", 1),
        (b"[1]", None),
        (b"[" * 100_000, 1),
        (b'{"a": ' + b"9" * 5_000 + b"}", 1),
    ],
)
def test_what_cannot_be_read_is_refused_by_line(body: bytes, line: int | None) -> None:
    with pytest.raises(RecordError) as refused:
        READER.read(body)
    assert refused.value.issues[0].line == line


def test_a_member_that_no_declared_path_leads_to_is_told_by_what_is_around_it() -> None:
    check = READER.undeclared(["client.name.first", "need"])
    assert check({"client": {"name": {"first": "Ana"}}, "need": "food"}) == []
    assert check({"client": {"name": {"first": "Ana", "Marisol": 1}}}) == ["client.name"]
    assert check({"extra": 1}) == [""]
