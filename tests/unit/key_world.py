"""An identity's folder of keys, a clock that is turned by hand, and processes that stop at a given change."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from gateway.signing import keys
from gateway.signing.operational import PACE, KeyRing, Pace, accepted

PANTRY = "https://directory.example.org/Organization/harbor-food-pantry"
BEGAN = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


class World:
    """One identity on disk. `now` is what its clock says; `rings` are the replicas that were started."""

    def __init__(self, root: Path, passphrase: str | None = None, pace: Pace = PACE) -> None:
        self.folder = root / "pantry.operational"
        self.federation_file = root / "pantry.pem"
        self.federation = keys.generate()
        self.passphrase = passphrase
        keys.save(self.federation_file, self.federation, passphrase)
        self.pace = pace
        self.now = BEGAN

    def ring(self) -> KeyRing:
        """A replica, started now. It looks at the files each time it is asked."""
        return KeyRing(
            PANTRY,
            self.folder,
            self.federation_file,
            passphrase=self.passphrase,
            now=lambda: self.now,
            pace=self.pace,
            look_seconds=0.0,
        )

    def forward(self, ring: KeyRing, span: timedelta, step: timedelta = HOUR) -> None:
        """Let time pass as a node sees it: every so often it is asked whether something is due."""
        end = self.now + span
        while self.now < end:
            ring.rotate_if_due(self.now)
            self.now = min(self.now + step, end)
        ring.rotate_if_due(self.now)

    @property
    def safe(self) -> Path:
        """Where the federation key lies that is kept apart."""
        return self.federation_file.with_name("in-the-safe.pem")

    def state(self) -> dict[str, Any]:
        """What is written down."""
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_bytes())
        return found

    def key(self, kid: str) -> dict[str, Any]:
        """What is written down of one key."""
        return next(key for key in self.state()["keys"] if key["kid"] == kid)

    def files(self) -> set[str]:
        """The names of the keys on disk."""
        return {path.stem for path in self.folder.glob("*.pem")}

    def partners_have(self, ring: KeyRing, federation: ECKey | None = None) -> set[str]:
        """The names of the keys that a partner takes from what the node publishes now."""
        served = ring.published()
        if served is None:
            return set()
        directory = keys.public_jwks(federation or self.federation)
        try:
            return {key["kid"] for key in accepted(served[0], directory, PANTRY, self.now)["keys"]}
        except keys.KeysError:
            return set()


def kid(ring: KeyRing) -> str:
    """The name of the key that signs."""
    return ring.signing.thumbprint()


def changes_of_files(act: Callable[[], object], folder: Path) -> int:
    """How many times `act` is about to change a file in `folder`: made in a process of its own."""
    return _in_a_process(act, folder, None)


def killed_before(act: Callable[[], object], folder: Path, change: int) -> None:
    """Do `act` in a process of its own, which is gone before it makes its `change`th change of a file."""
    assert _in_a_process(act, folder, change) == -1


def _in_a_process(act: Callable[[], object], folder: Path, stop_before: int | None) -> int:
    """How many changes were made; -1 when it was stopped."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        seen = 0

        def notice(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            if not _changes(event, arguments, folder):
                return
            seen += 1
            if seen == stop_before:
                os.write(writing, b"-1")
                os._exit(9)

        sys.addaudithook(notice)
        try:
            act()
            os.write(writing, str(seen).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return int(pipe.read())


def _changes(event: str, arguments: tuple[Any, ...], folder: Path) -> bool:
    if event not in ("open", "os.rename", "os.remove") or not str(arguments[0]).startswith(str(folder)):
        return False
    return event != "open" or bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))


@contextmanager
def away(path: Path) -> Iterator[None]:
    """While the file lies in a drawer."""
    drawer = path.with_name(f"{path.name}.drawer")
    path.rename(drawer)
    try:
        yield
    finally:
        drawer.rename(path)
