"""What the tests of the gateway share; the modules beside this file come on the path with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.store.work import Store

# Workers that run beside one another are told a width of 80; how wide a page is, each test says itself.
for size in ("COLUMNS", "LINES"):
    os.environ.pop(size, None)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, step: timedelta) -> None:
        self.now += step


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    """An empty store of one tenant, on the clock that the test moves."""
    opened = Store(tmp_path / "data", b"k" * 32, "main", clock)
    yield opened
    opened.close()
