"""What the server does with callers who draw things out, or write what two servers would read differently.

A real server on 127.0.0.1; the caller writes the bytes itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transport_world import (
    BIG,
    BODY_LIMIT,
    Answer,
    Serving,
    ended,
    exchange,
    head,
    read,
    serve_with_few_files,
    serving,
)

from gateway.entrance.http_limits import HEAD_BYTES, MOST_HEADERS, TARGET_BYTES, Patience
from gateway.entrance.listening import MOST_OF_ONE, bind

GOOD = ("POST /size HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 5")
CHUNKED = ("POST /size HTTP/1.1", "Host: 127.0.0.1", "Transfer-Encoding: chunked")
SOON = Patience(head=0.3, body=0.3, answer=0.3, idle=0.3)


@pytest.fixture(scope="module")
def patient() -> Iterator[Serving]:
    with serving() as started:
        yield started


@pytest.fixture(scope="module")
def hurried() -> Iterator[Serving]:
    """A server that waits a moment, and no longer."""
    with serving(patience=SOON) as started:
        yield started


def check_refused(answer: Answer, status: int, code: str) -> None:
    """As everywhere: an OperationOutcome, who erred, nothing that was sent."""
    assert answer.status == status, answer
    found = answer.json()
    assert found["resourceType"] == "OperationOutcome"
    assert found["issue"][0]["code"] == code and found["issue"][0]["diagnostics"]
    assert answer.headers["x-waymeet-erring"] == "caller"
    assert answer.headers["connection"] == "close"
    assert b"qzx" not in answer.body


def test_a_good_request_is_answered_and_the_next_one_too(patient: Serving) -> None:
    with patient.connect() as connection:
        for _ in range(3):
            answer = exchange(connection, head(*GOOD) + b"12345")
            assert answer.status == 200 and answer.json()["bytes"] == 5


# ------------------------------------------------------------------ what is drawn out


def test_a_head_that_never_ends_is_cut_off(hurried: Serving) -> None:
    with hurried.connect() as connection:
        connection.sendall(b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: q")
        check_refused(read(connection), 408, "timeout")
        assert ended(connection)


def test_a_connection_that_says_nothing_is_closed(hurried: Serving) -> None:
    with hurried.connect() as connection:
        assert ended(connection)


def test_blank_lines_do_not_keep_a_connection_open(hurried: Serving) -> None:
    with hurried.connect() as connection, pytest.raises(OSError):
        for _ in range(1000):
            connection.sendall(b"\r\n")
            connection.settimeout(0.02)
            try:
                if not connection.recv(1000):
                    raise ConnectionResetError
            except TimeoutError:
                pass


def test_a_body_that_never_ends_is_408(hurried: Serving) -> None:
    with hurried.connect() as connection:
        check_refused(exchange(connection, head(*GOOD) + b"123"), 408, "timeout")
        assert ended(connection)


def test_the_second_head_on_a_connection_has_no_more_time_than_the_first(hurried: Serving) -> None:
    with hurried.connect() as connection:
        assert exchange(connection, head(*GOOD) + b"12345").status == 200
        connection.sendall(b"GET /hel")
        check_refused(read(connection), 408, "timeout")


def test_a_connection_that_is_idle_is_closed(hurried: Serving) -> None:
    with hurried.connect() as connection:
        assert exchange(connection, head(*GOOD) + b"12345").status == 200
        assert ended(connection)


@pytest.mark.parametrize("then", ["keep-alive", "close"])
def test_an_answer_that_nobody_reads_is_given_up(hurried: Serving, then: str) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", hurried.port))
        connection.sendall(head("GET /big HTTP/1.1", "Host: 127.0.0.1", f"Connection: {then}"))
        connection.settimeout(10)
        assert connection.recv(1, socket.MSG_PEEK)
        _wait_until_gone(hurried)
        received = 0
        with pytest.raises(ConnectionResetError):
            while more := connection.recv(65536):
                received += len(more)
        assert received < BIG


def test_a_body_that_is_sent_after_the_refusal_is_not_read_for_long(patient: Serving) -> None:
    with patient.connect() as connection:
        connection.sendall(
            head("POST /size HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {BODY_LIMIT * 9}")
        )
        connection.sendall(b"x" * 1000)
        assert read(connection).status == 413
        assert ended(connection)


def test_after_a_refusal_whose_body_came_whole_the_connection_goes_on(patient: Serving) -> None:
    with patient.connect() as connection:
        first = head("POST /size HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {BODY_LIMIT + 1}")
        assert exchange(connection, first + b"x" * (BODY_LIMIT + 1)).status == 413
        assert exchange(connection, head(*GOOD) + b"12345").status == 200


def _wait_until_gone(started: Serving) -> None:
    """Until the server holds no connection any more."""
    for _ in range(200):
        if not started.server.server_state.connections:
            return
        time.sleep(0.05)
    raise AssertionError("the connection is still there")


# ------------------------------------------------------------------ what is too much


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("GET /hello?" + "q" * TARGET_BYTES + " HTTP/1.1", "Host: 127.0.0.1"), 414),
        (("GET /hello HTTP/1.1", "Host: 127.0.0.1", "X-Large: " + "q" * HEAD_BYTES), 431),
        (("GET /hello HTTP/1.1", "Host: 127.0.0.1", *[f"X-{n}: qzx" for n in range(MOST_HEADERS)]), 431),
        (("GET /hello HTTP/1.1", "Host: 127.0.0.1", "X-Endless: " + "q" * 500_000), 431),
    ],
    ids=["address", "one header", "many headers", "far more than is read"],
)
def test_a_head_that_is_too_large(patient: Serving, lines: tuple[str, ...], status: int) -> None:
    check_refused(patient.ask(*lines), status, "too-long")


def test_the_largest_head_that_is_taken(patient: Serving) -> None:
    filling = [f"X-{n}: " + "q" * 300 for n in range(MOST_HEADERS - 1)]
    answer = patient.ask(
        "GET /hello?" + "q" * (TARGET_BYTES - 7) + " HTTP/1.1", "Host: 127.0.0.1", *filling[:50]
    )
    assert answer.status == 200
    assert patient.ask("GET /hello HTTP/1.1", "Host: 127.0.0.1", *filling).status == 200


def test_a_header_without_end_is_refused_before_it_ends(patient: Serving) -> None:
    with patient.connect() as connection:
        answer = exchange(connection, b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"q" * 200_000)
    check_refused(answer, 431, "too-long")


def test_chunks_that_are_mostly_something_else(patient: Serving) -> None:
    flood = (b"1;" + b"q" * 4000 + b"\r\na\r\n") * 100
    with patient.connect() as connection:
        check_refused(exchange(connection, head(*CHUNKED) + flood), 400, "structure")
    with patient.connect() as connection:
        check_refused(exchange(connection, head(*CHUNKED) + b"1;" + b"q" * 200_000), 400, "structure")


def test_small_chunks_are_chunks(patient: Serving) -> None:
    chunks = b"".join(b"1;n=v\r\na\r\n" for _ in range(1000)) + b"0\r\n\r\n"
    assert patient.ask(*CHUNKED, body=chunks).json()["bytes"] == 1000


def test_one_address_gets_its_share_of_the_connections_and_others_theirs(patient: Serving) -> None:
    crowd = [patient.connect("127.0.0.9") for _ in range(MOST_OF_ONE)]
    try:
        assert exchange(crowd[-1], head(*GOOD) + b"12345").status == 200
        with patient.connect("127.0.0.9") as one_more:
            assert exchange(one_more, head(*GOOD) + b"12345").status == 0
        assert patient.ask(*GOOD, body=b"12345", from_address="127.0.0.10").status == 200
    finally:
        for connection in crowd:
            connection.close()
    _wait_until_gone(patient)
    with patient.connect("127.0.0.9") as later:
        assert exchange(later, head(*GOOD) + b"12345").status == 200


def test_a_stated_proxy_brings_many_callers() -> None:
    with serving(proxies=["127.0.0.9/32"]) as started:
        crowd = [started.connect("127.0.0.9") for _ in range(MOST_OF_ONE + 1)]
        try:
            assert exchange(crowd[-1], head(*GOOD) + b"12345").status == 200
        finally:
            for connection in crowd:
                connection.close()


def test_without_files_left_the_server_waits_until_it_has_some() -> None:
    bound = bind("127.0.0.1", 0)
    process = multiprocessing.get_context("spawn").Process(target=serve_with_few_files, args=(bound, 60))
    process.start()
    crowd = [socket.create_connection(bound.getsockname(), 10) for _ in range(100)]
    try:
        assert exchange(crowd[0], head(*GOOD) + b"12345").status == 200
        for connection in crowd[:90]:
            connection.close()
        assert exchange(crowd[-1], head(*GOOD) + b"12345").status == 200
    finally:
        process.terminate()
        process.join(20)
        bound.close()
        for connection in crowd:
            connection.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_is_sent_in_whatever_pieces_there_is_an_end_to_it(
    patient: Serving, data: st.DataObject
) -> None:
    """Good requests with pieces taken out, doubled or changed: an answer in whole, or a closed connection."""
    sent = b"".join(data.draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=8))) + END
    cut = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=3)))
    with patient.connect() as connection:
        for start, end in zip([0, *cut], [*cut, len(sent)], strict=True):
            with contextlib.suppress(OSError):
                connection.sendall(sent[start:end])
        for _ in range(20):
            if not (status := read(connection).status):
                break
            assert status in (100, 200, 400, 413, 501), status
        else:
            raise AssertionError("more answers than there can be requests")
    assert patient.ask(*GOOD, body=b"12345").json()["bytes"] == 5


PIECES = [
    head(*GOOD),
    head(*CHUNKED),
    head("GET /hello HTTP/1.1", "Host: 127.0.0.1"),
    b"qzxqz",
    b"5\r\n12345\r\n0\r\n\r\n",
    b"0\r\n\r\n",
    b"\r\n",
    b"POST /size HTTP/1.1\r\n",
    b"Host: 127.0.0.1\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"\0",
    b"\xff",
    b" ",
    b"\n",
]
# Ends a head, a body of five bytes, and what is neither.
END = b"\r\n\r\nqzxqzx\r\n\r\n"


# ------------------------------------------------------------------ what could be read in two ways

_5 = "Content-Length: 5"
SHAPES = {
    "a length and chunks": head(*CHUNKED, _5) + b"0\r\n\r\n",
    "chunks and a length": head(*GOOD, "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "two lengths": head(*GOOD, "Content-Length: 0") + b"12345",
    "the same length twice": head(*GOOD, _5) + b"12345",
    "a list of lengths": head(*GOOD[:2], "Content-Length: 5, 5") + b"12345",
    "a signed length": head(*GOOD[:2], "Content-Length: +5") + b"12345",
    "a hexadecimal length": head(*GOOD[:2], "Content-Length: 0x5") + b"12345",
    "no length at all in the header": head(*GOOD[:2], "Content-Length: ") + b"12345",
    "line feeds alone": head(*GOOD).replace(b"\r\n", b"\n") + b"12345",
    "one line feed alone": head(*GOOD).replace(b"\r\nContent", b"\nContent") + b"12345",
    "a carriage return alone": head(*GOOD).replace(b"\r\nContent", b"\rContent") + b"12345",
    "a folded header": head(*GOOD[:2], "X-Long: a", " b", _5) + b"12345",
    "a space before the colon": head(*GOOD[:2], "Content-Length : 5") + b"12345",
    "a space before the name": head(*GOOD[:2], " Content-Length: 5") + b"12345",
    "a header without a name": head(*GOOD, ": qzx") + b"12345",
    "NUL in a header": head(*GOOD, "X: a\0b") + b"12345",
    "coding that only looks like chunked": head(*CHUNKED[:2], "Transfer-Encoding: \x0bchunked")
    + b"0\r\n\r\n",
    "chunked twice over": head(*CHUNKED, "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "chunked, then not": head(*CHUNKED, "Transfer-Encoding: identity") + b"0\r\n\r\n",
    "chunks in HTTP/1.0": head("POST /size HTTP/1.0", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "a chunk with a line feed alone": head(*CHUNKED) + b"1\na\n0\n\n",
    "a chunk of negative size": head(*CHUNKED) + b"-1\r\na\r\n0\r\n\r\n",
    "a chunk whose size has a prefix": head(*CHUNKED) + b"0x1\r\na\r\n0\r\n\r\n",
    "a chunk larger than any number": head(*CHUNKED) + b"10000000000000001\r\na\r\n0\r\n\r\n",
    "a chunk longer than it says": head(*CHUNKED) + b"1\r\nab\r\n0\r\n\r\n",
    "no Host": head("GET /hello HTTP/1.1"),
    "two Hosts": head("GET /hello HTTP/1.1", "Host: 127.0.0.1", "Host: node.example.org"),
    "an upgrade with a body": head(*GOOD, "Connection: upgrade", "Upgrade: h2c") + b"12345",
    "a tunnel": head("CONNECT node.example.org:443 HTTP/1.1", "Host: node.example.org:443"),
    "a space in the address": head("GET /hel lo HTTP/1.1", "Host: 127.0.0.1"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", SHAPES.values(), ids=SHAPES.keys())
def test_what_two_servers_could_read_differently_is_refused(patient: Serving, request_bytes: bytes) -> None:
    """And nothing behind it is taken for another request."""
    with patient.connect() as connection:
        answer = exchange(connection, request_bytes + head("GET /hello HTTP/1.1", "Host: 127.0.0.1"))
        check_refused(answer, 400, "structure")
        assert ended(connection)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("GET /hello HTTP/2.0", "Host: 127.0.0.1"), 505),
        (("GET /hello",), 505),
        (("POST /size HTTP/1.1", "Host: 127.0.0.1", "Transfer-Encoding: gzip, chunked"), 501),
        (("POST /size HTTP/1.1", "Host: 127.0.0.1", "Transfer-Encoding: xchunked"), 501),
        ((*GOOD, "Expect: the-impossible"), 417),
    ],
)
def test_what_is_not_spoken_here(patient: Serving, lines: tuple[str, ...], status: int) -> None:
    check_refused(patient.ask(*lines), status, "not-supported")


def test_a_header_behind_the_body_does_not_count(patient: Serving) -> None:
    late = b"5\r\n12345\r\n0\r\nAuthorization: Bearer qzx\r\nHost: qzx\r\n\r\n"
    answer = patient.ask(*CHUNKED, body=late)
    assert answer.status == 200 and answer.json()["bytes"] == 5
    assert b"qzx" not in answer.body


def test_a_request_that_does_not_wait_is_not_heard(patient: Serving) -> None:
    """Pipelining is allowed to be answered this way (RFC 9112, 9.3.2), and its callers ask again."""
    with patient.connect() as connection:
        answer = exchange(connection, (head(*GOOD) + b"12345") * 3)
        assert answer.status == 200 and answer.headers["connection"] == "close"
        assert ended(connection)


def test_an_upgrade_is_ignored_and_ends_the_connection(patient: Serving) -> None:
    with patient.connect() as connection:
        lines = ("GET /hello HTTP/1.1", "Host: 127.0.0.1", "Connection: upgrade", "Upgrade: websocket")
        answer = exchange(connection, head(*lines) + head("GET /hello HTTP/1.1", "Host: 127.0.0.1"))
        assert answer.status == 200 and answer.headers["connection"] == "close"
        assert ended(connection)


# ------------------------------------------------------------------ what must work


def test_a_body_is_asked_for_when_the_caller_waits_for_that(patient: Serving) -> None:
    with patient.connect() as connection:
        connection.sendall(head(*GOOD, "Expect: 100-Continue"))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert exchange(connection, b"12345").json()["bytes"] == 5


def test_a_body_that_is_too_long_is_not_asked_for(patient: Serving) -> None:
    lines = (
        "POST /size HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Length: {BODY_LIMIT + 1}",
        "Expect: 100-continue",
    )
    answer = patient.ask(*lines)
    assert answer.status == 413 and answer.headers["connection"] == "close"


def test_http_1_0_is_answered_and_closed(patient: Serving) -> None:
    with patient.connect() as connection:
        answer = exchange(connection, head("POST /size HTTP/1.0", "Content-Length: 5") + b"12345")
        assert answer.status == 200 and answer.json()["bytes"] == 5
        assert ended(connection)


def test_blank_lines_before_a_request_are_passed_over(patient: Serving) -> None:
    assert patient.ask("\r\n\r\nGET /hello HTTP/1.1", "Host: 127.0.0.1").status == 200


def test_a_head_that_comes_byte_by_byte_is_a_head(patient: Serving) -> None:
    with patient.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head(*GOOD) + b"1234":
            connection.sendall(bytes([byte]))
        assert exchange(connection, b"5").json()["bytes"] == 5
