"""The folder of one identity's keys, read: which of them signs, which are recognised, what is published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from gateway.signing import keys, operational_state
from gateway.signing.keys import KeyFileError, KeyFileMissing
from gateway.signing.operational_jwks import MEDIA_TYPE
from gateway.signing.operational_pace import Pace
from gateway.signing.operational_set import SignedSet, signed_set
from gateway.signing.operational_state import State


class NothingToSignWith(KeyFileError):  # noqa: N818 - a state that is foreseen
    """No federation key is at hand, and no operational key is in use."""


@dataclass(frozen=True, slots=True)
class Held:
    """The keys as they were read at one moment, never changed: a new reading is another one.

    signing: the private key in use. verifying: by name, those whose signatures count, federation keys
    included. jwks, published: as `Signing` has them. until: when the reading is over though no file changes.
    """

    signing: ECKey
    verifying: Mapping[str, ECKey]
    jwks: dict[str, Any]
    published: tuple[bytes, str] | None = field(default=None, repr=False)
    state: State | None = None
    set: SignedSet | None = field(default=None, repr=False)
    private: Mapping[str, ECKey] = field(default_factory=dict, repr=False)
    until: datetime | None = None


def of(key: ECKey) -> Held:
    """One key for everything."""
    return Held(key, {key.thumbprint(): key}, keys.public_jwks(key))


def read(
    folder: Path,
    organization: str,
    federation: ECKey | None,
    now: datetime,
    *,
    passphrase: str | None,
    pace: Pace,
    known: Mapping[str, ECKey],
) -> Held:
    """The keys in `folder`. federation: the private federation key, where it is here. known: read before.

    Raises `KeyFileError`, or `NothingToSignWith`.
    """
    state = operational_state.read(folder, organization)
    private = _private_keys(folder, state, passphrase, known)
    federations = _federation_keys(state, federation, now, pace)
    found = signed_set(folder, [keys.public_jwk(key) for key in federations.values()])
    in_force = found is not None and found.in_force(now)
    published = {kid: key for kid, key in private.items() if found is not None and kid in found.kids}
    believed = found is not None and in_force and not found.is_to_come(now)
    return Held(
        signing=_signing(folder, state, federation, private, published if believed else {}),
        verifying={**private, **federations},
        # Those that wait for the signed set are kept back: nobody is to learn a key twice.
        jwks=keys.public_jwks(*published.values(), *federations.values()),
        published=(found.text, MEDIA_TYPE) if found is not None and in_force else None,
        state=state,
        set=found,
        private=private,
        until=found.expires if found is not None and in_force else None,
    )


def _private_keys(
    folder: Path, state: State, passphrase: str | None, known: Mapping[str, ECKey]
) -> dict[str, ECKey]:
    """The private keys that count, by name. One whose file is gone is left out: it was deleted just now."""
    found = {}
    for key in state.keys:
        if key.revoked is not None:
            continue
        path = folder / f"{key.kid}.pem"
        try:
            loaded = known.get(key.kid) or keys.load(path, passphrase)
        except KeyFileMissing:
            continue
        if loaded.thumbprint() != key.kid:
            raise KeyFileError(f"{path}: holds another key than its name says")
        found[key.kid] = loaded
    return found


def _federation_keys(state: State, federation: ECKey | None, now: datetime, pace: Pace) -> dict[str, ECKey]:
    """The public federation keys that count: the one here, the one that signed last, those just given up."""
    noted = [one.jwk for one in state.former if now - one.retired < pace.kept]
    if state.federation is not None:
        noted.append(state.federation)
    if federation is not None:
        noted.append(keys.public_jwk(federation))
    found = (ECKey.import_key(jwk) for jwk in noted)
    return {key.thumbprint(): key for key in found}


def _signing(
    folder: Path,
    state: State,
    federation: ECKey | None,
    private: Mapping[str, ECKey],
    published: Mapping[str, ECKey],
) -> ECKey:
    """The key to sign with: the operational one in use, else the federation key, which the directory has."""
    kid = state.current.kid if state.current is not None else ""
    if kid in published:
        return published[kid]
    if federation is not None:
        return federation
    if kid in private:
        return private[kid]  # the set is over: our own tokens still hold, and an alarm says it
    raise NothingToSignWith(
        f"{folder}: nothing to sign with: no operational key is in use yet, and the federation key is not at "
        "hand"
    )
