"""What is written down about the operational keys of one identity: their times, in one small file.

A folder per identity: `<kid>.pem` for each private key, `state.json`, and the signed key set that partners
fetch. Every change is made under one lock and is one atomic replacement of a file, so that a reader meets
the folder as it was or as it is, and a writer that was killed leaves something that the next one finishes.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway import durable
from gateway.signing import key_files
from gateway.signing.key_files import KeyFileError

STATE_FILE: Final = "state.json"
REMEMBERED: Final = timedelta(days=31)  # how long a key that was taken back is listed
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
_LOCK_FILE: Final = ".lock"
_LOCK_SECONDS: Final = 10.0
_MOST_BYTES: Final = 262_144


class OperationalKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One key and its times, each None until it has come.

    published: since when the signed set has held it. used: since when it signs. retired: since when another
    signs in its place. revoked: since when nothing that it signed counts. urgent: used without the time of
    waiting, because someone said so.
    """

    kid: str
    made: datetime
    published: datetime | None = None
    used: datetime | None = None
    retired: datetime | None = None
    revoked: datetime | None = None
    urgent: bool = False

    @property
    def signs(self) -> bool:
        """Whether it is the one that signs."""
        return self.used is not None and self.retired is None and self.revoked is None

    @property
    def waits(self) -> bool:
        """Whether its time is still to come."""
        return self.used is None and self.revoked is None


class Former(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The public half of a federation key that another has followed, and when."""

    jwk: dict[str, Any]
    retired: datetime


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The keys of one organization. federation: the public key that signed the set last."""

    organization: str
    keys: tuple[OperationalKey, ...] = ()
    federation: dict[str, Any] | None = None
    former: tuple[Former, ...] = ()

    @property
    def current(self) -> OperationalKey | None:
        """The operational key that signs."""
        return next((key for key in self.keys if key.signs), None)

    @property
    def waiting(self) -> tuple[OperationalKey, ...]:
        """Those whose time is still to come, the first to be used first; unpublished ones last."""
        return tuple(sorted((key for key in self.keys if key.waits), key=_turn))

    def key(self, kid: str) -> OperationalKey | None:
        """The key of this name."""
        return next((key for key in self.keys if key.kid == kid), None)

    def with_key(self, changed: OperationalKey) -> State:
        """With this key in place of the one of its name, or added."""
        others = tuple(key for key in self.keys if key.kid != changed.kid)
        return msgspec.structs.replace(self, keys=(*others, changed))

    def without(self, kids: frozenset[str]) -> State:
        """Without the keys of these names."""
        return msgspec.structs.replace(self, keys=tuple(key for key in self.keys if key.kid not in kids))

    def put_right(self, now: datetime) -> State:
        """With no time in the future: the clock was wrong then, and what was to come is waited for anew."""
        return msgspec.structs.replace(
            self,
            keys=tuple(_put_right(key, now) for key in self.keys),
            former=tuple(Former(one.jwk, _not_after(one.retired, now)) for one in self.former),
        )


def prepare(folder: Path) -> None:
    """Make the folder if it is not there. Raises `KeyFileError` (others can write to it), `OSError`."""
    folder.mkdir(mode=0o700, exist_ok=True)
    key_files.check_own_folder(folder)


def read(folder: Path, organization: str) -> State:
    """The state of `folder`; an empty one where nothing has been made yet.

    Raises `KeyFileError` when the file cannot be read, is another organization's, or is gone though there
    are keys.
    """
    path = folder / STATE_FILE
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
    except FileNotFoundError:
        if any(folder.glob("*.pem")):
            raise KeyFileError(
                f"{path}: is missing though there are keys; put it back, or move the keys away to begin anew"
            ) from None
        return State(organization=organization)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        state = msgspec.json.decode(content, type=State)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise KeyFileError(f"{path}: is damaged; put it back from a backup") from None
    if state.organization != organization:
        raise KeyFileError(f"{path}: belongs to another organization; each needs a folder of its own")
    times = [moment for key in state.keys for moment in _times(key)] + [one.retired for one in state.former]
    if any(moment.tzinfo is None for moment in times) or sum(key.signs for key in state.keys) > 1:
        raise KeyFileError(f"{path}: is damaged; put it back from a backup")
    return state


def write(folder: Path, state: State) -> None:
    """Write the state, atomically and durably. Only under the lock. Raises `OSError`."""
    durable.replace(folder / STATE_FILE, msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only one who changes `folder`, among all processes that have it. Raises `KeyFileError`."""
    descriptor = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise KeyFileError(f"{folder}: another process is changing the keys; try again") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _turn(key: OperationalKey) -> tuple[bool, datetime, str]:
    return key.published is None, key.published or key.made, key.kid


def _times(key: OperationalKey) -> list[datetime]:
    found = (key.made, key.published, key.used, key.retired, key.revoked)
    return [moment for moment in found if moment is not None]


def _put_right(key: OperationalKey, now: datetime) -> OperationalKey:
    if all(moment <= now + _CLOCKS_DIFFER for moment in _times(key)):
        return key
    names = ("made", "published", "used", "retired", "revoked")
    times = {name: getattr(key, name) for name in names}
    return msgspec.structs.replace(
        key, **{name: _not_after(moment, now) for name, moment in times.items() if moment is not None}
    )


def _not_after(moment: datetime, now: datetime) -> datetime:
    return moment if moment <= now + _CLOCKS_DIFFER else now
