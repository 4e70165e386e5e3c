"""Directories and lists in any order, restarts and an operator in between: what must always hold."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path

from directory_world import CLINIC, PANTRY
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from joserfc import jws
from trust_world import Body, counting, trusting

from gateway.signing import keys
from gateway.store.work import Store
from gateway.trust.directory import DirectoryError
from gateway.trust.directory_files import MANIFEST, SUSPENSIONS

BOTH = (PANTRY, CLINIC)
Keys = frozenset[str]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, step: timedelta) -> None:
        self.now += step


@dataclass(frozen=True)
class Published:
    """A directory as it was published. signed: (organization, old key, new key) of each change told in it."""

    folder: Path
    sequence: int
    digest: str
    keys: Mapping[str, str]
    suspended: frozenset[str]
    signed: frozenset[tuple[str, str, str]]


class Press(Body):
    """A body that keeps a copy of everything it has ever published, forks and jumps included."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "press", Clock())
        self.copies = folder
        self.told: set[tuple[str, str, str]] = set()
        self.printed: list[Published] = []

    def step(self, *suspended: str, changes: Mapping[str, bool] | None = None, **how: object) -> None:
        """The next directory. changes: who has a new key, and whether the old one has signed it over."""
        for organization, signed in (changes or {}).items():
            old = self.keys[organization].thumbprint()
            new = self.new_key(organization, signed=signed).thumbprint()
            if signed:
                self.told.add((organization, old, new))
        self.suspended = set(suspended)
        found = self.publish(**how)
        copy = self.copies / f"directory-{len(self.printed)}"
        shutil.copytree(self.folder, copy)
        held = {one: key.thumbprint() for one, key in self.keys.items()}
        self.printed.append(
            Published(copy, found.sequence, found.digest, held, frozenset(suspended), frozenset(self.told))
        )

    def fork(self, back: int) -> Press:
        """Another press that goes on from what was published `back` steps ago, with keys of its own."""
        other = Press(self.copies)
        other.folder = Path(tempfile.mkdtemp(dir=self.copies))
        other.keys, other.printed, other.told = dict(self.keys), self.printed, set(self.told)
        other.changes = {name: list(texts) for name, texts in self.changes.items()}
        other.sequence, other.digests = self.sequence - back, self.digests[back:]
        return other


@cache
def _library() -> tuple[tuple[Published, ...], tuple[tuple[bytes, frozenset[str]], ...]]:
    """Everything that can ever be offered: directories, and suspension lists with whom they hold."""
    press = Press(Path(tempfile.mkdtemp()))
    press.step()
    press.step(changes={PANTRY: True})
    press.step(CLINIC)
    other = press.fork(back=1)
    other.step(changes={PANTRY: False})
    other.step(changes={PANTRY: True, CLINIC: True})
    press.step(changes={PANTRY: True, CLINIC: True})
    press.step(PANTRY, changes={PANTRY: False, CLINIC: False})
    press.step(changes={PANTRY: True})
    press.step(days=30)
    press.step(sequence=60, changes={CLINIC: True}, days=60)
    other.step(sequence=61, previous=(), days=60)
    lists = []
    for held in ((), (PANTRY,), (), (PANTRY, CLINIC), (CLINIC,)):
        press.suspend(*held, hours=24 * 14)
        lists.append(((press.folder / SUSPENSIONS).read_bytes(), frozenset(held)))
    press.suspend(sequence=4)
    lists.append(((press.folder / SUSPENSIONS).read_bytes(), frozenset()))
    press.suspend(PANTRY, sequence=9, key=keys.generate())
    lists.append(((press.folder / SUSPENSIONS).read_bytes(), frozenset((PANTRY,))))
    return tuple(press.printed), tuple(lists)


def digest_of(text: bytes) -> str:
    """SHA-256 of what was signed."""
    return hashlib.sha256(jws.extract_compact(text).payload).hexdigest()


_TENANTS = count()
_STORE = Path(tempfile.mkdtemp())


class AnyOrder(RuleBasedStateMachine):
    """One node, from its first directory on."""

    def __init__(self) -> None:
        super().__init__()
        self.directories, self.lists = _library()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.store = Store(_STORE, b"k" * 32, f"tenant-{next(_TENANTS)}", self.clock)
        self._lay(self.directories[0])
        self.body = Body(self.folder, self.clock)
        self.trust = trusting(self.store, self.body)
        self.trust.pin(PANTRY)
        self.partners = {PANTRY: {self.directories[0].keys[PANTRY]}}
        self.highest = (1, self.directories[0].digest)
        self.list_number = 0
        self.held: frozenset[str] = frozenset()

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def _lay(self, published: Published) -> None:
        shutil.copytree(published.folder, self.folder, dirs_exist_ok=True)

    @rule(number=st.integers(0, 10))
    def a_directory_is_offered(self, number: int) -> None:
        self._lay(self.directories[number])
        self.trust.refresh()

    @rule(pick=st.integers(0, 3))
    def one_of_about_the_same_number_is_offered(self, pick: int) -> None:
        now = self.trust.directory.sequence
        near = [one for one in self.directories if now <= one.sequence <= now + 1]
        self._lay(near[pick % len(near)])
        self.trust.refresh()

    @rule(number=st.integers(0, 6))
    def a_list_is_offered(self, number: int) -> None:
        (self.folder / SUSPENSIONS).write_bytes(self.lists[number][0])
        self.trust.refresh()

    @rule(name=st.sampled_from([MANIFEST, SUSPENSIONS]))
    def a_file_is_spoiled(self, name: str) -> None:
        (self.folder / name).write_bytes(b"nonsense")
        self.trust.refresh()

    @rule(hours=st.sampled_from([1, 90, 200]))
    def time_goes_by(self, hours: int) -> None:
        self.clock.forward(timedelta(hours=hours))
        self.trust.refresh()

    @rule()
    def the_node_restarts(self) -> None:
        with contextlib.suppress(DirectoryError):  # it does not start with what it must not use
            self.trust = trusting(self.store, self.body)
            if self.trust.suspensions is None:  # then it opens nothing new, but whom it held is not known
                self.held = frozenset()

    @rule(organization=st.sampled_from(BOTH))
    def one_is_used_as_a_partner(self, organization: str) -> None:
        before = counting(self.trust, organization)
        self.trust.pin(organization)
        pinned = {one.organization for one in self.trust.pins()}
        if organization in pinned and organization not in self.partners:
            assert before is not None
            self.partners[organization] = set(before)

    @precondition(lambda self: self.trust.standing() == "in force")
    @rule(organization=st.sampled_from(BOTH))
    def the_operator_pins_again(self, organization: str) -> None:
        self.trust.pin_again(organization)
        self.partners[organization] = {self._in_use().keys[organization]}

    def _in_use(self) -> Published:
        return next(one for one in self.directories if one.digest == self.trust.directory.digest)

    @invariant()
    def the_number_never_goes_down_and_stands_for_one_directory(self) -> None:
        now = (self.trust.directory.sequence, self.trust.directory.digest)
        assert now == self.highest or now[0] > self.highest[0]
        self.highest = now

    @invariant()
    def a_partners_keys_change_only_by_its_own_hand_or_the_operators(self) -> None:
        for organization, held in self.partners.items():
            found = counting(self.trust, organization)
            if found is None or found == held:
                continue
            reached, before = set(held), set[str]()
            while reached != before:
                before = set(reached)
                for who, old, new in self._in_use().signed:
                    reached |= {new} if who == organization and old in reached else set()
            assert found <= reached
            self.partners[organization] = set(found)

    @invariant()
    def who_is_suspended_is_never_returned_active(self) -> None:
        listed = self.trust.suspensions
        if listed is not None:
            assert listed.sequence >= self.list_number
            self.list_number = listed.sequence
            self.held = next(held for text, held in self.lists if digest_of(text) == listed.digest)
        for organization in self.held | self._in_use().suspended:
            entry = self.trust.entry(organization)
            assert entry is None or entry.status == "suspended"


AnyOrder.TestCase.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)
TestAnyOrder = AnyOrder.TestCase
