"""What the convening body and participants sign: a compact JWS (RFC 7515) with a `typ` of its own each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from gateway.signing.keys import ALGORITHM
from gateway.trust.directory_form import DirectoryError

Key: TypeAlias = ECKey | RSAKey

# joserfc's limit for a payload in base64url; a manifest of 1,024 shards needs three quarters of it.
MAX_PAYLOAD: Final = jws.default_registry.max_payload_length
_RSA_ALGORITHM: Final = "RS384"


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    alg: str
    typ: str
    kid: str


def name_of(key: Key) -> str:
    """By which `kid` a key goes: its thumbprint, or for an RSA key what its owner calls it."""
    return (key.kid if isinstance(key, RSAKey) else None) or key.thumbprint()


def algorithm_of(key: Key) -> str:
    """The one algorithm that a key signs with."""
    return _RSA_ALGORITHM if isinstance(key, RSAKey) else ALGORITHM


def signed(payload: bytes, typ: str, key: Key, where: str) -> str:
    """The compact JWS of `payload` under the private `key`. Raises DirectoryError where it is too long."""
    algorithm = algorithm_of(key)
    text = jws.serialize_compact(
        {"alg": algorithm, "typ": typ, "kid": name_of(key)}, payload, key, algorithms=[algorithm]
    )
    if len(text.split(".")[1]) > MAX_PAYLOAD:
        raise DirectoryError(f"{where}: is too long: {MAX_PAYLOAD} bytes in base64url are the limit")
    return text


def verified(text: bytes, typ: str, keys: Sequence[Key], where: str, whose: str) -> tuple[bytes, Key]:
    """The payload of the JWS in `text`, and which of `keys` was found to have signed it.

    where: begins the message. whose: what these keys are, in words. Raises DirectoryError.
    """
    payload, header = _opened(text, typ, where)
    key = next((one for one in keys if name_of(one) == header.kid), None)
    if key is None or algorithm_of(key) != header.alg:
        raise DirectoryError(f"{where}: kid: is not signed by {whose}")
    try:
        jws.deserialize_compact(text, key, algorithms=[header.alg])
    except (JoseError, ValueError, TypeError):
        raise DirectoryError(f"{where}: the signature does not verify") from None
    return payload, key


def unverified(text: bytes, typ: str, where: str) -> bytes:
    """The payload of a JWS whose key is named in it, to be verified next. Raises DirectoryError."""
    return _opened(text, typ, where)[0]


def _opened(text: bytes, typ: str, where: str) -> tuple[bytes, _Header]:
    try:
        found: Any = jws.extract_compact(text)
        header = msgspec.json.decode(msgspec.json.encode(found.headers()), type=_Header)
    except (JoseError, msgspec.MsgspecError, ValueError, TypeError, AttributeError, RecursionError):
        header = None
    if header is None or header.alg not in (ALGORITHM, _RSA_ALGORITHM) or header.typ != typ:
        raise DirectoryError(
            f"{where}: is not a compact JWS with alg {ALGORITHM}, typ {typ} and kid, or longer than "
            f"{MAX_PAYLOAD} bytes"
        )
    return found.payload, header
