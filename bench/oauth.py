"""What it costs to issue a token, and to recognise one at every other request, beside the bare route.

    python bench/oauth.py

Tokens are issued whole: assertion read, key found, signature verified, `jti` committed durably, token signed;
in process, and over HTTP by a token endpoint in a process of its own. The floor of the same run is what there
is no way round: one ES384 verification, one ES384 signature, one durable commit. An authenticated request is
compared with the same route without the check. Rounds are interleaved, figures are medians; quote the ratios,
absolute times differ from machine to machine.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import secrets
import socket
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import uvicorn
from fastapi import FastAPI, Request, Response
from joserfc import jws
from joserfc.jwk import ECKey

from gateway import clock
from gateway.oauth.assertion import ASSERTION_TYPE, read_form
from gateway.oauth.authenticate import NO_STORE, Registration, TokenServer
from gateway.oauth.key_sources import KeySource, KeySources
from gateway.oauth.revoked import Revoked
from gateway.signing import keys
from gateway.signing.operational import KeyRing
from gateway.store import received
from gateway.store.work import Store

CLIENT = "https://directory.example.org/Organization/harbor-food-pantry"
ISSUER = "https://clinic.example.org"
SCOPE = "system/Task.rus system/Patient.r"
AT_ONCE = 16
ROUNDS = 9
TOKENS = 200
REQUESTS = 3000
WARM = 50
FORM = "application/x-www-form-urlencoded"


def main() -> None:
    """Print one line a way."""
    key = keys.generate()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "node", key) as port:
        issuing(Path(folder), key, port)
        recognising(Path(folder), key, port)


# -- issuing --------------------------------------------------------------------------------------------


def issuing(folder: Path, key: ECKey, port: int) -> None:
    """What one token costs beside the floor, and how many there are a second when many ask at once."""
    server, store = token_server(folder / "here", keys.public_jwks(key))
    floor = sqlite3.connect(folder / "floor.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        floor.execute(f"PRAGMA {pragma}")
    floor.execute("CREATE TABLE one (jti TEXT PRIMARY KEY)")
    public = ECKey.import_key(keys.public_jwk(key))

    def least(assertion: str) -> None:
        jws.deserialize_compact(assertion, public, algorithms=["ES384"])
        floor.execute("INSERT INTO one VALUES (?)", (secrets.token_hex(12),))
        jws.serialize_compact({"alg": "ES384"}, b"x" * 400, key, algorithms=["ES384"])

    async def issue(assertion: str) -> None:
        assert (await server.token(fields(assertion), clock.now()))["access_token"]

    async def at_once(signed: list[str], lines: int) -> None:
        async def some(number: int) -> None:
            for assertion in signed[number::lines]:
                await issue(assertion)

        await asyncio.gather(*(some(number) for number in range(lines)))

    with asyncio.Runner() as loop, connected(port) as line:
        ways: dict[str, Callable[[str], object]] = {
            "one ES384 verification, commit, signature": least,
            "a token, in process": lambda assertion: loop.run(issue(assertion)),
            "a token over HTTP": lambda assertion: posted(line, "/oauth/token", assertion),
        }
        print("issuing, one after the other")
        each = alternating(ways, lambda: assertions(key, 1)[0], TOKENS)
        report(each, "the floor")
        print(f"issuing, {AT_ONCE} at once")
        for name, all_of in {
            "a token, in process": lambda signed: loop.run(at_once(signed, AT_ONCE)),
            "a token over HTTP": lambda signed: asked(port, signed, AT_ONCE),
        }.items():
            taken = [timed(lambda signed=signed: all_of(signed)) for signed in many(key)]  # noqa: B023
            seconds = statistics.median(taken) / TOKENS
            print(f"  {name:42} {seconds * 1e6:8.1f} µs {1 / seconds:8.0f} /s")
    floor.close()
    store.close()


# -- recognising ----------------------------------------------------------------------------------------


def recognising(folder: Path, key: ECKey, port: int) -> None:
    """What the check of a token adds to a request."""
    with connected(port) as line:
        token = json.loads(posted(line, "/oauth/token", assertions(key, 1)[0]))["access_token"]
        given = f"host: 127.0.0.1\r\nauthorization: Bearer {token}\r\n"
        ways: dict[str, Callable[[str], object]] = {
            name: lambda _nothing, path=path: ask(line, f"GET {path} HTTP/1.1\r\n{given}".encode(), b"")
            for name, path in {
                "the bare route": "/bare",
                "the same, for who shows a token": "/checked",
            }.items()
        }
        print("an authenticated request over HTTP, one client")
        report(alternating(ways, str, REQUESTS), "the bare route")
    server, store = token_server(folder / "again", keys.public_jwks(key))
    own = asyncio.run(server.token(fields(assertions(key, 1)[0]), clock.now()))["access_token"]
    header, now = f"Bearer {own}", clock.now()

    def unseen() -> None:
        server._tokens._verified._known.clear()
        server.verify(header, now)

    print("the check alone, in process")
    for name, step, times in (
        ("a token not seen before", unseen, 1),
        ("a token seen before", lambda: server.verify(header, now), 100),
    ):
        middle = statistics.median(timed(step, times) for _ in range(300))
        print(f"  {name:42} {middle * 1e6:8.1f} µs")
    store.close()


# -- what is measured -----------------------------------------------------------------------------------


def token_server(folder: Path, jwks: dict[str, Any]) -> tuple[TokenServer, Store]:
    """A token server on a store of its own, with one client."""
    store = Store(folder, secrets.token_bytes(32), "main", clock.now)
    client = Registration(CLIENT, KeySource(jwks), frozenset(SCOPE.split()), CLIENT)

    def remember(client_id: str, jti: str, expires: int) -> bool:
        with store.work() as work:
            return received.remember_assertion(work, client_id, jti, expires)

    async def nowhere(*_request: object) -> Any:
        raise AssertionError("keys are inline here")

    sources = KeySources(nowhere, clock.now)
    ring = KeyRing.of(keys.generate())
    return TokenServer(ISSUER, ring, {CLIENT: client}.get, remember, sources, Revoked(store)), store


def assertions(key: ECKey, number: int) -> list[str]:
    """So many assertions, signed."""
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": CLIENT, "sub": CLIENT, "aud": ISSUER, "iat": now, "exp": now + 240}
    header = {"alg": "ES384", "kid": key.thumbprint(), "typ": "JWT"}
    return [
        jws.serialize_compact(
            header, json.dumps(claims | {"jti": secrets.token_urlsafe(16)}), key, algorithms=["ES384"]
        )
        for _ in range(number)
    ]


def fields(assertion: str) -> list[tuple[str, str]]:
    """A token request."""
    return [
        ("grant_type", "client_credentials"),
        ("scope", SCOPE),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion),
    ]


def many(key: ECKey) -> Iterator[list[str]]:
    """Assertions for each of several rounds, made while nothing is measured."""
    for _ in range(ROUNDS):
        yield assertions(key, TOKENS)


def alternating(
    ways: dict[str, Callable[[str], object]], made: Callable[[], str], times: int
) -> dict[str, float]:
    """The median seconds of each way; in turn, so that what else the machine does falls on all alike."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(times + WARM):
        for name, way in ways.items():
            one = made()
            seconds = timed(lambda way=way, one=one: way(one))
            if number >= WARM:
                taken[name].append(seconds)
    return {name: statistics.median(found) for name, found in taken.items()}


def timed(step: Callable[[], object], times: int = 1) -> float:
    """Seconds of one step."""
    begun = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - begun) / times


def report(each: dict[str, float], floor: str) -> None:
    """One line a way, beside the first."""
    base = next(iter(each.values()))
    for name, seconds in each.items():
        more = (seconds - base) * 1e6
        print(
            f"  {name:42} {seconds * 1e6:8.1f} µs {1 / seconds:8.0f} /s "
            f"{more:+9.1f} µs {seconds / base:6.2f} times {floor}"
        )


# -- over HTTP ------------------------------------------------------------------------------------------


@contextmanager
def served(folder: Path, key: ECKey) -> Iterator[int]:
    """The port of a token endpoint and two routes, in a process of its own."""
    process = multiprocessing.get_context("spawn")
    here, there = process.Pipe()
    running = process.Process(target=serve, args=(folder, keys.public_jwks(key), there), daemon=True)
    running.start()
    try:
        yield here.recv()
    finally:
        running.terminate()
        running.join(10)


def serve(folder: Path, jwks: dict[str, Any], started: Connection) -> None:
    """Serve until terminated."""
    server, _store = token_server(folder, jwks)
    app = FastAPI(openapi_url=None)

    @app.post("/oauth/token")
    async def token(request: Request) -> Response:
        form = read_form(await request.body(), request.headers.get("content-type", ""))
        answer = await server.token(form, clock.now(), request.headers.get("authorization"), "127.0.0.1")
        return Response(json.dumps(answer), headers=NO_STORE, media_type="application/json")

    async def bare(_request: Request) -> Response:
        return Response(b"{}", media_type="application/json")

    async def checked(request: Request) -> Response:
        server.verify(request.headers.get("authorization"), clock.now(), "127.0.0.1")
        return Response(b"{}", media_type="application/json")

    app.add_api_route("/bare", bare, response_class=Response, response_model=None)
    app.add_api_route("/checked", checked, response_class=Response, response_model=None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started.send(listener.getsockname()[1])
        config = uvicorn.Config(app, http="httptools", loop="uvloop", lifespan="off", log_level="error")
        uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A kept-alive connection."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield line


def asked(port: int, signed: list[str], at_once: int) -> None:
    """Gets a token for each assertion, over `at_once` connections."""

    def some(number: int) -> None:
        with connected(port) as line:
            for assertion in signed[number::at_once]:
                posted(line, "/oauth/token", assertion)

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(some, range(at_once)))


def posted(line: socket.socket, path: str, assertion: str) -> bytes:
    """The body of the answer to a token request."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {FORM}\r\n".encode()
    return ask(line, head, urlencode(fields(assertion)).encode())


def ask(line: socket.socket, head: bytes, body: bytes) -> bytes:
    """The body of one answer, which must be 200."""
    line.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
    got = b""
    while b"\r\n\r\n" not in got:
        got += line.recv(65_536)
    lines, _, found = got.partition(b"\r\n\r\n")
    length = int(lines.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(found) < length:
        found += line.recv(65_536)
    assert lines.startswith(b"HTTP/1.1 200"), lines
    return found


if __name__ == "__main__":
    main()
