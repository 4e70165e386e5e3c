"""The keys that one identity of this node signs with, and those that it recognises as its own.

Everything that signs or verifies takes a `Signing`: at each token it is asked anew which key is in use.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from joserfc.jwk import ECKey

from gateway import clock
from gateway.signing import keys, operational_reading, operational_state, operational_words
from gateway.signing.keys import KeyFileError, KeyFileMissing, KeyLocked, KeysError
from gateway.signing.operational_jwks import MEDIA_TYPE, accepted
from gateway.signing.operational_pace import PACE, Pace
from gateway.signing.operational_reading import Held, NothingToSignWith
from gateway.signing.operational_rotation import Rotation, Step
from gateway.signing.operational_set import SIGNED_FILE
from gateway.signing.operational_state import STATE_FILE

__all__ = ["MEDIA_TYPE", "PACE", "KeyRing", "Pace", "Signing", "Step", "accepted"]

log = logging.getLogger("waymeet.keys")

_LOOK_SECONDS: Final = 1.0


class Signing(Protocol):
    """What a token server and a client need of an identity's keys. Cheap enough to be asked at each token."""

    @property
    def signing(self) -> ECKey:
        """The private key to sign with at this moment; its `kid` is its thumbprint."""
        ...

    def verifying(self, kid: str) -> ECKey | None:
        """The key of this name, if what it signed is still to be accepted as this identity's own."""
        ...

    def jwks(self) -> dict[str, Any]:
        """The plain JWK Set to publish: the keys in use, those before and after them, the federation key."""
        ...

    def published(self) -> tuple[bytes, str] | None:
        """The signed JWK Set and its media type; None where there is none in force."""
        ...


class KeyRing:
    """The keys of one identity: its federation key, and a folder of operational keys that follow each other.

    May be shared by threads; any number of processes may have the same folder.
    """

    def __init__(
        self,
        organization: str,
        folder: Path,
        federation: Path,
        *,
        passphrase: str | None = None,
        now: Callable[[], datetime] = clock.now,
        pace: Pace = PACE,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """organization: its directory URL. federation: the file of its federation key, which may be absent.

        passphrase: of the federation key, and for the operational ones. look_seconds: how often, at most, it
        is seen whether files have changed. Raises `KeyFileError`, also when there is nothing to sign with.
        """
        self._organization = organization
        self._folder: Path | None = folder
        self._federation_file = federation
        self._passphrase = passphrase
        self._now = now
        self._pace = pace
        self._look_seconds = look_seconds
        self._lock = threading.Lock()
        self._fault = ""
        operational_state.prepare(folder)
        self._seen = self._signatures()
        self._again = time.monotonic() + look_seconds
        self.federation_key: ECKey | None = self._read_federation()
        try:
            self._held = self._read(folder)
        except NothingToSignWith as fault:
            raise NothingToSignWith(f"{fault} ({self._why_absent})") from None

    @classmethod
    def of(cls, key: ECKey) -> KeyRing:
        """One key for everything: the command line, tests, an identity that has no operational keys."""
        ring = cls.__new__(cls)
        ring.federation_key, ring._folder, ring._pace = key, None, PACE
        ring._held, ring._fault = operational_reading.of(key), ""
        return ring

    @classmethod
    def opened(
        cls,
        organization: str,
        federation: Path,
        folder: Path | None,
        *,
        passphrase: str | None = None,
        now: Callable[[], datetime] = clock.now,
    ) -> KeyRing:
        """The ring of an identity as it is configured; without a `folder` its one key does everything."""
        if folder is None:
            return cls.of(keys.load(federation, passphrase))
        return cls(organization, folder, federation, passphrase=passphrase, now=now)

    # ------------------------------------------------------------ Signing

    @property
    def signing(self) -> ECKey:
        """The private key to sign with at this moment."""
        self._look()
        return self._held.signing

    def verifying(self, kid: str) -> ECKey | None:
        """The key of this name, if what it signed is still to be accepted as this identity's own."""
        self._look()
        found = self._held.verifying.get(kid)
        if found is None and self.refresh():  # made just now by another replica
            found = self._held.verifying.get(kid)
        return found

    def jwks(self) -> dict[str, Any]:
        """The plain JWK Set to publish."""
        self.refresh()  # always: a partner that misses the newest key here does not ask again for a while
        return self._held.jwks

    def published(self) -> tuple[bytes, str] | None:
        """The signed JWK Set and its media type; None where there is none in force."""
        self.refresh()
        return self._held.published

    # ------------------------------------------------------------ following one another

    def refresh(self, now: datetime | None = None) -> bool:
        """Take up what has changed in the files, and say so; what cannot be used changes nothing.

        Three looks at the file system where nothing has changed.
        """
        if self._folder is None:
            return False
        now = now or self._now()
        with self._lock:
            seen = self._signatures()
            over = self._held.until is not None and now >= self._held.until
            if seen == self._seen and not over:
                return False
            try:
                if seen[-1] != self._seen[-1]:
                    self.federation_key = self._read_federation()
                self._held = self._read(self._folder, now)
                self._fault = ""
            except (KeysError, OSError) as fault:
                self._fault = _words(fault)
                log.error("keys that have changed are not used: %s", self._fault)
                return False
            finally:
                self._seen = seen
            return True

    def rotate_if_due(self, now: datetime) -> tuple[Step, ...]:
        """Make, publish, use and delete keys as far as it is time; what was done.

        To be called every few minutes, from any number of processes. Blocks: a lock, a few small files.
        Raises `KeysError` or `OSError`; then the keys in use stay, and the next call tries again.
        """
        if self._folder is None:
            return ()
        try:
            done = self.rotation(now).run()
        except (KeysError, OSError) as fault:
            self._fault = _words(fault)
            raise
        self._fault = ""
        self.refresh(now)
        return done

    def rotation(self, now: datetime, federation: ECKey | None = None) -> Rotation:
        """What changes the folder. federation: the private key where it is kept apart from the node.

        Raises `KeyFileError` for an identity without operational keys.
        """
        if self._folder is None:
            raise KeyFileError(
                "This name has no operational keys: its configuration names no folder for them."
            )
        return Rotation(
            self._folder,
            self._organization,
            (lambda: federation) if federation is not None else self._read_federation,
            now,
            resident=federation is None and self.federation_key is not None,
            passphrase=self._passphrase,
            pace=self._pace,
        )

    @property
    def federation(self) -> str:
        """The thumbprint of the federation key, by which the directory has it; "" while that is not known."""
        if self.federation_key is not None:
            return self.federation_key.thumbprint()
        state = self._held.state
        return str(state.federation["kid"]) if state is not None and state.federation else ""

    @property
    def signed_until(self) -> datetime | None:
        """When the signed set is over; None where there is none in force."""
        return self._held.until

    def lines(self, now: datetime) -> list[operational_words.Line]:
        """Every key of the identity, its state and what comes next, in plain words."""
        self._look()
        return operational_words.lines(self._held, self.federation_key is not None, self._pace, now)

    def alarms(self, now: datetime) -> tuple[str, ...]:
        """What is wrong with the keys at this moment, in words for an operator."""
        self._look()
        found = operational_words.alarms(self._held, self.federation_key is not None, now)
        return (*found, self._fault) if self._fault else found

    # ------------------------------------------------------------ reading

    def _look(self) -> None:
        if self._folder is not None and time.monotonic() >= self._again:
            self._again = time.monotonic() + self._look_seconds
            self.refresh()

    def _read(self, folder: Path, now: datetime | None = None) -> Held:
        return operational_reading.read(
            folder,
            self._organization,
            self.federation_key,
            now or self._now(),
            passphrase=self._passphrase,
            pace=self._pace,
            known=self._held.private if hasattr(self, "_held") else {},
        )

    def _read_federation(self) -> ECKey | None:
        """The federation key; None where it is kept elsewhere. One that is here and bad is refused."""
        try:
            return keys.load(self._federation_file, self._passphrase)
        except (KeyFileMissing, KeyLocked) as fault:
            self._why_absent = str(fault)
            return None

    def _signatures(self) -> tuple[tuple[int, ...] | None, ...]:
        assert self._folder is not None
        files = (self._folder / STATE_FILE, self._folder / SIGNED_FILE, self._federation_file)
        return tuple(_signature(path) for path in files)


def _signature(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _words(fault: Exception) -> str:
    return f"the keys cannot be changed: {fault.strerror}" if isinstance(fault, OSError) else str(fault)
