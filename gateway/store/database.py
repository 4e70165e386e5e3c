"""Opening the node's database and its transactions.

SQLite by default: WAL, `synchronous=FULL` (a commit is on disk before it is acknowledged) and
`BEGIN IMMEDIATE`, so that what a transaction has read is still true when it writes. The same SQL runs on
PostgreSQL, which comes with the step that needs several processes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, text

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_MS = 10_000


def sqlite_engine(path: Path) -> Engine:
    """An engine on one SQLite file, created readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    engine = create_engine(f"sqlite:///{path}", pool_size=8, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _settle(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


class Database:
    """The node's rows. `transaction()` is the only way in; leaving it is the commit, and durable."""

    def __init__(self, path: Path) -> None:
        self._engine = sqlite_engine(path)
        # SQLite takes one writer at a time and lets the others poll, which starves some for seconds under
        # load; within this process they stand in line instead.
        self._turn = Lock()
        self._migrate()

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        with self._engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All or nothing. Raises whatever the body raises, after rolling back."""
        with self._turn, self._engine.begin() as connection:
            yield connection

    def ready(self) -> bool:
        """Whether the database answers and takes a write lock."""
        with self.transaction() as connection:
            return connection.execute(text("SELECT 1")).scalar() == 1

    def close(self) -> None:
        """Release every connection."""
        self._engine.dispose()
