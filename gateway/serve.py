"""Run a node: one web server for each of its names and one sender, in one process, until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
import uvloop

from gateway.app import create_app
from gateway.client import PeerClient
from gateway.node import Identity, Node
from gateway.worker import Worker
from profiles.elements import ProfileError
from profiles.engine import engine

log = logging.getLogger("waymeet")

KEEP_ALIVE_SECONDS = 15
MOST_CONNECTIONS = 512
STOP_SECONDS = 5


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: several run here, and one handler stops them all."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield


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
    servers = [_server(node, identity) for identity in node.identities.values()]
    sockets = [_bind(identity) for identity in node.identities.values()]
    clients = {
        organization: PeerClient(organization, identity.key)
        for organization, identity in node.identities.items()
    }
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


def _server(node: Node, identity: Identity) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            create_app(node, identity),
            http="httptools",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
            limit_concurrency=MOST_CONNECTIONS,
        )
    )


def _bind(identity: Identity) -> socket.socket:
    """The listening socket of one identity. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in identity.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((identity.host, identity.port))
    except OSError as fault:
        raise OSError(
            fault.errno, f"cannot listen there: {fault.strerror}", f"{identity.host}:{identity.port}"
        ) from None
    bound.listen(1024)
    return bound
