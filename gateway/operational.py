"""The keys that one identity of this node signs with, and those that it recognises as its own.

Everything that signs or verifies takes a `Signing`: at each token it is asked anew which key is in use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from joserfc.jwk import ECKey

from gateway.keys import public_jwks
from gateway.operational_jwks import MEDIA_TYPE, accepted

__all__ = ["MEDIA_TYPE", "KeyRing", "Signing", "accepted"]


class Signing(Protocol):
    """What a token server and a client need of an identity's keys. Cheap enough to be asked at each token."""

    @property
    def signing(self) -> ECKey:
        """The private key to sign with at this moment; its `kid` is its thumbprint."""
        ...

    def verifying(self, kid: str) -> ECKey | None:
        """The key of this name, if what it signed is still to be accepted as this identity's own."""
        ...

    def jwks(self) -> dict[str, Any]:
        """The plain JWK Set to publish: the keys in use, those before and after them, the federation key."""
        ...

    def published(self) -> tuple[bytes, str] | None:
        """The signed JWK Set and its media type; None where one key does everything."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    """The keys as they were read last, never changed: a new reading is another one."""

    signing: ECKey
    verifying: Mapping[str, ECKey]
    jwks: dict[str, Any]
    published: tuple[bytes, str] | None = field(default=None, repr=False)


class KeyRing:
    """The keys of one identity."""

    def __init__(self, held: _Held) -> None:
        self._held = held

    @classmethod
    def of(cls, key: ECKey) -> KeyRing:
        """One key for everything: the command line, tests, an identity that has no operational keys."""
        return cls(_Held(key, {key.thumbprint(): key}, public_jwks(key)))

    @property
    def signing(self) -> ECKey:
        """The private key to sign with at this moment."""
        return self._held.signing

    def verifying(self, kid: str) -> ECKey | None:
        """The key of this name, if what it signed is still to be accepted as this identity's own."""
        return self._held.verifying.get(kid)

    def jwks(self) -> dict[str, Any]:
        """The plain JWK Set to publish."""
        return self._held.jwks

    def published(self) -> tuple[bytes, str] | None:
        """The signed JWK Set and its media type; None where one key does everything."""
        return self._held.published
