"""One unit of work: a transaction, the tenant it is for, the vault, and the moment it happens at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from gateway import fhir_json
from gateway.clock import stamp
from gateway.store.database import Database
from gateway.store.vault import Vault


@dataclass(frozen=True, slots=True)
class Work:
    """What every reader and writer of the store is handed. `now` is the same throughout."""

    tx: Connection
    tenant: str
    vault: Vault
    now: datetime

    @property
    def stamp(self) -> str:
        """`now` as it is written in rows and resources."""
        return stamp(self.now)

    def unseal(self, owner_id: str, name: str, sealed: bytes) -> Any:
        """Sealed content as plain data. Raises vault.Erased."""
        return fhir_json.decode(self.vault.open(owner_id, name, sealed))


class Store:
    """A node's database and its vault, opened together."""

    def __init__(self, folder: Path, node_key: bytes, tenant: str, clock: Callable[[], datetime]) -> None:
        self.database = Database(folder / "node.db")
        self.vault = Vault(folder / "vault" / "keys.db", node_key, tenant)
        self._tenant = tenant
        self._clock = clock

    @contextmanager
    def work(self) -> Iterator[Work]:
        """All or nothing; durable when left."""
        with self.database.transaction() as tx:
            yield Work(tx, self._tenant, self.vault, self._clock())

    def close(self) -> None:
        """Release both databases."""
        self.database.close()
        self.vault.close()
