"""Waiting for what a running network does, and reading what a node has written down."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from gateway import audit, settings
from gateway.demo.agencies import HOSPITAL, PANTRY, SHELTER
from gateway.demo.network import Network
from gateway.node import Node
from gateway.store.work import Work

T = TypeVar("T")
NODES = (HOSPITAL, PANTRY, SHELTER)


@contextmanager
def running(folder: Path, between: Callable[[str, int], int] | None = None) -> Iterator[Network]:
    """The three nodes, started and stopped side by side, once each has found its partners."""
    network = Network(folder, between)
    with ThreadPoolExecutor(len(NODES)) as pool:
        try:
            list(pool.map(network.start, NODES))
            settle(network)
            yield network
        finally:
            list(pool.map(lambda name: network.processes[name].stop(), NODES))
            network.stop()


def eventually(look: Callable[[], T], what: str, seconds: float = 15.0) -> T:
    """What `look` finds, as soon as it finds something. Raises AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return found


def offer_after(network: Network, act: Callable[[], T]) -> tuple[T, dict[str, Any]]:
    """What `act` returns, and the offer that the pantry's own system gets because of it."""
    before = {offer["referral"] for offer in network.pantry_system.records("offer")}
    done = act()
    return done, network.pantry_system.wait_for("offer", lambda one: one["referral"] not in before)


def case_of(network: Network, offer: dict[str, Any]) -> dict[str, Any]:
    """The case that the pantry's own system gets once the dossier of this offer is open."""
    return network.pantry_system.wait_for("case", lambda one: one["referral"] == offer["referral"])


def answer_files(network: Network, name: str, referral: str, count: int) -> list[bytes]:
    """What an agency's own system was told of one referral, once there are `count`, oldest first."""
    folder = network.agencies[name].own_system

    def files() -> list[Path]:
        return sorted(folder.glob(f"{referral}-*"), key=lambda file: int(file.stem.rpartition("-")[2]))

    found = eventually(lambda: len(files()) >= count and files(), f"{count} answers about the referral")
    assert isinstance(found, list)
    return [file.read_bytes() for file in found]


def look_into(network: Network, name: str, step: Callable[[Work], T]) -> T:
    """What `step` reads in a node's store, beside the running process."""
    node = Node(settings.read(network.agencies[name].config))
    try:
        with node.store.work() as work:
            return step(work)
    finally:
        node.close()


def settle(network: Network, *names: str, seconds: float = 30.0) -> None:
    """Return when no node has anything left to send, twice in a row."""

    def waiting(name: str) -> int:
        return sum(row[0] for row in rows(network, name, "select count(*) from outbox where gave_up is null"))

    def quiet() -> bool:
        return not any(waiting(name) for name in names or NODES)

    eventually(lambda: quiet() and quiet(), "a node still has something to send", seconds)


def rows(network: Network, name: str, query: str) -> list[tuple[Any, ...]]:
    """What a node's database answers to a query, read beside the running process."""
    file = network.agencies[name].folder / "data" / "node.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(query).fetchall()


def audit_is_whole(network: Network, *names: str) -> None:
    """The audit chain of every node holds from its first entry to its last."""
    for name in names or NODES:
        assert look_into(network, name, audit.first_break) is None, name
