"""A node's own signing keys: made, kept on disk and published.

Every key is an EC key on P-384, which is what ES384 signs with (RFC 7518 section 3.4). A key's name is
its RFC 7638 thumbprint, so that two parties who hold the same key call it the same.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import ECKey

ALGORITHM: Final = "ES384"
CURVE: Final = "P-384"
_PUBLIC_MEMBERS: Final = ("kty", "crv", "x", "y")
_MAX_FILE: Final = 16_384


class KeysError(Exception):
    """Keys that must not be used; the message names place and rule, never a value."""


class KeyFileError(KeysError):
    """A key file that must not be used; the message names the file and the rule, never its content."""


def generate() -> ECKey:
    """A new private key on P-384."""
    return ECKey.generate_key(CURVE)


def save(path: Path, key: ECKey) -> None:
    """Write the private `key` to `path` as PKCS #8 PEM, readable by its owner only, durably.

    The file is created exclusively: an existing key is never overwritten. Raises `FileExistsError`, or
    `OSError` when it cannot be written; then no half-written file is left.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.as_pem(private=True))
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def load(path: Path) -> ECKey:
    """The private key in `path`.

    Raises `KeyFileError` when the file is missing, is not a regular file, can be read or written by
    anyone but its owner, or holds anything but one unencrypted private key on P-384. A symbolic link is
    followed, as mounted secrets are links; the rules apply to what it points to.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_MAX_FILE)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{path}: is not a regular file")
    if status.st_mode & 0o077:
        raise KeyFileError(f"{path}: others than its owner have access; a private key needs mode 0600")
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's message may quote the file; ours does not.
        raise KeyFileError(f"{path}: is not an unencrypted private key in PEM") from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP384R1):
        raise KeyFileError(f"{path}: is not an EC key on {CURVE}")
    return ECKey.import_key(key)


def public_jwk(key: ECKey) -> dict[str, Any]:
    """The public half of `key` as a JWK (RFC 7517), built up from the members that are public."""
    members = key.as_dict(private=False)
    public: dict[str, Any] = {name: members[name] for name in _PUBLIC_MEMBERS}
    return public | {"kid": key.thumbprint(), "alg": ALGORITHM, "use": "sig"}


def public_jwks(*keys: ECKey) -> dict[str, Any]:
    """The JWK Set to publish for `keys`: SMART Backend Services asks for `kty` and `kid` in each."""
    return {"keys": [public_jwk(key) for key in keys]}


def _sync_directory(folder: Path) -> None:
    # Without this a power loss can take the new name away though the content was synced.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
