"""What every answer carries, and what is refused before the application sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from transport_world import BODY_LIMIT, Serving, exchange, head, serving

from gateway.entrance.http_limits import HEAD_BYTES

ADDRESS = "https://node.example.org"
HOST = "Host: node.example.org"
GET = ("GET /hello HTTP/1.1", HOST)
POST = ("POST /size HTTP/1.1", HOST)
SAFE = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=63072000",
    "x-content-type-options": "nosniff",
}


@pytest.fixture(scope="module")
def node() -> Iterator[Serving]:
    """Behind a proxy that ends TLS, on 127.0.0.2."""
    with serving(address=ADDRESS, proxies=["127.0.0.2/32"]) as started:
        yield started


ANSWERS = {
    "a resource": (200, GET, b""),
    "not there": (404, ("GET /nothing HTTP/1.1", HOST), b""),
    "a method that is not taken": (405, ("PATCH /hello HTTP/1.1", HOST), b""),
    "a body too long": (413, (*POST, f"Content-Length: {BODY_LIMIT + 1}"), b""),
    "a body too long, in chunks": (
        413,
        (*POST, "Transfer-Encoding: chunked"),
        b"%x\r\n%b\r\n0\r\n\r\n" % (BODY_LIMIT + 1, b"x" * (BODY_LIMIT + 1)),
    ),
    "a compressed body": (415, (*POST, "Content-Length: 1", "Content-Encoding: gzip"), b"x"),
    "another's name": (421, ("GET /hello HTTP/1.1", "Host: other.example.org"), b""),
    "a fault of ours": (500, ("GET /broken HTTP/1.1", HOST), b""),
    "no HTTP": (400, ("qzx",), b""),
    "a head too large": (431, (*GET, "X: " + "q" * HEAD_BYTES), b""),
}


@pytest.mark.parametrize(("status", "lines", "body"), ANSWERS.values(), ids=ANSWERS.keys())
def test_every_answer_carries_the_same_headers(
    node: Serving, status: int, lines: tuple[str, ...], body: bytes
) -> None:
    answer = node.ask(*lines, body=body)
    assert answer.status == status, answer
    assert {name: answer.headers.get(name) for name in SAFE} == SAFE
    assert len(answer.headers["x-request-id"]) == 36
    assert "server" not in answer.headers
    assert status == 200 or answer.json()["resourceType"] == "OperationOutcome"
    assert b"qzx" not in answer.body


def test_what_may_be_kept_says_so_itself(node: Serving) -> None:
    assert node.ask("GET /keys HTTP/1.1", HOST).headers["cache-control"] == "max-age=300"


def test_an_address_without_tls_does_not_ask_for_tls() -> None:
    with serving(address="http://127.0.0.1:8080") as plain:
        assert "strict-transport-security" not in plain.ask(*GET[:1], "Host: 127.0.0.1").headers
        assert "strict-transport-security" not in plain.ask("qzx").headers


def test_a_request_id_comes_back_if_it_is_one(node: Serving) -> None:
    mine = "0b7d2a52-6a0e-4b0e-9d5b-6a4f3f1c2d10"
    assert node.ask(*GET, f"X-Request-Id: {mine}").headers["x-request-id"] == mine
    assert node.ask(*GET, "X-Request-Id: qzx").headers["x-request-id"] != "qzx"


@pytest.mark.parametrize("path", ["/hello/", "/size/", "//hello", "/hello//"])
def test_nobody_is_sent_elsewhere(node: Serving, path: str) -> None:
    answer = node.ask(f"GET {path} HTTP/1.1", HOST)
    assert answer.status == 404 and "location" not in answer.headers


# ------------------------------------------------------------------ methods


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "DELETE"])
def test_a_method_that_is_not_taken_names_all_that_are(node: Serving, method: str) -> None:
    with node.connect() as connection:
        connection.sendall(head(f"{method} /size HTTP/1.1", HOST, "Connection: close"))
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nallow: POST, PUT\r\n" in received
    assert received.endswith(b"\r\n\r\n") == (method == "HEAD")


# ------------------------------------------------------------------ names


@pytest.mark.parametrize(
    "host",
    [
        "node.example.org",
        "NODE.example.org:443",
        "127.0.0.1",
        "10.2.3.4:8443",
        "[::1]",
        "[2001:db8::1]:8443",
        "localhost:8080",
    ],
)
def test_names_that_are_this_nodes(node: Serving, host: str) -> None:
    assert node.ask(GET[0], f"Host: {host}").status == 200


@pytest.mark.parametrize(
    "host",
    [
        "other.example.org",
        "node.example.org.other.example",
        "node.example.org:8443",
        "127.0.0.1.example.org",
        "[::1].example.org",
        "localhost.example.org",
        "node.example.org, other.example.org",
        "[",
        "",
    ],
)
def test_names_that_are_not(node: Serving, host: str) -> None:
    assert node.ask(GET[0], f"Host: {host}").status == 421


def test_a_probe_may_use_any_name(node: Serving) -> None:
    assert node.ask("GET /health HTTP/1.1", "Host: node-7.waymeet.svc.cluster.local").status == 200


def test_http_1_0_has_no_name(node: Serving) -> None:
    assert node.ask("GET /hello HTTP/1.0").status == 200


def test_a_name_that_is_not_asked_about_will_do() -> None:
    with serving() as anybody:
        assert anybody.ask(GET[0], "Host: other.example.org").status == 200


# ------------------------------------------------------------------ behind a proxy


def test_the_caller_is_whom_the_proxy_names(node: Serving) -> None:
    lines = (*GET, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")
    assert node.ask(*lines, from_address="127.0.0.2").json()["source"] == "203.0.113.9"


def test_nobody_else_can_name_a_caller(node: Serving) -> None:
    lines = (*GET, "X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9")
    assert node.ask(*lines, from_address="127.0.0.3").json()["source"] == "127.0.0.3"


def test_plain_http_in_front_of_the_proxy_is_refused(node: Serving) -> None:
    lines = (*GET, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: http")
    answer = node.ask(*lines, from_address="127.0.0.2")
    assert answer.status == 403 and answer.json()["issue"][0]["code"] == "security"


def test_plain_http_is_no_fault_where_the_address_is_plain() -> None:
    with serving(address="http://node.example.org", proxies=["127.0.0.2/32"]) as plain:
        lines = (*GET, "X-Forwarded-Proto: http")
        assert plain.ask(*lines, from_address="127.0.0.2").status == 200


def test_two_headers_that_disagree_are_refused(node: Serving) -> None:
    lines = (*GET, "X-Forwarded-For: 203.0.113.9", "Forwarded: for=10.0.0.1")
    assert node.ask(*lines, from_address="127.0.0.2").status == 400


# ------------------------------------------------------------------ stopping


def test_what_is_still_waited_for_when_the_node_stops_is_told_so() -> None:
    with serving() as stopping, stopping.connect() as connection:
        connection.sendall(head("POST /size HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 5") + b"123")
        while not stopping.server.server_state.tasks:
            pass
        stopping.server.should_exit = True
        answer = exchange(connection, b"")
    assert answer.status == 503 and answer.headers["retry-after"] == "5"
    assert answer.headers["content-security-policy"] == SAFE["content-security-policy"]
