"""`waymeet keys rotate --federation`: another federation key, from the first file to the last partner.

For a while the directory has both keys, so that at every moment partners know the one that signs.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from gateway import clock, durable
from gateway.cli import directory_entry as cli_directory_entry
from gateway.cli.keys_shared import moment, name_of, rotation_of, which
from gateway.cli.said import tell
from gateway.node import opened
from gateway.settings import IdentitySettings, Settings
from gateway.signing import keys
from gateway.signing.keys import KeyFileError

# How long a directory is out before it is taken for known to all: nodes look every 15 minutes.
SPREAD: Final = timedelta(hours=1)


def begin(found: Settings, identity: IdentitySettings, key: Path, entry: Path | None) -> None:
    """Make the next federation key, and a directory entry with both keys that the old one has signed.

    key: the file of the federation key in use. entry: the file of the directory entry; where `waymeet init`
    has put it if None. May be repeated. Raises KeyFileError, DirectoryError, DocumentError or ValueError.
    """
    keys.load(key)
    file = entry or found.path.with_name(f"directory-entry-{name_of(identity)}.json")
    if not file.exists():
        raise ValueError(f"{file}: is not here; name the file of your directory entry with --entry.")
    following = _following(key)
    if not following.exists():
        keys.save(following, keys.generate(), keys.stated_passphrase())
    new = keys.load(following)
    tell(f"The next federation key: {following} ({new.thumbprint()}).")
    signed = file.with_suffix(".jws")
    if not signed.exists() or new.thumbprint() not in file.read_text(encoding="utf-8"):
        cli_directory_entry.entry(file, key=[key, following], old_key=key, to=signed)
    finishing = f"waymeet keys rotate{which(found, identity)} --federation --finish"
    for line in (
        "",
        "What to do now:",
        f"  1. Send {signed} to the convening body: it names both keys, and the old one has signed it.",
        "  2. The next directory has both. Your node goes on with the old key until you say otherwise.",
        f"  3. An hour after that directory: {finishing}",
        "  4. List the new key in agreements that you make or renew; those that are signed stay good.",
    ):
        tell(line)


def finish(found: Settings, identity: IdentitySettings, key: Path, at_once: bool) -> None:
    """Put the next key in the place of the old one, once partners can know it, and sign the set with it.

    Raises KeyFileError, OSError or ValueError.
    """
    following = _following(key)
    if not following.exists():
        raise ValueError(f"{following}: is not here; begin with waymeet keys rotate --federation.")
    old, new = keys.load(key), keys.load(following)
    _check_directory(found, identity, new.thumbprint(), at_once)
    if key.is_symlink():
        raise KeyFileError(
            f"{key}: is mounted from elsewhere; put {following} into that secret in its place yourself"
        )
    kept = key.with_name(f"{key.stem}.old-{old.thumbprint()[:8]}{key.suffix}")
    if not kept.exists():
        keys.save(kept, old, keys.stated_passphrase())
    following.replace(key)
    durable.sync_folder(key.parent)
    rotation_of(identity, partial(keys.load, key)).run()
    file = f"directory-entry-{name_of(identity)}.json"
    for line in (
        f"In use: {new.thumbprint()}. A running node takes it up within a minute, without a restart.",
        "What to do now:",
        "  1. In a day or later, state your entry without the old key, and send it to the convening body:",
        f"     waymeet directory entry {file} --key {key} --old-key {key}",
        f"  2. When the directory has only the new key, destroy the old one: {kept}",
    ):
        tell(line)


def _check_directory(found: Settings, identity: IdentitySettings, kid: str, at_once: bool) -> None:
    with opened(found.path) as node:
        directory = node.directory
        entry = directory.entry(identity.organization)
    if entry is None or kid not in entry.thumbprints:
        raise ValueError(
            f"The directory here (number {directory.sequence}) does not have the new key yet. Partners would "
            "refuse what it signs, so the old one stays in use."
        )
    known = directory.issued + SPREAD
    if clock.now() < known and not at_once:
        raise ValueError(
            f"The directory with the new key was signed at {moment(directory.issued, found)}, and partners "
            f"fetch it at their own pace. Repeat this after {moment(known, found)}, or with --now."
        )


def _following(key: Path) -> Path:
    return key.with_name(f"{key.stem}.next{key.suffix}")
