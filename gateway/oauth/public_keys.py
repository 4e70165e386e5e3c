"""Which public keys of others are fit to prove who somebody is.

RFC 7517 (JWK), RFC 7518 section 6, SMART App Launch 2.2: ES384 with a P-384 key or RS384 with an RSA key,
each named by `kid`. A key is copied member by member, so that nothing but its public half goes further.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry
from joserfc.util import urlsafe_b64decode

ALGORITHM: Final = {"EC": "ES384", "RSA": "RS384"}
MAX_KEYS: Final = 64
PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_MIN_RSA_BITS: Final = 2_048
_BASE64URL: Final = "[A-Za-z0-9_-]"
# 48 bytes a coordinate; a modulus of at most 8192 bits and an exponent of at most 64, so that no client can
# register a key that takes seconds to verify with.
_MEMBERS: Final = {
    "EC": {"x": re.compile(_BASE64URL + "{64}"), "y": re.compile(_BASE64URL + "{64}")},
    "RSA": {"n": re.compile(_BASE64URL + "{1,1366}"), "e": re.compile(_BASE64URL + "{1,11}")},
}


class KeySetError(Exception):
    """Text that is no JWK Set of ours; the message names the rule and repeats nothing."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key of a set. members: its public members. fault: why it is not used, or empty."""

    kid: str
    kty: str
    members: Mapping[str, Any]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a set that have a name, fit or not."""

    keys: tuple[PublicKey, ...] = ()

    def named(self, kid: str, kty: str) -> list[Mapping[str, Any]]:
        """The keys with this name and type; none where one of several so named is unfit."""
        found = [key for key in self.keys if key.kid == kid and key.kty == kty]
        # A name that is ambiguous stays so: leaving out the unfit one would make the other look unique.
        return [] if any(key.fault for key in found) else [key.members for key in found]

    @property
    def faults(self) -> tuple[str, ...]:
        """Why some are not used, each reason once."""
        return tuple(dict.fromkeys(key.fault for key in self.keys if key.fault))


class _Set(msgspec.Struct):
    keys: list[dict[str, Any]]


def decoded(body: bytes) -> KeySet:
    """The JWK Set (RFC 7517 section 5) in `body`. Raises KeySetError."""
    try:
        return _set(msgspec.json.decode(body, type=_Set).keys)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise KeySetError("is not a JWK Set") from None


def read_set(jwks: Mapping[str, Any]) -> KeySet:
    """The JWK Set `jwks`; an empty object is one without keys. Raises KeySetError."""
    keys = jwks.get("keys", [])
    if not isinstance(keys, list) or not all(isinstance(jwk, dict) for jwk in keys):
        raise KeySetError("is not a JWK Set")
    return _set(keys)


def fault(jwk: Mapping[str, Any]) -> str:
    """Why this JWK is not fit to verify with, without any of its values; empty where it is."""
    kind = jwk.get("kty")
    if any(name in jwk for name in PRIVATE):
        return "a key holds private members"
    if not isinstance(kind, str) or kind not in ALGORITHM:
        return "a key is neither EC nor RSA"
    if kind == "EC" and jwk.get("crv") != "P-384":
        return "an EC key is not on P-384"
    if jwk.get("use", "sig") != "sig":
        return "a key is not for signatures (use)"
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return "a key is not for verifying (key_ops)"
    if jwk.get("alg", ALGORITHM[kind]) != ALGORITHM[kind]:
        return f"a key is for another algorithm than {ALGORITHM[kind]} (alg)"
    for name, form in _MEMBERS[kind].items():
        if not isinstance(value := jwk.get(name), str) or not form.fullmatch(value):
            return f"a key's {name} is missing or not of its form"
    return ""


def registration_fault(jwk: Mapping[str, Any]) -> str:
    """Like `fault`, and what takes longer to find out: whether it has a name and is a key at all."""
    if found := fault(jwk):
        return found
    if not _kid(jwk):
        return "a key has no kid"
    try:
        if jwk["kty"] == "RSA" and _bits(jwk["n"]) < _MIN_RSA_BITS:
            return f"an RSA key has fewer than {_MIN_RSA_BITS} bits"
        key = JWKRegistry.import_key(public_members(jwk))
        key.public_key  # noqa: B018 - joserfc looks at the numbers only now
    except (JoseError, ValueError):
        return "a key's numbers are not those of a public key"
    return ""


def _set(keys: list[dict[str, Any]]) -> KeySet:
    if len(keys) > MAX_KEYS:
        raise KeySetError(f"has more than {MAX_KEYS} keys")
    named = ((_kid(jwk), jwk.get("kty"), jwk) for jwk in keys)
    return KeySet(
        tuple(
            PublicKey(kid, kty, {}, found)
            if (found := fault(jwk))
            else PublicKey(kid, kty, public_members(jwk))
            for kid, kty, jwk in named
            if kid and isinstance(kty, str)
        )
    )


def _kid(jwk: Mapping[str, Any]) -> str:
    kid = jwk.get("kid")
    return kid if isinstance(kid, str) and len(kid) <= 255 else ""


def _bits(number: str) -> int:
    return int.from_bytes(urlsafe_b64decode(number.encode()), "big").bit_length()


def public_members(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """The public half of a JWK that is fit: what it is, its numbers, and its name where it has one."""
    kind = jwk["kty"]
    curve = {"crv": jwk["crv"]} if kind == "EC" else {}
    numbers = {name: jwk[name] for name in _MEMBERS[kind]}
    return {"kty": kind, **curve, **numbers, "kid": jwk.get("kid", ""), "alg": ALGORITHM[kind], "use": "sig"}
