"""Our OAuth endpoints, served on the loopback address to implementations that are not ours."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response

from gateway import keys
from gateway.assertion import TokenError, read_form
from gateway.authenticate import NO_STORE, Caller, Registration, TokenServer
from gateway.client import PeerClient
from gateway.key_sources import KeySources
from gateway.operational import KeyRing
from gateway.revoked import Revoked

LOOPBACK = (ip_network("127.0.0.0/8"),)


@dataclass
class Endpoints:
    """A running token server. clients: who is registered now. said: its answers about tokens, in order."""

    server: TokenServer
    clients: dict[str, Registration]
    said: list[dict[str, Any]] = field(default_factory=list)

    def register(self, client: Registration) -> None:
        """From now on, this client is registered so."""
        self.clients[client.client_id] = client

    @property
    def issuer(self) -> str:
        return self.server.issuer

    @property
    def token_endpoint(self) -> str:
        return self.server.token_endpoint

    @property
    def introspection_endpoint(self) -> str:
        return f"{self.issuer}/oauth/introspect"

    @property
    def revocation_endpoint(self) -> str:
        return f"{self.issuer}/oauth/revoke"

    def caller(self, token: str) -> Caller:
        """Who shows this token. Raises Refused."""
        return self.server.verify(f"Bearer {token}", datetime.now(UTC))


@contextmanager
def serve(*clients: Registration, more: Callable[[FastAPI], None] | None = None) -> Iterator[Endpoints]:
    """The endpoints with these clients. more: adds routes of the test's own, which are no part of ours."""
    known = {client.client_id: client for client in clients}
    used: set[tuple[str, str]] = set()

    def remember(client_id: str, jti: str, _expires: int) -> bool:
        new = (client_id, jti) not in used
        used.add((client_id, jti))
        return new

    ring = KeyRing.of(keys.generate())
    asks = PeerClient("https://directory.example.org/Organization/this-node", ring, networks=LOOPBACK)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"
        sources = KeySources(asks.fetch, lambda: datetime.now(UTC), networks=LOOPBACK)
        endpoints = Endpoints(TokenServer(issuer, ring, known.get, remember, sources, Revoked()), known)
        app = _app(endpoints)
        if more is not None:
            more(app)
        running = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not running.started:
            time.sleep(0.005)
        yield endpoints
        running.should_exit = True
        thread.join(10)


def _app(endpoints: Endpoints) -> FastAPI:
    app, server = FastAPI(openapi_url=None), endpoints.server

    def answer(path: str, ask: Callable[..., Awaitable[Any]]) -> None:
        async def handler(request: Request) -> Response:
            try:
                form = read_form(await request.body(), request.headers.get("content-type", ""))
                given = request.headers.get("authorization")
                body, status, headers = await ask(form, datetime.now(UTC), given, "127.0.0.1"), 200, {}
            except TokenError as error:
                body, status, headers = error.body(), error.status, error.headers
            content = json.dumps(body) if body is not None else ""
            return Response(content, status, {**NO_STORE, **headers}, "application/json")

        app.add_api_route(path, handler, methods=["POST"])

    async def introspect(form: Sequence[tuple[str, str]], *rest: Any) -> dict[str, Any]:
        said = await server.introspect(form, *rest)
        endpoints.said.append(said)
        return said

    answer("/oauth/token", server.token)
    answer("/oauth/introspect", introspect)
    answer("/oauth/revoke", server.revoke)

    @app.get("/.well-known/jwks.json")
    async def jwks() -> dict[str, Any]:
        return server.jwks()

    return app
