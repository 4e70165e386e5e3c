"""The convening body's keys as files: a private one, and its public half for nodes to pin."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry

from gateway.signing import keys
from gateway.trust.directory_files import replace
from gateway.trust.directory_form import canonical

ANCHOR: Final = "anchor"
NEXT_ANCHOR: Final = "next-anchor"
SUSPENDER: Final = "suspender"


def new_key(folder: Path, name: str) -> ECKey:
    """A key pair: `name`.pem, readable by its owner only, and `name`.pub.json. Raises FileExistsError."""
    key = keys.generate()
    keys.save(folder / f"{name}.pem", key, keys.stated_passphrase())
    replace(
        folder / f"{name}.pub.json", msgspec.json.format(canonical(keys.public_jwk(key)), indent=2) + b"\n"
    )
    return key


def public_key(path: Path) -> ECKey:
    """The public EC key in a JWK file. Raises KeyFileError."""
    try:
        key = JWKRegistry.import_key(msgspec.json.decode(path.read_bytes()))
    except (OSError, msgspec.MsgspecError, JoseError, ValueError, TypeError, AttributeError):
        key = None
    if not isinstance(key, ECKey) or key.is_private or key.curve_name != keys.CURVE:
        raise keys.KeyFileError(f"{path}: is not one public key on {keys.CURVE} as JWK")
    return key
