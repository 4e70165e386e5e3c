"""Secrets in files: read only where nobody else could have read or replaced them, written durably.

A secret is made by this node, or mounted: Kubernetes mounts a folder of root's whose files are links, the
files root's too and readable by a group of the pod's own (`fsGroup`).
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Final

FILE_VARIABLE: Final = "WAYMEET_PASSPHRASE_FILE"
SHORTEST_PASSPHRASE: Final = 16
_MAX_FILE: Final = 16_384
_ROOT: Final = 0


class KeysError(Exception):
    """Keys that must not be used; the message names place and rule, never a value."""


class KeyFileError(KeysError):
    """A key file that must not be used; the message names the file and the rule, never its content."""


class KeyFileMissing(KeyFileError):  # noqa: N818 - a state that is foreseen: the key is kept elsewhere
    """There is no such file."""


def read_secret(path: Path) -> bytes:
    """The content of the file at `path`, at most 16 KiB of it.

    Raises `KeyFileMissing`, or `KeyFileError` when it cannot be read, is not a regular file, is open to
    anybody else, or lies where anybody else could put another in its place. A link is followed; the rules
    apply to what it points to, and to both folders.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_MAX_FILE)
    except OSError as error:
        kind = KeyFileMissing if error.errno == errno.ENOENT else KeyFileError
        raise kind(f"{path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{path}: is not a regular file")
    if status.st_uid not in (_ROOT, os.geteuid()):
        raise KeyFileError(f"{path}: belongs to another user; a secret must belong to the node's own")
    if _is_open(status):
        raise KeyFileError(f"{path}: others than its owner have access; a private key needs mode 0600")
    for folder in dict.fromkeys((path.parent, path.resolve().parent)):
        check_folder(folder)
    return content


def check_folder(folder: Path) -> None:
    """Raise `KeyFileError` when anybody else could replace a file in `folder`."""
    try:
        status = folder.stat()
    except OSError as error:
        raise KeyFileError(f"{folder}: cannot be read ({error.strerror})") from None
    if status.st_uid not in (_ROOT, os.geteuid()):
        raise KeyFileError(f"{folder}: belongs to another user, who could replace the keys in it")
    group_writes = status.st_mode & stat.S_IWGRP and _others_are_in(status.st_gid)
    # Where the sticky bit is set, as in /tmp, a file is replaced by its owner only.
    if (status.st_mode & stat.S_IWOTH or group_writes) and not status.st_mode & stat.S_ISVTX:
        raise KeyFileError(f"{folder}: others can write to this folder of keys; it needs mode 0700")


def check_own_folder(folder: Path) -> None:
    """Raise `KeyFileError` unless `folder` is this user's own and nobody else can write to it.

    Stricter than where a key is only read: here files are made, and replaced, under names that others know.
    """
    check_folder(folder)
    status = folder.stat()
    if status.st_uid != os.geteuid():
        raise KeyFileError(f"{folder}: belongs to another user; run this as the user that the node runs as")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise KeyFileError(f"{folder}: others can write to this folder of keys; it needs mode 0700")


def stated_passphrase(configured: Path | None = None) -> str | None:
    """What private keys are encrypted with: from the file that the environment names, or the configured one.

    None where neither is. Raises `KeyFileError` for a file that others can read, or a passphrase too short.
    """
    named = os.environ.get(FILE_VARIABLE)
    path = Path(named) if named else configured
    if path is None:
        return None
    try:
        found = read_secret(path).decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise KeyFileError(f"{path}: a passphrase is one line of text") from None
    if len(found) < SHORTEST_PASSPHRASE or "\n" in found:
        raise KeyFileError(
            f"{path}: a passphrase is one line of {SHORTEST_PASSPHRASE} characters or more, made by chance"
        )
    return found


def _is_open(status: os.stat_result) -> bool:
    """Whether anybody but its owner, root and this process has access to a file."""
    if not status.st_mode & 0o077:
        return False
    # A mounted secret is root's and reaches this process by a group; the group must be this process alone.
    mounted = status.st_uid == _ROOT != os.geteuid() and not status.st_mode & 0o037
    return not mounted or _others_are_in(status.st_gid)


def _others_are_in(group: int) -> bool:
    """Whether a user other than root and our own is in the group."""
    try:
        members = set(grp.getgrgid(group).gr_mem)
    except KeyError:
        members = set()  # a number without a name, as in a container: whoever is in it has it by number
    return any(
        user.pw_uid not in (_ROOT, os.geteuid())
        for user in pwd.getpwall()
        if user.pw_gid == group or user.pw_name in members
    )
