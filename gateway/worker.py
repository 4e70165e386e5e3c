"""Send what the outbox holds, again and again, until it is done or given up."""

from __future__ import annotations

import asyncio
import logging
from uuid import uuid4

from gateway import answering, forgetting, notify, outbox, permission, pull, writeback
from gateway.exchange import Exchange
from gateway.node import Node
from gateway.outbox import Done, GiveUp, Later, Outcome, Posted
from gateway.recording import Ask
from gateway.sending import Clients, Stopped
from gateway.store import disclosures, subscribed
from gateway.upkeep import Upkeep

log = logging.getLogger("waymeet.worker")

AT_ONCE = 16
IDLE_SECONDS = 0.1
ATTEMPT_SECONDS = outbox.LEASE.total_seconds() - 5  # over before anybody else could take it
HOUSEKEEPING_SECONDS = 5.0


class Worker:
    """One node's sender. `run` until cancelled; what was under way then is found again at the next start."""

    def __init__(self, node: Node, clients: Clients) -> None:
        self._node = node
        self._clients = clients
        self._exchange = Exchange(node)

    async def run(self) -> None:
        """Lease, attempt, settle; in between, keep house."""
        await asyncio.to_thread(self._take_over)
        await asyncio.to_thread(self._subscribe_everywhere)
        housekeeping = asyncio.create_task(self._keep_house())
        upkeep = asyncio.create_task(Upkeep(self._node, self._clients).run())
        under_way: set[asyncio.Task[None]] = set()
        try:
            while True:
                # Never wait for all: a partner that hangs must not hold up what goes to another.
                entries = await asyncio.to_thread(self._lease, AT_ONCE - len(under_way))
                under_way |= {asyncio.create_task(self._attempt(entry)) for entry in entries}
                if under_way:
                    first = asyncio.FIRST_COMPLETED
                    _, under_way = await asyncio.wait(under_way, timeout=IDLE_SECONDS, return_when=first)
                else:
                    await asyncio.sleep(IDLE_SECONDS)
        finally:
            for task in (housekeeping, upkeep, *under_way):
                task.cancel()

    def _take_over(self) -> None:
        with self._node.store.work() as work:
            outbox.take_over(work)

    def _lease(self, room: int) -> list[Posted]:
        if self._node.refresh():
            self._subscribe_everywhere()
        ended = [self._node.ended.popleft() for _ in range(len(self._node.ended))]
        with self._node.store.work() as work:
            disclosures.end(work, ended)
            return outbox.lease(work, room)

    async def _attempt(self, entry: Posted) -> None:
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                await self._send(entry)
            outcome: Outcome = Done()
        except TimeoutError:
            outcome = Later("it took too long")
        except Stopped as stopped:
            outcome = stopped.outcome
        except Exception as fault:  # an attempt that breaks must not stop the others, nor be lost
            log.error("attempt %s (%s) broke: %s", entry.number, entry.kind, type(fault).__name__)
            outcome = Later(f"this node failed ({type(fault).__name__})")
        settled = await asyncio.to_thread(self._settle, entry, outcome)
        if isinstance(settled, GiveUp):
            contact = self._node.settings.contact
            log.error("dead letter %s (%s): %s. Tell %s.", entry.number, entry.kind, settled.why, contact)

    async def _send(self, entry: Posted) -> None:
        node, clients = self._node, self._clients
        match entry.kind:
            case "handshake":
                await notify.send_handshake(node, clients, entry.body)
            case "notify":
                await notify.send_event(node, clients, entry.body)
            case "write-back":
                await writeback.send(node, clients[node.home.organization], entry.body)
            case "subscribe":
                await pull.subscribe(node, clients, entry.body)
            case "poll":
                await pull.poll(node, clients, entry.body)
            case "pull":
                await pull.pull(node, clients, entry.body)
            case "answer":
                await answering.answer(node, clients, entry.body)

    def _settle(self, entry: Posted, outcome: Outcome) -> Outcome:
        with self._node.store.work() as work:
            return outbox.settle(work, entry, outcome)

    def _subscribe_everywhere(self) -> None:
        """Ask every partner once to tell us; with those already asked, catch up on what was missed."""
        with self._node.store.work() as work:
            for organization in self._node.identities:
                for partner in self._node.partners(organization):
                    body = {"organization": organization, "source": partner.organization}
                    lane = notify.poll_lane(organization, partner.organization)
                    if subscribed.find(work, organization, partner.organization) is None:
                        subscribed.asking(work, organization, partner.organization)
                        outbox.post(work, "subscribe", lane, body)
                    elif not outbox.pending(work, lane):
                        outbox.post(work, "poll", lane, body)

    def _end_with_consent(self) -> None:
        ask = Ask("node", self._node.sends_as, str(uuid4()))
        permission.cancel_where_consent_ended(self._node, ask)

    async def _keep_house(self) -> None:
        polled = asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            try:
                await asyncio.to_thread(self._exchange.erase_closed)
                if asyncio.get_running_loop().time() - polled > self._node.settings.poll_minutes * 60:
                    polled = asyncio.get_running_loop().time()
                    await asyncio.to_thread(self._subscribe_everywhere)
                    await asyncio.to_thread(self._end_with_consent)
                    await asyncio.to_thread(forgetting.sweep, self._node)
            except Exception as fault:  # keep house again next time
                log.error("housekeeping failed: %s", type(fault).__name__)
