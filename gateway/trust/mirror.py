"""This node's own copy of the directory, kept up to date from a web address.

Three kinds of file lie under the address: `manifest.jws`, `suspensions.jws` and `shards/<SHA-256>.json`. The
two signed files are asked for with `If-None-Match` (RFC 9110 section 13.1.2); of the shards only those that
are not here yet. Shards come to the disk first and the manifest last, each whole or not at all, so that an
update which breaks off leaves the old directory in force.

Nothing is believed here: a shard must have the hash that it is called by, and what a signed file is worth is
for `gateway.trust.trusted` to say.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec

from gateway.calling.client import Answer
from gateway.calling.transport import PeerError, PeerFault, PeerRefused, PeerUnavailable
from gateway.oauth.assertion import MALFORMED, parts
from gateway.trust.directory_files import MANIFEST, SHARDS, SUSPENSIONS, replace, shard_file
from gateway.trust.directory_form import MAX_SHARD_BYTES, MAX_SHARDS, Digest, DirectoryError
from gateway.trust.directory_jws import MAX_PAYLOAD

MAX_SIGNED_BYTES: Final = 2 * MAX_PAYLOAD
_AT_ONCE: Final = 4
_ETAG: Final = re.compile(r'(?:W/)?"[!#-~]{0,256}"')
_UNAVAILABLE: Final = (429, 500, 502, 503, 504)

Fetch = Callable[[str, Mapping[str, str]], Awaitable[Answer]]
Examine = Callable[[str, bytes], None]


class Mirror:
    """Copies the directory at `url` into `folder`. One for a folder; `update` runs once at a time.

    fetch: one GET, without redirects. examine: is told name and content of a signed file before it takes the
    place of the one in the folder; raises `DirectoryError` to keep the old one.
    """

    def __init__(self, fetch: Fetch, url: str, folder: Path, examine: Examine | None = None) -> None:
        self._fetch = fetch
        self._url = url.rstrip("/")
        self._folder = folder
        self._examine = examine
        self._etags: dict[str, str] = {}

    async def update(self) -> bool:
        """Bring the copy up to date; whether it has changed.

        Suspension list and manifest do not wait for each other. Raises `PeerError` when one of them cannot
        be had or is not to be taken (what is here stays), `OSError` when the disk refuses.
        """
        changed, faults = False, list[PeerError]()
        for step in (self._update_suspensions, self._update_manifest):
            try:
                changed |= await step()
            except PeerError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]
        return changed

    async def _update_suspensions(self) -> bool:
        answer = await self._ask(SUSPENSIONS)
        if answer.status != 200:  # 404: the directory names no suspender, so there is no list
            return False
        new = await asyncio.to_thread(self._is_new, SUSPENSIONS, answer.body)
        await asyncio.to_thread(self._install, SUSPENSIONS, answer)
        return new

    async def _update_manifest(self) -> bool:
        answer = await self._ask(MANIFEST)
        if answer.status == 404:
            raise PeerFault("there is no manifest under the directory's address")
        if answer.status == 304:
            return False
        named = _shards(answer.body)
        if named is None:
            raise PeerFault("what is under the directory's address is no manifest")
        new = await asyncio.to_thread(self._is_new, MANIFEST, answer.body)
        missing = await asyncio.to_thread(self._missing, named)
        await self._fetch_shards(missing)
        await asyncio.to_thread(self._install, MANIFEST, answer)
        return new or bool(missing)

    async def _ask(self, name: str) -> Answer:
        """The answer for a signed file: 200, 404, or 304 for one that is here. Raises PeerError."""
        etag = self._etags.get(name) if (self._folder / name).exists() else None
        answer = await self._fetch(f"{self._url}/{name}", {"If-None-Match": etag} if etag else {})
        _check(answer, (200, 304, 404) if etag else (200, 404), MAX_SIGNED_BYTES)
        return answer

    async def _fetch_shards(self, named: Iterable[str]) -> None:
        room = asyncio.Semaphore(_AT_ONCE)
        (self._folder / SHARDS).mkdir(parents=True, exist_ok=True)

        async def fetch(shard: str) -> None:
            async with room:
                answer = await self._fetch(f"{self._url}/{shard_file(shard)}", {})
                _check(answer, (200,), MAX_SHARD_BYTES)
                if hashlib.sha256(answer.body).hexdigest() != shard:
                    raise PeerFault("a shard of the directory does not have the hash that it is called by")
                await asyncio.to_thread(replace, self._folder / shard_file(shard), answer.body)

        try:
            async with asyncio.TaskGroup() as group:
                for shard in named:
                    group.create_task(fetch(shard))
        except ExceptionGroup as several:
            raise several.exceptions[0] from None

    def _is_new(self, name: str, content: bytes) -> bool:
        """Whether a signed file is another one than is here. Raises PeerFault for one not to be taken."""
        path = self._folder / name
        if path.exists() and path.read_bytes() == content:
            return False
        try:
            if self._examine is not None:
                self._examine(name, content)
        except DirectoryError as fault:
            raise PeerFault(f"what the directory's server offers is not taken: {fault}") from None
        return True

    def _install(self, name: str, answer: Answer) -> None:
        """Put a signed file in place, where it is a new one, and remember its ETag."""
        path = self._folder / name
        before = path.read_bytes() if path.exists() else b""
        if answer.body != before:
            self._folder.mkdir(parents=True, exist_ok=True)
            replace(path, answer.body)
        if name == MANIFEST:
            self._tidy({*(_shards(answer.body) or ()), *(_shards(before) or ())})
        etag = answer.headers.get("etag", "")
        self._etags[name] = etag if _ETAG.fullmatch(etag) else ""

    def _missing(self, named: Iterable[str]) -> list[str]:
        """Those shards that are not here, or are not what they are called by."""
        return [
            shard for shard in dict.fromkeys(named) if not _is_whole(self._folder / shard_file(shard), shard)
        ]

    def _tidy(self, kept: set[str]) -> None:
        """Remove the shards that neither this manifest nor the one before it names, and halves of files."""
        for path in (self._folder / SHARDS).iterdir():
            if path.stem not in kept:
                path.unlink(missing_ok=True)


class _Named(msgspec.Struct):
    shards: Annotated[tuple[Digest, ...], msgspec.Meta(min_length=1, max_length=MAX_SHARDS)]


def _shards(manifest: bytes) -> tuple[str, ...] | None:
    """The shards that a manifest names, its signature aside; None where it is none.

    Nothing but 64 hexadecimal digits comes through: the names become part of addresses and paths.
    """
    try:
        return msgspec.json.decode(parts(manifest.strip())[1], type=_Named).shards
    except MALFORMED:
        return None


def _check(answer: Answer, expected: tuple[int, ...], most: int) -> None:
    if answer.status in _UNAVAILABLE:
        raise PeerUnavailable(f"the directory's server answered {answer.status}", answer.retry_after)
    if answer.status not in expected:
        raise PeerRefused(f"the directory's server answered {answer.status}")
    if len(answer.body) > most:
        raise PeerFault(f"the directory's server sent more than {most} bytes for one file")


def _is_whole(path: Path, named: str) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == named
