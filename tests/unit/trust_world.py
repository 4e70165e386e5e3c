"""A convening body at work, and a node that reads what it publishes."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from directory_world import ANCHOR, ANCHORS, CLINIC, ISSUER, PANTRY, SUSPENDER
from directory_world import entry as statement
from joserfc.jwk import ECKey

from gateway.signing import keys
from gateway.store.work import Store
from gateway.trust import suspensions
from gateway.trust.directory import Directory
from gateway.trust.directory_files import SUSPENSIONS
from gateway.trust.directory_signing import publish
from gateway.trust.succession import hand_over
from gateway.trust.trusted import Trust

GRACE = timedelta(days=14)
SHELTER = f"{ISSUER}/Organization/maple-street-office"
ADDRESSES = {
    PANTRY: "https://pantry.example.org",
    CLINIC: "https://clinic.example.org",
    SHELTER: "https://maple.example.org",
}


class Clock(Protocol):
    now: datetime

    def __call__(self) -> datetime: ...

    def forward(self, step: timedelta) -> None: ...


class Body:
    """Publishes into `folder`, one number after the other, and remembers what it has published.

    keys: the key that each participant has now. jwks: its whole set, where that is more or other than this
    key. changes: what each has signed over, oldest first.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.clock = clock
        self.sequence = 0
        self.lists = 0
        self.digests: tuple[str, ...] = ()
        self.keys: dict[str, ECKey] = {one: keys.generate() for one in (PANTRY, CLINIC)}
        self.jwks: dict[str, dict[str, Any]] = {}
        self.changes: dict[str, list[str]] = {}
        self.suspended: set[str] = set()

    def publish(self, **how: Any) -> Directory:
        """The next directory; `how` overrides what `gateway.trust.directory_signing.publish` is given."""
        sequence = how.pop("sequence", self.sequence + 1)
        given = {
            "sequence": sequence,
            "now": self.clock.now,
            "previous": self.digests[:32],
            "suspender": keys.public_jwk(SUSPENDER),
            **how,
        }
        found = publish(self.folder, ISSUER, self.statements(), given.pop("anchor", ANCHOR), **given)
        self.sequence, self.digests = sequence, (found.digest, *self.digests)
        return found

    def statements(self) -> list[dict[str, Any]]:
        return [
            statement(one, ADDRESSES[one], key)
            | ({"jwks": self.jwks[one]} if one in self.jwks else {})
            | ({"succession": self.changes[one]} if one in self.changes else {})
            | {"status": "suspended" if one in self.suspended else "active"}
            for one, key in self.keys.items()
        ]

    def new_key(self, organization: str, *, signed: bool) -> ECKey:
        """A participant has a new key from now on; signed: with the old one's signature under the change."""
        old, new = self.keys[organization], keys.generate()
        if signed:
            change = hand_over(organization, keys.public_jwks(new), old, self.clock.now)
            self.changes.setdefault(organization, []).append(change)
        self.keys[organization] = new
        return new

    def suspend(self, *organizations: str, **how: Any) -> None:
        """The next suspension list."""
        given = {"sequence": self.lists + 1, "now": self.clock.now, **how}
        self.lists = given["sequence"]
        text = suspensions.sign(ISSUER, organizations, given.pop("key", SUSPENDER), **given)
        (self.folder / SUSPENSIONS).write_text(text, encoding="ascii")


def trusting(store: Store, body: Body) -> Trust:
    """A node that reads the body's folder with this store, as it stands after a start."""
    return Trust(store, body.folder, ANCHORS, body.clock, GRACE)


def named(*held: ECKey) -> frozenset[str]:
    """The thumbprints of keys."""
    return frozenset(key.thumbprint() for key in held)


def counting(trust: Trust, organization: str) -> frozenset[str] | None:
    """The thumbprints of the keys that count for an organization now; None: it is not trusted."""
    entry = trust.entry(organization)
    return entry.thumbprints if entry else None
