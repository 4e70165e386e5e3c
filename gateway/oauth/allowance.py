"""How often, and how many times at once, each caller may ask: a token bucket and a count for each name.

A name is a `client_id` once that is proven, or before that the address a request comes from. Kept in memory,
per process, and bounded: of more names than that, the one that asked longest ago is forgotten, which gives it
no more than a full bucket.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from gateway.errors import Refused
from profiles.outcome import Issue

MOST_NAMES: Final = 10_000
_ONE_NETWORK: Final = 64  # bits: who has an IPv6 address usually has all of its /64


class Allowance:
    """So many requests a second for each name, a few more in a burst, and so many at once. Thread-safe.

    per_second: requests that are given back each second. burst: the most that can be saved up; a second's
    worth where not stated. at_once: requests of one name under way at a time. clock: seconds, growing.
    """

    def __init__(
        self,
        per_second: float,
        *,
        burst: int | None = None,
        at_once: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        most_names: int = MOST_NAMES,
    ) -> None:
        if per_second <= 0 or (burst is not None and burst < 1) or (at_once is not None and at_once < 1):
            raise ValueError("an allowance is of at least something")
        self._interval = 1 / per_second
        self._saved = self._interval * max(1, math.ceil(per_second) if burst is None else burst)
        self._at_once = at_once
        self._clock = clock
        self._most_names = most_names
        # When each bucket will be full again: all that a bucket is.
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._under_way: dict[str, int] = {}
        self._lock = Lock()

    def wait(self, name: str) -> float:
        """Takes one request and returns 0, or takes none and returns the seconds until there is one."""
        now = self._clock()
        with self._lock:
            full_at = max(self._full_at.get(name, now), now) + self._interval
            # A hair of patience, or rounding would refuse who waited exactly as long as it was told.
            wait = full_at - now - self._saved
            if wait > 1e-9:
                return wait
            self._full_at[name] = full_at
            self._full_at.move_to_end(name)
            if len(self._full_at) > self._most_names:
                self._full_at.popitem(last=False)
        return 0.0

    def take(self, name: str) -> None:
        """Takes one request. Raises Refused (429) with `Retry-After` when there is none."""
        if wait := self.wait(name):
            raise too_often(wait)

    @contextmanager
    def in_flight(self, name: str) -> Iterator[None]:
        """One request of this name is under way within. Raises Refused (429) when there are too many."""
        with self._lock:
            under_way = self._under_way.get(name, 0)
            if self._at_once is not None and under_way >= self._at_once:
                raise too_often(1.0, "Too many requests of this caller are under way at once.")
            self._under_way[name] = under_way + 1
        try:
            yield
        finally:
            with self._lock:
                left = self._under_way[name] - 1
                if left:
                    self._under_way[name] = left
                else:
                    del self._under_way[name]


def too_often(seconds: float, why: str = "This caller asks too often.") -> Refused:
    """429 (RFC 6585 section 4) with the whole seconds after which to ask again."""
    after = str(max(1, math.ceil(seconds)))
    return Refused(429, [Issue("error", "throttled", why)], headers={"Retry-After": after})


def source_name(source: str) -> str:
    """The name of an address: itself, or its /64 network where it is IPv6."""
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return source[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return source
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), _ONE_NETWORK), strict=False))
