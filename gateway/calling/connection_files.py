"""Connections as the configuration writes them, with their secrets and keys in files of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import ECKey, RSAKey

from gateway.calling.connection import RSA_ALGORITHM, Connection
from gateway.signing import keys
from gateway.signing.key_files import KeyFileError, read_secret
from gateway.signing.operational import KeyRing, Signing

_SHORTEST_RSA: Final = 2048


class _Written(msgspec.Struct, forbid_unknown_fields=True):
    """The members of one connection; files are named relative to the configuration."""

    profile: str
    token_endpoint: str = ""
    audience: str = ""
    client_id: str = ""
    secret: str = ""
    secret_in: Literal["basic", "post"] = "basic"  # noqa: S105 - a place, no secret
    key: str = ""
    algorithm: Literal["ES384", "RS384"] = "ES384"
    kid: str = ""
    scope: str = ""
    fhir_base: str = ""
    purposes: bool = False


def read(
    written: Mapping[str, Any],
    folder: Path,
    client_id: str,
    ring: Signing,
    passphrase: str | None = None,
    *,
    webhook: bool = False,
) -> Connection:
    """The connection that the configuration writes as `written`.

    folder: where its files are named from. client_id, ring: what this node is called and signs with where
    `written` does not say otherwise. passphrase: for a `key` that is encrypted, if not the one in the file
    that the environment names. webhook: it is for an own system, of which the directory knows nothing. Raises
    ValueError, which names the member and no value, and `KeysError` for a file that must not be used.
    """
    try:
        found = msgspec.convert(written, _Written)
    except msgspec.ValidationError as error:
        raise ValueError(_rule(error)) from None
    if webhook and found.profile != "none" and not found.token_endpoint:
        raise ValueError("token_endpoint: the connection of a webhook needs it")
    if webhook and found.fhir_base:
        raise ValueError("fhir_base: the connection of a webhook has none")
    signer: dict[str, Any] = {"ring": ring}
    if found.key:
        signer = _own_key(folder / found.key, found.algorithm, passphrase)
    elif found.algorithm == RSA_ALGORITHM:
        raise ValueError(f"key: {RSA_ALGORITHM} needs a key of its own, in a file")
    if found.kid and "key" not in signer:
        raise ValueError(
            f"kid: only a {RSA_ALGORITHM} key has a name of its own; others have their thumbprint"
        )
    return Connection(
        found.profile,
        found.token_endpoint,
        found.audience,
        found.client_id or client_id,
        secret_file(folder / found.secret) if found.secret else None,
        kid=found.kid,
        secret_in=found.secret_in,
        scope=found.scope,
        fhir_base=found.fhir_base.rstrip("/"),
        purposes=found.purposes,
        **signer,
    )


def secret_file(path: Path) -> Callable[[], str]:
    """Gives the secret in `path`, read anew at each call so that a new one needs no restart.

    It is read once at once. Raises `KeyFileError` here and when called: for a file that is open to others, or
    holds anything but one line of plain ASCII.
    """

    def read_it() -> str:
        try:
            found = read_secret(path).decode("ascii").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise KeyFileError(f"{path}: a secret is one line of plain ASCII") from None
        if not found or not found.isprintable() or found != found.strip():
            raise KeyFileError(f"{path}: a secret is one line, without blanks around it")
        return found

    read_it()
    return read_it


def public_jwks(connection: Connection) -> dict[str, Any]:
    """The JWK Set to register with the other side (RFC 7517); without a key there is none in it."""
    if connection.key is not None:
        public = connection.key.as_dict(private=False)
        named = {"kid": connection.kid or connection.key.thumbprint(), "alg": RSA_ALGORITHM, "use": "sig"}
        return {"keys": [{name: public[name] for name in ("kty", "n", "e")} | named]}
    return {"keys": []} if connection.ring is None else connection.ring.jwks()


def _own_key(path: Path, algorithm: str, passphrase: str | None) -> dict[str, Any]:
    if algorithm == RSA_ALGORITHM:
        return {"key": _rsa_key(path, passphrase)}
    key: ECKey = keys.load(path, passphrase)
    return {"ring": KeyRing.of(key)}


def _rsa_key(path: Path, passphrase: str | None) -> RSAKey:
    content = read_secret(path)
    try:
        try:
            key = load_pem_private_key(content, password=None)
        except TypeError:  # it is encrypted
            opened_with = passphrase or keys.stated_passphrase()
            key = load_pem_private_key(content, password=opened_with.encode() if opened_with else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's message may quote the file; ours does not.
        raise KeyFileError(f"{path}: is not a private key in PEM that can be opened") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < _SHORTEST_RSA:
        raise KeyFileError(f"{path}: is not an RSA key of {_SHORTEST_RSA} bits or more")
    return RSAKey.import_key(key)


def _rule(error: msgspec.ValidationError) -> str:
    """msgspec's sentence, which names member and type, without the value that it quotes for an enum."""
    text = str(error)
    return "secret_in or algorithm: is none of the words there are" if "enum" in text else text
