"""Whose keys are fetched over which of the two ways out: those of partners, and those of our own systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gateway.calling.client import Answer, PeerClient
from gateway.calling.transport import PeerUnavailable
from gateway.node import Node
from gateway.oauth.key_sources import KeySource, KeySources
from gateway.store import marks


class KeysOfCallers:
    """Finds a caller's public keys, as `gateway.oauth.client_authentication.Keys` asks for.

    A partner's address stands in the directory, so it must be a public one unless the configuration says
    otherwise; the operator has written down an own system's himself. client: for both; None: only keys that
    are registered inline are found.
    """

    def __init__(self, node: Node, client: PeerClient | None = None) -> None:
        fetch = client.fetch if client else _nobody
        networks = node.settings.networks
        self._store = node.store
        self._partners = KeySources(fetch, node.now, networks=networks, newest=self._newest)
        self._own = KeySources(partial(fetch, configured=True), node.now, networks=networks)

    async def keys(self, source: KeySource, kid: str, kty: str) -> Sequence[Mapping[str, Any]]:
        """The keys of `source` with this name and type. Raises KeysUnavailable."""
        sources = self._partners if source.signed_for else self._own
        return await sources.keys(source, kid, kty)

    def _newest(self, organization: str, signed_at: int) -> int:
        """In the store, so that no restart brings back a key that a partner has taken back."""
        with self._store.work() as work:
            return marks.note(work, f"{marks.KEY_SET}{organization}", signed_at)


async def _nobody(_url: str, _headers: Mapping[str, str], **_how: bool) -> Answer:
    raise PeerUnavailable("nothing is fetched here")
