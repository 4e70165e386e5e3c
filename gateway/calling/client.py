"""The one HTTP client with which this node calls others: peer nodes, partners, and the agency's own system.

Toward a peer it is a SMART Backend Services client (SMART App Launch 2.2): it gets an access token with a
signed assertion, keeps it while it lasts and shows it to the peer it was issued for and to nobody else. A
`Connection` in the configuration replaces how a token is got.
Addresses come from the directory or the node's configuration, never from a message, and lead only where
`gateway.calling.egress` lets them. It follows no redirect, keeps no cookies, uses no proxy or netrc from the
environment, reads no more than a stated number of bytes, and waits no longer than a stated time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import httpx2

from gateway.calling import egress, tokens
from gateway.calling.connection import LOOPBACK_HOSTS, Connection
from gateway.calling.egress import Network, Resolve, Routes
from gateway.calling.transport import (
    MOST_BYTES,
    Answer,
    Bounded,
    PeerForbidden,
    PeerRefused,
    bounded_in_time,
    checked_url,
    tls,
)
from gateway.signing.operational import Signing
from gateway.trust.directory import Entry

__all__ = ["Answer", "PeerClient"]

_MOST_WAYS: Final = 10_000
# Plain ASCII without blanks, and without what would end or change the path: # and \.
_PATH: Final = re.compile(r"/[!\"$-\[\]-~]*")
_DOTS: Final = re.compile(r"/(\.|%2e){1,2}(/|\Z)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Way:
    """One place that is called with a token: who lives there, how a token is got, by which connections.

    origin: the only one that its tokens are shown to. base: its FHIR base, if it has one.
    """

    who: str
    connection: Connection
    origin: str
    http: Any
    base: str = ""

    def token_name(self, scope: str, purpose: str | None) -> tokens.Name:
        # With the addresses, so that a token is never shown elsewhere when an organisation moves.
        got = self.connection
        return self.who, self.origin, got.token_endpoint, got.client_id, got.scope or scope, purpose


class PeerClient:
    """Calls others as `client_id` with the keys of `ring`. One for each identity; close it at the end.

    networks: what may be called besides public addresses. connections: by the partner's directory URL, how to
    get a token there instead of as a node does. ca_file: further authorities to trust (PEM). resolve: who is
    asked for the addresses of a name. timeout: seconds for one exchange, from connecting to the last byte.
    max_body: bytes of an answer.
    """

    def __init__(
        self,
        client_id: str,
        ring: Signing,
        *,
        networks: Sequence[Network] = (),
        connections: Mapping[str, Connection] | None = None,
        ca_file: Path | None = None,
        resolve: Resolve = egress.resolve,
        timeout: float = 10.0,
        connect_timeout: float = 3.0,
        max_body: int = 1_048_576,
        max_connections: int = 200,
    ) -> None:
        self._client_id = client_id
        self._ring = ring
        self._connections = dict(connections or {})
        self._timeout = timeout
        waits = httpx2.Timeout(timeout, connect=connect_timeout)
        self._partners, self._own = (
            tokens.oauth_client(
                Bounded(routes(policy, networks, tls(ca_file), max_connections, resolve), max_body), waits
            )
            for policy in ("partners", "own")
        )
        self._tokens = tokens.Tokens()
        self._ways: dict[tuple[str, ...], _Way] = {}

    async def request(
        self,
        peer: Entry,
        method: str,
        path: str,
        *,
        scope: str,
        purpose: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """The answer of `peer` to one request at `path` (from the root of its address), with a token.

        A path under `/fhir` is one under the peer's FHIR base, wherever that is. scope: the SMART scopes that
        the request needs, space-separated. purpose: the v3-ActReason code that the token is for. A token that
        the peer no longer accepts is replaced once. A token endpoint that only the directory names must have
        the origin of the FHIR base that its tokens are shown at. Raises `PeerUnavailable`, `PeerRefused`
        (also for a suspended peer), `PeerForbidden` or `PeerFault`; `ValueError` for a path that is none.
        """
        if not _PATH.fullmatch(path) or _DOTS.search(path.partition("?")[0]):
            raise ValueError("path: must start with /, be plain ASCII and hold no dot segments")
        if peer.status != "active":
            raise PeerRefused("the peer node is suspended in the directory")
        way = self._way(peer)
        if _under_fhir(path):
            url = way.base + path.removeprefix("/fhir")
        elif way.base == f"{peer.address}/fhir":
            url = peer.address + path
        else:
            raise ValueError("path: this partner is only called under its FHIR base")
        return await self._with_token(way, method, url, scope, purpose, headers, content)

    async def post_webhook(
        self,
        url: str,
        headers: Mapping[str, str],
        content: bytes,
        method: Literal["POST", "PATCH"] = "POST",
        connection: Connection | None = None,
    ) -> Answer:
        """The answer of the agency's own system at its configured `url`.

        Without a `connection` no token is sent; with one, its token goes to this `url`'s origin only. Raises
        `PeerUnavailable`, `PeerRefused`, `PeerForbidden` or `PeerFault`.
        """
        if connection is None or not connection.asks:
            return await self._send(self._own, method, url, headers, content)
        if not connection.token_endpoint:
            raise ValueError("token_endpoint: a connection to the agency's own system needs one")
        _check_private(url)
        way = _Way("", connection, _origin(url), self._own)
        return await self._with_token(way, method, url, "", None, headers, content)

    async def fetch(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        configured: bool = False,
        most_bytes: int | None = None,
    ) -> Answer:
        """The answer, of any status, to a GET without a token.

        configured: the operator wrote this URL himself, so it may lie in a private network. Never over plain
        http, except on this machine (which must stand in `networks` unless configured). most_bytes: how long
        the body may be, if not `max_body`. Raises `PeerUnavailable`, `PeerForbidden` or `PeerFault`.
        """
        _check_private(url)
        http = self._own if configured else self._partners
        return await self._send(http, "GET", url, headers or {}, None, most_bytes)

    async def close(self) -> None:
        """Close all connections; tokens are forgotten."""
        self._tokens.close()
        for http in (self._partners, self._own):
            await http.aclose()

    def _way(self, peer: Entry) -> _Way:
        """How a partner is called: as configured, else as the directory says at this moment."""
        name = peer.organization, peer.address, peer.fhir_base, peer.token_endpoint
        way = self._ways.get(name)
        if way is None:
            if len(self._ways) >= _MOST_WAYS:
                self._ways.clear()
            way = self._ways[name] = self._new_way(peer)
        return way

    def _new_way(self, peer: Entry) -> _Way:
        connection = self._connections.get(peer.organization)
        if connection is None:
            # A node's token endpoint follows from its address; other servers may not know the extension.
            is_node = peer.token_endpoint == f"{peer.address}/oauth/token"
            connection = Connection(
                "smart-backend", client_id=self._client_id, ring=self._ring, purposes=is_node
            )
        base = (connection.fhir_base or peer.fhir_base).rstrip("/")
        if connection.asks and not connection.token_endpoint:
            # Both are the partner's own word: it could name the token endpoint of somebody else who knows us,
            # and be shown what is issued there.
            if _origin(peer.token_endpoint) != _origin(base):
                raise PeerForbidden(
                    "the directory names a token endpoint at another origin than the FHIR base; "
                    "state it in `connections`"
                )
            connection = replace(connection, token_endpoint=peer.token_endpoint)
        return _Way(peer.organization, connection, _origin(base), self._partners, base)

    async def _with_token(
        self,
        way: _Way,
        method: str,
        url: str,
        scope: str,
        purpose: str | None,
        headers: Mapping[str, str] | None,
        content: bytes | None,
    ) -> Answer:
        sent = httpx2.Headers(headers)
        sent.pop("Authorization", None)
        if not way.connection.asks:
            return await self._send(way.http, method, url, sent, content)
        name = way.token_name(scope, purpose)
        for _attempt in range(2):
            token = await self._tokens.get(name, lambda: self._fetch(way, scope, purpose))
            sent["Authorization"] = f"Bearer {token.value}"
            answer = await self._send(way.http, method, url, sent, content)
            if answer.status != 401:
                return answer
            self._tokens.forget(name, token)
        raise PeerRefused("the other side does not accept the access tokens that are issued to this node")

    async def _fetch(self, way: _Way, scope: str, purpose: str | None) -> tokens.Token:
        checked_url(way.connection.token_endpoint)
        async with bounded_in_time(self._timeout):
            return await tokens.fetch(way.http, way.connection, scope, purpose)

    async def _send(
        self,
        http: Any,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        most_bytes: int | None = None,
    ) -> Answer:
        found = checked_url(url)
        extensions = {} if most_bytes is None else {MOST_BYTES: most_bytes}
        async with bounded_in_time(self._timeout):
            # withhold_token: Authlib would add the token it fetched last, which may be another peer's.
            response = await http.request(
                method,
                found,
                withhold_token=True,
                auth=None,
                headers=headers,
                content=content,
                follow_redirects=False,
                extensions=extensions,
            )
        return Answer(response.status_code, dict(response.headers), response.content)


def routes(
    policy: egress.Policy, networks: Sequence[Network], context: Any, most: int, resolve: Resolve
) -> httpx2.AsyncBaseTransport:
    """The connections that all calls under one policy go by."""
    return Routes(policy, networks, context, most, resolve)


def _under_fhir(path: str) -> bool:
    return path == "/fhir" or path.startswith(("/fhir/", "/fhir?"))


def _origin(url: str) -> str:
    found = checked_url(url)
    port = found.port or {"http": 80, "https": 443}[found.scheme]
    return f"{found.scheme}://{found.host}:{port}"


def _check_private(url: str) -> None:
    """Refuse to send a token, or to learn a key, where anyone on the way could read or change it."""
    found = checked_url(url)
    if found.scheme != "https" and found.host not in LOOPBACK_HOSTS:
        raise PeerForbidden("this needs https, except on this machine")
