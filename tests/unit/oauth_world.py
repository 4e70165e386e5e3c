"""A token server, the pantry that is its client, and a good token request to change one fact of."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import threading
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from gateway.calling.client import Answer
from gateway.calling.transport import PeerUnavailable
from gateway.oauth.allowance import Allowance
from gateway.oauth.assertion import ASSERTION_TYPE, TokenError
from gateway.oauth.authenticate import Caller, Registration, TokenServer
from gateway.oauth.key_sources import KeySource, KeySources
from gateway.oauth.revoked import Revoked
from gateway.signing import keys
from gateway.signing.operational import KeyRing

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
T = int(NOW.timestamp())
ISSUER = "https://clinic.example.org"
PANTRY = "https://directory.example.org/Organization/harbor-food-pantry"
JWKS_URL = "https://pantry.example.org/jwks.json"
NODE_KEY = keys.generate()
TAG_KEY = b"what all processes of this node share"
CLIENT_KEY = keys.generate()
RSA_KEY = RSAKey.generate_key(2048)
with warnings.catch_warnings(action="ignore"):
    SHORT_RSA_KEY = RSAKey.generate_key(1024)


def rsa_jwk(key: RSAKey, kid: str) -> dict[str, Any]:
    return dict(key.as_dict(private=False, kid=kid, alg="RS384", use="sig"))


CLIENT_JWKS = {
    "keys": [keys.public_jwk(CLIENT_KEY), rsa_jwk(RSA_KEY, "rsa-1"), rsa_jwk(SHORT_RSA_KEY, "rsa-short")]
}
REGISTERED = Registration(
    client_id=PANTRY,
    keys=KeySource(CLIENT_JWKS),
    scopes=frozenset({"system/Task.rus", "system/Patient.rs"}),
    organization=PANTRY,
    purposes=frozenset({"TREAT", "COC"}),
)

# An older system of the agency's own, with a secret as `waymeet client add` makes them.
INTAKE = "intake"
SECRET = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()
INTAKE_REGISTERED = Registration(
    client_id=INTAKE,
    keys=None,
    scopes=frozenset({"system/Consent.c"}),
    systems=frozenset({"intake"}),
    secret=hashlib.sha256(SECRET.encode()).digest(),
)


class Node:
    """A token server with its registrations and what it remembers, both in memory.

    published: what a client's web server answers at each URL; nothing there: it cannot be reached.
    """

    def __init__(
        self,
        issuer: str = ISSUER,
        key: ECKey = NODE_KEY,
        *,
        attempts: Allowance | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        self.clients = {PANTRY: REGISTERED, INTAKE: INTAKE_REGISTERED}
        self.published: dict[str, Any] = {}
        self.fetched: list[str] = []
        self.used: set[tuple[str, str]] = set()
        self.expires: list[int] = []
        self.ring = KeyRing.of(key)
        self.revoked = Revoked()
        self._lock = threading.Lock()
        self.server = TokenServer(
            issuer,
            self.ring,
            self.clients.get,
            self._remember,
            KeySources(self._fetch, lambda: NOW),
            self.revoked,
            ["system/Task.rus"],
            attempts=attempts,
            allowance=allowance,
            tag_key=TAG_KEY,
        )

    def _remember(self, client_id: str, jti: str, expires: int) -> bool:
        with self._lock:
            new = (client_id, jti) not in self.used
            self.used.add((client_id, jti))
            self.expires.append(expires)
            return new

    async def _fetch(self, url: str, _headers: Mapping[str, str]) -> Answer:
        self.fetched.append(url)
        if url not in self.published:
            raise PeerUnavailable("the other side could not be reached")
        kind = {"content-type": "application/json", "cache-control": "max-age=60"}
        return Answer(200, kind, json.dumps(self.published[url]).encode())

    def register(self, client_id: str = PANTRY, /, **changes: Any) -> None:
        """Change what is registered for a client."""
        self.clients[client_id] = replace(self.clients[client_id], **changes)

    def ask(
        self,
        form: list[tuple[str, str]],
        authorization: str | None = None,
        source: str | None = None,
        now: datetime = NOW,
    ) -> dict[str, Any]:
        """The answer to a token request."""
        return asyncio.run(self.server.token(form, now, authorization, source))

    def token(self, **changes: Any) -> str:
        """A token for a good request, but for what is stated."""
        return str(self.ask(request(**changes))["access_token"])

    def about(
        self, token: str, *, authorization: str | None = None, now: datetime = NOW, **changes: Any
    ) -> dict[str, Any]:
        """What the node says of this token: to the pantry, but for what is stated."""
        form = [("token", token), *([] if authorization else proof(**{"claims": fresh(), **changes}))]
        return asyncio.run(self.server.introspect(form, now, authorization))

    def revoke(self, token: str, *, authorization: str | None = None, **changes: Any) -> None:
        """Have this token taken back: by the pantry, but for what is stated."""
        form = [("token", token), *([] if authorization else proof(**{"claims": fresh(), **changes}))]
        asyncio.run(self.server.revoke(form, NOW, authorization))

    def caller(self, token: str, now: datetime = NOW, source: str | None = None) -> Caller:
        """Who shows this token."""
        return self.server.verify(f"Bearer {token}", now, source)


HEADER: dict[str, Any] = {"alg": "ES384", "kid": CLIENT_KEY.thumbprint(), "typ": "JWT"}
CLAIMS: dict[str, Any] = {
    "iss": PANTRY,
    "sub": PANTRY,
    "aud": f"{ISSUER}/oauth/token",
    "iat": T,
    "exp": T + 60,
    "jti": "a-fresh-identifier",
}


def fresh(**changes: Any) -> dict[str, Any]:
    """Good claims with a jti of their own."""
    return CLAIMS | {"jti": secrets.token_hex(8)} | changes


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


def signed(header: dict[str, Any], claims: Any, key: Key = CLIENT_KEY) -> str:
    """An assertion as any tool might make it: nothing is checked but that it can be signed."""
    text = b".".join(urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims))
    signature = jws.JWSRegistry.algorithms[header["alg"]].sign(text, key)
    return b".".join((text, urlsafe_b64encode(signature))).decode()


def hmac_signed(claims: Any) -> str:
    """`claims` under HS256 with the client's public key as the secret, the classic confusion."""
    parts = (HEADER | {"alg": "HS256"}, claims)
    text = b".".join(urlsafe_b64encode(json.dumps(part).encode()) for part in parts)
    mac = hmac.digest(CLIENT_KEY.as_pem(private=False), text, "sha256")
    return b".".join((text, urlsafe_b64encode(mac))).decode()


def twin(token: str) -> str:
    """The same token under the other signature that verifies: (r, n - s) beside (r, s)."""
    order = int(
        "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973", 16
    )
    head, _, signature = token.rpartition(".")
    raw = urlsafe_b64decode(signature.encode())
    other = order - int.from_bytes(raw[48:], "big")
    return f"{head}.{urlsafe_b64encode(raw[:48] + other.to_bytes(48, 'big')).decode()}"


def proof(
    *,
    claims: Any = CLAIMS,
    header: dict[str, Any] = HEADER,
    key: Key = CLIENT_KEY,
    assertion: str | None = None,
    **changes: str,
) -> list[tuple[str, str]]:
    """The fields by which the pantry proves who it is, and others as stated."""
    fields = {
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": signed(header, claims, key) if assertion is None else assertion,
    }
    return list((fields | changes).items())


def request(*, scope: str = "system/Task.rus", **changes: Any) -> list[tuple[str, str]]:
    """The fields of a good token request, but for what is stated."""
    return [
        (name, value)
        for name, value in (
            {"grant_type": "client_credentials", "scope": scope} | dict(proof(**changes))
        ).items()
    ]


def basic(client_id: str = INTAKE, secret: str = SECRET) -> str:
    """An `Authorization: Basic` header, as it stands."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def refused(
    node: Node,
    form: list[tuple[str, str]],
    error: str,
    rule: str,
    *,
    status: int = 400,
    authorization: str | None = None,
    source: str | None = None,
) -> TokenError:
    """A token request must be refused with this error, for the reason that `rule` matches."""
    with pytest.raises(TokenError, match=rule) as found:
        node.ask(form, authorization, source)
    assert (found.value.status, found.value.error) == (status, error)
    assert found.value.body() == {"error": error, "error_description": found.value.description}
    return found.value
