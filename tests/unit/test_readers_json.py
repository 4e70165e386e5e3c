"""JSON by path, stricter than Python's own reader, and NDJSON as a stream."""

from __future__ import annotations

import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.readers import json_texts
from mappings.readers.json_file import JsonReader
from mappings.readers.source import Source
from mappings.record import PathError, Record, RecordError, Rejected

READER = JsonReader()


def read(body: bytes, reader: JsonReader = READER, name: str = "") -> list[Record | str]:
    """Records, and the text of each RecordError that came or ended it."""
    found: list[Record | str] = []
    try:
        for record in reader.records(Source.of_bytes(body, name)):
            found.append(str(record) if isinstance(record, RecordError) else record)
    except RecordError as end:
        found.append(f"end: {end}")
    return found


def only(body: bytes, reader: JsonReader = READER) -> Any:
    """The values of the one record."""
    (record,) = read(body, reader)
    assert isinstance(record, Record)
    return record.values


def value(body: bytes, path: str) -> Any:
    return READER.getter(path)(only(body))


CLIENT = b"""{"client": {"name": {"first": " Ana "}, "blank": "  ", "nothing": null, "age": 41,
  "rent": 2.00, "veteran": false, "tags": ["a", " b"],
  "phones": [{"kind": "home", "number": "111"}, {"kind": "cell", "number": "222"}, {"kind": "home"}]}}"""


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
    found = value(CLIENT, path)
    assert found == expected
    assert str(found) == str(expected)


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "a[", "a[x]", "a[=1]", "a[b.=1]", "[0]"])
def test_what_is_not_a_path_is_refused_when_the_mapping_loads(path: str) -> None:
    with pytest.raises(PathError):
        READER.getter(path)
    with pytest.raises(PathError):
        READER.group(path)
    with pytest.raises(PathError):
        JsonReader(path or ".")
    with pytest.raises(PathError):
        READER.group("a").group(f".{path}")


@pytest.mark.parametrize("path", ["", "a", "..", ".a.", ".[0]"])
def test_inside_a_group_paths_start_with_a_dot(path: str) -> None:
    with pytest.raises(PathError):
        READER.group("a").getter(path)


def test_an_object_where_a_value_is_expected_is_rejected() -> None:
    with pytest.raises(Rejected):
        value(b'{"a": {"b": 1}}', "a")


def test_a_list_and_one_object_a_line_are_several_records() -> None:
    assert len(read(b'[{"a": 1}, {"a": 2}]')) == 2
    lines = read(b'{"a": 1}\n\n{"a": 2}\n', name="x.json")
    assert [(record.line, record.name) for record in lines if isinstance(record, Record)] == [
        (1, "x.json"),
        (3, "x.json"),
    ]


def test_a_document_may_be_written_over_many_lines() -> None:
    assert only(b'\n{\n"a":\n1}\n\n') == {"a": 1}
    assert len(read(b'[\n{"a": 1},\n{"a": 2}\n]')) == 2


@pytest.mark.parametrize("name", ["", "x.ndjson", "x.JSONL"])
def test_a_bad_line_is_named_and_the_rest_goes_on(name: str) -> None:
    body = b'{"a": 1}\n{"a": 2,\n\n[3]\n{"a": 4, "a": 4}\n{"a": "\xff"}\n{"a": "\x00"}\n{"a": 7}'
    assert [record if isinstance(record, str) else record.values for record in read(body, name=name)] == [
        {"a": 1},
        "line 2: the text is not JSON: it is cut off",
        "line 4: a record must be a JSON object",
        "line 5: the text has the key twice in one object",
        "line 6: the text is not UTF-8",
        "line 7: the text holds a NUL character",
        {"a": 7},
    ]


def test_the_name_tells_ndjson_of_one_line_too() -> None:
    assert read(b"oops\n", name="x.ndjson") == ["line 1: the text is not JSON: expecting value"]
    assert read(b"\n\n", name="x.ndjson") == ["end: the record is empty"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the record is empty"),
        (b" \n ", "the record is empty"),
        (b"\xef\xbb\xbf", "the record is empty"),
        (b'{"a": 1,\n "b": }', "line 2: the text is not JSON: expecting value"),
        (b'{"a": "cut o', "line 1: the text is not JSON: unterminated string starting"),
        (b'{"a": NaN}', "line 1: the text has NaN, which JSON does not know"),
        (b'{\n"Marisol": 1, "Marisol": 2}', "line 2: the text has the key twice in one object"),
        (b'{"a": "\\ud83d"}', "line 1: the text has half of a surrogate pair in a text"),
        (b'{"a":\n"\\\\\\u0000"}', "line 2: the text holds a NUL character"),
        (b'{"a": "\x00"}', "line 1: the text holds a NUL character"),
        (b'{\n"a": "Jos\xe9"}', "line 2: the text is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "line 1: the text is UTF-16; UTF-8 is needed"),
        (b"[]", "line 1: the list of records is empty"),
        (b"[" * 100_000, "line 1: the text is nested too deeply"),
        (b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}", "line 1: the text is nested too deeply"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "line 1: the text has a number of more than 100 characters"),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_by_line(body: bytes, message: str) -> None:
    assert read(body) == [f"end: {message}"]


def test_many_lists_are_not_a_deep_one() -> None:
    assert len(only(b'{"a": [' + b"[1], " * 500 + b"[2]]}")["a"]) == 501


def test_a_backslash_before_what_looks_like_a_nul_is_text() -> None:
    assert value(b'{"a": "\\\\u0000"}', "a") == "\\u0000"


def test_what_is_not_an_object_is_no_record_and_the_rest_goes_on() -> None:
    assert read(b'"text"') == ["line 1: a record must be a JSON object"]
    first, second = read(b'[1, {"a": 2}]')
    assert first == "a record must be a JSON object"
    assert isinstance(second, Record)


def test_a_document_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_texts, "MAX_TEXT", 100)
    assert read(b'[{"a": 1},\n' + b" " * 100 + b'{"a": 2}]') == ["end: the text is longer than 0 MiB"]
    refused, record = read(b'{"a": "' + b"x" * 1_000 + b'"}\n{"a": 2}\n', name="x.ndjson")
    assert refused == "line 1: the text is longer than 0 MiB"
    assert isinstance(record, Record)
    assert record.line == 2


def test_ndjson_is_a_stream() -> None:
    source = Source.of_bytes(b'{"a": "%s"}\n' % (b"x" * 10_000) * 500)
    tracemalloc.start()
    assert sum(isinstance(record, Record) for record in READER.records(source)) == 500
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < source.size / 10


def test_at_leads_to_the_list_of_records_in_a_document() -> None:
    reader = JsonReader("page.contents")
    assert len(read(b'{"total": 2, "page": {"contents": [{"a": 1}, {"a": 2}]}}', reader)) == 2
    assert read(b'{"page": {"contents": []}}', reader) == ["end: line 1: the list of records is empty"]
    assert len(read(b'[{"a": 1}, {"a": 2}]', reader)) == 2


def test_a_document_without_that_list_is_itself_a_record() -> None:
    assert only(b'{"a": 1}', JsonReader("contents")) == {"a": 1}


@pytest.mark.parametrize(
    ("path", "numbers"),
    [
        ("client.phones", ["111", "222", None]),
        ("client.phones[*]", ["111", "222", None]),
        ("client.phones[kind=home]", ["111", None]),
        ("client.phones[1]", ["222"]),
        ("client.phones[7]", []),
        ("client.fax", []),
    ],
)
def test_a_group_gives_its_items_one_by_one(path: str, numbers: list[str | None]) -> None:
    group = READER.group(path)
    number = group.getter(".number")
    assert [number(item) for item in group.items(only(CLIENT))] == numbers


def test_what_is_not_a_list_is_a_group_of_one_and_null_of_none() -> None:
    group = READER.group("client.name")
    assert [group.getter(".first")(item) for item in group.items(only(CLIENT))] == ["Ana"]
    assert READER.group("client.nothing").items(only(CLIENT)) == []
    assert READER.group("a").items({"a": [None, 1]}) == [1]


def test_a_dot_is_the_item_itself() -> None:
    group = READER.group("client.tags")
    assert [group.getter(".")(item) for item in group.items(only(CLIENT))] == ["a", "b"]


def test_groups_stand_in_groups_and_lists_of_lists_are_flattened() -> None:
    values = only(b'{"homes": [{"people": [{"n": 1}, {"n": 2}]}, {"people": []}, {"people": {"n": 3}}]}')
    homes = READER.group("homes")
    people = homes.group(".people")
    number = people.getter(".n")
    assert [[number(each) for each in people.items(home)] for home in homes.items(values)] == [
        [1, 2],
        [],
        [3],
    ]
    assert READER.group("homes[*].people").items(values) == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_names_list_what_a_path_reads_and_what_its_picks_look_at() -> None:
    assert READER.names("client.name.first") == ["client.name.first"]
    assert READER.names("client.phones[0].number") == ["client.phones.number"]
    assert READER.names("client.phones[kind=home].number") == ["client.phones.kind", "client.phones.number"]
    assert READER.names("a[b.c=x.y].d[e=1].f") == ["a.b.c", "a.d.e", "a.d.f"]


def test_names_inside_a_group_stand_behind_the_groups_own() -> None:
    homes = READER.group("client.homes[kind=own]")
    assert homes.names(".street") == ["client.homes.kind", "client.homes.street"]
    assert homes.names(".") == ["client.homes.kind", "client.homes"]
    assert homes.group(".people").names(".n[a=1].b") == [
        "client.homes.kind",
        "client.homes.people.n.a",
        "client.homes.people.n.b",
    ]


def test_a_member_that_no_declared_path_leads_to_is_told_by_what_is_around_it() -> None:
    check = READER.undeclared(["client.name.first", "client.phones.kind", "need"])
    assert check({"client": {"name": {"first": "Ana"}}, "need": "food"}) == []
    assert check({"client": {"name": {"first": "Ana", "Marisol": 1}}}) == ["client.name"]
    assert check({"client": {"phones": [{"kind": 1}, {"kind": 1, "111": 1}], "name": 1}}) == ["client.phones"]
    assert check({"extra": 1}) == [""]
    (_, second) = read(b'{"a": 1}\n{"Marisol": 1}')
    assert isinstance(second, Record)
    assert READER.place(second, "") == 2


@given(st.binary(max_size=60) | st.text('[]{}":,\\u0d83 \n1e9NaN-.', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    read(body)
    read(body, name="x.ndjson")
    read(body, JsonReader("a.b"))
