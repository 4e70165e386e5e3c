"""Signatures under an agreement: made with a party's key, and checked against the keys that it lists.

What is signed are the *terms*: the agreement as RFC 8785 writes JSON (members in order, no white space),
without the members in `OUTSIDE`. A signature is a compact JWS with detached content (RFC 7515, appendix F),
ES384 or RS384, whose header holds `alg`, `typ` and the public `jwk` and nothing else. It counts when the
key's RFC 7638 thumbprint is among those that the terms list for that party. So whoever signs also says
which keys may speak for the others.

`status` stays outside because it must be possible to stop at once and alone: every party's signature brings
an agreement into force, and one party's word ends it. `consent.agreement_status` has the signed form of
that word.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

OUTSIDE: Final = ("status", "signatures", "statements")
TYPE: Final = "waymeet-agreement+jws"
ALGORITHMS: Final = ("ES384", "RS384")
MAX_BYTES: Final = 128_000
_MIN_RSA_BITS: Final = 2048

Key = ECKey | RSAKey


class _Registry(jws.JWSRegistry):
    """joserfc's limits, with room for an RSA key in the header and for `MAX_BYTES` in base64."""

    max_header_length = 4096
    max_payload_length = 2 * MAX_BYTES


# One for each, so that a header can never choose between them.
_ONLY: Final = {algorithm: _Registry(algorithms=[algorithm]) for algorithm in ALGORITHMS}


class SigningError(ValueError):
    """Something that cannot be signed; the message says why in plain words."""


@dataclass(frozen=True, slots=True)
class Signature:
    """How one party stands: `reason` in plain words, `thumbprint` of the key that signed where one did."""

    organization: str
    state: Literal["signed", "missing", "bad"]
    reason: str
    thumbprint: str = ""


def canonical(value: Any) -> bytes:
    """`value` as RFC 8785 writes it. Raises SigningError for what has no one form in JSON."""
    # Our schema knows only ASCII keys and no fractions, and for these Python writes what RFC 8785 asks.
    try:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
        written = text.encode("utf-8")
    except (UnicodeEncodeError, ValueError):
        raise SigningError("It holds a character or a number that JSON cannot carry.") from None
    if len(written) > MAX_BYTES:
        raise SigningError(f"It is longer than the {MAX_BYTES} bytes that can be signed.")
    return written


def terms(document: Mapping[str, Any]) -> bytes:
    """The bytes that every party signs. Raises SigningError."""
    return canonical({name: value for name, value in document.items() if name not in OUTSIDE})


def terms_digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of the terms in hex: two files with the same one say the same."""
    return hashlib.sha256(terms(document)).hexdigest()


def sign(document: Mapping[str, Any], organization: str, key: Key) -> dict[str, Any]:
    """The agreement with the signature of `organization` in it, in place of an earlier one of that party.

    The last signature that was missing makes a draft active. Raises SigningError when the party or the key
    is not in the terms: writing it in now would change what the others have signed.
    """
    keys = listed_keys(document, organization)
    if keys is None:
        raise SigningError(f"{organization} is not a party of this agreement.")
    if key.thumbprint() not in keys:
        raise SigningError(
            f"The agreement does not list this key for {organization}. Its thumbprint {key.thumbprint()} "
            "has to stand among that party's keys before anyone signs."
        )
    others = [one for one in document.get("signatures", ()) if one["organization"] != organization]
    signature = {"organization": organization, "jws": sign_bytes(terms(document), key, TYPE)}
    signed = {**document, "signatures": [*others, signature]}
    if signed["status"] == "draft" and all(one.state == "signed" for one in verify(signed)):
        signed["status"] = "active"
    return signed


def verify(document: Mapping[str, Any]) -> tuple[Signature, ...]:
    """How each party stands, in the order of the parties. Raises SigningError."""
    content = terms(document)
    held = {one["organization"]: one["jws"] for one in document.get("signatures", ())}
    return tuple(_of_party(one, held.get(one["organization"]), content) for one in document["parties"])


def listed_keys(document: Mapping[str, Any], organization: str) -> Sequence[str] | None:
    """The thumbprints that the terms list for a party; None when it is not one."""
    for one in document["parties"]:
        if one["organization"] == organization:
            found: Sequence[str] = one.get("keys", ())
            return found
    return None


def sign_bytes(content: bytes, key: Key, kind: str) -> str:
    """A compact JWS over `content`, which it does not repeat, with `typ` `kind`. Raises SigningError."""
    if isinstance(key, RSAKey) and key.public_key.key_size < _MIN_RSA_BITS:
        raise SigningError(f"An RSA key needs {_MIN_RSA_BITS} bits.")
    if isinstance(key, ECKey) and key.curve_name != "P-384":
        raise SigningError("An EC key has to be on P-384, which is what ES384 signs with.")
    algorithm = "ES384" if isinstance(key, ECKey) else "RS384"
    members = key.as_dict(private=False)
    public = {
        name: members[name] for name in (("kty", "crv", "x", "y") if "crv" in members else ("kty", "n", "e"))
    }
    header = {"alg": algorithm, "typ": kind, "jwk": public}
    signed: str = jws.detach_content(jws.serialize_compact(header, content, key, registry=_ONLY[algorithm]))
    return signed


def check_bytes(token: str, content: bytes, keys: Sequence[str], kind: str) -> tuple[str, str]:
    """What is wrong with a signature over `content` by one of `keys`, and the thumbprint of its key.

    Nothing is wrong: an empty text.
    """
    try:
        encoded, payload, signature = token.split(".")
        header = msgspec.json.decode(urlsafe_b64decode(encoded.encode("ascii")), type=_Header)
        canonical_text = urlsafe_b64encode(urlsafe_b64decode(signature.encode("ascii"))).decode() == signature
    except _MALFORMED:
        return "is not a signature of the form that is asked for", ""
    if header.alg not in ALGORITHMS:
        return f"was not made with one of the algorithms {' and '.join(ALGORITHMS)}", ""
    if header.typ != kind or payload or not canonical_text:
        return "is not a signature of the form that is asked for", ""
    try:
        key = _public_key(header)
    except _MALFORMED:
        return "brings a key that is no public key for its algorithm", ""
    thumbprint = key.thumbprint()
    if thumbprint not in keys:
        return "was made with a key that the agreement does not list for this party", thumbprint
    try:
        jws.deserialize_compact(token, key, registry=_ONLY[header.alg], payload=content)
    except _MALFORMED:
        return (
            "does not fit: what it was put under has been changed since, or another key made it",
            thumbprint,
        )
    return "", thumbprint


def _of_party(party: Mapping[str, Any], token: str | None, content: bytes) -> Signature:
    organization = party["organization"]
    if token is None:
        return Signature(organization, "missing", "has not signed")
    fault, thumbprint = check_bytes(token, content, party.get("keys", ()), TYPE)
    if fault:
        return Signature(organization, "bad", f"its signature {fault}", thumbprint)
    return Signature(organization, "signed", "has signed", thumbprint)


class _EllipticJwk(msgspec.Struct, tag_field="kty", tag="EC", forbid_unknown_fields=True):
    crv: Literal["P-384"]
    x: str
    y: str


class _RsaJwk(msgspec.Struct, tag_field="kty", tag="RSA", forbid_unknown_fields=True):
    n: str
    e: str


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    # Nothing else: jku, x5u and crit would let the signer say where to look or what to leave out.
    alg: str
    typ: str
    jwk: _EllipticJwk | _RsaJwk


# What joserfc, msgspec and base64 raise for text that is not of this shape.
_MALFORMED: Final = (JoseError, msgspec.MsgspecError, ValueError, TypeError, RecursionError)


def _public_key(header: _Header) -> Key:
    """The key of a header. Raises one of `_MALFORMED` when it is too short or of another algorithm."""
    members = msgspec.to_builtins(header.jwk)
    if isinstance(header.jwk, _EllipticJwk):
        if header.alg != "ES384":
            raise ValueError("an EC key signs with ES384")
        return ECKey.import_key(members)
    if header.alg != "RS384":
        raise ValueError("an RSA key signs with RS384")
    key = RSAKey.import_key(members)
    if key.public_key.key_size < _MIN_RSA_BITS:
        raise ValueError("too short")
    return key
