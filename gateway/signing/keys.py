"""Signing keys: made, kept on disk and published.

Every key is an EC key on P-384, which is what ES384 signs with (RFC 7518 section 3.4). A key's name is
its RFC 7638 thumbprint, so that two parties who hold the same key call it the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import ECKey

from gateway import durable
from gateway.signing.key_files import (
    FILE_VARIABLE,
    KeyFileError,
    KeyFileMissing,
    KeysError,
    read_secret,
    stated_passphrase,
)

__all__ = [
    "ALGORITHM",
    "CURVE",
    "KeyFileError",
    "KeyFileMissing",
    "KeyLocked",
    "KeysError",
    "generate",
    "load",
    "public_jwk",
    "public_jwks",
    "save",
    "stated_passphrase",
]

ALGORITHM: Final = "ES384"
CURVE: Final = "P-384"
_PUBLIC_MEMBERS: Final = ("kty", "crv", "x", "y")


class KeyLocked(KeyFileError):  # noqa: N818 - a state that is foreseen: the passphrase is kept elsewhere
    """A key that is encrypted, and no passphrase is at hand."""


def generate() -> ECKey:
    """A new private key on P-384."""
    return ECKey.generate_key(CURVE)


def save(path: Path, key: ECKey, passphrase: str | None = None) -> None:
    """Write the private `key` to `path` as PKCS #8 PEM, readable by its owner only, durably.

    With a `passphrase` it is encrypted (PBES2, AES-256). The file is created exclusively: an existing key is
    never overwritten. Raises `FileExistsError`, or `OSError` when it cannot be written; then no half-written
    file is left.
    """
    durable.create(path, key.as_pem(private=True, password=passphrase))


def load(path: Path, passphrase: str | None = None) -> ECKey:
    """The private key in `path`.

    passphrase: for a key that is encrypted; without it, that of the file which the environment names.
    Raises `KeyFileMissing`, `KeyLocked` when it is encrypted and there is no passphrase, or `KeyFileError`
    when the file is open to others (`key_files.read_secret`) or holds anything but one private key on P-384.
    """
    content = read_secret(path)
    try:
        key = load_pem_private_key(content, password=None)
    except TypeError:  # it is encrypted
        key = _unlocked(path, content, passphrase or stated_passphrase())
    except (ValueError, UnsupportedAlgorithm):
        # The library's message may quote the file; ours does not.
        raise KeyFileError(f"{path}: is not a private key in PEM") from None
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


def _unlocked(path: Path, content: bytes, passphrase: str | None) -> Any:
    if passphrase is None:
        raise KeyLocked(
            f"{path}: is encrypted; its passphrase must be in a file that passphrase_file or "
            f"{FILE_VARIABLE} names"
        )
    try:
        return load_pem_private_key(content, password=passphrase.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError(f"{path}: the passphrase does not open this key") from None
