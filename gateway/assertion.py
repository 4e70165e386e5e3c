"""A token request and the signed assertion in it: read, bounded, and checked against what is registered.

SMART App Launch 2.2 (asymmetric client authentication), RFC 7523 section 3, RFC 6749 sections 3.2 and 5.2.
Nothing here knows who is registered or remembers anything: that is for `gateway.authenticate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, RSAKey
from joserfc.util import urlsafe_b64decode

GRANT_TYPE: Final = "client_credentials"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS: Final = 300
CLOCK_SKEW_SECONDS: Final = 10
MAX_FORM_BYTES: Final = 16_384
MAX_TOKEN_BYTES: Final = 8_192
KEY_TYPE: Final = {"ES384": "EC", "RS384": "RSA"}
_MAX_FIELDS: Final = 32
_MIN_RSA_BITS: Final = 2048


class TokenError(Exception):
    """A token request that is refused: RFC 6749 section 5.2.

    status: HTTP status. error: the RFC's code. description: the rule that was broken, without any value
    that was sent.
    """

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.status = status
        self.error = error
        self.description = description

    def body(self) -> dict[str, str]:
        """The JSON object to answer with; it goes out with `NO_STORE` as headers."""
        return {"error": self.error, "error_description": self.description}


class AssertionHeader(msgspec.Struct, forbid_unknown_fields=True):
    """The header of a client assertion."""

    # Nothing else: jwk, jku, x5c and x5u would let the caller choose the key that is to prove who it is.
    alg: Literal["ES384", "RS384"]
    kid: str
    typ: str = "JWT"


_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Assertion(msgspec.Struct):
    """The claims of a client assertion that matter here; others are ignored, as RFC 7519 asks."""

    iss: _Name
    sub: _Name
    aud: str
    exp: int | float
    jti: _Name
    iat: int | float = 0
    nbf: int | float = 0


def read_form(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """The fields of a token request in their order. Raises `TokenError` when it is no bounded form."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise TokenError(400, "invalid_request", "The body must be application/x-www-form-urlencoded.")
    if len(body) > MAX_FORM_BYTES:
        raise TokenError(400, "invalid_request", f"The body may have {MAX_FORM_BYTES} bytes.")
    try:
        text = body.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise TokenError(400, "invalid_request", "The body is not a well-formed form.") from None


# What joserfc and msgspec raise for text from outside that is not a JWS of this shape.
MALFORMED: Final = (JoseError, msgspec.MsgspecError, ValueError, RecursionError)


def request_fields(form: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The fields by name: RFC 6749 section 3.2 (none twice, an empty one is one left out)."""
    fields: dict[str, str] = {}
    for name, value in form:
        if name in fields:
            raise TokenError(400, "invalid_request", "A parameter was sent twice.")
        fields[name] = value
    fields = {name: value for name, value in fields.items() if value}
    for name in ("grant_type", "scope", "client_assertion_type", "client_assertion"):
        if name not in fields:
            raise TokenError(400, "invalid_request", f"The parameter {name} is missing.")
    return fields


def unverified_assertion(assertion: bytes) -> tuple[AssertionHeader, Assertion]:
    """Header and claims, not yet to be believed. Raises TokenError."""
    if len(assertion) > MAX_TOKEN_BYTES:
        raise invalid_client(f"The assertion may have {MAX_TOKEN_BYTES} bytes.")
    try:
        header, payload = parts(assertion)
        decoded = msgspec.json.decode(header, type=AssertionHeader)
    except MALFORMED:
        raise invalid_client(
            f"The assertion must be a JWT whose header has alg ({' or '.join(KEY_TYPE)}), kid and typ only."
        ) from None
    if decoded.typ.upper() != "JWT":
        raise invalid_client("The assertion's typ must be JWT.")
    try:
        return decoded, msgspec.json.decode(payload, type=Assertion)
    except MALFORMED:
        raise invalid_client(
            "The assertion must hold iss, sub, aud (one string), exp (a number) and jti."
        ) from None


def registered_key(jwks: Mapping[str, Any], header: AssertionHeader) -> Key:
    """The one registered key that the header names. SMART 2.2: exactly one by kid and kty, else fail."""
    kind = KEY_TYPE[header.alg]
    named = [jwk for jwk in jwks["keys"] if jwk.get("kid") == header.kid and jwk.get("kty") == kind]
    if len(named) != 1:
        raise invalid_client("The assertion's kid and alg must name exactly one registered key.")
    try:
        key = JWKRegistry.import_key(named[0])
    except (JoseError, ValueError):
        raise invalid_client("The registered key is not usable.") from None
    if isinstance(key, RSAKey) and key.public_key.key_size < _MIN_RSA_BITS:
        raise invalid_client("The registered key is too short.")
    return key


def parts(token: bytes) -> tuple[bytes, bytes]:
    """Header and payload of a compact JWS, decoded as joserfc decodes them when it verifies."""
    header, payload, _signature = token.split(b".")
    return urlsafe_b64decode(header), urlsafe_b64decode(payload)


def signed_by(token: bytes, key: Key, algorithm: str) -> bool:
    """Whether `key` signed this compact JWS with exactly this algorithm."""
    try:
        jws.deserialize_compact(token, key, algorithms=[algorithm])
    except MALFORMED:
        return False
    return True


def invalid_client(description: str) -> TokenError:
    """The refusal of a client's proof of who it is."""
    # 400 as in RFC 7523 section 3.2: HTTP's 401 would need a challenge, and there is no scheme to name.
    return TokenError(400, "invalid_client", description)


def check_claims(claims: Assertion, audiences: Sequence[str], now: int) -> None:
    """Refuse an assertion that is not for this server, not by one client, or not of this time."""
    if claims.iss != claims.sub:
        raise invalid_client("The assertion's iss and sub must both be the client_id.")
    if claims.aud not in audiences:
        raise invalid_client("The assertion's aud must be this server's token URL or issuer.")
    if claims.exp <= now - CLOCK_SKEW_SECONDS:
        raise invalid_client("The assertion has expired.")
    if claims.exp > now + ASSERTION_SECONDS + CLOCK_SKEW_SECONDS:
        raise invalid_client(f"The assertion's exp may be {ASSERTION_SECONDS} seconds ahead.")
    if max(claims.iat, claims.nbf) > now + CLOCK_SKEW_SECONDS:
        raise invalid_client("The assertion is not valid yet.")
