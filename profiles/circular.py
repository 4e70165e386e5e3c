"""Compiled things that refer to each other in circles, made when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import RLock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Circular(Generic[K, V]):
    """`start` makes an empty one that others may refer to at once, `fill` completes it.

    Other threads see one when it is complete with all that it refers to. What `start` and `fill` raise is
    raised to who asks, and nothing of that is kept.
    """

    def __init__(self, start: Callable[[K], V], fill: Callable[[K, V], None]) -> None:
        self._start = start
        self._fill = fill
        self._lock = RLock()
        self._complete: dict[K, V] = {}
        self._filling: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        known = self._complete.get(key)
        if known is not None:
            return known
        with self._lock:
            return self._complete.get(key) or self._filling.get(key) or self._make(key)

    @property
    def settled(self) -> bool:
        """Whether none is being filled, so that all that can be had are complete."""
        return not self._filling

    def _make(self, key: K) -> V:
        outermost = not self._filling
        made = self._filling[key] = self._start(key)
        try:
            self._fill(key, made)
            if outermost:
                self._complete.update(self._filling)
        finally:
            if outermost:
                self._filling.clear()
        return made
