"""What is registered for one client of this node's OAuth endpoints."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache

from gateway.oauth.key_sources import KeySource
from profiles.canonical import ACT_REASON
from profiles.terminology import subsumes

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Registration:
    """What is registered for one client: a peer node (from the directory) or a local system.

    keys: where its public keys are; None for one that is registered with a secret. secret: SHA-256 of its
    secret, which is random and has 256 bits, so that no slow hash is needed. scopes: the most it can be
    granted. organization: directory URL of a peer node. systems: which `/records/{system}` a local client may
    write to. purposes: v3-ActReason codes. addresses: the networks that it may call from; empty: from
    anywhere. introspects: whether it may ask about tokens that are not its own.
    """

    client_id: str
    keys: KeySource | None
    scopes: frozenset[str]
    organization: str | None = None
    systems: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    active: bool = True
    secret: bytes | None = field(default=None, repr=False)
    addresses: tuple[Network, ...] = ()
    introspects: bool = False

    @property
    def jku(self) -> str | None:
        """The one URL that its assertions may name as `jku`: where its JWK Set is registered to be."""
        # What a peer node publishes is signed, and no JWK Set.
        return None if self.keys is None or self.keys.signed_for else self.keys.url

    def serves(self, purposes: frozenset[str]) -> frozenset[str]:
        """Which of `purposes` it may ask for: those registered, and narrower ones that these hold."""
        return _held(self.purposes, purposes)

    def admits(self, source: str | None) -> bool:
        """Whether it is active and may call from the address `source` (text; None: not known)."""
        if not self.active or not self.addresses:
            return self.active
        try:
            address = ipaddress.ip_address(source or "")
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self.addresses)


@lru_cache(maxsize=1024)
def _held(registered: frozenset[str], asked: frozenset[str]) -> frozenset[str]:
    return frozenset(one for one in asked if any(subsumes(ACT_REASON, wider, one) for wider in registered))
