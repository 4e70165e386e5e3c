"""Whatever is done to an identity's keys, in whatever order: what must be true of them at every moment."""

from __future__ import annotations

import os
import tempfile
from datetime import timedelta
from pathlib import Path

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from key_world import DAY, HOUR, World, kid

from gateway.signing import keys
from gateway.signing.operational import KeyRing, Pace

TOKEN = timedelta(seconds=300)
REPLICAS = 2

replicas = st.integers(0, REPLICAS - 1)
spans = st.one_of(
    st.integers(1, 600).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(1, 48).map(lambda hours: timedelta(hours=hours)),
    st.integers(1, 20).map(lambda days: timedelta(days=days)),
)


class Keys(RuleBasedStateMachine):
    """Replicas on one folder, an operator, a clock, and the federation key at hand or in the safe.

    `since` is true time, which only grows; the clock of the world may be turned back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = tempfile.TemporaryDirectory()
        # What is drawn must not depend on names made by chance: no key signs longer by its name.
        self.world = World(Path(self.root.name), pace=Pace(spread=timedelta(0)))
        self.in_safe = False
        self.since = timedelta(0)
        self.first_published: dict[str, timedelta] = {}
        self.tokens: list[tuple[str, timedelta]] = []
        self.revoked: set[str] = set()
        self.rings: list[KeyRing] = [self.world.ring() for _ in range(REPLICAS)]

    def teardown(self) -> None:
        self.root.cleanup()

    # -------------------------------------------------------------- what happens

    @rule(span=spans)
    def time_passes_and_nobody_does_anything(self, span: timedelta) -> None:
        self._pass(span)

    @rule(days=st.integers(1, 6))
    def days_pass_as_they_should(self, days: int) -> None:
        for _ in range(days * 4):
            self._pass(6 * HOUR)
            self.rings[0].rotate_if_due(self.world.now)
            self._sign_and_look()

    @rule(replica=replicas)
    def a_replica_does_what_is_due(self, replica: int) -> None:
        self.rings[replica].rotate_if_due(self.world.now)

    @rule(span=spans)
    def the_clock_goes_back(self, span: timedelta) -> None:
        self.world.now -= span

    @rule(replica=replicas)
    def started_again(self, replica: int) -> None:
        self.rings[replica] = self.world.ring()

    @precondition(lambda self: not self.in_safe)
    @rule(replica=replicas, more=st.integers(1, 2), urgent=st.booleans())
    def an_operator_makes_keys(self, replica: int, more: int, urgent: bool) -> None:
        if len(self.world.files()) < 24:
            self.rings[replica].rotation(self.world.now).run(more=0 if urgent else more, urgent=urgent)

    @precondition(lambda self: self.in_safe)
    @rule(replica=replicas, days=st.integers(1, 5))
    def an_operator_prepares_days(self, replica: int, days: int) -> None:
        federation = keys.load(self.world.safe)
        self.rings[replica].rotation(self.world.now, federation).run(ahead=days)

    @rule(replica=replicas, which=st.integers(0, 5), fetched=st.booleans())
    def an_operator_takes_a_key_back(self, replica: int, which: int, fetched: bool) -> None:
        counting = [key for key in self._written() if not key["revoked"]]
        counting.sort(key=lambda key: (str(key["made"]), key["used"] is None, key["published"] is None))
        if which >= len(counting):
            return
        name = str(counting[which]["kid"])
        federation = keys.load(self.world.safe) if self.in_safe and fetched else None
        try:
            self.rings[replica].rotation(self.world.now, federation).revoke(name)
        except keys.KeysError as refused:
            assert self.in_safe and federation is None and "the only key that is published" in str(refused)
        else:
            self.revoked.add(name)

    @precondition(lambda self: not self.in_safe)
    @rule()
    def the_federation_key_goes_into_the_safe(self) -> None:
        if any(key["used"] and not key["retired"] and not key["revoked"] for key in self._written()):
            self.world.federation_file.rename(self.world.safe)
            self.in_safe = True

    @precondition(lambda self: self.in_safe)
    @rule()
    def the_federation_key_comes_out_of_the_safe(self) -> None:
        self.world.safe.rename(self.world.federation_file)
        self.in_safe = False

    # -------------------------------------------------------------- what must be true

    @invariant()
    def what_signs_is_known_and_what_was_signed_is_recognised(self) -> None:
        self._sign_and_look()

    def _sign_and_look(self) -> None:
        for name in self.world.partners_have(self.rings[0]):
            self.first_published.setdefault(name, self.since)
        urgent = {key["kid"] for key in self._written() if key["urgent"]}
        for ring in self.rings:
            name = kid(ring)
            assert ring.signing.is_private
            if name != self.world.federation.thumbprint():
                assert name in self.first_published, "partners could not know it"
                waited = self.since - self.first_published[name]
                assert waited >= DAY or name in urgent
            self.tokens.append((name, self.since))
        self.tokens = [(name, at) for name, at in self.tokens if self.since - at <= TOKEN]
        for ring in self.rings:
            for name, _at in self.tokens:
                assert (ring.verifying(name) is None) == (name in self.revoked)
            assert all(ring.verifying(name) is None for name in self.revoked)

    def _pass(self, span: timedelta) -> None:
        self.since += span
        self.world.now += span

    def _written(self) -> list[dict[str, object]]:
        if not (self.world.folder / "state.json").exists():
            return []
        found: list[dict[str, object]] = self.world.state()["keys"]
        return found


TestKeys = Keys.TestCase
TestKeys.settings = hypothesis.settings(
    max_examples=int(os.environ.get("EXAMPLES", "15")),
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
