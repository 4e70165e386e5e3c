"""Whose address a request came from: one good chain of proxies, and every way to lie about it."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.entrance.proxies import MOST_HOPS, came_in_the_clear, source_address
from gateway.errors import Refused

PROXIES = tuple(ip_network(one) for one in ("10.0.0.0/24", "2001:db8:f::/48"))
NEAR = "10.0.0.5"  # our own proxy
CALLER = "203.0.113.9"
SPOOFED = "198.51.100.66"


def scope(headers: Sequence[tuple[str, str]] = (), client: str | None = NEAR) -> dict[str, Any]:
    return {
        "type": "http",
        "client": (client, 40000) if client else None,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }


def source(*values: str, name: str = "X-Forwarded-For", client: str | None = NEAR) -> str:
    return source_address(scope([(name, value) for value in values], client), PROXIES)


def test_the_proxy_names_the_caller() -> None:
    assert source(CALLER) == CALLER


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((f"{SPOOFED}, {CALLER}",), CALLER),
        ((f"{SPOOFED}", CALLER), CALLER),
        ((f"{SPOOFED}, 10.0.0.6, {CALLER}, 10.0.0.7",), CALLER),
        ((f"10.0.0.9, {CALLER}",), CALLER),
        ((f'qzx", for=, ;;;, {CALLER}',), CALLER),
        ((", ,", CALLER), CALLER),
        ((f"{CALLER}, 10.0.0.6, 10.0.0.7",), CALLER),
        (("10.0.0.6",), "10.0.0.6"),
        ((f"{CALLER}:50123",), CALLER),
        (("[2001:db8::9]:50123",), "2001:db8::9"),
        (("2001:db8::9",), "2001:db8::9"),
        (("2001:DB8:0::9",), "2001:db8::9"),
        ((f"::ffff:{CALLER}",), CALLER),
        (("fe80::1%eth0",), "fe80::1"),
    ],
)
def test_what_the_callers_side_wrote_is_not_looked_at(values: tuple[str, ...], expected: str) -> None:
    assert source(*values) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "unknown",
        "_hidden",
        "qzx",
        "1.2.3",
        "1.2.3.4.5",
        "0x7f.1",
        "127.1",
        "[::1",
        f"{CALLER}, unknown",
        "1.2.3.4:x",
    ],
)
def test_what_the_proxy_wrote_but_nobody_can_read_counts_as_the_proxy(value: str) -> None:
    assert source(value) == NEAR
    assert source(f"for={value}", name="Forwarded") == NEAR


def test_without_a_header_it_is_the_connection() -> None:
    assert source() == NEAR
    assert source(client="::ffff:10.0.0.5") == NEAR


def test_from_anybody_else_headers_are_nothing() -> None:
    assert source(SPOOFED, client=CALLER) == CALLER
    assert source(f"for={SPOOFED}", name="Forwarded", client=CALLER) == CALLER
    assert source_address(scope([("X-Forwarded-For", SPOOFED)]), ()) == NEAR


def test_a_connection_that_is_gone_has_no_address() -> None:
    assert source(SPOOFED, client=None) == ""


def test_no_more_hops_are_followed_than_there_can_be() -> None:
    many = ", ".join([SPOOFED] + ["10.0.0.6"] * MOST_HOPS)
    assert source(many) == "10.0.0.6"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"for={CALLER}", CALLER),
        (f'For="{CALLER}:47011"', CALLER),
        ('for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        (f"for={SPOOFED};proto=http, by=10.0.0.5; FOR={CALLER} ;proto=https;host=node.example.org", CALLER),
        (f'for="{SPOOFED}, for={CALLER}', CALLER),
        (f"for={CALLER}, for=10.0.0.6", CALLER),
        ("proto=https", NEAR),
    ],
)
def test_the_standard_header(value: str, expected: str) -> None:
    assert source(value, name="Forwarded") == expected


def test_both_headers_may_agree_but_not_differ() -> None:
    agree = [("X-Forwarded-For", f"{SPOOFED}, {CALLER}"), ("Forwarded", f"for={CALLER}")]
    assert source_address(scope(agree), PROXIES) == CALLER
    differ = [("X-Forwarded-For", CALLER), ("Forwarded", f"for={SPOOFED}")]
    with pytest.raises(Refused) as refused:
        source_address(scope(differ), PROXIES)
    assert refused.value.status == 400
    assert SPOOFED not in str(refused.value)


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_whatever_a_caller_writes_the_proxys_word_stands(written: str) -> None:
    for name, value in (("X-Forwarded-For", CALLER), ("Forwarded", f"for={CALLER}")):
        assert source(f"{written}, {value}", name=name) == CALLER
        assert source(written, value, name=name) == CALLER


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("X-Forwarded-Proto", "https")], False),
        ([("X-Forwarded-Proto", "HTTPS")], False),
        ([("X-Forwarded-Proto", "http")], True),
        ([("X-Forwarded-Proto", "https, http")], True),
        ([("X-Forwarded-Proto", "http"), ("X-Forwarded-Proto", "https")], True),
        ([("X-Forwarded-Proto", "wss")], True),
        ([("X-Forwarded-Proto", "")], True),
        ([("Forwarded", "for=1.2.3.4;proto=http")], True),
        ([("Forwarded", "for=1.2.3.4;proto=http, for=10.0.0.6;proto=https")], False),
        ([("Forwarded", "for=1.2.3.4")], False),
        ([], False),
    ],
)
def test_what_came_in_the_clear(headers: list[tuple[str, str]], expected: bool) -> None:
    assert came_in_the_clear(scope(headers), PROXIES) is expected
    assert not came_in_the_clear(scope(headers, CALLER), PROXIES)
    assert not came_in_the_clear(scope(headers), ())
