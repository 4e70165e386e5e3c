"""The public keys of those who call: as they registered them, or fetched from where they publish them.

SMART App Launch 2.2, asymmetric client authentication: a client registers its keys by URL or inline, the
server takes exactly one by `kid` and `kty`, and keeps what it fetched no longer than `Cache-Control` says
(RFC 9111). A peer node publishes its operational keys in a set that its directory key has signed.
Which keys are fit to be used at all: `gateway.oauth.public_keys`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from joserfc.util import urlsafe_b64decode
from starlette.concurrency import run_in_threadpool

from gateway.calling.client import Answer
from gateway.calling.transport import PeerError
from gateway.oauth.freshness import freshness
from gateway.oauth.key_urls import Network, fetchable
from gateway.oauth.public_keys import KeySet, KeySetError, decoded, read_set
from gateway.signing.keys import KeysError
from gateway.signing.operational_jwks import SignedKeySet, accepted

UNSTATED_SECONDS: Final = 60.0
MOST_SECONDS: Final = 86_400.0
UNKNOWN_SECONDS: Final = 10.0
MAX_BYTES: Final = 65_536
MAX_URLS: Final = 1_024
_WAIT_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 1.0
_REST_SECONDS: Final = 5.0
_MOST_REST_SECONDS: Final = 60.0
_FRESHNESS: Final = ("cache-control", "age", "expires", "date", "vary", "etag")
_ETAG: Final = re.compile(r'(?:W/)?"[!#-~]{0,256}"')

log = logging.getLogger("waymeet.keys")

Fetch = Callable[[str, Mapping[str, str]], Awaitable[Answer]]
Newest = Callable[[str, int], int]
"""Notes when (seconds since 1970) an organization signed a set; returns the newest time noted for it."""


class KeysUnavailable(Exception):  # noqa: N818 - it says what the other side did
    """A client's keys cannot be had at this moment, so nothing can be said of its signature (503).

    retry_after: whole seconds after which asking again makes sense.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__("the keys of this client cannot be fetched at this moment")
        self.retry_after = max(1, math.ceil(retry_after))


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where one client's public keys are.

    inline: a JWK Set. url: where a further set is published. signed_for: an organization's directory URL;
    then the set at `url` is a compact JWS that a key of `inline` must have signed for it, and its keys add to
    `inline`.
    """

    inline: Mapping[str, Any] = field(default_factory=dict)
    url: str | None = None
    signed_for: str | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """A set as it was fetched, verified where it is a signed one.

    asked, until: it is fresh between. body, signed_by: of a signed one alone.
    """

    keys: KeySet
    asked: datetime
    until: datetime
    etag: str | None
    headers: Mapping[str, str]
    body: bytes = b""
    signed_by: Mapping[str, Any] | None = None


@dataclass(slots=True)
class _Place:
    """What is known of one URL.

    task: the request under way. asked_at: when the last one began; began: the same by the loop's clock.
    rest: seconds for which it is not asked again, as it has failed.
    """

    held: _Held | None = None
    task: asyncio.Task[_Held] | None = None
    asked_at: datetime | None = None
    began: float = -math.inf
    rest: float = 0.0
    said: str = ""


class _Failed(Exception):  # noqa: N818 - it says what the fetch did
    """A fetch that brought no set. rest: seconds that the other side asked to be left alone."""

    def __init__(self, why: str, rest: float = 0.0) -> None:
        super().__init__(why)
        self.rest = rest


class KeySources:
    """Finds a client's keys. One for a whole node, used in its event loop only.

    fetch: `PeerClient.fetch`. networks: where plain `http` may be asked, besides this machine; elsewhere keys
    come by https or not at all. newest: called in a thread; by default it forgets when the process ends.
    """

    def __init__(
        self,
        fetch: Fetch,
        now: Callable[[], datetime],
        *,
        networks: Sequence[Network] = (),
        newest: Newest | None = None,
    ) -> None:
        self._fetch = fetch
        self._now = now
        self._networks = tuple(networks)
        self._newest = newest or _in_this_process()
        self._places: OrderedDict[tuple[str, str | None], _Place] = OrderedDict()

    async def keys(self, source: KeySource, kid: str, kty: str) -> list[Mapping[str, Any]]:
        """The keys of `source` with this `kid` and `kty`: public members only, none that is unfit.

        Two where a set names two so: then none is to be used. The URL is asked when `inline` has none, when
        what was fetched is no longer fresh, and at most every 10 seconds for a `kid` that is not known.
        Raises KeysUnavailable.
        """
        found = _inline(source).named(kid, kty)
        if found or source.url is None:
            return found
        if not fetchable(source.url, self._networks):
            log.error("keys are registered at an address that may not be asked for them; it must be https")
            raise KeysUnavailable(_MOST_REST_SECONDS)
        place, now = self._place(source.url, source.signed_for), self._now()
        held = self._fresh(place, source, now)
        if held is not None and (found := held.keys.named(kid, kty)):
            return found
        if place.task is None:
            since = _since(place.asked_at, now)
            if since < place.rest:
                raise KeysUnavailable(place.rest - since)
            if held is not None and since < UNKNOWN_SECONDS:
                return []
        return (await self._asked(place, source)).keys.named(kid, kty)

    def _place(self, url: str, signed_for: str | None) -> _Place:
        place = self._places.setdefault((url, signed_for), _Place())
        self._places.move_to_end((url, signed_for))
        if len(self._places) > MAX_URLS:
            self._places.popitem(last=False)
        return place

    def _fresh(self, place: _Place, source: KeySource, now: datetime) -> _Held | None:
        """What is held of this place, if it may be used at this moment without asking."""
        held = place.held
        # A clock that was set back makes nothing fresh again.
        if held is None or not held.asked <= now < held.until:
            return None
        if source.signed_for is not None and held.signed_by != source.inline:
            # The directory has other keys by now: what only the former ones have signed is worth nothing.
            try:
                place.held = held = _read(source, held.body, held.headers, held.asked, now)
            except _Failed:
                place.held = held = None
        return held

    async def _asked(self, place: _Place, source: KeySource) -> _Held:
        """The set as it is now: one request for all who wait for it. Raises KeysUnavailable."""
        if place.task is None:
            place.task = asyncio.create_task(self._ask(place, source))
            place.task.add_done_callback(lambda task: _ended(place, task))
        # Shielded: a caller that gives up must not take the answer away from the others.
        held = await asyncio.shield(place.task)
        if source.signed_for is not None and held.signed_by != source.inline:
            raise KeysUnavailable(_PAUSE_SECONDS)  # who began to ask still went by another directory
        return held

    async def _ask(self, place: _Place, source: KeySource) -> _Held:
        # Whoever forbids to keep its keys is asked once a second at most, however often it is named here.
        await asyncio.sleep(place.began + _PAUSE_SECONDS - (loop := asyncio.get_running_loop()).time())
        place.began, place.asked_at = loop.time(), self._now()
        try:
            held = await self._answered(place.held, source, place.asked_at)
            if source.signed_for is not None:
                await self._no_older(source.signed_for, held)
        except _Failed as fault:
            if place.held is not None:
                place.held = replace(place.held, etag=None)  # next time the whole of it
            place.rest = min(max(_REST_SECONDS, 2 * place.rest, fault.rest), _MOST_REST_SECONDS)
            self._say(place, source, str(fault))
            raise KeysUnavailable(place.rest) from None
        place.rest = 0.0
        place.held = held if freshness(held.headers, place.asked_at).store else None
        self._say(place, source, "; ".join(held.keys.faults))
        return held

    async def _answered(self, before: _Held | None, source: KeySource, asked: datetime) -> _Held:
        """The set that the URL answers with. Raises _Failed."""
        assert source.url is not None
        # Caches on the way must not answer for the client with what they hold.
        headers = {"Accept": "application/json, application/jwk-set+json, application/jwk-set+jwt"}
        headers["Cache-Control"] = "no-cache"
        if before is not None and before.etag is not None:
            headers["If-None-Match"] = before.etag
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                answer = await self._fetch(source.url, headers)
        except TimeoutError:
            raise _Failed("it did not answer in time") from None
        except PeerError as fault:
            raise _Failed(str(fault)) from None
        headers = {name: answer.headers[name] for name in _FRESHNESS if name in answer.headers}
        if answer.status == 304 and before is not None and before.etag is not None:
            return self._unchanged(source, before, headers, asked)
        if answer.status != 200:
            raise _Failed(f"it answered {answer.status}", answer.retry_after or 0.0)
        if len(answer.body) > MAX_BYTES:
            raise _Failed(f"its key set has more than {MAX_BYTES} bytes")
        return _read(source, answer.body, headers, asked, self._now())

    def _unchanged(
        self, source: KeySource, before: _Held, headers: Mapping[str, str], asked: datetime
    ) -> _Held:
        """What was held, good for as long as the 304 says (RFC 9111 section 4.3.4)."""
        said = {**{name: value for name, value in before.headers.items() if name != "age"}, **headers}
        if source.signed_for is not None:
            return _read(source, before.body, said, asked, self._now())
        return replace(before, asked=asked, until=_until(said, asked), etag=_etag(said), headers=said)

    async def _no_older(self, organization: str, held: _Held) -> None:
        """Raises _Failed for a set older than one that was there before.

        A key that it still holds may have been taken back since.
        """
        signed_at = _claims(held.body).iat
        if signed_at < await run_in_threadpool(self._newest, organization, signed_at):
            raise _Failed("the key set is an older one than was there before")

    def _say(self, place: _Place, source: KeySource, what: str) -> None:
        """Log what is wrong at a place when it begins, and not at every request."""
        if what and what != place.said:
            host = urlsplit(source.url or "").hostname
            log.warning("the keys that a client publishes at %s: %s", host, what)
        place.said = what


def _in_this_process() -> Newest:
    noted = dict[str, int]()

    def newest(organization: str, signed_at: int) -> int:
        noted[organization] = max(signed_at, noted.get(organization, 0))
        return noted[organization]

    return newest


def _inline(source: KeySource) -> KeySet:
    try:
        return read_set(source.inline)
    except KeySetError as fault:
        log.error("the key set that is registered for a client %s; none of it is used", fault)
        return KeySet()


def _read(
    source: KeySource, body: bytes, headers: Mapping[str, str], asked: datetime, now: datetime
) -> _Held:
    """The set in `body`, which must be signed where `source` says so. Raises _Failed."""
    try:
        if source.signed_for is None:
            return _Held(decoded(body), asked, _until(headers, asked), _etag(headers), headers)
        found = read_set(accepted(body, source.inline, source.signed_for, now))
        until = min(_until(headers, asked), _expiry(body))
        return _Held(found, asked, until, _etag(headers), headers, body, source.inline)
    except KeySetError as fault:
        raise _Failed(f"the key set {fault}") from None
    except KeysError as fault:
        raise _Failed(str(fault)) from None


def _expiry(token: bytes) -> datetime:
    """Until when a signed set is good that was found to be."""
    return datetime.fromtimestamp(_claims(token).exp, UTC)


def _claims(token: bytes) -> SignedKeySet:
    _header, payload, _signature = token.strip().split(b".")
    return msgspec.json.decode(urlsafe_b64decode(payload), type=SignedKeySet)


def _until(headers: Mapping[str, str], asked: datetime) -> datetime:
    fresh = freshness(headers, asked, unstated=UNSTATED_SECONDS, most=MOST_SECONDS)
    return asked + timedelta(seconds=fresh.seconds)


def _etag(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("etag", "")
    return etag if _ETAG.fullmatch(etag) else None


def _ended(place: _Place, task: asyncio.Task[_Held]) -> None:
    place.task = None
    if not task.cancelled():
        task.exception()  # taken note of, also where everybody who waited has gone


def _since(then: datetime | None, now: datetime) -> float:
    """Seconds from `then`; without end where it was never or, as the clock was set back, is yet to come."""
    return (now - then).total_seconds() if then is not None and then <= now else math.inf
