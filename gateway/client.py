"""The one HTTP client with which this node calls others: peer nodes, and the agency's own system.

Toward a peer it is a SMART Backend Services client (SMART App Launch 2.2): it gets an access token with a
signed assertion, keeps it while it lasts and shows it to the peer that issued it and to nobody else.
Addresses come from the directory or the node's configuration, never from a message. It follows no
redirect, keeps no cookies, uses no proxy or netrc from the environment, reads no more than a stated
number of bytes, and waits no longer than a stated time.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final, Literal

import httpx2
import msgspec
from authlib.common.urls import add_params_to_qs  # type: ignore[import-untyped]
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]
from joserfc import jws
from joserfc.jwk import ECKey

from gateway import scopes
from gateway.assertion import ASSERTION_TYPE, GRANT_TYPE
from gateway.directory import Entry
from gateway.keys import ALGORITHM
from gateway.transport import Bounded, PeerFault, PeerRefused, PeerUnavailable

ASSERTION_SECONDS: Final = 60
_RENEW_EARLY_SECONDS: Final = 30
_LONGEST_WAIT_SECONDS: Final = 86_400.0
# Plain ASCII without blanks, and without what would end or change the path: # and \.
_PATH: Final = re.compile(r"/[!\"$-\[\]-~]*")
_BEARER_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,8192}=*")  # RFC 6750 section 2.1
_UNAVAILABLE: Final = (429, 500, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status, redirects included: they are answers here and never followed.

    headers: by lower-case name.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> float | None:
        """Seconds that `Retry-After` asks to wait, where it stands and can be read."""
        return _retry_after(self.headers.get("retry-after"))


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    renew_at: float


class PeerClient:
    """Calls peers as `client_id` with the private `key`. One for a whole node; close it at the end.

    timeout: seconds for one exchange, from connecting to the last byte. max_body: bytes of an answer.
    """

    def __init__(
        self,
        client_id: str,
        key: ECKey,
        *,
        timeout: float = 10.0,
        connect_timeout: float = 3.0,
        max_body: int = 1_048_576,
        max_connections: int = 200,
    ) -> None:
        self._client_id = client_id
        self._key = key
        self._timeout = timeout
        limits = httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
        self._http = AsyncOAuth2Client(
            client_id=client_id,
            transport=Bounded(httpx2.AsyncHTTPTransport(trust_env=False, limits=limits), max_body),
            timeout=httpx2.Timeout(timeout, connect=connect_timeout),
            headers={"User-Agent": "waymeet", "Accept-Encoding": "identity"},
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
        )
        self._http.register_compliance_hook("access_token_response", _check_token_status)
        self._tokens: dict[tuple[str, str, str], _Token] = {}
        self._fetching: dict[tuple[str, str, str], asyncio.Task[_Token]] = {}

    async def request(
        self,
        peer: Entry,
        method: str,
        path: str,
        *,
        scope: str,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """The answer of `peer` to one request at `path` (from the root of its address), with a token.

        scope: the SMART scopes that the request needs, space-separated. A token that the peer no longer
        accepts is replaced once. Raises `PeerUnavailable`, `PeerRefused` (also for a suspended peer) or
        `PeerFault`; `ValueError` for a path that is not one.
        """
        if not _PATH.fullmatch(path):
            raise ValueError("path: must start with / and be plain ASCII")
        if peer.status != "active":
            raise PeerRefused("the peer node is suspended in the directory")
        for _attempt in range(2):
            token = await self._token(peer, scope)
            sent = httpx2.Headers(headers)
            sent["Authorization"] = f"Bearer {token.value}"
            answer = await self._send(method, peer.address + path, sent, content)
            if answer.status != 401:
                return answer
            self._forget(peer, scope, token)
        raise PeerRefused("the peer node does not accept the access tokens that it issues to this node")

    async def post_webhook(
        self, url: str, headers: Mapping[str, str], content: bytes, method: Literal["POST", "PATCH"] = "POST"
    ) -> Answer:
        """The answer of the agency's own system at its configured `url`; no token is sent.

        Raises `PeerUnavailable` or `PeerFault`.
        """
        return await self._send(method, url, headers, content)

    async def close(self) -> None:
        """Close all connections; tokens are forgotten."""
        for task in list(self._fetching.values()):
            task.cancel()
        self._tokens.clear()
        await self._http.aclose()

    async def _send(self, method: str, url: str, headers: Mapping[str, str], content: bytes | None) -> Answer:
        async with self._faults_named():
            # withhold_token: Authlib would add the token it fetched last, which may be another peer's.
            response = await self._http.request(
                method, url, withhold_token=True, auth=None, headers=headers, content=content
            )
        return Answer(response.status_code, dict(response.headers), response.content)

    async def _token(self, peer: Entry, scope: str) -> _Token:
        """A token for `scope` at `peer`: the one that is held, or one fetch for all who wait for it."""
        name = _token_name(peer, scope)
        held = self._tokens.get(name)
        if held is not None and held.renew_at > time.monotonic():
            return held
        task = self._fetching.get(name)
        if task is None:
            task = asyncio.create_task(self._fetch(peer, scope))
            self._fetching[name] = task
            task.add_done_callback(lambda done: self._fetched(name, done))
        # Shielded: a caller that gives up must not take the token away from the others.
        return await asyncio.shield(task)

    def _fetched(self, name: tuple[str, str, str], task: asyncio.Task[_Token]) -> None:
        self._fetching.pop(name, None)
        if not task.cancelled() and task.exception() is None:
            self._tokens[name] = task.result()

    def _forget(self, peer: Entry, scope: str, token: _Token) -> None:
        name = _token_name(peer, scope)
        if self._tokens.get(name) is token:
            del self._tokens[name]

    async def _fetch(self, peer: Entry, scope: str) -> _Token:
        asked_at = time.monotonic()
        async with self._faults_named():
            try:
                answer = await self._http.fetch_token(
                    peer.token_endpoint,
                    auth=self._http.client_auth(self._assertion_for(peer.token_endpoint)),
                    grant_type=GRANT_TYPE,
                    scope=scope,
                )
            except OAuthError as error:
                raise PeerRefused(f"the peer node issues no access token: {_error_code(error)}") from None
            except (ValueError, TypeError, RecursionError, httpx2.HTTPStatusError):
                raise PeerFault("the peer node's token endpoint did not answer with JSON") from None
        return _checked_token(answer, scope, asked_at)

    def _assertion_for(self, audience: str) -> Callable[..., tuple[str, Any, str]]:
        """Authlib's client authentication with our own assertion.

        Authlib's own lives an hour, carries no `kid`, and repeats its `jti` when its claims are reused.
        `audience` is the directory's word for the token endpoint and never what a peer says of itself, so
        that no peer can collect assertions that are good at another.
        """

        def authenticate(_auth: Any, _method: str, url: str, headers: Any, body: Any) -> tuple[str, Any, str]:
            added = [
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", self._assertion(audience)),
            ]
            return url, headers, add_params_to_qs(bytes(body).decode(), added)

        return authenticate

    def _assertion(self, audience: str) -> str:
        """A fresh `private_key_jwt` assertion. SMART 2.2, RFC 7523 section 3."""
        now = int(time.time())
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": audience,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": secrets.token_urlsafe(24),
        }
        header = {"alg": ALGORITHM, "kid": self._key.thumbprint(), "typ": "JWT"}
        return jws.serialize_compact(header, msgspec.json.encode(claims), self._key, algorithms=[ALGORITHM])

    @asynccontextmanager
    async def _faults_named(self) -> AsyncIterator[None]:
        """One exchange: bounded in time, and its failures in our words (httpx2's are not httpx's)."""
        try:
            async with asyncio.timeout(self._timeout):
                yield
        except (TimeoutError, httpx2.TimeoutException):
            raise PeerUnavailable("the other side did not answer in time") from None
        except httpx2.TransportError as error:
            raise PeerUnavailable(f"the other side could not be reached: {type(error).__name__}") from None


def _token_name(peer: Entry, scope: str) -> tuple[str, str, str]:
    # With the address, so that a token is never shown elsewhere when an organisation moves.
    return peer.organization, peer.address, scope


def _check_token_status(response: httpx2.Response) -> httpx2.Response:
    """Authlib's hook before it reads a token answer: what only the status tells is said here."""
    if response.status_code in _UNAVAILABLE:
        raise PeerUnavailable(
            f"the peer node's token endpoint answered {response.status_code}",
            _retry_after(response.headers.get("Retry-After")),
        )
    if response.status_code not in (200, 400, 401):
        raise PeerRefused(f"the peer node's token endpoint answered {response.status_code}")
    return response


def _checked_token(answer: Mapping[str, Any], scope: str, asked_at: float) -> _Token:
    """The token in a token endpoint's answer, if it is what was asked for; SMART 2.2 requires all members."""
    value, lifetime = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(value, str) or not _BEARER_TOKEN.fullmatch(value):
        raise PeerFault("the peer node's token answer holds no usable access_token")
    if str(answer.get("token_type")).lower() != "bearer":
        raise PeerFault("the peer node's token answer is not of token_type bearer")
    if not isinstance(lifetime, int) or isinstance(lifetime, bool) or lifetime <= 0:
        raise PeerFault("the peer node's token answer holds no expires_in")
    try:
        covered = scopes.covers(scopes.split(answer.get("scope") or ""), scopes.split(scope))
    except scopes.ScopeError:
        covered = False
    if not covered:
        raise PeerRefused("the peer node granted less than the scopes that the request needs")
    return _Token(value, asked_at + lifetime - min(_RENEW_EARLY_SECONDS, lifetime / 4))


def _error_code(error: OAuthError) -> str:
    """The RFC 6749 code, if it is one: what a peer writes into an error is not repeated elsewhere."""
    code = str(error.error)
    known = re.fullmatch(r"(invalid|unauthorized|unsupported|access)_[a-z_]{1,40}", code)
    return code if known else "an error without a known code"


def _retry_after(value: str | None) -> float | None:
    """Seconds of a `Retry-After` header (RFC 9110 section 10.2.3: seconds or a date), at most a day."""
    if value is None:
        return None
    try:
        if value.strip().isdecimal():
            seconds = float(value)
        else:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT_SECONDS)
