"""The directory and the suspension list that this node uses, read from its folder and remembered.

An older one is refused, and so is another one under the same number, or one that does not follow the one
used here: then somebody shows two directories. What was used is remembered in the store, so that a restart
forgets nothing.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import msgspec
from joserfc.jwk import ECKey

from gateway.store import directories, marks
from gateway.store.work import Store
from gateway.trust import suspensions
from gateway.trust.directory import Directory
from gateway.trust.directory_files import MANIFEST, SUSPENSIONS
from gateway.trust.directory_form import MANIFEST_TYPE, MAX_PREVIOUS, DirectoryError, Manifest, decoded
from gateway.trust.directory_jws import verified
from gateway.trust.suspensions import Suspensions

log = logging.getLogger("waymeet.trust")

_manifest: Final = msgspec.json.Decoder(Manifest)

Seen = Mapping[str, tuple[int, int, int] | None]


class AnotherDirectory(DirectoryError):  # noqa: N818 - it says what was found
    """Signed by an anchor, and yet it cannot stand beside the directory that was used here."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The last suspension list that was good, and the key (JWK) that signed it; both None: there was none."""

    list: Suspensions | None = None
    by: Mapping[str, Any] | None = None

    def in_force(self, directory: Directory, now: datetime) -> bool:
        """Whether it is of the suspender that the directory names, and its time is not over."""
        return self.list is not None and self.by == directory.suspender and not self.list.expired(now)


class DirectoryFolder:
    """The folder with `manifest.jws`, `suspensions.jws` and the shards, read for one node.

    Opens units of work. Every method raises `DirectoryError` for what must not be used.
    """

    def __init__(
        self, store: Store, folder: Path, anchors: Sequence[ECKey], now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._folder = folder
        self._anchors = tuple(anchors)
        self._now = now

    def look(self) -> Seen:
        """By name, what tells of each signed file whether it is another one than before; a `stat` each."""
        return {name: _stat(self._folder / name) for name in (MANIFEST, SUSPENSIONS)}

    def directory(self, known: Directory | None) -> Directory:
        """The directory in the folder, noted as used. known: the one in use, which lends its shards."""
        # Reading lies between two units of work: of a hundred thousand entries it takes seconds.
        with self._store.work() as work:
            lowest = marks.highest(work, marks.DIRECTORY)
        found = Directory.read(self._folder, self._anchors, self._now(), lowest, known)
        if known is not None and found.digest == known.digest:
            return known
        with self._store.work() as work:
            seen = directories.seen(work)
            _refuse_another(found.sequence, found.digest, found.previous, seen)
            marks.note(work, marks.DIRECTORY, found.sequence)
            directories.note(work, found.sequence, found.digest)
        if seen and found.sequence > max(seen) + MAX_PREVIOUS:
            log.warning(
                "directory %s is taken without being followed back: the last one used here was %s",
                found.sequence,
                max(seen),
            )
        return found

    def listed(self, directory: Directory, known: Listed) -> Listed:
        """The suspension list in the folder, noted as used. known: the last that was good."""
        if directory.suspender is None:
            return Listed()
        # By key: who stole one and signed the highest number with it must not stand in the next one's way.
        mark = f"{marks.SUSPENSIONS}:{directory.suspender['kid']}"
        with self._store.work() as work:
            lowest = marks.highest(work, mark)
        found = self._list_in(self._folder / SUSPENSIONS, directory, known, lowest)
        with self._store.work() as work:
            marks.note(work, mark, found.sequence)
        return Listed(found, directory.suspender)

    def examine(self, name: str, content: bytes, directory: Directory, known: Listed) -> None:
        """Refuse a signed file that could not be used in place of what is in use. name: which of the two."""
        if name == MANIFEST:
            whose = "an anchor that this node trusts"
            claims, _ = verified(content, MANIFEST_TYPE, self._anchors, "manifest", whose)
            offered = decoded(claims, _manifest, "manifest")
            digest = hashlib.sha256(claims).hexdigest()
            with self._store.work() as work:
                seen = directories.seen(work)
            _refuse_another(offered.sequence, digest, offered.previous, seen)
        elif directory.suspender is not None:
            with NamedTemporaryFile() as file:
                file.write(content)
                file.flush()
                same_key = known.list if known.by == directory.suspender else None
                self._list_in(Path(file.name), directory, known, same_key.sequence if same_key else 0)

    def _list_in(self, path: Path, directory: Directory, known: Listed, lowest: int) -> Suspensions:
        key = ECKey.import_key(dict(directory.suspender or {}))
        found = suspensions.read(path, key, directory.issuer, self._now(), lowest)
        before = known.list if known.by == directory.suspender else None
        if before is not None and before.sequence == found.sequence and before.digest != found.digest:
            raise AnotherDirectory("suspensions: sequence: another list was used here under this number")
        return found


def _refuse_another(sequence: int, digest: str, previous: Sequence[str], seen: Mapping[int, str]) -> None:
    """Refuse a manifest that does not follow the last one used here. seen: digests by number."""
    if not seen:
        return
    last = max(seen)
    steps = sequence - last
    if steps < 0:
        raise DirectoryError(f"manifest: sequence: {sequence} is older than {last}, which was used here")
    if steps == 0 and digest != seen[last]:
        raise AnotherDirectory("manifest: sequence: another directory was used here under this number")
    if 0 < steps <= MAX_PREVIOUS and tuple(previous[steps - 1 : steps]) != (seen[last],):
        raise AnotherDirectory("manifest: previous: does not lead back to the directory that was used here")


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
