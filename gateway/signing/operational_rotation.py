"""How the keys of one folder follow one another, step by step.

Each step is one atomic change of one file, in an order in which a stop after any of them leaves keys that
sign and verify, and something that the next run finishes:
a key is written down, then saved, then published in the signed set, then noted as published, and only
long after that used; a key that is over is deleted first and struck from the list afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec
from joserfc.jwk import ECKey

from gateway import durable
from gateway.signing import keys, operational_state
from gateway.signing.keys import KeysError
from gateway.signing.operational_jwks import MOST_KEYS, signed
from gateway.signing.operational_pace import PACE, Pace
from gateway.signing.operational_set import SIGNED_FILE, signed_set
from gateway.signing.operational_state import REMEMBERED, Former, OperationalKey, State

MOST_DAYS: Final = 28  # of keys made in advance: a set holds 32 and is in force for 31 days
_IN_THE_FUTURE: Final = timedelta(minutes=1)


class Step(NamedTuple):
    """What was done with a key. "signed": a new set is in force, by the federation key of this name."""

    what: Literal["made", "used", "retired", "deleted", "revoked", "lost", "signed"]
    kid: str


class Rotation:
    """One run over a folder, under its lock, at one moment.

    federation: reads the private federation key, without which nothing can be published; None where it is
    kept elsewhere. Read under the lock, so that one that was replaced just now signs nothing any more.
    resident: whether it stays, so that it can sign in place of an operational key that is taken back. Every
    method raises `KeysError` or `OSError`; what was done until then stays done, and the next run finishes it.
    """

    def __init__(
        self,
        folder: Path,
        organization: str,
        federation: Callable[[], ECKey | None],
        now: datetime,
        *,
        resident: bool = True,
        passphrase: str | None = None,
        pace: Pace = PACE,
    ) -> None:
        self._resident = resident
        self._folder = folder
        self._organization = organization
        self._read_federation = federation
        self._federation: ECKey | None = None
        self._now = now
        self._passphrase = passphrase
        self._pace = pace
        self._done: list[Step] = []
        self._state = State(organization=organization)

    def run(self, *, ahead: int = 1, more: int = 0, urgent: bool = False) -> tuple[Step, ...]:
        """Do what is due. ahead: how many keys are to wait. more: make so many in any case.

        urgent: make one and use it at once. Does nothing where nothing is due.
        """
        with operational_state.locked(self._folder):
            self._begin()
            self._take_up()
            self._write()
            if self._federation is not None:
                for _ in range(max(ahead - len(self._state.waiting), more)):
                    self._make()
                if urgent:
                    self._make(urgent=True)
                self._sign(self._federation, self._life(ahead))
                self._take_up()
                self._write()
        return tuple(self._done)

    def revoke(self, kid: str) -> tuple[Step, ...]:
        """Take the key of this name back: from now on nothing that it signed counts here.

        Raises `KeysError` when there is no such key, or when the identity would be left without one.
        """
        with operational_state.locked(self._folder):
            self._begin()
            key = self._state.key(kid)
            if key is None or key.revoked is not None:
                raise KeysError("There is no operational key of this name that could be taken back.")
            if key.signs and not self._resident:
                self._follow(key)
            self._change(replace_key(self._state.key(kid) or key, revoked=self._now))
            self._write()
            self._done.append(Step("revoked", kid))
            if self._federation is not None:
                self._take_up()
                self._write()
                if not self._state.waiting:
                    self._make()
                self._sign(self._federation, self._pace.life)
            self._delete(kid)
        return tuple(self._done)

    # ------------------------------------------------------------ steps

    def _begin(self) -> None:
        """Read the folder; clear away what is over, and note what the last run did not come to note."""
        self._federation = self._read_federation()
        self._written = operational_state.read(self._folder, self._organization)
        self._state = self._written.put_right(self._now)
        over = {key.kid for key in self._state.keys if self._is_over(key)}
        for key in self._state.keys:
            has_file = self._pem(key.kid).exists()
            if has_file and (key.revoked is not None or key.kid in over):
                self._delete(key.kid)
            elif not has_file and key.revoked is None and key.kid not in over:
                over.add(key.kid)
                self._done.append(Step("lost", key.kid))
        former = tuple(one for one in self._state.former if self._now - one.retired < self._pace.kept)
        self._state = msgspec.structs.replace(self._state.without(frozenset(over)), former=former)
        self._set = signed_set(self._folder, self._federation_keys())
        self._note_published()

    def _take_up(self) -> None:
        """Let the next key sign, where the one before has had its time and the next has been published."""
        current = self._state.current
        ripe = [key for key in self._state.waiting if self._is_ripe(key)]
        urgent = [key for key in ripe if key.urgent]
        over = current is None or self._now - (current.used or self._now) >= self._pace.term(current.kid)
        if not ripe or not (over or urgent):
            return
        if current is not None:
            self._change(replace_key(current, retired=self._now))
            self._done.append(Step("retired", current.kid))
        following = (urgent or ripe)[0]
        self._change(replace_key(following, used=self._now))
        self._done.append(Step("used", following.kid))

    def _follow(self, current: OperationalKey) -> None:
        """Let another key sign in the place of `current`, where the federation key cannot: it does not stay.

        One whose time has come; else a new one, with the federation key that is here for a moment; else one
        that was to wait longer. Raises `KeysError` when there is none.
        """
        ripe = [key for key in self._state.waiting if self._is_ripe(key)]
        if not ripe and self._federation is not None:
            self._make(urgent=True)
            self._sign(self._federation, self._pace.life)
        published = [key for key in self._state.waiting if self._is_in_set(key)]
        if not published:
            raise KeysError(
                "This is the only key that is published, and the federation key is not at hand: nothing "
                "could be signed. Name it with --federation-key."
            )
        following = next((key for key in published if self._is_ripe(key)), published[0])
        urgent = following.urgent or not self._is_ripe(following)
        self._change(replace_key(current, retired=self._now))
        self._change(replace_key(following, used=self._now, urgent=urgent))
        self._write()
        self._done.append(Step("used", following.kid))

    def _make(self, *, urgent: bool = False) -> None:
        """Write down a new key, then save it."""
        if sum(key.revoked is None for key in self._state.keys) >= MOST_KEYS:
            raise KeysError(
                f"A set holds at most {MOST_KEYS} keys; let some of those that wait be used first."
            )
        key = keys.generate()
        while (kid := key.thumbprint()).startswith("-"):  # which a command line takes for an option
            key = keys.generate()
        self._change(OperationalKey(kid=kid, made=self._now, urgent=urgent))
        self._write()
        keys.save(self._pem(kid), key, self._passphrase)
        self._done.append(Step("made", kid))

    def _sign(self, federation: ECKey, life: timedelta) -> None:
        """Publish the keys that count, where the set says something else or will not be in force for long."""
        names = [key.kid for key in self._state.keys if key.revoked is None]
        kid = federation.thumbprint()
        held = self._set
        if not names and held is None:
            return
        if (
            held is None
            or held.signer != kid
            or held.kids != frozenset(names)
            or held.issued > self._now + _IN_THE_FUTURE
            or held.expires - self._now < life / 2
        ):
            signing = [keys.load(self._pem(name), self._passphrase) for name in sorted(names)]
            text = signed(signing, federation, self._organization, self._now, life)
            durable.replace(self._folder / SIGNED_FILE, text)
            self._set = signed_set(self._folder, [keys.public_jwk(federation)])
            self._done.append(Step("signed", kid))
        self._note_published()
        self._note_federation(federation)
        self._write()

    # ------------------------------------------------------------ small parts

    def _note_published(self) -> None:
        for key in self._state.keys:
            if key.published is None and self._is_in_set(key):
                self._change(replace_key(key, published=self._now))

    def _note_federation(self, federation: ECKey) -> None:
        public, before = keys.public_jwk(federation), self._state.federation
        if before == public:
            return
        former = self._state.former
        if before is not None:
            former = (*(one for one in former if one.jwk != before), Former(before, self._now))
        self._state = msgspec.structs.replace(self._state, federation=public, former=former)

    def _federation_keys(self) -> list[dict[str, Any]]:
        own = [keys.public_jwk(self._federation)] if self._federation is not None else []
        noted = self._state.federation
        return own + ([noted] if noted is not None and noted not in own else [])

    def _life(self, ahead: int) -> timedelta:
        return max(self._pace.life, timedelta(days=ahead + 1)) if ahead > 1 else self._pace.life

    def _is_in_set(self, key: OperationalKey) -> bool:
        return self._set is not None and self._set.in_force(self._now) and key.kid in self._set.kids

    def _is_ripe(self, key: OperationalKey) -> bool:
        if key.published is None or not self._is_in_set(key):
            return False
        return key.urgent or self._now - key.published >= self._pace.ahead

    def _is_over(self, key: OperationalKey) -> bool:
        if key.revoked is not None:
            return self._now - key.revoked >= REMEMBERED
        return key.retired is not None and self._now - key.retired >= self._pace.kept

    def _pem(self, kid: str) -> Path:
        return self._folder / f"{kid}.pem"

    def _delete(self, kid: str) -> None:
        with suppress(FileNotFoundError):
            self._pem(kid).unlink()
            durable.sync_folder(self._folder)
            self._done.append(Step("deleted", kid))

    def _change(self, key: OperationalKey) -> None:
        self._state = self._state.with_key(key)

    def _write(self) -> None:
        if self._state != self._written:
            operational_state.write(self._folder, self._state)
            self._written = self._state


def replace_key(key: OperationalKey, **changes: Any) -> OperationalKey:
    """`key` with some of its members changed."""
    return msgspec.structs.replace(key, **changes)
