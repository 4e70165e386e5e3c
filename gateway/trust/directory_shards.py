"""The shards that a manifest names by their hashes: which entry lies where, and what makes one unusable.

A shard is one canonical JSON array of statements (`directory_form`), sorted by organization. An entry lies in
shard number int(first 8 hex digits of sha256(organization), 16) mod the number of shards.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec

from gateway.trust.directory_form import (
    MAX_SHARD_BYTES,
    MAX_SHARDS,
    DirectoryError,
    Statement,
    canonical,
    converted,
    decoded,
)
from gateway.trust.directory_rules import broken_rule, marks

_MOST_ON_AVERAGE: Final = 256  # statements in a shard: some 200 kB, little to fetch for one that changed
_statements: Final = msgspec.json.Decoder(list[Statement])
_parts: Final = msgspec.json.Decoder(list[msgspec.Raw])


class _Named(msgspec.Struct):
    organization: str


class Called(msgspec.Struct, frozen=True, gc=False):
    """What an organization is called, and who is to be called there: each with `name` and `telecom`."""

    organization: str
    name: str
    contacts: dict[str, dict[str, str]]


_named: Final = msgspec.json.Decoder(_Named)
_called: Final = msgspec.json.Decoder(list[Called])


def number_of(organization: str, shards: int) -> int:
    """In which of so many shards an organization's statement lies."""
    return int.from_bytes(hashlib.sha256(organization.encode()).digest()[:4], "big") % shards


class Shard:
    """One shard, verified. digest: sha256 of its text in hex. size: how many statements."""

    __slots__ = ("_marks", "_raw", "digest", "number", "size", "text")

    def __init__(self, text: bytes, digest: str, number: int, size: int, marks: array[int]) -> None:
        self.text = text
        self.digest = digest
        self.number = number
        self.size = size
        self._marks = marks
        self._raw: list[msgspec.Raw] | None = None

    @classmethod
    def read(cls, text: bytes, number: int, of: int, issuer: str) -> Shard:
        """The shard `number` of `of` with the text `text`. Raises DirectoryError."""
        where = f"shard {number}"
        if len(text) > MAX_SHARD_BYTES:
            raise DirectoryError(f"{where}: is longer than {MAX_SHARD_BYTES} bytes")
        found = decoded(text, _statements, where)
        before = ""
        numbers = array("q")
        for place, one in enumerate(found):
            if rule := broken_rule(one, issuer):
                raise DirectoryError(f"{where}: [{place}].{rule}")
            if number_of(one.organization, of) != number:
                raise DirectoryError(f"{where}: [{place}].organization: lies in the wrong shard")
            if one.organization <= before:
                raise DirectoryError(f"{where}: [{place}].organization: stands twice, or not in its order")
            before = one.organization
            # Python's hash is keyed anew in each process, so nobody can aim at a collision; one that
            # happens is told from a repeated mark by reading again (_repeated).
            numbers.extend(hash(mark) for mark in marks(one))
        return cls(text, hashlib.sha256(text).hexdigest(), number, len(found), numbers)

    def find(self, organization: str) -> dict[str, Any] | None:
        """The members of an organization's statement. Only it is decoded."""
        raw = self._parts()
        low, high = 0, len(raw)
        while low < high:
            middle = (low + high) // 2
            if _named.decode(raw[middle]).organization < organization:
                low = middle + 1
            else:
                high = middle
        if low == len(raw) or _named.decode(raw[low]).organization != organization:
            return None
        members: dict[str, Any] = msgspec.json.decode(raw[low])
        return members

    def statements(self) -> list[dict[str, Any]]:
        """The members of all of them."""
        found: list[dict[str, Any]] = msgspec.json.decode(self.text)
        return found

    def called(self) -> list[Called]:
        """What they are called."""
        return _called.decode(self.text)

    def marks(self) -> array[int]:
        """A number for each mark (gateway/trust/directory_rules.py) of its statements."""
        return self._marks

    def _parts(self) -> list[msgspec.Raw]:
        if self._raw is None:
            self._raw = _parts.decode(self.text)
        return self._raw


def refuse_repeated(shards: Sequence[Shard]) -> None:
    """Raises DirectoryError where a key or an address stands in two entries."""
    seen = set(chain.from_iterable(shard.marks() for shard in shards))
    if len(seen) < sum(len(shard.marks()) for shard in shards):
        _name_repeated(shards)


def _name_repeated(shards: Iterable[Shard]) -> None:
    held: set[tuple[str, str]] = set()
    for shard in shards:
        for place, one in enumerate(_statements.decode(shard.text)):
            for mark in marks(one):
                if mark in held:
                    raise DirectoryError(
                        f"shard {shard.number}: [{place}].{mark[0]}: stands in two entries of the directory"
                    )
                held.add(mark)


def laid_out(entries: Iterable[Mapping[str, Any]]) -> list[bytes]:
    """The texts of the shards for these statements; how many there are follows from how many they are.

    Raises DirectoryError for a statement whose form is wrong, and for one organization twice.
    """
    by_name: dict[str, bytes] = {}
    for place, members in enumerate(entries):
        one = converted(members, Statement, f"entries[{place}]")
        if one.organization in by_name:
            raise DirectoryError(f"entries[{place}].organization: stands twice in the directory")
        by_name[one.organization] = canonical(one)
    count = 1
    while count * _MOST_ON_AVERAGE < len(by_name) and count < MAX_SHARDS:
        count *= 2
    while True:
        texts = [b"[" + b",".join(parts) + b"]" for parts in _dealt(by_name, count)]
        if max(map(len, texts)) <= MAX_SHARD_BYTES:
            return texts
        if count == MAX_SHARDS:
            raise DirectoryError(f"entries: too many: a shard would be longer than {MAX_SHARD_BYTES} bytes")
        count *= 2


def _dealt(by_name: Mapping[str, bytes], count: int) -> Iterator[list[bytes]]:
    dealt: list[list[bytes]] = [[] for _ in range(count)]
    for organization in sorted(by_name):
        dealt[number_of(organization, count)].append(by_name[organization])
    return iter(dealt)
