"""Servers on this machine that a client under test calls: a peer node, and places that are none."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import uvicorn

from gateway.calling.client import PeerClient
from gateway.errors import Refused
from gateway.oauth.assertion import TokenError, read_form
from gateway.oauth.authenticate import NO_STORE, Registration, TokenServer
from gateway.oauth.key_sources import KeySource, KeySources
from gateway.oauth.revoked import Revoked
from gateway.signing import keys
from gateway.signing.operational import KeyRing
from gateway.trust.directory import Entry

OURS = "https://directory.example.org/Organization/mill-street-clinic"
THEIRS = "https://directory.example.org/Organization/harbor-food-pantry"
OUR_KEY = keys.generate()
SCOPE = "system/Task.rus"
THIS_MACHINE = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

Headers = Mapping[str, str]
Reply = tuple[int, Headers, bytes]
Handler = Callable[[str, str, Headers, bytes], Awaitable[Reply]]
Request = tuple[str, str, Headers, bytes]


class Place:
    """Something that answers HTTP; a test sets the handler of each path, and sees what arrived."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.requests: list[Request] = []
        self.handlers: dict[str, Handler] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        path = scope["path"]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((scope["method"], path, headers, body))
        handler = self.handlers.get(path, always(404))
        status, answer_headers, content = await handler(scope["method"], path, headers, body)
        fields = [(name.encode(), value.encode()) for name, value in answer_headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": content})

    def seen(self, path: str) -> list[Request]:
        return [one for one in self.requests if one[1] == path]


class Peer(Place):
    """A peer node with a real token endpoint; a test replaces the handler of the path it is about."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.key = keys.generate()
        self.entry = entry(address, keys.public_jwks(self.key))
        self.ours = Registration(
            client_id=OURS,
            keys=KeySource(keys.public_jwks(OUR_KEY)),
            scopes=frozenset({SCOPE, "system/Patient.r"}),
            organization=OURS,
            purposes=frozenset({"COC", "TREAT"}),
        )
        self.jtis: list[str] = []
        self.assertions: list[str] = []
        self.restart()
        self.handlers = {"/oauth/token": self.token, "/fhir/Task/1": self.resource}

    def restart(self) -> None:
        """From now on another key signs the access tokens, so that those issued before are refused."""
        self.server = TokenServer(
            self.address,
            KeyRing.of(keys.generate()),
            lambda client_id: self.ours if client_id == self.ours.client_id else None,
            self._remember,
            KeySources(_no_fetch, now),
            Revoked(),
        )

    def _remember(self, _client_id: str, jti: str, _expires: int) -> bool:
        self.jtis.append(jti)
        return self.jtis.count(jti) == 1

    async def token(self, _method: str, _path: str, headers: Headers, body: bytes) -> Reply:
        form = read_form(body, headers["content-type"])
        self.assertions.append(dict(form).get("client_assertion", ""))
        try:
            answer = await self.server.token(form, now(), headers.get("authorization"))
        except TokenError as error:
            return reply(error.status, error.body(), **NO_STORE)
        return reply(200, answer, **NO_STORE)

    async def resource(self, _method: str, _path: str, headers: Headers, _body: bytes) -> Reply:
        try:
            caller = self.server.verify(headers.get("authorization"), now())
        except Refused as refused:
            return reply(refused.status, refused.outcome(), **refused.headers)
        shown = {"resourceType": "Task", "id": "1", "owner": caller.organization}
        return reply(200, shown | {"purposes": sorted(caller.purposes)})


class Server:
    """One server for all tests of a module; each test has a place of its own behind it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.place: Place | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.place is not None
        await self.place(scope, receive, send)


def entry(address: str, jwks: Mapping[str, Any] | None = None) -> Entry:
    """A partner at `address`, as the directory vouches for it."""
    return Entry(
        organization=THEIRS,
        name="Harbor Food Pantry",
        address=address,
        jwks=jwks or {"keys": []},
        purposes=frozenset({"COC"}),
        services=(),
        contacts={},
        status="active",
    )


def now() -> datetime:
    return datetime.now(UTC)


def reply(status: int, body: Any, **headers: str) -> Reply:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(body).encode()


def always(status: int, body: Any = None, **headers: str) -> Handler:
    async def handler(*_request: Any) -> Reply:
        return reply(status, body, **{name.replace("_", "-"): value for name, value in headers.items()})

    return handler


@contextmanager
def serving(**options: Any) -> Iterator[Server]:
    """A running server on 127.0.0.1. options: of uvicorn, such as `ssl_certfile`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        scheme = "https" if "ssl_certfile" in options else "http"
        app = Server(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}")
        config = uvicorn.Config(
            app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1, **options
        )
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 10
        while not running.started:
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.005)
        yield app
        running.should_exit = True
        thread.join(10)


def run(test: Callable[[PeerClient], Awaitable[Any]], **options: Any) -> Any:
    """What `test` gives with a client that is closed after it; it may call this machine."""
    ring = options.pop("ring", None) or KeyRing.of(OUR_KEY)
    options.setdefault("networks", THIS_MACHINE)

    async def with_client() -> Any:
        client = PeerClient(OURS, ring, **options)
        try:
            return await test(client)
        finally:
            await client.close()

    return asyncio.run(with_client())


async def _no_fetch(_url: str, _headers: Mapping[str, str]) -> Any:
    raise AssertionError("all keys are registered inline here")
