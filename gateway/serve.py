"""Run a node: one web server for each of its names and one sender, in one process, until told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path

import uvloop

from gateway.app import create_app
from gateway.calling.client import PeerClient
from gateway.entrance.certificate import Certificate
from gateway.entrance.http_limits import Patience
from gateway.entrance.listening import Server, bind
from gateway.entrance.safe_headers import headers_of
from gateway.keys_of_callers import KeysOfCallers
from gateway.node import Identity, Node
from gateway.settings import Settings
from gateway.signing.key_files import stated_passphrase
from gateway.trust.directory import DirectoryError
from gateway.upkeep import first_copy
from gateway.worker import Worker
from profiles.elements import ProfileError
from profiles.engine import engine

log = logging.getLogger("waymeet")


def open_node(settings: Settings) -> Node:
    """The node of these settings; where its copy of the directory cannot be used, with one fetched anew.

    Raises what `Node` raises, and PeerError when there is neither.
    """
    try:
        return Node(settings)
    except DirectoryError as fault:
        if settings.directory.url is None:
            raise
        log.warning("the directory is fetched before the start: %s", fault)
        asyncio.run(first_copy(settings))
        return Node(settings)


def run(node: Node, started: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGINT or SIGTERM, then finish what is under way and stop. Blocks."""
    _compile_profiles(node)
    uvloop.run(_run(node, started))


def _compile_profiles(node: Node) -> None:
    """Compile every profile before the first request; says in the log how many are not enforced whole."""
    compiled = engine(node.definitions)
    profiles = list(node.definitions.all("StructureDefinition"))
    lacking = 0
    for found in profiles:
        try:
            lacking += bool(compiled.report(found).not_supported)
        except ProfileError:
            lacking += 1
    log.info(
        "%d profiles; something in %d is not enforced: see `waymeet profiles list`", len(profiles), lacking
    )


async def _run(node: Node, started: Callable[[], None]) -> None:
    sockets = [bind(identity.host, identity.port) for identity in node.identities.values()]
    clients = {organization: node.client(identity) for organization, identity in node.identities.items()}
    servers = [
        _server(node, identity, clients[organization]) for organization, identity in node.identities.items()
    ]
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopping.set)
    serving = [
        asyncio.create_task(server.serve(sockets=[bound]))
        for server, bound in zip(servers, sockets, strict=True)
    ]
    sending = asyncio.create_task(Worker(node, clients).run())
    for identity in node.identities.values():
        log.info("serving %s on %s:%s", identity.organization, identity.host, identity.port)
    if not node.is_known():
        ours = node.sends_as.organization
        log.warning("the directory does not hold %s with this address and key: partners refuse us", ours)
    started()
    stopped = asyncio.create_task(stopping.wait())
    await asyncio.wait({stopped, sending, *serving}, return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.should_exit = True
    sending.cancel()
    await asyncio.gather(sending, *serving, return_exceptions=True)
    for client in clients.values():
        await client.close()
    node.close()
    if not stopping.is_set():
        raise RuntimeError("a part of the node ended by itself; see the log")


def _server(node: Node, identity: Identity, client: PeerClient) -> Server:
    limits, trusted = node.settings.limits, node.settings.proxies
    tls = next(told.tls for told in node.settings.identities if told.organization == identity.organization)
    if tls is None and not trusted and identity.address.startswith("https:"):
        log.warning("%s is HTTPS, but neither tls nor proxies says who does that", identity.address)
    certificate = _certificate(node, *tls) if tls else None
    if certificate is not None:
        node.certificates[identity.organization] = certificate
    return Server(
        create_app(node, identity, KeysOfCallers(node, client)),
        patience=Patience(limits.headers_seconds, limits.body_seconds, limits.answer_seconds),
        headers=headers_of(identity.address),
        trusted=trusted,
        certificate=certificate,
    )


def _certificate(node: Node, chain: Path, key: Path) -> Certificate:
    return Certificate(chain, key, node.now, stated_passphrase(node.settings.passphrase_file))
