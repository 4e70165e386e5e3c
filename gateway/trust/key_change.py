"""The form of a key change: a compact JWS (RFC 7515), ES384, by which an old key names those after it.

Header: `alg`, `typ` `waymeet-key-change+jwt`, and `jwk`, the public key that signed (section 4.1.3). Claims:
`sub` the organisation, `keys` the RFC 7638 thumbprints of all keys of the next set, `iat`.
"""

from __future__ import annotations

import base64
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

TYPE: Final = "waymeet-key-change+jwt"
MOST_BYTES: Final = 16_384


class SigningKey(Struct, forbid_unknown_fields=True):
    """The public half of the key that signed."""

    kty: Literal["EC"]
    crv: Literal["P-384"]
    x: str
    y: str


class Header(Struct, forbid_unknown_fields=True):
    """alg, typ: the only ones there are."""

    alg: Literal["ES384"]
    typ: Literal["waymeet-key-change+jwt"]
    jwk: SigningKey


class Claims(Struct, forbid_unknown_fields=True):
    """sub: a directory URL. keys: thumbprints. iat: seconds since 1970."""

    sub: str
    keys: Annotated[tuple[str, ...], Meta(min_length=1)]
    iat: int


def read(statement: str) -> tuple[Header, Claims] | None:
    """What `statement` says, its signature unchecked; None if it has not the form."""
    if len(statement) > MOST_BYTES or statement.count(".") != 2:
        return None
    header, payload, _signature = statement.split(".")
    try:
        said = msgspec.json.decode(_bytes(header), type=Header)
        return said, msgspec.json.decode(_bytes(payload), type=Claims)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
