"""The signed set of the keys that a node uses day by day: made by its owner, checked by its partners.

A compact JWS (RFC 7515) with `typ` `jwk-set+jwt`, the signed JWK Set of OpenID Federation 1.0, signed by a
federation key, which stands in the directory. So a partner learns a node's new keys from the node itself
and yet believes nobody but the directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, Key
from joserfc.util import urlsafe_b64decode

from gateway.signing.keys import ALGORITHM, CURVE, KeysError, public_jwk

TYPE: Final = "jwk-set+jwt"
MEDIA_TYPE: Final = f"application/{TYPE}"
MOST_KEYS: Final = 32
MOST_BYTES: Final = 65_536
LONGEST: Final = timedelta(days=31)
SKEW: Final = timedelta(minutes=5)
_KEY_TYPE: Final = {"ES384": "EC", "RS384": "RSA"}
_ALGORITHM_OF: Final = {"EC": "ES384", "RSA": "RS384"}
_PUBLIC: Final = {"EC": ("crv", "x", "y"), "RSA": ("n", "e")}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_RSA_BITS: Final = (2048, 8192)
_MALFORMED: Final = (JoseError, msgspec.MsgspecError, ValueError, TypeError, RecursionError)


def signed(
    keys: Iterable[ECKey], federation: ECKey, organization: str, now: datetime, life: timedelta
) -> bytes:
    """The signed set of the public halves of `keys`: `iss` and `sub` are the organization's directory URL."""
    claims = {
        "iss": organization,
        "sub": organization,
        "iat": int(now.timestamp()),
        "exp": int((now + life).timestamp()),
        "keys": [public_jwk(key) for key in keys],
    }
    header = {"alg": ALGORITHM, "typ": TYPE, "kid": federation.thumbprint()}
    payload = msgspec.json.encode(claims)
    return jws.serialize_compact(header, payload, federation, algorithms=[ALGORITHM]).encode("ascii")


def accepted(
    token: bytes, federation_jwks: Mapping[str, Any], organization: str, now: datetime
) -> dict[str, Any]:
    """The keys (a JWK Set) that the signed set `token` adds to those of the directory.

    federation_jwks: the organization's keys as the directory says them; one of them must have signed. Every
    key comes back with `kty`, `kid`, `alg`, `use` and its public members, nothing else; one that the
    directory has as well is left out, so that in both together a `kid` names one key. Raises `KeysError`,
    which names member and rule and repeats no value.
    """
    _signer, claims = opened(token, federation_jwks)
    if claims.iss != organization or claims.sub != organization:
        raise KeysError("the signed key set: iss and sub must be the organization whose keys they are")
    if claims.iat > (now + SKEW).timestamp():
        raise KeysError("the signed key set: iat is in the future; one of the two clocks is wrong")
    if claims.exp <= now.timestamp():
        raise KeysError("the signed key set: exp is over")
    if claims.exp > (now + LONGEST + SKEW).timestamp():
        raise KeysError(f"the signed key set: exp is more than {LONGEST.days} days ahead")
    if not 1 <= len(claims.keys) <= MOST_KEYS:
        raise KeysError(f"the signed key set: keys must be 1 to {MOST_KEYS}")
    found = [_checked(jwk, f"the signed key set: keys[{place}]") for place, jwk in enumerate(claims.keys)]
    names = [jwk["kid"] for jwk, _key in found]
    if len(set(names)) < len(names):
        raise KeysError("the signed key set: each key needs a kid of its own")
    known = {jwk.get("kid"): jwk for jwk in federation_jwks["keys"]}
    added = []
    for jwk, key in found:
        if jwk["kid"] not in known:
            added.append(jwk)
        elif _thumbprint(known[jwk["kid"]]) != key.thumbprint():
            raise KeysError("the signed key set: a kid is that of another key in the directory")
    return {"keys": added}


class SignedKeySet(msgspec.Struct):
    """The claims of a signed key set; others are ignored, as RFC 7519 asks."""

    iss: str
    sub: str
    iat: int
    exp: int
    keys: list[dict[str, Any]]


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    # Nothing else: jwk, jku, x5c and x5u would let the sender choose the key that is to prove who it is.
    alg: Literal["ES384", "RS384"]
    typ: Literal["jwk-set+jwt"]
    kid: str


def opened(token: bytes, federation_jwks: Mapping[str, Any]) -> tuple[str, SignedKeySet]:
    """The `kid` of the one of these keys that signed `token`, and its claims, not checked yet.

    Raises `KeysError`.
    """
    if len(token) > MOST_BYTES:
        raise KeysError(f"the signed key set: longer than {MOST_BYTES} bytes")
    try:
        token = token.strip()
        header, payload, _signature = token.split(b".")
        said = msgspec.json.decode(urlsafe_b64decode(header), type=_Header)
    except _MALFORMED:
        raise KeysError(
            f"the signed key set: not a compact JWS with alg ES384 or RS384, typ {TYPE} and kid, and no more"
        ) from None
    kind = _KEY_TYPE[said.alg]
    named = [jwk for jwk in federation_jwks["keys"] if jwk.get("kid") == said.kid and jwk.get("kty") == kind]
    if len(named) != 1:
        raise KeysError("the signed key set: not signed by a key that the directory has for the organization")
    try:
        jws.deserialize_compact(token, JWKRegistry.import_key(named[0]), algorithms=[said.alg])
        return said.kid, msgspec.json.decode(urlsafe_b64decode(payload), type=SignedKeySet)
    except _MALFORMED:
        raise KeysError(
            "the signed key set: the signature does not verify, or it does not cover iss, sub, iat, exp, keys"
        ) from None


def _checked(jwk: Mapping[str, Any], place: str) -> tuple[dict[str, Any], Key]:
    """A key of the set, as far as it is public and of a kind that is used here."""
    if _PRIVATE & jwk.keys():
        raise KeysError(f"{place}: has a private member; such a key is known to others and must be replaced")
    kind, kid = jwk.get("kty"), jwk.get("kid")
    if kind not in ("EC", "RSA"):
        raise KeysError(f"{place}.kty: must be EC or RSA")
    if not isinstance(kid, str) or not 1 <= len(kid) <= 255:
        raise KeysError(f"{place}.kid: must be there, with at most 255 characters")
    algorithm = _ALGORITHM_OF[kind]
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        raise KeysError(f"{place}: alg must be {algorithm} and use sig, where they stand")
    if "key_ops" in jwk and jwk["key_ops"] != ["verify"]:
        raise KeysError(f"{place}.key_ops: must be verify alone, where it stands")
    public = {name: jwk.get(name) for name in _PUBLIC[kind]}
    if not all(isinstance(value, str) and len(value) <= 1_400 for value in public.values()):
        raise KeysError(f"{place}: {', '.join(public)} must be there, as text")
    members = {"kty": kind, **public, "kid": kid, "alg": algorithm, "use": "sig"}
    try:
        if not _is_strong(public):
            raise ValueError
        return members, JWKRegistry.import_key(members)
    except _MALFORMED:
        raise KeysError(
            f"{place}: must be an EC key on {CURVE}, or an RSA key of {_RSA_BITS[0]} to {_RSA_BITS[1]} bits"
        ) from None


def _is_strong(public: Mapping[str, Any]) -> bool:
    if "crv" in public:
        return bool(public["crv"] == CURVE)
    modulus = int.from_bytes(urlsafe_b64decode(public["n"].encode()))
    return _RSA_BITS[0] <= modulus.bit_length() <= _RSA_BITS[1]


def _thumbprint(jwk: Mapping[str, Any]) -> str:
    return JWKRegistry.import_key(dict(jwk)).thumbprint()
