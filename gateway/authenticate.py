"""Who is calling: this node's token endpoint, and the tokens it then recognises.

SMART App Launch 2.2, Backend Services and asymmetric client authentication: RFC 6749 section 4.4
(client credentials), RFC 7523 section 2.2 (`private_key_jwt`), access tokens in the shape of RFC 9068,
presented as RFC 6750 says. A token says who calls and with which scopes; whether a record may be read is
decided at each read and never carried in a token. What every refusal is for: docs/reference/oauth.md.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from joserfc import jws
from joserfc.jwk import ECKey

from gateway import scopes
from gateway.assertion import (
    ASSERTION_TYPE,
    CLOCK_SKEW_SECONDS,
    GRANT_TYPE,
    KEY_TYPE,
    MALFORMED,
    MAX_TOKEN_BYTES,
    TokenError,
    check_claims,
    invalid_client,
    parts,
    registered_key,
    request_fields,
    signed_by,
    unverified_assertion,
)
from gateway.errors import Refused
from gateway.keys import ALGORITHM, public_jwks
from profiles.outcome import Issue

TOKEN_SECONDS: Final = 300
_MAX_CACHED: Final = 10_000


NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@dataclass(frozen=True, slots=True)
class Registration:
    """What is registered for one client: a peer node (from the directory) or a local system.

    jwks: its public keys. scopes: the most it can be granted. organization: directory URL of a peer node.
    systems: which `/records/{system}` a local client may write to. purposes: v3-ActReason codes.
    """

    client_id: str
    jwks: Mapping[str, Any]
    scopes: frozenset[str]
    organization: str | None = None
    systems: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    active: bool = True


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as its access token and its registration at this moment say.

    token_digest: SHA-256 of the token in hex, by which an audit entry can name it.
    """

    client_id: str
    organization: str | None
    systems: frozenset[str]
    scopes: frozenset[str]
    purposes: frozenset[str]
    token_digest: str


class TokenServer:
    """The OAuth authorization server of one node, and the check of the tokens that it issued.

    issuer: the node's address. key: its private key, which signs access tokens. registration: looks up a
    client by `client_id`. remember: `(client_id, jti, expires)` recorded durably; True if it is new, under
    concurrency for exactly one caller. scopes_supported: what the configuration document lists.
    """

    def __init__(
        self,
        issuer: str,
        key: ECKey,
        registration: Callable[[str], Registration | None],
        remember: Callable[[str, str, int], bool],
        scopes_supported: Sequence[str] = (),
    ) -> None:
        self.issuer = issuer
        self.token_endpoint = f"{issuer}/oauth/token"
        self.audience = f"{issuer}/fhir"
        self._key = key
        self._kid = key.thumbprint()
        self._registration = registration
        self._remember = remember
        self._scopes_supported = tuple(scopes_supported)
        self._cache = _Verified(_MAX_CACHED)

    def token(self, form: Sequence[tuple[str, str]], now: datetime) -> dict[str, Any]:
        """The answer to the token request with these form fields: RFC 6749 section 5.1.

        May block, as it records the assertion's `jti`. Raises `TokenError`.
        """
        fields = request_fields(form)
        if fields["grant_type"] != GRANT_TYPE:
            raise TokenError(400, "unsupported_grant_type", f"The grant_type here is {GRANT_TYPE}.")
        registered = self._authenticate(fields, int(now.timestamp()))
        try:
            granted = scopes.narrow(fields["scope"], registered.scopes)
        except scopes.ScopeError as error:
            raise TokenError(400, "invalid_scope", f"{error}.") from None
        if not granted:
            raise TokenError(
                400, "invalid_scope", "Nothing that was asked for is registered for this client."
            )
        scope = " ".join(granted)
        return {
            "access_token": self._issue(registered.client_id, scope, int(now.timestamp())),
            "token_type": "bearer",
            "expires_in": TOKEN_SECONDS,
            "scope": scope,
        }

    def verify(self, authorization: str | None, now: datetime) -> Caller:
        """The caller whose access token stands in the `Authorization` header (RFC 6750 section 2.1).

        The registration is looked up at every call: who was suspended is refused at the next request.
        Scopes are for the caller to check, with `scopes.grants`. Raises `Refused` (401).
        """
        token = _bearer(authorization)
        digest = hashlib.sha256(token).hexdigest()
        claims = self._cache.get(digest)
        if claims is None:
            claims = self._own_token(token)
            self._cache.put(digest, claims, now.timestamp())
        if claims.exp <= now.timestamp():
            raise _unauthorized("expired", "The access token has expired.")
        registered = self._registration(claims.sub)
        if registered is None or not registered.active:
            raise _unauthorized("login", "The client is not known here, or not active.")
        return Caller(
            client_id=registered.client_id,
            organization=registered.organization,
            systems=registered.systems,
            scopes=claims.scopes,
            purposes=registered.purposes,
            token_digest=digest,
        )

    def smart_configuration(self) -> dict[str, Any]:
        """The document at `/fhir/.well-known/smart-configuration`, for backend services only."""
        document: dict[str, Any] = {
            "token_endpoint": self.token_endpoint,
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": list(KEY_TYPE),
            "grant_types_supported": [GRANT_TYPE],
            # Required by the guide of every server, though there is no authorization endpoint here.
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
        }
        if self._scopes_supported:
            document["scopes_supported"] = list(self._scopes_supported)
        return document

    def jwks(self) -> dict[str, Any]:
        """This node's public keys, as registered with the servers where it is a client."""
        return public_jwks(self._key)

    def _authenticate(self, fields: Mapping[str, str], now: int) -> Registration:
        """The registration of the client whose assertion this is. RFC 7523 section 3, SMART 2.2."""
        if fields["client_assertion_type"] != ASSERTION_TYPE:
            raise invalid_client("The client_assertion_type is not supported.")
        assertion = fields["client_assertion"].encode(errors="replace")
        header, claims = unverified_assertion(assertion)
        check_claims(claims, (self.token_endpoint, self.issuer), now)
        if fields.get("client_id", claims.iss) != claims.iss:
            raise invalid_client("client_id must be the assertion's iss.")
        registered = self._registration(claims.iss)
        if registered is None or not registered.active:
            raise invalid_client("The client is not known here, or not active.")
        if not signed_by(assertion, registered_key(registered.jwks, header), header.alg):
            raise invalid_client("The assertion's signature does not verify with the registered key.")
        # Last, so that only who holds the key can have anything recorded.
        if not self._remember(claims.iss, claims.jti, int(claims.exp) + CLOCK_SKEW_SECONDS + 1):
            raise invalid_client("The assertion's jti was used before.")
        return registered

    def _issue(self, client_id: str, scope: str, now: int) -> str:
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": self._kid}
        claims = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": client_id,
            "client_id": client_id,
            "scope": scope,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "jti": secrets.token_urlsafe(16),
        }
        payload = msgspec.json.encode(claims)
        return jws.serialize_compact(header, payload, self._key, algorithms=[ALGORITHM])

    def _own_token(self, token: bytes) -> _Known:
        try:
            header, payload = parts(token)
            if (
                msgspec.json.decode(header, type=_TokenHeader).kid == self._kid
                and signed_by(token, self._key, ALGORITHM)
                and (claims := msgspec.json.decode(payload, type=_Token)).iss == self.issuer
                and claims.aud == self.audience
            ):
                return _Known(claims.sub, frozenset(claims.scope.split(" ")), claims.exp)
        except MALFORMED:
            pass
        raise _unauthorized("login", "The access token is not one of this server.")


class _TokenHeader(msgspec.Struct, forbid_unknown_fields=True):
    alg: Literal["ES384"]
    typ: Literal["at+jwt"]
    kid: str


class _Token(msgspec.Struct):
    iss: str
    aud: str
    sub: str
    scope: str
    exp: int


@dataclass(frozen=True, slots=True)
class _Known:
    """What this server once said in a token that it now recognises."""

    sub: str
    scopes: frozenset[str]
    exp: int


class _Verified:
    """Tokens whose signature was verified, by digest, until they expire: 1 µs in place of 390 µs."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def get(self, digest: str) -> _Known | None:
        return self._known.get(digest)

    def put(self, digest: str, known: _Known, now: float) -> None:
        with self._lock:
            if len(self._known) >= self._size:
                self._known = {name: one for name, one in self._known.items() if one.exp > now}
            if len(self._known) >= self._size:
                self._known.pop(next(iter(self._known)))
            self._known[digest] = known


def _bearer(authorization: str | None) -> bytes:
    """The token of an `Authorization` header; who sent none is told the scheme and nothing more."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        message = "An access token is needed: Authorization: Bearer ..."
        raise Refused(401, [Issue("error", "login", message)], headers={"WWW-Authenticate": "Bearer"})
    if len(token) > MAX_TOKEN_BYTES:
        raise _unauthorized("login", f"An access token may have {MAX_TOKEN_BYTES} bytes.")
    return token.strip(" ").encode(errors="replace")


def _unauthorized(code: Literal["login", "expired"], message: str) -> Refused:
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    return Refused(401, [Issue("error", code, message)], headers={"WWW-Authenticate": challenge})
