"""JSON with one meaning only: what is refused, on which line, and what is kept as it was."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from profiles.strict_json import JsonError, read


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (b"", 1, "cut off"),
        (b'{"a": 1,\n', 1, "cut off"),
        (b'{"a": 1,\n"b" 2}', 2, "expecting ':'"),
        (b'{"a": 1}\n{"b": 2}', 2, "extra data"),
        (b'{"a": 1,\n "b": {},\n "a": 2}', 3, "the key 'a' twice"),
        (b'{"a": 1,\n "\\u0061": 2}', 2, "the key 'a' twice"),
        (b'[{"a": 1}, {"b": {"c": 1,\n "c": 2}}]', 2, "the key 'c' twice"),
        (b"[1,\n1e400]", 2, "too large"),
        (b"[1,\n-1e400]", 2, "too large"),
        (b"[1,\n1e-400]", 2, "too small"),
        (b"[0e999999999]", 1, "too large"),
        (b"[1e99999999999999999999]", 1, "too large"),
        (b"[\n" + b"1" * 5000 + b"]", 2, "more than 100 characters"),
        (b"[0." + b"1" * 5000 + b"]", 1, "more than 100 characters"),
        (b'["NaN",\nNaN]', 2, "NaN, which JSON does not know"),
        (b"[\n-Infinity]", 2, "-Infinity"),
        (b'["\\ud83d\\ude00",\n"\\ud83d"]', 2, "half of a surrogate pair"),
        (b'{"\\udc00": 1}', 1, "half of a surrogate pair"),
        ('["",\n"\xe9"]'.encode("latin-1"), 2, "UTF-8"),
        ("{}".encode("utf-16"), 1, "UTF-8"),
        (b'["a\x00b"]', 1, "control character"),
        (b"[" * 100_000, 1, "nested too deeply"),
        (b'{"a":' * 100_000, 1, "nested too deeply"),
    ],
)
def test_what_has_no_one_meaning_is_refused_with_its_line(text: bytes, line: int, says: str) -> None:
    with pytest.raises(JsonError, match=says) as refused:
        read(text)
    assert refused.value.line == line


def test_no_value_and_no_strange_key_is_repeated() -> None:
    with pytest.raises(JsonError) as refused:
        read(b'{"John Qzx": 1, "John Qzx": 2}')
    assert "Qzx" not in str(refused.value)


def test_digits_order_and_every_character_are_kept() -> None:
    found = read(b'\xef\xbb\xbf{"b": 2.00, "a": 1e2, "c": 100000000000000000000, "d": "\\ud83d\\ude00"}')
    assert list(found) == ["b", "a", "c", "d"]
    assert isinstance(found["b"], Decimal) and str(found["b"]) == "2.00"
    assert found["a"] == 100 and found["c"] == 10**20 and found["d"] == "\U0001f600"


@pytest.mark.parametrize("end", [b'"a": 1}', b'"z": NaN}', b'"z": "\\ud800"}'])
def test_what_is_wrong_at_the_end_of_a_long_text_is_found_soon(end: bytes) -> None:
    text = b'{"a": 0,\n' + b",\n".join(b'"k%d": "%s"' % (n, b"x" * 20) for n in range(50_000)) + b",\n" + end
    began = time.process_time()
    with pytest.raises(JsonError) as refused:
        read(text)
    assert refused.value.line == 50_002
    assert time.process_time() - began < 1
