"""What a node does to stay trustworthy while it runs: fetch the directory, change keys, tell what is wrong.

docs/explanation/trust-between-nodes.md says why; the rules themselves are in `gateway.trust.trusted` and
`gateway.signing.operational`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from functools import partial
from typing import Final

from gateway import audit
from gateway.calling.client import PeerClient
from gateway.calling.transport import PeerError
from gateway.node import Identity, Node
from gateway.sending import Clients
from gateway.settings import Settings
from gateway.signing.keys import KeysError, generate
from gateway.signing.operational import KeyRing
from gateway.trust.directory import DirectoryError
from gateway.trust.directory_form import MAX_SHARD_BYTES
from gateway.trust.mirror import Mirror

log = logging.getLogger("waymeet.upkeep")

EACH_SECONDS: Final = 1.0
ROTATE_SECONDS: Final = 60.0
APART_SECONDS: Final = 3600.0


async def first_copy(settings: Settings) -> None:
    """Fetch the directory for a node that has none it could use. Raises PeerError or OSError."""
    directory = settings.directory
    assert directory.url is not None
    # No key of the node's own is at hand yet, and none is needed to fetch what is public.
    client = PeerClient("first-copy", KeyRing.of(generate()), ca_file=settings.authorities)
    try:
        fetch = partial(client.fetch, configured=True, most_bytes=MAX_SHARD_BYTES)
        await Mirror(fetch, directory.url, directory.folder).update()
    finally:
        await client.close()


class Upkeep:
    """One node's upkeep. `run` until cancelled."""

    def __init__(self, node: Node, clients: Clients) -> None:
        """clients: the directory is fetched with that of our own name, if it is fetched at all."""
        self._node = node
        directory = node.settings.directory
        self._mirror: Mirror | None = None
        if directory.url:
            fetch = clients[node.home.organization].fetch
            own = partial(fetch, configured=True, most_bytes=MAX_SHARD_BYTES)
            self._mirror = Mirror(own, directory.url, directory.folder, node.trust.examine)
        self._told: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Each part at its own pace; one that fails is tried again, and does not hold up the others."""
        async with asyncio.TaskGroup() as parts:
            parts.create_task(self._each_second())
            if self._node.settings.rotate_keys:
                for identity in self._node.identities.values():
                    parts.create_task(self._rotate(identity))
            if self._mirror is not None:
                parts.create_task(self._fetch(self._mirror))

    async def _each_second(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._node.revoked.refresh)
                await asyncio.to_thread(self._tell)
            except Exception as fault:  # the store may be away for a moment
                log.error("upkeep failed: %s", type(fault).__name__)
            await asyncio.sleep(EACH_SECONDS)

    async def _rotate(self, identity: Identity) -> None:
        if len(self._node.identities) > 1:
            # Two names whose keys change in the same minute, every day, belong together.
            await asyncio.sleep(random.uniform(0, APART_SECONDS))  # noqa: S311 - not a secret
        while True:
            try:
                for step in await asyncio.to_thread(identity.ring.rotate_if_due, self._node.now()):
                    log.info("a key of %s was %s", identity.organization.rpartition("/")[2], step.what)
            except (KeysError, OSError) as fault:
                log.error("keys are not changed: %s", fault)
            await asyncio.sleep(ROTATE_SECONDS)

    async def _fetch(self, mirror: Mirror) -> None:
        why = ""
        while True:
            try:
                await mirror.update()
                why = ""
            except (PeerError, DirectoryError, OSError) as fault:
                if why != (why := f"{type(fault).__name__}: {fault}"):
                    log.warning("the directory cannot be fetched; the one that is here is used: %s", why)
            await asyncio.sleep(self._node.settings.directory.poll_seconds)

    def _tell(self) -> None:
        """Write down, once, each thing that is wrong, and that it is over."""
        wrong = frozenset(self._node.alarms())
        for alarm in sorted(wrong - self._told):
            log.error("alarm: %s. Tell %s.", alarm, self._node.settings.contact)
        for alarm in sorted(self._told - wrong):
            log.info("over: %s", alarm)
        if wrong != self._told:
            with self._node.store.work() as work:
                for words, refused in ((wrong - self._told, True), (self._told - wrong, False)):
                    for alarm in sorted(words):
                        said = {"alarm": alarm, "state": "begun" if refused else "over"}
                        audit.record(work, audit.Entry("alarm", "E", "node", refused=refused, details=said))
        self._told = wrong
