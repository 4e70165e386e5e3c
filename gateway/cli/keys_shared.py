"""What the commands of `waymeet keys` share: which name is meant, its keys, and who may change them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from joserfc.jwk import ECKey

from gateway import clock, settings
from gateway.cli.said import said
from gateway.settings import IdentitySettings, Settings
from gateway.signing import key_files, keys, operational_state
from gateway.signing.keys import KeyFileError, KeyFileMissing, KeyLocked, KeysError
from gateway.signing.operational import KeyRing
from gateway.signing.operational_rotation import Rotation

SHOWN: Final = 12  # characters of a key's name, enough to say which is meant
DEFAULT: Final = Path("node.yaml")
Config = Annotated[
    Path, typer.Option("--config", "-c", envvar="WAYMEET_CONFIG", help="The node's configuration file.")
]
As = Annotated[
    str,
    typer.Option("--as", help="Which of this node's names, if it has several: its URL, or the last part."),
]
FederationKey = Annotated[
    Path | None,
    typer.Option("--federation-key", help="The federation key's file, where it is kept elsewhere."),
]


@contextmanager
def told() -> Iterator[None]:
    """Run a command's body; what cannot be done to keys is said like everything else that goes wrong.

    Where its keys' passphrase is (`read`) is known for as long as it runs.
    """
    named = os.environ.get(key_files.FILE_VARIABLE)
    try:
        with said():
            try:
                yield
            except KeysError as fault:
                raise ValueError(str(fault)) from None
    finally:
        if named is None:
            os.environ.pop(key_files.FILE_VARIABLE, None)


def read(config: Path) -> Settings:
    """The settings; within `told`, a key that is encrypted is opened with the passphrase that they name."""
    found = settings.read(config)
    if found.passphrase_file is not None:
        os.environ.setdefault(key_files.FILE_VARIABLE, str(found.passphrase_file))
    return found


def name_of(identity: IdentitySettings) -> str:
    """The last part of an identity's directory URL."""
    return identity.organization.rpartition("/")[2]


def identity_of(found: Settings, name: str) -> IdentitySettings:
    """The identity that is meant; the only one where there is no other. Raises ValueError."""
    meant = [one for one in found.identities if not name or name in (one.organization, name_of(one))]
    if len(meant) == 1:
        return meant[0]
    names = ", ".join(map(name_of, found.identities))
    # One at a time: keys of two names that change together tell that the names belong together.
    raise ValueError(f"Say for which of this node's names, with --as: {names}.")


def ring_of(identity: IdentitySettings) -> KeyRing:
    """The keys of an identity as the node reads them. Raises KeyFileError."""
    secret = keys.stated_passphrase()
    return KeyRing.opened(
        identity.organization, identity.key, identity.operational, passphrase=secret, now=clock.now
    )


def rotation_of(identity: IdentitySettings, federation: Callable[[], ECKey | None]) -> Rotation:
    """What changes the keys of an identity, also where the node could not start for want of one."""
    operational_state.prepare(identity.operational)
    secret = keys.stated_passphrase()
    return Rotation(
        identity.operational,
        identity.organization,
        federation,
        clock.now(),
        resident=_is_resident(identity),
        passphrase=secret,
    )


def _is_resident(identity: IdentitySettings) -> bool:
    """Whether the node has the federation key itself."""
    try:
        keys.load(identity.key)
    except (KeyFileMissing, KeyLocked):
        return False
    return True


def federation_key(identity: IdentitySettings, path: Path | None) -> ECKey:
    """The private federation key: the configured one, or that in the file that was named.

    Raises KeyFileMissing or KeyLocked where it is kept elsewhere, KeyFileError for one that is not it.
    """
    if path is None:
        try:
            return keys.load(identity.key)
        except KeyFileMissing:
            raise KeyFileMissing(
                f"{identity.key}: the federation key is not there; name its file with --federation-key"
            ) from None
    key = keys.load(path)
    before = operational_state.read(identity.operational, identity.organization).federation
    if before is not None and before["kid"] != key.thumbprint():
        raise KeyFileError(
            f"{path}: is not the federation key that has signed until now; to change that one there is "
            "waymeet keys rotate --federation"
        )
    return key


def moment(at: datetime, found: Settings) -> str:
    """A moment in the agency's own time."""
    return at.astimezone(found.timezone).strftime("%Y-%m-%d %H:%M")


def which(found: Settings, identity: IdentitySettings) -> str:
    """What a command needs to mean this identity: nothing where there is no other."""
    return f" --as {name_of(identity)}" if len(found.identities) > 1 else ""
