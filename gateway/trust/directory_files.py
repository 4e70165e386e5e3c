"""The files of a directory in a folder that others read at any moment: shards first, what names them last."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from gateway import durable

MANIFEST: Final = "manifest.jws"
SHARDS: Final = "shards"
SUSPENSIONS: Final = "suspensions.jws"


def shard_file(digest: str) -> str:
    """Where a shard lies in the folder."""
    return f"{SHARDS}/{digest}.json"


def lay(folder: Path, manifest: str, shards: Mapping[str, bytes], *, keep: Collection[str] = ()) -> None:
    """Write a directory into `folder`, so that a reader finds the old one or the new one, and never a half.

    shards: their texts by digest; those that lie there whole are not written again. keep: digests that are
    still wanted by readers of the manifest before; every other shard that the new one does not name goes.
    Raises OSError.
    """
    (folder / SHARDS).mkdir(parents=True, exist_ok=True)
    for digest, text in shards.items():
        path = folder / shard_file(digest)
        if not _is_there(path, digest):
            replace(path, text)
    replace(folder / MANIFEST, manifest.encode("ascii"))
    for path in sorted((folder / SHARDS).glob("*.json")):
        if path.stem not in shards and path.stem not in keep:
            path.unlink(missing_ok=True)


def replace(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step, durably; everybody may read it. Raises OSError."""
    # By process: replicas may mirror the same directory at the same moment.
    durable.replace(path, content, 0o644, str(os.getpid()))


def _is_there(path: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except OSError:
        return False
