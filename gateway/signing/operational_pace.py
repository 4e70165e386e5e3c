"""How fast the keys of an identity follow one another."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast keys follow one another.

    ahead: how long a key is published before it is used. used: how long it signs. spread: at most so much
    longer, by the key's own number, so that two names of one agency do not change keys at one moment.
    kept: how long it is published and accepted after its last use: the longest life of a token, the clocks'
    difference, the time for which a set may be cached, and a minute for replicas to notice.
    life: how long a signed set is in force.
    """

    ahead: timedelta = timedelta(hours=24)
    used: timedelta = timedelta(hours=24)
    spread: timedelta = timedelta(hours=1)
    kept: timedelta = timedelta(seconds=300 + 10 + 300 + 60)
    life: timedelta = timedelta(days=14)

    def term(self, kid: str) -> timedelta:
        """How long this key signs."""
        part = int.from_bytes(hashlib.sha256(kid.encode()).digest()[:4]) / 2**32
        return self.used + self.spread * part


PACE: Final = Pace()
