"""All agreements on file, found by their parties: how many there are does not matter to one question.

Every file is checked when the book is read. Signatures are verified when the two parties are first looked
up, and never again while the file stays as it is: of very many agreements few are ever asked about.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from consent import agreement
from consent.agreement import Agreement
from profiles.document import DocumentError
from profiles.outcome import Issue

Listing = Mapping[str, tuple[int, int]]
"""The agreement files of a folder by name, each with the time of its last change and its size."""


@dataclass(slots=True, eq=False)
class _Filed:
    """One agreement on file, without its content until it is asked about."""

    name: str
    id: str
    version: int
    parties: frozenset[str]
    path: Path = Path()
    digest: bytes = b""
    opened: Agreement | None = field(default=None, repr=False)

    def open(self) -> Agreement:
        """The agreement, signatures verified. Raises LookupError when the file has changed since."""
        if self.opened is None:
            try:
                content = self.path.read_bytes()
            except OSError:
                raise LookupError(self.name) from None
            if sha256(content).digest() != self.digest:
                raise LookupError(self.name)
            self.opened = agreement.loads(content.decode("utf-8"), self.name)
        return self.opened


class AgreementBook:
    """Agreements by their parties. Never changed: what has changed on disk is another book."""

    def __init__(self, filed: Iterable[_Filed], listing: Listing) -> None:
        """Raises DocumentError for an agreement that is on file twice."""
        self.listing = listing
        self._filed = {one.name: one for one in filed}
        self._by_party: dict[str, list[_Filed]] = {}
        self._shared: dict[tuple[str, str], tuple[Agreement, ...]] = {}
        self._directed: dict[tuple[str, str], tuple[Agreement, ...]] = {}
        seen: dict[tuple[str, int, frozenset[str]], str] = {}
        for one in self._filed.values():
            before = seen.setdefault((one.id, one.version, one.parties), one.name)
            if before != one.name:
                # One of them may be an old copy that says less than the other.
                message = f"this version of this agreement is on file already, as {before}"
                raise DocumentError([Issue("error", "duplicate", message)], one.name)
            for party in one.parties:
                self._by_party.setdefault(party, []).append(one)

    @classmethod
    def read(cls, folder: Path, before: AgreementBook | None = None) -> Self:
        """The book of the JSON files in `folder`; what has not changed since `before` is not read again.

        Raises DocumentError (file, line) when any of them is not a good agreement.
        """
        now = listing(folder)
        return cls((_file(folder / name, seen, before) for name, seen in sorted(now.items())), now)

    @classmethod
    def of(cls, agreements: Iterable[Agreement]) -> Self:
        """The book of agreements that are already loaded."""
        return cls(
            (
                _Filed(str(number), one.id, one.version, _members(one), opened=one)
                for number, one in enumerate(agreements)
            ),
            {},
        )

    def __len__(self) -> int:
        return len(self._filed)

    def between(self, source: str, recipient: str) -> tuple[Agreement, ...]:
        """Those by which `source` may refer to `recipient`, in force or not."""
        found = self._directed.get((source, recipient))
        if found is None:
            held = self._opened(source, recipient)
            if held is None:
                return ()
            found = tuple(one for one in held if one.is_between(source, recipient))
            self._directed[source, recipient] = found
        return found

    def shared(self, one: str, other: str) -> tuple[Agreement, ...]:
        """Those that both are a party to, each marked where a newer one has taken its place."""
        return self._opened(one, other) or ()

    def _opened(self, one: str, other: str) -> tuple[Agreement, ...] | None:
        """`shared`; None while a file is not the one that was read, as what it says now is not known yet."""
        pair = (one, other) if one < other else (other, one)
        found = self._shared.get(pair)
        if found is None:
            fewer = min((self._by_party.get(party, []) for party in pair), key=len)
            try:
                held = [each.open() for each in fewer if each.parties.issuperset(pair)]
            except LookupError:
                return None
            found = self._shared[pair] = _in_order(held)
        return found

    def are_partners(self, one: str, other: str, now: datetime) -> bool:
        """Whether an agreement is in force between the two, whoever refers to whom."""
        return one != other and any(each.is_in_force(now) for each in self.shared(one, other))

    def parties_of(self, organization: str) -> frozenset[str]:
        """Everybody that an agreement on file names beside `organization`."""
        together = (one.parties for one in self._by_party.get(organization, ()))
        return frozenset[str]().union(*together) - {organization}

    def filed(self, name: str) -> _Filed | None:
        """What is on file under a file's name."""
        return self._filed.get(name)


def listing(folder: Path) -> Listing:
    """The agreement files in `folder` at this moment. Raises OSError."""
    with os.scandir(folder) as entries:
        return {
            entry.name: (status.st_mtime_ns, status.st_size)
            for entry in entries
            if entry.name.endswith(".json")
            for status in (entry.stat(),)
        }


def _file(path: Path, seen: tuple[int, int], before: AgreementBook | None) -> _Filed:
    if before is not None and before.listing.get(path.name) == seen:
        known = before.filed(path.name)
        if known is not None:
            return known
    try:
        content = path.read_bytes()
        data = agreement.reads(content.decode("utf-8"), path.name)
    except (OSError, UnicodeDecodeError):
        data, content = agreement.read(path), b""  # which says why it cannot be read
    return _Filed(path.name, data["id"], data["version"], _parties(data), path, sha256(content).digest())


def _parties(data: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(one["organization"] for one in data["parties"])


def _members(one: Agreement) -> frozenset[str]:
    return frozenset(member.organization for member in one.members)


def _in_order(held: Iterable[Agreement]) -> tuple[Agreement, ...]:
    """By id and version, each marked with the first moment at which a newer version of it begins.

    A newer version counts once all have signed it, also if it is suspended or terminated since: to stop the
    new must never bring back the old.
    """
    kept = sorted(held, key=lambda one: (one.id, one.version))
    newer = [one for one in kept if one.signed and one.status != "draft"]
    marked = []
    for old in kept:
        begins = [one.starts for one in newer if one.id == old.id and one.version > old.version]
        marked.append(replace(old, superseded=min(begins)) if begins else old)
    return tuple(marked)
