"""Whether this node can do its work, without telling anybody anything else."""

from __future__ import annotations

from collections.abc import Callable

from gateway import clock
from gateway.node import Node

STARTED = clock.stamp(clock.now())


def checks(node: Node) -> dict[str, bool]:
    """Each thing a node needs, and whether it is there: its keys, its store, a directory in force."""
    return {
        "keys": _works(lambda: _seals(node)),
        "store": _works(node.store.database.ready),
        "directory": _works(lambda: node.trust.standing() != "over"),
    }


def _seals(node: Node) -> bool:
    return bool(node.store.vault.digest("ready", "ready")) and bool(node.identities)


def _works(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception:  # whatever is wrong, the answer is that it is not ready
        return False
