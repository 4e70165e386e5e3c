"""The keys that count for a partner: those it was first met with, until one of them has signed a change."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from gateway.store import pins
from gateway.store.pins import Pinned
from gateway.store.work import Work
from gateway.trust.directory import Directory, Entry
from gateway.trust.succession import follows, thumbprints

log = logging.getLogger("waymeet.trust")


@dataclass(frozen=True, slots=True)
class Partner:
    """One whose keys are pinned. keys: their thumbprints. since: when they were pinned, ISO 8601.

    held_back: the directory now names other keys, and none of these has signed the change.
    """

    organization: str
    keys: frozenset[str]
    since: str
    held_back: bool


@dataclass(frozen=True, slots=True)
class PinnedKeys:
    """What is pinned, and what follows from it with one directory; each by organization.

    entries: as the directory has them, but with the keys that count. held_back: those whose keys in the
    directory do not count.
    """

    pinned: Mapping[str, Pinned]
    entries: Mapping[str, Entry]
    held_back: frozenset[str]

    @classmethod
    def settled(cls, work: Work, directory: Directory, pinned: Mapping[str, Pinned]) -> PinnedKeys:
        """Those keys taken and pinned that follow from `pinned`, what the store holds; the others not."""
        entries, held_back = dict[str, Entry](), set[str]()
        now_pinned = dict(pinned)
        for organization, one in pinned.items():
            entry = directory.entry(organization)
            if entry is None:
                continue
            keys = _jwks(one)
            if entry.jwks != keys and entry.thumbprints != thumbprints(keys):
                if follows(thumbprints(keys), entry):
                    log.info("%s: new keys, signed over by the old", entry.id)
                    now_pinned[organization] = pins.keep(work, organization, entry.jwks)
                else:
                    held_back.add(organization)
                    entry = replace(entry, jwks=keys)
            entries[organization] = entry
        return cls(now_pinned, entries, frozenset(held_back))

    def partners(self) -> tuple[Partner, ...]:
        """Whose keys are pinned, in the order of their URLs."""
        return tuple(
            Partner(name, thumbprints(_jwks(one)), one.at, name in self.held_back)
            for name, one in sorted(self.pinned.items())
        )


def _jwks(pin: Pinned) -> Mapping[str, object]:
    found: Mapping[str, object] = msgspec.json.decode(pin.jwks)
    return found
