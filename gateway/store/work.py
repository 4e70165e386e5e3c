"""One unit of work: a transaction, the tenant it is for, the vault, and the moment it happens at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, Insert, Table, insert

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

    def run(self, statement: Executable, **values: Any) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement that was built once, at import, and names the tenant `:at_tenant`.

        Building a statement costs several times what running it does.
        """
        return self.tx.execute(statement, {"at_tenant": self.tenant, **values})

    def add(self, table: Table, *rows: Mapping[str, Any]) -> None:
        """Insert rows of this tenant."""
        self.tx.execute(_insert(table), [{"tenant": self.tenant, **row} for row in rows])

    @property
    def stamp(self) -> str:
        """`now` as it is written in rows and resources."""
        return stamp(self.now)

    def unseal(self, owner_id: str, name: str, sealed: bytes) -> Any:
        """Sealed content as plain data. Raises vault.Erased."""
        return fhir_json.decode(self.vault.open(owner_id, name, sealed))


@cache
def _insert(table: Table) -> Insert:
    return insert(table)


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
