"""Whom this node trusts at this moment.

The directory says who takes part and with which keys; this module says what of it counts here and now. It
holds partners to the keys that are pinned, honours the suspension list, and knows what holds while the
convening body is away. Which directory may be used at all is for `directory_in_use`, and which keys count for
`pinned_keys`; docs/explanation/trust-between-nodes.md tells why.

What `entry` looks at is one value that `refresh` puts in place as a whole, so readers in other threads never
wait and never see half of a change.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Final, Literal

from joserfc.jwk import ECKey

from gateway.store import directories, pins
from gateway.store.work import Store
from gateway.trust.directory import Directory, Entry
from gateway.trust.directory_files import MANIFEST, SUSPENSIONS
from gateway.trust.directory_form import DirectoryError
from gateway.trust.directory_in_use import AnotherDirectory, DirectoryFolder, Listed
from gateway.trust.pinned_keys import Partner, PinnedKeys
from gateway.trust.suspensions import Suspensions

log = logging.getLogger("waymeet.trust")

# A file that was not usable, and pins that another process may have changed, are looked at again after this.
_AGAIN: Final = timedelta(seconds=5)
_SAID: Final = re.compile(r"([1-9][0-9]{0,15}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class _InUse:
    """All that counts, together. seen: the digests of the directories used here, by number."""

    directory: Directory
    listed: Listed
    keys: PinnedKeys
    seen: Mapping[int, str]


class Trust:
    """What the directory, the suspension list and this node's memory come to; threads may share it.

    folder: holds the directory's files. anchors: public keys that may sign it. grace: how long those who were
    partners go on after it has expired. Raises `DirectoryError` when there is no directory to begin with.

    `pin`, `pin_again`, `refresh` and `examine` open units of work, so they are never called within one.
    """

    def __init__(
        self,
        store: Store,
        folder: Path,
        anchors: Sequence[ECKey],
        now: Callable[[], datetime],
        grace: timedelta,
    ) -> None:
        self._store = store
        self._files = DirectoryFolder(store, folder, anchors, now)
        self._now = now
        self._grace = grace
        self._turn = Lock()  # of those who change what is in use
        self._alarming = Lock()
        self._unusable: dict[str, DirectoryError] = {}
        self._shown: dict[str, str] = {}
        self._looked, self._looked_at = self._files.look(), now()
        directory = self._files.directory(None)
        self._in_use = self._settled(directory, self._read_list(directory, Listed()), None)

    @property
    def directory(self) -> Directory:
        """The directory in use, as it was signed; whom to trust is for `entry` to say."""
        return self._in_use.directory

    @property
    def suspensions(self) -> Suspensions | None:
        """The last suspension list that was good, in force or not."""
        return self._in_use.listed.list

    def entry(self, organization: str) -> Entry | None:
        """An organization as it may be trusted now, with the keys that count. Microseconds.

        Its status is `suspended` where the directory or the list says so. None when it is unknown, when the
        directory has expired and it was no partner before, and for everybody once the grace is over.
        """
        in_use, now = self._in_use, self._now()
        found = in_use.keys.entries.get(organization)
        if now >= in_use.directory.expires:
            if found is None or now >= in_use.directory.expires + self._grace:
                return None
        elif found is None:
            found = in_use.directory.entry(organization)
        listed = in_use.listed.list
        if found is not None and listed is not None and listed.holds(organization):
            return replace(found, status="suspended")
        return found

    def standing(self) -> Literal["in force", "grace", "over"]:
        """Where the directory is in its life: in grace nobody new is trusted, and after that nobody."""
        now, expires = self._now(), self._in_use.directory.expires
        if now < expires:
            return "in force"
        return "grace" if now < expires + self._grace else "over"

    def opens_dossiers(self) -> bool:
        """Whether a dossier may be opened that was not open before.

        Not without a suspension list in force, where the directory names somebody who keeps one.
        """
        in_use = self._in_use
        return in_use.directory.suspender is None or in_use.listed.in_force(in_use.directory, self._now())

    def said(self) -> str:
        """What this node tells its peers of its directory: `<sequence>:<digest>`."""
        directory = self._in_use.directory
        return f"{directory.sequence}:{directory.digest}"

    def heard(self, organization: str, said: str) -> None:
        """Compare with what a peer said of its directory; another one under a number used here is an alarm.

        What is not of that form says nothing.
        """
        found = _SAID.fullmatch(said)
        if found is None:
            return
        ours = self._in_use.seen.get(int(found[1]))
        if ours is not None and ours != found[2]:
            who = _id(organization)
            self._show(who, f"{who} holds another directory than this node under the same number {found[1]}")

    @property
    def alarms(self) -> tuple[str, ...]:
        """What is wrong now, in words. That two directories were seen stays until a restart."""
        in_use, found = self._in_use, list[str]()
        match self.standing():
            case "grace":
                until = (in_use.directory.expires + self._grace).date()
                found.append(f"the directory has expired: nobody new is trusted, and partners until {until}")
            case "over":
                found.append("the directory has expired and its grace is over: nobody is trusted")
        if not self.opens_dossiers():
            found.append("there is no suspension list in force: no new dossier is opened")
        found += map(_held_back, sorted(in_use.keys.held_back))
        with self._alarming:
            found += [_not_used(name, fault) for name, fault in self._unusable.items()]
            # Another directory that still lies in the folder is among both.
            return tuple(dict.fromkeys((*found, *self._shown.values())))

    def pins(self) -> tuple[Partner, ...]:
        """Whose keys are pinned, in the order of their URLs."""
        return self._in_use.keys.partners()

    def pin(self, *organizations: str) -> None:
        """Hold those who are not pinned yet to the keys they have now: their first use as partners.

        Not one who is unknown or suspended, and nobody while the directory is not in force.
        """
        if self.standing() != "in force" or all(one in self._in_use.keys.pinned for one in organizations):
            return
        with self._turn:
            in_use = self._in_use
            with self._store.work() as work:
                known = pins.everyone(work)
                for organization in organizations:
                    entry = self.entry(organization)
                    if organization not in known and entry is not None and entry.status == "active":
                        known[organization] = pins.keep(work, organization, entry.jwks)
            self._in_use = self._settled(in_use.directory, in_use.listed, in_use)

    def pin_again(self, organization: str) -> None:
        """The operator takes the keys that the directory names now for a partner, signed over or not.

        Raises `DirectoryError` where it names none, or has expired and the organization is no partner.
        """
        with self._turn:
            in_use = self._in_use
            entry = in_use.directory.entry(organization)
            if entry is None or (self.standing() != "in force" and organization not in in_use.keys.pinned):
                raise DirectoryError(f"{_id(organization)}: no directory in force holds it")
            with self._store.work() as work:
                pins.keep(work, organization, entry.jwks)
            self._in_use = self._settled(in_use.directory, in_use.listed, in_use)

    def refresh(self) -> bool:
        """Take up files that have changed, and pins that another process has; whether anything has changed.

        A file that must not be used changes nothing: it is logged, is an alarm, and is looked at again.
        """
        with self._turn:
            looked, now, before = self._files.look(), self._now(), self._in_use
            again = abs(now - self._looked_at) >= _AGAIN
            if looked == self._looked and not again:
                return False
            changed = {name for name in looked if looked[name] != self._looked[name]}
            if again:
                faults = self._unusable.items()
                changed |= {name for name, fault in faults if not isinstance(fault, AnotherDirectory)}
            directory = self._read_directory(before) if MANIFEST in changed else before.directory
            listed = before.listed
            if SUSPENSIONS in changed or directory.suspender != listed.by:
                listed = self._read_list(directory, listed)
            self._in_use = self._settled(directory, listed, before)
            self._looked, self._looked_at = looked, now
            return self._in_use is not before

    def examine(self, name: str, content: bytes) -> None:
        """Refuse a signed file that could not be used in place of the one in use; for `gateway.trust.mirror`.

        name: of the manifest or of the suspension list. Raises `DirectoryError`.
        """
        in_use = self._in_use
        try:
            self._files.examine(name, content, in_use.directory, in_use.listed)
        except AnotherDirectory as fault:
            self._show(name, _not_used(name, fault))
            raise

    def _read_directory(self, before: _InUse) -> Directory:
        try:
            found = self._files.directory(before.directory)
        except DirectoryError as fault:
            self._refused(MANIFEST, fault)
            return before.directory
        self._taken(MANIFEST)
        return found

    def _read_list(self, directory: Directory, before: Listed) -> Listed:
        try:
            found = self._files.listed(directory, before)
        except DirectoryError as fault:
            # Who was suspended stays so until a list that is good says otherwise.
            self._refused(SUSPENSIONS, fault)
            return before
        self._taken(SUSPENSIONS)
        return found

    def _settled(self, directory: Directory, listed: Listed, before: _InUse | None) -> _InUse:
        """All that counts with this directory and this list; `before` itself where that is no change."""
        with self._store.work() as work:
            pinned, seen = pins.everyone(work), directories.seen(work)
            if before and before.directory is directory and before.keys.pinned == pinned:
                return before if before.listed == listed else replace(before, listed=listed)
            keys = PinnedKeys.settled(work, directory, pinned)
        for organization in sorted(keys.held_back - (before.keys.held_back if before else frozenset())):
            log.error("%s", _held_back(organization))
        return _InUse(directory, listed, keys, seen)

    def _refused(self, name: str, fault: DirectoryError) -> None:
        with self._alarming:
            known, self._unusable[name] = self._unusable.get(name), fault
        if isinstance(fault, AnotherDirectory):
            self._show(name, _not_used(name, fault))
        elif str(known) != str(fault):
            log.error("%s", _not_used(name, fault))

    def _taken(self, name: str) -> None:
        with self._alarming:
            self._unusable.pop(name, None)

    def _show(self, who: str, text: str) -> None:
        with self._alarming:
            known, self._shown[who] = self._shown.get(who), text
        if known != text:
            log.error("%s", text)


_OFFERED: Final = {MANIFEST: "the directory", SUSPENSIONS: "the suspension list"}


def _not_used(name: str, fault: DirectoryError) -> str:
    return f"{_OFFERED[name]} that is offered is not used: {fault}"


def _id(organization: str) -> str:
    return organization.rpartition("/")[2]


def _held_back(organization: str) -> str:
    return (
        f"{_id(organization)}: the directory names keys that no old key has signed; "
        "the old ones stay in use until the partner is pinned again"
    )
