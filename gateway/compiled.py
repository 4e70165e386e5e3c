"""The consents of a person as the engine reads them, compiled once per state and kept in memory.

A Consent is compiled when it is stored, and after a restart when it is first asked for. What is kept is kept
with the state that it was made of (id, status, time of the last change), and the state is read from the store
in the transaction of every decision, so that a change by whichever process is seen at once: what was compiled
before it no longer fits, and is made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta, tzinfo
from typing import Any, Final

import consent
from consent import CompiledConsent
from gateway.replacing import resolved
from gateway.store import consents
from gateway.store.consents import State
from gateway.store.work import Work

KEPT: Final = 4096  # consents in memory; the one that was compiled first goes first


class Compiled:
    """One process's compiled consents. zone: where date-only days begin and end."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._kept: dict[str, tuple[State, CompiledConsent]] = {}

    def compile(
        self, resource: Mapping[str, Any], replaced: Iterable[CompiledConsent] = ()
    ) -> CompiledConsent:
        """A Consent as the engine reads it; never raises for what it holds.

        replaced: those that it takes the place of. It came after them, also where its date has no time of day
        or the same: the store knows the order, and the engine goes by the dates.
        """
        made = consent.compile_consent(resource, zone=self._zone)
        last = max((one.recorded for one in replaced if one.recorded is not None), default=None)
        if last is None or made.recorded is None or last < made.recorded:
            return made
        return replace(made, recorded=last + timedelta(microseconds=1))

    def keep(self, state: State, made: CompiledConsent) -> None:
        """Keep what was compiled from a Consent in this state, in place of what was kept of it before."""
        self._kept.pop(state.id, None)
        self._kept[state.id] = (state, made)
        while len(self._kept) > KEPT:
            self._kept.pop(next(iter(self._kept)), None)

    def drop(self, consent_id: str) -> None:
        """Let go of a Consent, because it has changed or is erased."""
        self._kept.pop(consent_id, None)

    def of_person(self, work: Work, subject: str) -> tuple[CompiledConsent, ...]:
        """The consents of a person (by subject digest) in any status, as they stand in this transaction."""
        made: dict[str, CompiledConsent] = {}
        for state in consents.states(work, subject):  # oldest first, so what one replaces is there before it
            made[state.id] = self._of(work, state, made)
        return tuple(made.values())

    def _of(self, work: Work, state: State, before: Mapping[str, CompiledConsent]) -> CompiledConsent:
        known = self._kept.get(state.id)
        if known is not None and known[0] == state:
            return known[1]
        held = consents.get(work, state.id)
        assert held is not None, "a Consent's row is never deleted"
        replaces = held.told.replaces
        replaced = [before[one] for one in replaces if one in before]
        made = self.compile(resolved(held.resource, replaces), replaced)
        self.keep(state, made)
        return made
