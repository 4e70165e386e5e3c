"""Who is calling: this node's OAuth endpoints, and the tokens that it then recognises.

SMART App Launch 2.2, Backend Services: RFC 6749 section 4.4 (client credentials), access tokens presented as
RFC 6750 says, introspection (RFC 7662) and revocation (RFC 7009). A token says who calls and with which
scopes; whether a record may be read is decided at each read and never carried in a token. What every refusal
is for: docs/reference/oauth.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from starlette.concurrency import run_in_threadpool

from gateway.errors import Refused
from gateway.oauth import scopes
from gateway.oauth.access_tokens import TOKEN_SECONDS, AccessTokens, Known
from gateway.oauth.allowance import Allowance, source_name, too_often
from gateway.oauth.assertion import (
    GRANT_TYPE,
    MAX_TOKEN_BYTES,
    TokenError,
    invalid_grant,
    invalid_request,
    request_fields,
)
from gateway.oauth.client_authentication import ClientAuthentication, Keys, unavailable
from gateway.oauth.granting import granted
from gateway.oauth.registration import Registration
from gateway.oauth.revoked import Revoked
from gateway.oauth.smart_configuration import smart_configuration
from gateway.signing.operational import Signing
from profiles.outcome import Issue

__all__ = ["NO_STORE", "TOKEN_SECONDS", "Caller", "Registration", "TokenServer"]

# What a client may take back is remembered until it would have ended, and read by every process.
REVOCATIONS_PER_SECOND: Final = 10
REVOCATIONS_SAVED: Final = 100
NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_INACTIVE: Final = {"active": False}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request, as its access token and its registration at this moment say.

    scopes, purposes: what the token and the registration both allow. token_digest: SHA-256 of the token in
    hex, by which an audit entry can name it.
    """

    client_id: str
    organization: str | None
    systems: frozenset[str]
    scopes: frozenset[str]
    purposes: frozenset[str]
    token_digest: str


class TokenServer:
    """The OAuth authorization server of one identity, and the check of the tokens that it issued.

    issuer: its address. ring: the keys that sign access tokens. registration: looks up a client by
    `client_id`. remember: `(client_id, jti, expires)` recorded durably; True if it is new, under concurrency
    for exactly one caller. keys: finds a client's public keys. revoked: the tokens that were taken back.
    scopes_supported: what the configuration document lists. attempts: for each source address, what costs
    work before it is known who asks: requests to these endpoints, and tokens not seen before. allowance: for
    each client, its requests to these endpoints. None: without limit. tag_key: for the tags of its tokens, as
    `AccessTokens` has it.
    """

    def __init__(
        self,
        issuer: str,
        ring: Signing,
        registration: Callable[[str], Registration | None],
        remember: Callable[[str, str, int], bool],
        keys: Keys,
        revoked: Revoked,
        scopes_supported: Sequence[str] = (),
        *,
        attempts: Allowance | None = None,
        allowance: Allowance | None = None,
        tag_key: bytes | None = None,
    ) -> None:
        self.issuer = issuer
        self.token_endpoint = f"{issuer}/oauth/token"
        self.audience = f"{issuer}/fhir"
        self._ring = ring
        self._registration = registration
        self._scopes_supported = tuple(scopes_supported)
        self._attempts = attempts
        self._clients = ClientAuthentication(
            (self.token_endpoint, issuer), registration, remember, keys, allowance
        )
        self._revocations = Allowance(REVOCATIONS_PER_SECOND, burst=REVOCATIONS_SAVED)
        self._tokens = AccessTokens(issuer, self.audience, ring, revoked, tag_key)

    # ------------------------------------------------------------ the endpoints

    async def token(
        self,
        form: Sequence[tuple[str, str]],
        now: datetime,
        authorization: str | None = None,
        source: str | None = None,
    ) -> dict[str, Any]:
        """The answer to the token request with these form fields: RFC 6749 section 5.1.

        authorization: the header, if one was sent. source: the caller's address. Raises `TokenError`.
        """
        self._attempt(source)
        fields = request_fields(form, "grant_type", "scope")
        if fields["grant_type"] != GRANT_TYPE:
            raise TokenError(400, "unsupported_grant_type", f"The grant_type here is {GRANT_TYPE}.")
        proven = await self._clients.client(fields, now, authorization, source)
        scope, purposes = granted(fields["scope"], proven)
        return {
            "access_token": self._tokens.issue(
                proven.registration.client_id, scope, purposes, int(now.timestamp())
            ),
            "token_type": "bearer",
            "expires_in": TOKEN_SECONDS,
            "scope": scope,
        }

    async def introspect(
        self,
        form: Sequence[tuple[str, str]],
        now: datetime,
        authorization: str | None = None,
        source: str | None = None,
    ) -> dict[str, Any]:
        """What is known of a token: RFC 7662 section 2.2, with the members that SMART 2.2 asks for.

        The client authenticates as at the token endpoint, or with an access token of its own (SMART 2.2). It
        learns of its own tokens, and of all if it is registered to. Raises `TokenError`.
        """
        self._attempt(source)
        fields = request_fields(form, "token")
        asking = await self._asking(fields, now, authorization, source)
        known = self._known(fields["token"].encode(errors="replace"), now)
        if known is None or not (asking.introspects or asking.client_id == known.client_id):
            return dict(_INACTIVE)
        registered = self._registration(known.client_id)
        if registered is None or not registered.active:
            return dict(_INACTIVE)
        left = scopes.still(known.scopes, registered.scopes)
        if not left:
            return dict(_INACTIVE)
        return {
            "active": True,
            "scope": known.scope if left == known.scopes else " ".join(sorted(left)),
            "client_id": known.client_id,
            "sub": known.client_id,
            "token_type": "bearer",
            "iss": self.issuer,
            "aud": self.audience,
            "iat": known.issued,
            "exp": known.expires,
        }

    async def revoke(
        self,
        form: Sequence[tuple[str, str]],
        now: datetime,
        authorization: str | None = None,
        source: str | None = None,
    ) -> None:
        """Takes back a token of the client that asks: RFC 7009. Durable when this returns.

        A token that is not good anyway is no error; `token_type_hint` is not needed. Raises `TokenError`.
        """
        self._attempt(source)
        fields = request_fields(form, "token")
        proven = await self._clients.client(fields, now, authorization, source)
        known = self._known(fields["token"].encode(errors="replace"), now)
        if known is None:
            return
        if known.client_id != proven.registration.client_id:
            raise invalid_grant("The token was issued to another client.")
        if wait := self._revocations.wait(known.client_id):
            raise unavailable(429, "This client takes back too many tokens.", wait)
        await run_in_threadpool(self._tokens.take_back, known)

    # ------------------------------------------------------------ every other request

    def verify(self, authorization: str | None, now: datetime, source: str | None = None) -> Caller:
        """The caller whose access token stands in the `Authorization` header (RFC 6750 section 2.1).

        The registration is looked up at every call: who was suspended is refused at the next request.
        Scopes are for the caller to check, with `scopes.grants`. Raises `Refused` (401, 429).
        """
        token = _bearer(authorization)
        known = self._tokens.recall(token)
        if known is None:
            if wait := self._wait(source):
                raise too_often(wait)
            known = self._tokens.verify(token, now.timestamp())
        if known is None:
            raise _unauthorized("login", "The access token is not one of this server, or was taken back.")
        if known.expires <= now.timestamp():
            raise _unauthorized("expired", "The access token has expired.")
        registered = self._registration(known.client_id)
        if registered is None or not registered.admits(source):
            raise _not_registered()
        return Caller(
            client_id=registered.client_id,
            organization=registered.organization,
            systems=registered.systems,
            scopes=scopes.still(known.scopes, registered.scopes),
            purposes=registered.purposes if known.purposes is None else registered.serves(known.purposes),
            token_digest=known.digest,
        )

    # ------------------------------------------------------------ what is published

    def smart_configuration(self, secrets: bool = False) -> dict[str, Any]:
        """The document at `/fhir/.well-known/smart-configuration`.

        secrets: whether a client is registered here with a secret.
        """
        return smart_configuration(self.issuer, self.token_endpoint, self._scopes_supported, secrets)

    def jwks(self) -> dict[str, Any]:
        """This node's public keys, as registered with the servers where it is a client."""
        return self._ring.jwks()

    # ------------------------------------------------------------ shared

    async def _asking(
        self, fields: Mapping[str, str], now: datetime, authorization: str | None, source: str | None
    ) -> Registration:
        """Who asks about a token."""
        if authorization is None or authorization[:7].lower() != "bearer ":
            return (await self._clients.client(fields, now, authorization, source)).registration
        if {"client_assertion", "client_assertion_type", "client_secret"} & set(fields):
            raise invalid_request("A client may authenticate in one way only.")
        try:
            caller = self.verify(authorization, now, source)
            registered = self._registration(caller.client_id)
            if registered is None or not registered.admits(source):  # since this very moment
                raise _not_registered()
        except Refused as refused:
            message = refused.issues[0].message
            if refused.status == 429:
                raise TokenError(429, "temporarily_unavailable", message, refused.headers) from None
            raise TokenError(401, "invalid_token", message, refused.headers) from None
        return registered

    def _known(self, token: bytes, now: datetime) -> Known | None:
        """A token of this server that is good at this moment."""
        known = self._tokens.recall(token) or self._tokens.verify(token, now.timestamp())
        return known if known is not None and known.expires > now.timestamp() else None

    def _attempt(self, source: str | None) -> None:
        if wait := self._wait(source):
            raise unavailable(429, "Too many requests come from this address.", wait)

    def _wait(self, source: str | None) -> float:
        if self._attempts is None or source is None:
            return 0.0
        return self._attempts.wait(source_name(source))


def _bearer(authorization: str | None) -> bytes:
    """The token of an `Authorization` header; who sent none is told the scheme and nothing more."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer":
        message = "An access token is needed: Authorization: Bearer ..."
        raise Refused(401, [Issue("error", "login", message)], headers={"WWW-Authenticate": "Bearer"})
    if len(token) > MAX_TOKEN_BYTES:
        raise _unauthorized("login", f"An access token may have {MAX_TOKEN_BYTES} bytes.")
    return token.strip(" ").encode(errors="replace")


def _not_registered() -> Refused:
    return _unauthorized("login", "The client is not known here, not active, or not at its address.")


def _unauthorized(code: Literal["login", "expired"], message: str) -> Refused:
    challenge = f'Bearer error="invalid_token", error_description="{message}"'
    return Refused(401, [Issue("error", code, message)], headers={"WWW-Authenticate": challenge})
