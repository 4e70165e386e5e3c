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

from gateway import clock, keys
from gateway.assertion import ASSERTION_TYPE, read_form
from gateway.authenticate import NO_STORE, Registration, TokenServer
from gateway.key_sources import KeySource, KeySources
from gateway.operational import KeyRing
from gateway.revoked import Revoked
from gateway.store import received
from gateway.store.work import Store

CLIENT = "https://directory.example.org/Organization/harbor-food-pantry"
ISSUER = "https://clinic.example.org"
SCOPE = "system/Task.rus system/Patient.r"
ROUNDS = 7
TOKENS = 150
REQUESTS = 800
FORM = "application/x-www-form-urlencoded"


def main() -> None:
    """Print one line a way."""
    key = keys.generate()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "node", key) as port:
        issuing(Path(folder), key, port)
        recognising(Path(folder), key, port)


# -- issuing --------------------------------------------------------------------------------------------


def issuing(folder: Path, key: ECKey, port: int) -> None:
    """Tokens a second, whole, and beside the floor."""
    server, store = token_server(folder / "here", keys.public_jwks(key))
    floor = sqlite3.connect(folder / "floor.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        floor.execute(f"PRAGMA {pragma}")
    floor.execute("CREATE TABLE one (jti TEXT PRIMARY KEY)")
    public = ECKey.import_key(keys.public_jwk(key))

    def least() -> None:
        for assertion in [assertions(key, 1)[0] for _ in range(TOKENS)]:
            jws.deserialize_compact(assertion, public, algorithms=["ES384"])
            floor.execute("INSERT INTO one VALUES (?)", (secrets.token_hex(12),))

    def in_process(at_once: int) -> Callable[[], float]:
        def once() -> float:
            forms = [fields(assertion) for assertion in assertions(key, TOKENS)]
            begun = time.perf_counter()
            asyncio.run(all_of(forms, at_once))
            return time.perf_counter() - begun

        return once

    async def all_of(forms: list[list[tuple[str, str]]], at_once: int) -> None:
        async def some(number: int) -> None:
            for form in forms[number::at_once]:
                assert (await server.token(form, clock.now()))["access_token"]

        await asyncio.gather(*(some(number) for number in range(at_once)))

    def over_http(at_once: int) -> Callable[[], float]:
        def once() -> float:
            bodies = [urlencode(fields(assertion)).encode() for assertion in assertions(key, TOKENS)]
            return asked(port, "POST", "/oauth/token", bodies, at_once, {"content-type": FORM})

        return once

    def floor_once() -> float:
        begun = time.perf_counter()
        least()
        return time.perf_counter() - begun

    ways = {
        "one ES384 signature, verification, commit": floor_once,
        "a token, in process": in_process(1),
        "a token, in process, 16 at once": in_process(16),
        "a token over HTTP": over_http(1),
        "a token over HTTP, 16 at once": over_http(16),
    }
    print("issuing")
    each = {name: seconds / TOKENS for name, seconds in medians(ways).items()}
    base = next(iter(each.values()))
    for name, seconds in each.items():
        print(
            f"  {name:42} {seconds * 1e6:8.0f} µs {1 / seconds:8.0f} /s {seconds / base:7.2f} times the floor"
        )
    floor.close()
    store.close()


# -- recognising ----------------------------------------------------------------------------------------


def recognising(folder: Path, key: ECKey, port: int) -> None:
    """What the check of a token adds to a request."""
    body = urlencode(fields(assertions(key, 1)[0])).encode()
    token = json.loads(ask_once(port, "/oauth/token", body))["access_token"]
    given = {"authorization": f"Bearer {token}"}
    nothing = [b""] * REQUESTS
    ways = {
        "the bare route": lambda: asked(port, "GET", "/bare", nothing, 1, given),
        "the same, for who shows a token": lambda: asked(port, "GET", "/checked", nothing, 1, given),
    }
    print("an authenticated request over HTTP, one client")
    each = {name: seconds / REQUESTS for name, seconds in medians(ways).items()}
    bare = each["the bare route"]
    for name, seconds in each.items():
        more = (seconds - bare) * 1e6
        print(
            f"  {name:42} {seconds * 1e6:8.1f} µs {more:+8.1f} µs {seconds / bare:7.3f} times the bare route"
        )

    server, store = token_server(folder / "again", keys.public_jwks(key))
    own = asyncio.run(server.token(fields(assertions(key, 1)[0]), clock.now()))["access_token"]
    header, now = f"Bearer {own}", clock.now()
    cold = [timed(lambda: fresh_server(server).verify(header, now)) for _ in range(200)]
    server.verify(header, now)
    warm = [timed(lambda: server.verify(header, now), 1000) for _ in range(21)]
    print("the check alone, in process")
    for name, found in (("a token not seen before", cold), ("a token seen before", warm)):
        print(f"  {name:42} {statistics.median(found) * 1e6:8.1f} µs")
    store.close()


def fresh_server(server: TokenServer) -> TokenServer:
    """The same server with nothing recognised yet."""
    server._tokens._verified._known.clear()
    return server


def timed(step: Callable[[], object], times: int = 1) -> float:
    """Seconds of one step."""
    begun = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - begun) / times


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


def medians(ways: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Interleaved rounds of all ways, after one that is not counted: the median seconds of each."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, once in ways.items():
            seconds = once()
            if number:
                taken[name].append(seconds)
    return {name: statistics.median(found) for name, found in taken.items()}


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


def asked(
    port: int, method: str, path: str, bodies: list[bytes], at_once: int, headers: dict[str, str]
) -> float:
    """Seconds for all requests, over `at_once` kept-alive connections."""
    given = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{given}".encode()
    with ThreadPoolExecutor(at_once) as pool:
        begun = time.perf_counter()
        list(pool.map(lambda number: one_line(port, head, bodies[number::at_once]), range(at_once)))
        return time.perf_counter() - begun


def ask_once(port: int, path: str, body: bytes) -> bytes:
    """The body of one answer."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {FORM}\r\n".encode()
    return one_line(port, head, [body])


def one_line(port: int, head: bytes, bodies: list[bytes]) -> bytes:
    """Sends all bodies over one connection; the last answer's body. Every answer must be 200."""
    last = b""
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for body in bodies:
            line.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
            got = b""
            while b"\r\n\r\n" not in got:
                got += line.recv(65_536)
            lines, _, last = got.partition(b"\r\n\r\n")
            length = int(lines.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(last) < length:
                last += line.recv(65_536)
            assert lines.startswith(b"HTTP/1.1 200"), lines
    return last


if __name__ == "__main__":
    main()
