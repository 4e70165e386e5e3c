"""A token request and the signed assertion in it: read, bounded, and checked against what is registered.

SMART App Launch 2.2 (asymmetric client authentication), RFC 7523 section 3, RFC 6749 sections 3.2 and 5.2,
and the `hl7-b2b` extension of the FAST security guide (UDAP).
Nothing here knows who is registered or remembers anything: that is for `gateway.oauth.client_authentication`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal
from urllib.parse import parse_qsl

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key
from joserfc.util import urlsafe_b64decode

GRANT_TYPE: Final = "client_credentials"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS: Final = 300
CLOCK_SKEW_SECONDS: Final = 10
MAX_FORM_BYTES: Final = 16_384
MAX_TOKEN_BYTES: Final = 8_192
KEY_TYPE: Final = {"ES384": "EC", "RS384": "RSA"}
_MAX_FIELDS: Final = 32
_MAX_PURPOSES: Final = 32
# v3-ActReason, as its OID and as FHIR's URL for it.
_ACT_REASON: Final = ("urn:oid:2.16.840.1.113883.5.8", "http://terminology.hl7.org/CodeSystem/v3-ActReason")


class TokenError(Exception):
    """A request to one of the OAuth endpoints that is refused: RFC 6749 section 5.2.

    status: HTTP status. error: the RFC's code. description: the rule that was broken, without any value
    that was sent. headers: of the answer, beside `NO_STORE`.
    """

    def __init__(
        self, status: int, error: str, description: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{error}: {description}")
        self.status = status
        self.error = error
        self.description = description
        self.headers = dict(headers or {})

    def body(self) -> dict[str, str]:
        """The JSON object to answer with; it goes out with `NO_STORE` as headers."""
        return {"error": self.error, "error_description": self.description}


# No control characters: PostgreSQL cannot store U+0000, and nobody's name has any of them.
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f]+\Z")]


class AssertionHeader(msgspec.Struct, forbid_unknown_fields=True):
    """The header of a client assertion."""

    # Nothing else: jwk, x5c and x5u would let the caller choose the key that is to prove who it is. jku is
    # compared with what is registered and never followed.
    alg: Literal["ES384", "RS384"]
    kid: _Name
    typ: str = "JWT"
    jku: str | None = None


class Assertion(msgspec.Struct):
    """The claims of a client assertion that matter here; others are ignored, as RFC 7519 asks."""

    iss: _Name
    sub: _Name
    aud: str
    exp: int | float
    jti: _Name
    iat: int | float = 0
    nbf: int | float = 0
    extensions: msgspec.Raw = msgspec.Raw()


class _Business(msgspec.Struct):
    """The members of an `hl7-b2b` extension that are acted on: FAST security 2.0, 5.3.1."""

    version: Literal["1"]
    organization_id: _Name
    purpose_of_use: Annotated[list[_Name], msgspec.Meta(min_length=1, max_length=_MAX_PURPOSES)]


class _Extensions(msgspec.Struct):
    business: _Business | msgspec.UnsetType = msgspec.field(name="hl7-b2b", default=msgspec.UNSET)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What an assertion says its token is for: the purposes (v3-ActReason codes), and on whose behalf."""

    purposes: frozenset[str]
    organization: str


def read_form(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """The fields of a token request in their order. Raises `TokenError` when it is no bounded form."""
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise invalid_request("The body must be application/x-www-form-urlencoded.")
    if len(body) > MAX_FORM_BYTES:
        raise invalid_request(f"The body may have {MAX_FORM_BYTES} bytes.")
    try:
        text = body.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise invalid_request("The body is not a well-formed form.") from None


# What joserfc and msgspec raise for text from outside that is not a JWS of this shape.
MALFORMED: Final = (JoseError, msgspec.MsgspecError, ValueError, RecursionError)


def request_fields(form: Sequence[tuple[str, str]], *needed: str) -> dict[str, str]:
    """The fields by name: RFC 6749 section 3.2 (none twice, an empty one is one left out)."""
    fields: dict[str, str] = {}
    for name, value in form:
        if name in fields:
            raise invalid_request("A parameter was sent twice.")
        fields[name] = value
    fields = {name: value for name, value in fields.items() if value}
    for name in needed:
        if name not in fields:
            raise invalid_request(f"The parameter {name} is missing.")
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
            "The assertion must be a JWT whose header has "
            f"alg ({' or '.join(KEY_TYPE)}), kid, typ and a registered jku only."
        ) from None
    if decoded.typ.upper() != "JWT":
        raise invalid_client("The assertion's typ must be JWT.")
    try:
        return decoded, msgspec.json.decode(payload, type=Assertion)
    except MALFORMED:
        raise invalid_client(
            "The assertion must hold iss, sub, aud (one string), exp (a number) and jti, "
            "and no control characters in them."
        ) from None


def narrowed(claims: Assertion) -> Narrowed | None:
    """What the `hl7-b2b` extension of an assertion narrows its token to; None without one.

    A purpose comes as a bare v3-ActReason code (`TREAT`) or after its code system and `#`, as the guide
    prefers (`urn:oid:2.16.840.1.113883.5.8#TREAT`). Other extensions and members are not acted on, and no
    URL in them is followed. Raises TokenError (`invalid_grant`, as other UDAP servers answer).
    """
    if not bytes(claims.extensions):
        return None
    try:
        extension = msgspec.json.decode(claims.extensions, type=_Extensions).business
    except MALFORMED:
        raise invalid_grant(
            'hl7-b2b must hold version "1", organization_id and purpose_of_use (an array of codes).'
        ) from None
    if isinstance(extension, msgspec.UnsetType):
        return None
    return Narrowed(frozenset(map(_purpose, extension.purpose_of_use)), extension.organization_id)


def _purpose(text: str) -> str:
    system, hash_, code = text.rpartition("#")
    if hash_ and system not in _ACT_REASON:
        raise invalid_grant("purpose_of_use must hold codes of v3-ActReason.")
    return code


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


def invalid_request(description: str) -> TokenError:
    """The refusal of a request that is not well-formed."""
    return TokenError(400, "invalid_request", description)


def invalid_client(description: str) -> TokenError:
    """The refusal of a client's proof of who it is."""
    # 400 as in RFC 7523 section 3.2: HTTP's 401 would need a challenge, and an assertion has no scheme.
    return TokenError(400, "invalid_client", description)


def invalid_grant(description: str) -> TokenError:
    """The refusal of what a proven client asks the token to be for, or of a token that is another's."""
    return TokenError(400, "invalid_grant", description)


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
