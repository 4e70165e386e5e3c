"""Access tokens of others: fetched once for all who wait, kept while they last, checked before they are used.

Authlib knows the flow; what it proves itself with and what of the answer is believed is ours.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx2
from authlib.common.urls import add_params_to_qs  # type: ignore[import-untyped]
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]

from gateway.calling.connection import PROFILES, Connection, Proof, prove
from gateway.calling.transport import PeerFault, PeerRefused, PeerUnavailable, retry_after
from gateway.oauth import scopes
from gateway.oauth.assertion import GRANT_TYPE
from gateway.signing.keys import KeysError

_RENEW_EARLY_SECONDS: Final = 30
_UNSTATED_SECONDS: Final = 60
_LONGEST_SECONDS: Final = 3600
_MOST_HELD: Final = 10_000
_BEARER_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,8192}=*")  # RFC 6750 section 2.1
_UNAVAILABLE: Final = (429, 500, 502, 503, 504)

Name = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. renew_at: when it is to be replaced, by this process's monotonic clock."""

    value: str = field(repr=False)
    renew_at: float


class Tokens:
    """The tokens that this node holds, each under the name of what it is good for."""

    def __init__(self) -> None:
        self._held: dict[Name, Token] = {}
        self._fetching: dict[Name, asyncio.Task[Token]] = {}

    async def get(self, name: Name, fetch: Callable[[], Coroutine[Any, Any, Token]]) -> Token:
        """The token of this name: the one that is held, or one fetch for all who wait for it."""
        held = self._held.get(name)
        if held is not None and held.renew_at > time.monotonic():
            return held
        task = self._fetching.get(name)
        if task is None:
            task = asyncio.create_task(fetch())
            self._fetching[name] = task
            task.add_done_callback(lambda done: self._fetched(name, done))
        # Shielded: a caller that gives up must not take the token away from the others.
        return await asyncio.shield(task)

    def forget(self, name: Name, token: Token) -> None:
        """Hold this token no longer; one that has replaced it stays."""
        if self._held.get(name) is token:
            del self._held[name]

    def close(self) -> None:
        """Forget all, and fetch no more."""
        for task in list(self._fetching.values()):
            task.cancel()
        self._held.clear()

    def _fetched(self, name: Name, task: asyncio.Task[Token]) -> None:
        self._fetching.pop(name, None)
        if task.cancelled() or task.exception() is not None:
            return
        if len(self._held) >= _MOST_HELD:
            now = time.monotonic()
            self._held = {name: token for name, token in self._held.items() if token.renew_at > now}
        self._held[name] = task.result()


def oauth_client(transport: httpx2.AsyncBaseTransport, timeout: httpx2.Timeout) -> AsyncOAuth2Client:
    """An HTTP client that keeps nothing, follows nothing and takes nothing from the environment."""
    client = AsyncOAuth2Client(
        transport=transport,
        timeout=timeout,
        headers={"User-Agent": "waymeet", "Accept-Encoding": "identity"},
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
    )
    client.register_compliance_hook("access_token_response", _check_status)
    return client


async def fetch(http: AsyncOAuth2Client, connection: Connection, scope: str, purpose: str | None) -> Token:
    """A new token for `scope` (or what the connection asks for instead), checked.

    Raises PeerRefused, PeerUnavailable or PeerFault, and what `http` raises when nobody answers.
    """
    wanted = connection.scope or scope
    try:
        # Not on the event loop: a signature costs half a millisecond, and a secret is read from its file.
        proof = await asyncio.to_thread(prove, connection, purpose)
    except KeysError:
        raise PeerRefused("this node cannot read what it proves itself with at that token endpoint") from None
    asked_at = time.monotonic()
    try:
        answer = await http.fetch_token(
            connection.token_endpoint,
            auth=http.client_auth(_with(proof)),
            grant_type=GRANT_TYPE,
            scope=wanted,
        )
    except OAuthError as error:
        raise PeerRefused(f"the token endpoint issues no access token: {_error_code(error)}") from None
    except (ValueError, TypeError, RecursionError, httpx2.HTTPStatusError):
        raise PeerFault("the token endpoint did not answer with JSON") from None
    return _checked(answer, wanted, asked_at, exact=PROFILES[connection.profile].exact)


def _with(proof: Proof) -> Callable[..., tuple[str, Any, str]]:
    """Authlib's client authentication with our own proof.

    Authlib's assertion lives an hour, carries no `kid`, and repeats its `jti` when its claims are reused; its
    Basic credentials are not encoded as RFC 6749 asks.
    """

    def authenticate(_auth: Any, _method: str, url: str, headers: Any, body: Any) -> tuple[str, Any, str]:
        headers.update(proof.headers)
        return url, headers, add_params_to_qs(bytes(body).decode(), list(proof.fields.items()))

    return authenticate


def _check_status(response: httpx2.Response) -> httpx2.Response:
    """Authlib's hook before it reads a token answer: what only the status tells is said here."""
    if response.status_code in _UNAVAILABLE:
        raise PeerUnavailable(
            f"the token endpoint answered {response.status_code}",
            retry_after(response.headers.get("Retry-After")),
        )
    if response.status_code not in (200, 400, 401):
        raise PeerRefused(f"the token endpoint answered {response.status_code}")
    return response


def _checked(answer: Mapping[str, Any], wanted: str, asked_at: float, *, exact: bool) -> Token:
    """The token in a token endpoint's answer, if it is what was asked for."""
    value = answer.get("access_token")
    if not isinstance(value, str) or not _BEARER_TOKEN.fullmatch(value):
        raise PeerFault("the token answer holds no usable access_token")
    if str(answer.get("token_type")).lower() != "bearer":
        raise PeerFault("the token answer is not of token_type bearer")
    lifetime = answer.get("expires_in")
    if lifetime is None and not exact:
        lifetime = _UNSTATED_SECONDS
    if not isinstance(lifetime, int) or isinstance(lifetime, bool) or lifetime <= 0:
        raise PeerFault("the token answer holds no expires_in")
    granted = answer.get("scope")
    # RFC 6749 section 5.1: left out, it is what was asked for; SMART 2.2 requires it.
    if not (granted is None and not exact) and not _covers(granted, wanted):
        raise PeerRefused("the token endpoint granted less than the scopes that the request needs")
    lasts = min(lifetime, _LONGEST_SECONDS)
    return Token(value, asked_at + lasts - min(_RENEW_EARLY_SECONDS, lasts / 4))


def _covers(granted: Any, wanted: str) -> bool:
    """Whether `granted` allows all of `wanted`: SMART scopes by what they mean, others by their names."""
    if not isinstance(granted, str):
        return False
    names = set(granted.split())
    if names.issuperset(wanted.split()):
        return True
    try:
        return scopes.covers(scopes.split(granted), scopes.split(wanted))
    except scopes.ScopeError:
        return False


def _error_code(error: OAuthError) -> str:
    """The RFC 6749 code, if it is one: what a peer writes into an error is not repeated elsewhere."""
    code = str(error.error)
    known = re.fullmatch(r"(invalid|unauthorized|unsupported|access)_[a-z_]{1,40}", code)
    return code if known else "an error without a known code"
