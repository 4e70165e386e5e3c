"""The convening body's folder: its keys, what participants have stated, and what is signed next.

    directory.yaml    issuer, and how long what is signed is in force
    keys/             anchor, next-anchor and suspender, each .pem (secret) and .pub.json; *-retired-*
    statements/       each participant's own signed statement, <id>.jws
    described/        what a third party says of name and services, <id>.json
    signed/           the directory as it was signed last, as nodes read it

Nothing that only a participant may say (keys, addresses, status, purposes) is read from anywhere but its own
signed statement.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from joserfc.jwk import ECKey
from msgspec import UNSET

from gateway.trust import directory_statement
from gateway.trust.directory import Directory
from gateway.trust.directory_described import Described, descriptive, merged
from gateway.trust.directory_described import decoder as described_decoder
from gateway.trust.directory_entry import Entry, entry_of
from gateway.trust.directory_files import MANIFEST, replace
from gateway.trust.directory_form import (
    DirectoryError,
    OrganizationUrl,
    Origin,
    Statement,
    canonical,
    converted,
    decoded,
)
from gateway.trust.directory_keys import ANCHOR, NEXT_ANCHOR, SUSPENDER, new_key, public_key
from gateway.trust.directory_rules import broken_rule, marks
from gateway.trust.directory_statement import Own
from gateway.trust.succession import follows
from profiles.document import load

_SETTINGS: Final = {
    "type": "object",
    "properties": {
        "issuer": {"type": "string"},
        "days": {"type": "integer", "minimum": 1, "maximum": 90},
        "suspension_hours": {"type": "integer", "minimum": 1, "maximum": 168},
    },
    "required": ["issuer", "days", "suspension_hours"],
    "additionalProperties": False,
}
_TEMPLATE: Final = """\
# The directory of {issuer}, kept with `waymeet directory`.
issuer: {issuer}        # what the URL of every participant begins with; it never changes
days: 7                 # a signed directory makes somebody newly trusted for so long; sign anew well before
suspension_hours: 24    # a signed suspension list is in force for so long; renew it well before
"""


@dataclass(frozen=True, slots=True)
class Draft:
    """An open folder. days, suspension_hours: how long what is signed is in force."""

    folder: Path
    issuer: str
    days: int
    suspension_hours: int

    @classmethod
    def open(cls, folder: Path) -> Draft:
        """The draft in `folder`. Raises DocumentError."""
        held = load(folder / "directory.yaml", _SETTINGS).data
        converted(held["issuer"], Origin, f"{folder / 'directory.yaml'}: issuer")
        return cls(folder, held["issuer"], held["days"], held["suspension_hours"])

    @classmethod
    def new(cls, folder: Path, issuer: str) -> Draft:
        """A draft of nobody, with keys. Raises DirectoryError, FileExistsError."""
        converted(issuer, Origin, "--issuer")
        for part in ("keys", "statements", "described", "signed"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "keys").chmod(0o700)
        for name in (ANCHOR, NEXT_ANCHOR, SUSPENDER):
            new_key(folder / "keys", name)
        with (folder / "directory.yaml").open("x", encoding="utf-8") as file:
            file.write(_TEMPLATE.format(issuer=issuer))
        return cls.open(folder)

    @property
    def signed(self) -> Path:
        """Where the signed directory lies."""
        return self.folder / "signed"

    def key(self, name: str) -> Path:
        """A private key's file."""
        return self.folder / "keys" / f"{name}.pem"

    def public(self, name: str) -> Path:
        """A public key's file."""
        return self.folder / "keys" / f"{name}.pub.json"

    def anchors(self) -> list[ECKey]:
        """The public keys that nodes are to pin: the anchor and the next one."""
        current = (self.public(ANCHOR), self.public(NEXT_ANCHOR))
        return [public_key(path) for path in current if path.exists()]

    def last(self, now: datetime) -> Directory | None:
        """The directory as it was signed last; None before the first. Raises DirectoryError."""
        if not (self.signed / MANIFEST).exists():
            return None
        retired = sorted((self.folder / "keys").glob(f"{ANCHOR}-retired-*.pub.json"))
        return Directory.read(self.signed, [*self.anchors(), *map(public_key, retired)], now)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One at a time: two who sign at once would give one number to two directories."""
        with (self.folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def participants(self) -> dict[str, Own]:
        """Every participant's statement by its URL, signatures aside. Raises DirectoryError."""
        found = {}
        for path in sorted((self.folder / "statements").glob("*.jws")):
            own = directory_statement.skimmed(path.read_text(encoding="utf-8"), str(path))
            if path != self._statement(own.organization):
                raise DirectoryError(
                    f"{path}: is not the statement of the participant that it is named after"
                )
            found[own.organization] = own
        return found

    def held(self, organization: str) -> Own | None:
        """One participant's statement."""
        path = self._statement(organization)
        if not path.exists():
            return None
        return directory_statement.skimmed(path.read_text(encoding="utf-8"), str(path))

    def taken(self) -> dict[tuple[str, str], str]:
        """Whose each mark is (gateway/trust/directory_rules.py). Raises DirectoryError."""
        everyone = self.participants().values()
        return {mark: own.organization for own in everyone for mark in marks(own.statement)}

    def add(
        self,
        text: str,
        where: str,
        now: datetime,
        taken: dict[tuple[str, str], str],
        *,
        vouched: bool = False,
    ) -> tuple[Entry | None, Entry]:
        """Take a participant's signed statement; what it stated before, and what it states now.

        taken: what `taken` gave; it is kept up to date. New keys of one who takes part must follow from those
        before, or the convening body must have `vouched` for them. What others have said of its name and
        services is dropped where it describes itself anew. Raises DirectoryError; then nothing is changed.
        """
        own = directory_statement.read(text, where, now)
        if own.organization.partition("/Organization/")[0] != self.issuer:
            raise DirectoryError(f"{where}: organization: is not in the directory of {self.issuer}")
        before = self.held(own.organization)
        if before is not None:
            if own.issued < before.issued:
                raise DirectoryError(f"{where}: iat: a later statement of this participant's is held already")
            pinned = before.entry.thumbprints
            if own.entry.thumbprints != pinned and not vouched and not follows(pinned, own.entry):
                raise DirectoryError(
                    f"{where}: jwks: the keys are new, and no key that it had before has signed that. Have "
                    "it signed (waymeet directory entry --old-key), or ask them in person which keys are "
                    "theirs and say so with --vouched"
                )
        for mark in (ours := marks(own.statement)):
            if taken.get(mark, own.organization) != own.organization:
                raise DirectoryError(f"{where}: {mark[0]}: is that of {taken[mark]}")
        if before is not None and descriptive(before) != descriptive(own):
            self._description(own.organization).unlink(missing_ok=True)
        replace(self._statement(own.organization), own.text.encode("ascii"))
        taken.update(dict.fromkeys(ours, own.organization))
        return before.entry if before else None, own.entry

    def describe(self, facts: Mapping[str, Any], source: str, assured: date, where: str) -> str:
        """Take what a third party says of a participant: nothing but its name and services. Its URL.

        Raises DirectoryError.
        """
        members = {**facts, "source": source, "assured": assured.isoformat()}
        found = converted(members, Described, where)
        own = self.held(found.organization)
        if own is None:
            raise DirectoryError(f"{where}: organization: takes no part in this directory")
        if found.name is UNSET and found.services is UNSET:
            raise DirectoryError(f"{where}: says nothing: name, services or both")
        if rule := broken_rule(converted(merged(own, found), Statement, where), self.issuer):
            raise DirectoryError(f"{where}: {rule}")
        replace(self._description(found.organization), canonical(found))
        return found.organization

    def remove(self, organization: str) -> None:
        """Take a participant out of what is signed next. Raises DirectoryError where it is not in it."""
        if self.held(organization) is None:
            raise DirectoryError(f"{organization}: takes no part in this directory")
        self._statement(organization).unlink()
        self._description(organization).unlink(missing_ok=True)

    def entries(self, now: datetime, last: Directory | None) -> list[dict[str, Any]]:
        """What is to be signed. The statement of whoever is not in `last` as it is now is verified again.

        Raises DirectoryError.
        """
        found = []
        for organization, own in self.participants().items():
            path = self._description(organization)
            said = decoded(path.read_bytes(), described_decoder, str(path)) if path.exists() else None
            members = merged(own, said)
            if last is None or last.entry(organization) != entry_of(members):
                directory_statement.read(own.text, str(self._statement(organization)), now)
            found.append(members)
        return found

    def full(self, name: str) -> str:
        """The URL of a participant that is named by it or by its id. Raises DirectoryError."""
        organization = name if "/" in name else f"{self.issuer}/Organization/{name}"
        return converted(organization, OrganizationUrl, name[:64])

    def _statement(self, organization: str) -> Path:
        return self.folder / "statements" / f"{organization.rpartition('/')[2]}.jws"

    def _description(self, organization: str) -> Path:
        return self.folder / "described" / f"{organization.rpartition('/')[2]}.json"
