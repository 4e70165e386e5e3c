"""Which registered client sends a request to an OAuth endpoint, and how it proves that.

`private_key_jwt`: SMART App Launch 2.2 (asymmetric client authentication), RFC 7523 section 3. For older
systems `client_secret_basic` and `client_secret_post`: RFC 6749 section 2.3.1. A client is registered for one
of the two and can use no other; nobody may use two at once.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Any, Final, Protocol
from urllib.parse import unquote_plus

from joserfc.jwk import Key
from starlette.concurrency import run_in_threadpool

from gateway.oauth.allowance import Allowance
from gateway.oauth.assertion import (
    ASSERTION_TYPE,
    CLOCK_SKEW_SECONDS,
    KEY_TYPE,
    Assertion,
    AssertionHeader,
    Narrowed,
    TokenError,
    check_claims,
    invalid_client,
    invalid_request,
    narrowed,
    signed_by,
    unverified_assertion,
)
from gateway.oauth.assertion_keys import Unproven, nobodys_key, usable_key
from gateway.oauth.key_sources import KeySource, KeysUnavailable
from gateway.oauth.registration import Registration

log = logging.getLogger("waymeet.oauth")

CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="oauth"'}
_MAX_CREDENTIALS: Final = 2_048
# One answer for all of it, so that nobody who has not proven anything learns who is registered, or how.
_NOBODY: Final = (
    "The client is not known here, not active, or may not authenticate with this, or from this address."
)
_NO_SECRET: Final = bytes(32)


class Keys(Protocol):
    """Finds a client's public keys: `gateway.oauth.key_sources.KeySources`."""

    async def keys(self, source: KeySource, kid: str, kty: str) -> Sequence[Mapping[str, Any]]:
        """Those with this `kid` and `kty`. Raises KeysUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Proven:
    """A client that has proven who it is, and what its assertion narrows a token to."""

    registration: Registration
    narrowed: Narrowed | None = None


class ClientAuthentication:
    """Authenticates clients at the OAuth endpoints of one identity.

    audiences: what an assertion's `aud` may be. registration: looks up a client by `client_id`. remember:
    `(client_id, jti, expires)` recorded durably; True if it is new, under concurrency for exactly one caller.
    allowance: how much of it each client may do; None: without limit.
    """

    def __init__(
        self,
        audiences: Sequence[str],
        registration: Callable[[str], Registration | None],
        remember: Callable[[str, str, int], bool],
        keys: Keys,
        allowance: Allowance | None = None,
    ) -> None:
        self._audiences = tuple(audiences)
        self._registration = registration
        self._remember = remember
        self._keys = keys
        self._allowance = allowance

    async def client(
        self, fields: Mapping[str, str], now: datetime, authorization: str | None, source: str | None
    ) -> Proven:
        """The client whose credentials stand in these fields or in the `Authorization` header.

        source: the caller's address. Raises TokenError: status 401 with a challenge for who tried the header
        (RFC 6749 section 5.2), 503 when a client's keys cannot be had, 429 for one that asks too often.
        """
        asserted = "client_assertion" in fields or "client_assertion_type" in fields
        if asserted + ("client_secret" in fields) + (authorization is not None) > 1:
            raise invalid_request("A client may authenticate in one way only.")
        if authorization is not None:
            return self._by_header(authorization, fields, source)
        if asserted:
            return await self._by_assertion(fields, int(now.timestamp()), source)
        if "client_secret" not in fields:
            raise invalid_client("No client authentication was sent: client_assertion is missing.")
        if "client_id" not in fields:
            raise invalid_request("The parameter client_id is missing.")
        return self._by_secret(fields["client_id"], fields["client_secret"], source)

    def _by_header(self, authorization: str, fields: Mapping[str, str], source: str | None) -> Proven:
        try:
            client_id, secret = _basic(authorization)
            if fields.get("client_id", client_id) != client_id:
                raise invalid_client("client_id must be the one of the Authorization header.")
            return self._by_secret(client_id, secret, source)
        except TokenError as error:
            if error.error == "invalid_client":
                raise TokenError(401, error.error, error.description, CHALLENGE) from None
            raise

    def _by_secret(self, client_id: str, secret: str, source: str | None) -> Proven:
        registered = self._registration(client_id)
        held = registered.secret if registered else None
        # Compared in every case, so that the time taken does not tell who is registered.
        shown = hashlib.sha256(secret.encode(errors="replace")).digest()
        same = compare_digest(shown, held or _NO_SECRET)
        if not (registered and held and same) or registered.keys or not registered.admits(source):
            raise invalid_client(_NOBODY)
        self._count(registered)
        return Proven(registered)

    async def _by_assertion(self, fields: Mapping[str, str], now: int, source: str | None) -> Proven:
        """RFC 7523 section 3, and SMART 2.2, "Signature Verification"."""
        for name in ("client_assertion_type", "client_assertion"):
            if name not in fields:
                raise invalid_request(f"The parameter {name} is missing.")
        if fields["client_assertion_type"] != ASSERTION_TYPE:
            raise invalid_client("The client_assertion_type is not supported.")
        assertion = fields["client_assertion"].encode(errors="replace")
        header, claims = unverified_assertion(assertion)
        check_claims(claims, self._audiences, now)
        if fields.get("client_id", claims.iss) != claims.iss:
            raise invalid_client("client_id must be the assertion's iss.")
        registered = self._registration(claims.iss)
        fault = ""
        try:
            key = await self._registered_key(registered, header, source)
        except Unproven as unproven:
            fault, key = str(unproven), nobodys_key(header.alg)
        proven = await run_in_threadpool(self._prove, registered, fault, assertion, key, header.alg, claims)
        return Proven(proven, narrowed(claims))

    async def _registered_key(
        self, registered: Registration | None, header: AssertionHeader, source: str | None
    ) -> Key:
        """The registered key that an assertion names. Raises Unproven, and TokenError (503)."""
        if registered is None or registered.secret or not registered.keys or not registered.admits(source):
            raise Unproven("the client is not known, not active, has a secret, or is not at its address")
        if header.jku is not None and header.jku != registered.jku:
            raise Unproven("the assertion's jku must be the URL that is registered")
        try:
            found = await self._keys.keys(registered.keys, header.kid, KEY_TYPE[header.alg])
        except KeysUnavailable as fault:
            raise unavailable(503, "The client's keys cannot be had now.", fault.retry_after) from None
        return usable_key(found)

    def _prove(
        self,
        registered: Registration | None,
        fault: str,
        assertion: bytes,
        key: Key,
        algorithm: str,
        claims: Assertion,
    ) -> Registration:
        """What costs most, and what waits for the disk: not for the event loop. Raises TokenError.

        fault: why this cannot be proven; the signature is checked nevertheless. The registration, if it can.
        """
        if not signed_by(assertion, key, algorithm):
            fault = fault or "the assertion's signature does not verify with the registered key"
        if registered is None or fault:
            log.info("an assertion proves nothing: %s", fault)
            raise invalid_client(_NOBODY)
        self._count(registered)
        # Last, so that only who holds the key can have anything recorded.
        if not self._remember(claims.iss, claims.jti, int(claims.exp) + CLOCK_SKEW_SECONDS + 1):
            raise invalid_client("The assertion's jti was used before.")
        return registered

    def _count(self, registered: Registration) -> None:
        # Once it has proven who it is, or anybody could use up what is its own.
        wait = self._allowance.wait(registered.client_id) if self._allowance else 0.0
        if wait:
            raise unavailable(429, "This client asks too often.", wait)


def unavailable(status: int, description: str, seconds: float) -> TokenError:
    """The answer to who should come again after `seconds`: 429 or 503 with `Retry-After`.

    RFC 6749 section 5.2 has no code for it; `temporarily_unavailable` is that of its section 4.1.2.1.
    """
    return TokenError(status, "temporarily_unavailable", description, {"Retry-After": str(_whole(seconds))})


def _whole(seconds: float) -> int:
    return max(1, -int(-seconds // 1))


def _basic(authorization: str) -> tuple[str, str]:
    """Client id and secret of an `Authorization: Basic` header, form-decoded as RFC 6749 2.3.1 says."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _MAX_CREDENTIALS:
        raise invalid_client("The Authorization header must be Basic.")
    try:
        text = base64.b64decode(encoded.strip(" "), validate=True).decode()
        client_id, separator, secret = text.partition(":")
        if not separator:
            raise ValueError
        return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except ValueError:
        raise invalid_client("The Authorization header is not well-formed.") from None
