"""A real node of the demo's hospital, served on the loopback address to implementations that are not ours.

Its clients are what a node's clients are: partners by directory and agreement, own systems by a file each.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from gateway import serve, settings
from gateway.callers import Callers
from gateway.demo.agencies import ALIAS, HOSPITAL, NAMES, PANTRY, SHELTER, found, free_ports, organization
from gateway.entrance.listening import bind
from gateway.keys_of_callers import KeysOfCallers
from gateway.node import Node
from gateway.oauth import registered
from gateway.oauth.authenticate import Caller
from gateway.signing import keys

__all__ = ["ALIAS", "PANTRY", "ServedNode", "organization", "serve_node"]

HOMES = {PANTRY: PANTRY, ALIAS: SHELTER}


@dataclass
class ServedNode:
    """A running node. said: what it has answered about tokens, in order."""

    node: Node
    folder: Path
    said: list[dict[str, Any]] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return self.node.home.address

    @property
    def token_endpoint(self) -> str:
        return f"{self.issuer}/oauth/token"

    @property
    def introspection_endpoint(self) -> str:
        return f"{self.issuer}/oauth/introspect"

    @property
    def revocation_endpoint(self) -> str:
        return f"{self.issuer}/oauth/revoke"

    def partner_key(self, name: str) -> ECKey:
        """The key of a partner's own node."""
        return keys.load(self.folder / HOMES[name] / "node" / "keys" / f"{name}.pem")

    def register(
        self, client_id: str, scopes: str, auth: dict[str, Any], status: str = "active", **more: Any
    ) -> None:
        """From now on, an own system is registered so: `auth` as in its file."""
        content = {"id": client_id, "systems": [], "scopes": scopes, "auth": auth, "status": status, **more}
        registered.write(self.node.settings.clients, content, replace=True)

    def caller(self, token: str) -> Caller:
        """Who shows this token, as the node sees it. Raises Refused."""
        tokens = Callers(self.node, self.node.home, KeysOfCallers(self.node)).tokens
        return tokens.verify(f"Bearer {token}", self.node.now(), "127.0.0.1")


@contextmanager
def serve_node(folder: Path, more: dict[str, Any] | None = None) -> Iterator[ServedNode]:
    """The node, with its partners in their folders beside it, which are not served.

    more: what the test answers itself, by path; no part of ours.
    """
    ports = dict(zip(NAMES, free_ports(len(NAMES)), strict=True))
    agencies = found(folder, ports, "http://127.0.0.1:9/none")
    served = ServedNode(Node(settings.read(agencies[HOSPITAL].config)), folder)
    started = threading.Event()
    stop = threading.Event()

    async def run() -> None:
        identity = served.node.home
        client = served.node.client(identity)
        server = serve._server(served.node, identity, client)
        server.config.app = _Listening(server.config.app, served, more or {})
        # Whoever connects from here on is waited for by the system until the server is there.
        serving = asyncio.create_task(server.serve(sockets=[bind(identity.host, identity.port)]))
        started.set()
        await asyncio.to_thread(stop.wait)
        server.should_exit = True
        await serving
        await client.close()

    thread = threading.Thread(target=asyncio.run, args=(run(),), daemon=True)
    thread.start()
    assert started.wait(30), "the node did not start"
    try:
        yield served
    finally:
        stop.set()
        thread.join(30)
        served.node.close()


class _Listening:
    """The application, with somebody who notes what it answers about tokens."""

    def __init__(self, app: Any, served: ServedNode, more: dict[str, Any]) -> None:
        self._app, self._served, self._more = app, served, more

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if path in self._more:
            kind = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 200, "headers": kind})
            await send({"type": "http.response.body", "body": json.dumps(self._more[path]).encode()})
            return
        answered: list[Any] = []

        async def noted(message: Any) -> None:
            answered.append(message)
            # Before the last byte goes: whoever has the answer may ask at once what was noted.
            if path == "/oauth/introspect" and _is_last(message) and answered[0]["status"] == 200:
                self._served.said.append(json.loads(b"".join(one.get("body", b"") for one in answered)))
            await send(message)

        await self._app(scope, receive, noted)


def _is_last(message: Any) -> bool:
    return message["type"] == "http.response.body" and not message.get("more_body", False)
