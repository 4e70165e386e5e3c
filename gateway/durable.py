"""Files that are there whole or not at all, also after a kill or a power loss."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace(path: Path, content: bytes, mode: int = 0o600, mark: str = "new") -> None:
    """Write `path` so that whoever reads it meets the old content or the new.

    mode: of the new file. mark: ends the name that it has until it is whole; one writer at a time has it, and
    what one that was killed has left there is written over. Raises OSError; then the old content stays.
    """
    beside = path.with_name(f".{path.name}.{mark}")
    beside.unlink(missing_ok=True)
    _create(beside, content, mode)
    try:
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def create(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a new file; an existing one is never overwritten.

    Raises FileExistsError, or OSError when it cannot be written; then nothing is left.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    _create(beside, content, mode)
    try:
        path.hardlink_to(beside)  # fails where the name is taken, at the same moment as it looks
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file; one that is not there is as well."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    # Without this a power loss can take a new name away though the content was synced.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
