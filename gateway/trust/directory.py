"""The signed directory: which nodes there are, where they answer and with which keys.

The convening body signs a small manifest that names the hashes of shards, which hold the entries; every
node keeps a copy in a folder. No server stands behind it. docs/reference/directory.md describes the files.

Everything is verified when it is read: the signature, every hash, the form of every statement, that every
key is one on its curve, and that no key or address stands in two entries, because an alias must not be
traceable. Only the `Entry` objects are made when they are asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
from joserfc.jwk import ECKey

from gateway.trust.directory_entry import Entry as Entry
from gateway.trust.directory_entry import Service as Service
from gateway.trust.directory_entry import entry_of
from gateway.trust.directory_entry import organization_resource as organization_resource
from gateway.trust.directory_files import MANIFEST, shard_file
from gateway.trust.directory_form import (
    MANIFEST_TYPE,
    MAX_SHARD_BYTES,
    EcKey,
    Keys,
    Manifest,
    decoded,
)
from gateway.trust.directory_form import DirectoryError as DirectoryError
from gateway.trust.directory_jws import MAX_PAYLOAD, verified
from gateway.trust.directory_rules import broken_keys
from gateway.trust.directory_shards import Called as Called
from gateway.trust.directory_shards import Shard, number_of, refuse_repeated

_MOST_KEPT: Final = 4096  # entries that were asked for, kept as they were made
CLOCK_SKEW: Final = timedelta(minutes=5)
_manifest: Final = msgspec.json.Decoder(Manifest)


class Directory:
    """A verified directory, read once and then only looked up; safe to share between threads.

    issuer: the convening body's origin. sequence: the manifest's number, which only grows. issued, expires:
    its time of validity. digest: SHA-256 in hex of the signed claims, which peers compare so that nobody
    can be shown another one. previous: the digests of the manifests before it, newest first. suspender: the
    public key (JWK) that signs the suspension list, or None.
    """

    def __init__(self, manifest: Manifest, digest: str, shards: Sequence[Shard]) -> None:
        self.issuer = manifest.iss
        self.sequence = manifest.sequence
        self.issued = datetime.fromtimestamp(manifest.iat, UTC)
        self.expires = datetime.fromtimestamp(manifest.exp, UTC)
        self.digest = digest
        self.previous = manifest.previous
        self.suspender: Mapping[str, Any] | None = (
            msgspec.to_builtins(manifest.suspender) if isinstance(manifest.suspender, EcKey) else None
        )
        self._shards = tuple(shards)
        self._size = sum(shard.size for shard in shards)
        self._found: dict[str, Entry] = {}

    @classmethod
    def read(
        cls,
        folder: Path,
        anchors: Sequence[ECKey],
        now: datetime,
        minimum_sequence: int = 0,
        known: Directory | None = None,
    ) -> Directory:
        """The directory in `folder`, if one of `anchors` (public keys pinned by this node) signed it.

        The folder holds `manifest.jws` and `shards/<sha256 hex>.json`; what else is in it is not looked at.
        `minimum_sequence` is the highest sequence this node has ever used: an older one is refused. `known`,
        read before, lends the shards that have not changed. An expired directory is returned, as the
        convening body's absence must not stop traffic; ask `expired`. Raises `DirectoryError`.
        """
        text = _content(folder / MANIFEST, 2 * MAX_PAYLOAD, "the manifest")
        claims, _ = verified(text, MANIFEST_TYPE, anchors, "manifest", "an anchor that this node trusts")
        manifest = decoded(claims, _manifest, "manifest")
        _check(manifest, now, minimum_sequence)
        lent: Sequence[Shard] = ()
        if known and known.issuer == manifest.iss and len(known._shards) == len(manifest.shards):
            lent = known._shards
        shards = []
        for number, digest in enumerate(manifest.shards):
            if lent and lent[number].digest == digest:
                shards.append(lent[number])
                continue
            content = _content(folder / shard_file(digest), MAX_SHARD_BYTES, f"shard {number}")
            if hashlib.sha256(content).hexdigest() != digest:
                raise DirectoryError(f"shard {number}: is not the one whose hash the manifest holds")
            shards.append(Shard.read(content, number, len(manifest.shards), manifest.iss))
        return assembled(manifest, hashlib.sha256(claims).hexdigest(), shards, now, minimum_sequence)

    def entry(self, organization: str) -> Entry | None:
        """The entry with this directory URL, suspended ones included. Microseconds; its own shard only."""
        found = self._found.get(organization)
        if found is None:
            try:
                number = number_of(organization, len(self._shards))
            except UnicodeEncodeError:  # half of a surrogate pair: no organization in here has one
                return None
            members = self._shards[number].find(organization)
            if members is None:
                return None
            if len(self._found) >= _MOST_KEPT:  # whoever asks for everybody must not fill the memory
                self._found.clear()
            found = self._found[organization] = entry_of(members)
        return found

    def by_id(self, id: str) -> Entry | None:  # noqa: A002 - FHIR's name for it
        """The entry of `Organization/{id}`."""
        return self.entry(f"{self.issuer}/Organization/{id}")

    def name(self, organization: str) -> str:
        """What an organization is called, or its URL where it is unknown."""
        found = self.entry(organization)
        return found.name if found else organization

    def __len__(self) -> int:
        return self._size

    def __bool__(self) -> bool:
        return True  # an empty directory is one all the same

    @property
    def entries(self) -> Iterator[Entry]:
        """All entries, by shard and URL. Each is made anew: for the command line and for tests."""
        return (entry_of(members) for shard in self._shards for members in shard.statements())

    @property
    def called(self) -> Iterator[Called]:
        """What each is called, by shard and URL: for looking for somebody by a name. 2 µs for each."""
        return (one for shard in self._shards for one in shard.called())

    @property
    def shards(self) -> tuple[str, ...]:
        """The digests of its shards, in their order."""
        return tuple(shard.digest for shard in self._shards)

    def texts(self) -> dict[str, bytes]:
        """Its shards' texts by digest."""
        return {shard.digest: shard.text for shard in self._shards}

    def expired(self, now: datetime) -> bool:
        """Whether the manifest's time is over: then nobody new may be trusted on its word."""
        return now >= self.expires


def assembled(
    manifest: Manifest, digest: str, shards: Sequence[Shard], now: datetime, minimum_sequence: int = 0
) -> Directory:
    """The directory of a manifest and its shards, after the rules that concern the whole of it were checked.

    Raises DirectoryError.
    """
    _check(manifest, now, minimum_sequence)
    refuse_repeated(shards)
    return Directory(manifest, digest, shards)


def _content(path: Path, longest: int, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(longest + 1)
    except OSError as error:
        raise DirectoryError(f"{path}: cannot be read ({error.strerror})") from None
    if len(text) > longest:
        raise DirectoryError(f"{path}: {what} is longer than {longest} bytes")
    return text


def _check(manifest: Manifest, now: datetime, minimum_sequence: int) -> None:
    if manifest.exp <= manifest.iat:
        raise DirectoryError("manifest: exp: must be later than iat")
    if manifest.iat > (now + CLOCK_SKEW).timestamp():
        raise DirectoryError("manifest: iat: it was signed in the future; is this node's clock right?")
    if manifest.sequence < minimum_sequence:
        raise DirectoryError(
            f"manifest: sequence: {manifest.sequence} is older than {minimum_sequence}, which was used here"
        )
    if len(manifest.shards).bit_count() != 1:
        raise DirectoryError("manifest: shards: must be 1, 2, 4, 8 ... 1024 many")
    if isinstance(manifest.suspender, EcKey):
        for rule in broken_keys(Keys((manifest.suspender,))):
            raise DirectoryError(f"manifest: suspender: {rule.rpartition(': ')[2]}")
