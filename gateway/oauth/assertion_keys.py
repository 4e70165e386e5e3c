"""The one key to verify a client assertion with, and one that nobody holds where there is none.

SMART App Launch 2.2, asymmetric client authentication, "Signature Verification".
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, RSAKey
from joserfc.util import urlsafe_b64encode

from gateway.signing import keys

_MIN_RSA_BITS: Final = 2048
# Made anew in each process. Of the RSA key not even we know the factors.
_NOBODYS: Final[dict[str, Mapping[str, Any]]] = {
    "ES384": keys.public_jwk(keys.generate()),
    "RS384": {
        "kty": "RSA",
        "n": urlsafe_b64encode(b"\xff" + secrets.token_bytes(254) + b"\x01").decode(),
        "e": "AQAB",
    },
}


class Unproven(Exception):  # noqa: N818 - it says what the assertion did
    """Why a client's assertion proves nothing, without values: for the log, never for who sent it."""


def usable_key(found: Sequence[Mapping[str, Any]]) -> Key:
    """The one registered key that an assertion's header names: exactly one by `kid` and `kty`.

    found: the registered keys with that kid and kty. Raises Unproven.
    """
    if len(found) != 1:
        raise Unproven("the assertion's kid and alg must name exactly one registered key")
    try:
        key = JWKRegistry.import_key(dict(found[0]))
        short = isinstance(key, RSAKey) and key.public_key.key_size < _MIN_RSA_BITS
    except (JoseError, ValueError):
        raise Unproven("the registered key is not usable") from None
    if key.is_private:
        raise Unproven("the registered key is not usable")
    if short:
        raise Unproven("the registered key is too short")
    return key


def nobodys_key(algorithm: str) -> Key:
    """A key that verifies nothing, read as a registered one is, so that the work is alike."""
    return usable_key([_NOBODYS[algorithm]])
