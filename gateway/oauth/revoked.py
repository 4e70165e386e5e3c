"""Access tokens that were taken back before they expired: RFC 7009.

Asked at every request, so it is answered from memory. The store is what replicas and restarts learn it from:
`refresh` reads it, and the worker calls that every second.
"""

from __future__ import annotations

from threading import Lock

from gateway.store import revoked as rows
from gateway.store.work import Store


class Revoked:
    """The revoked tokens of one node, all its identities together. Thread-safe.

    store: where it is remembered; what it holds already is read at once. None: remembered in this process
    alone, for as long as it runs.
    """

    def __init__(self, store: Store | None = None) -> None:
        self._store = store
        self._held: dict[str, int] = {}
        # How many of the store's were read, for each second in which they expire. A second's rows only become
        # more until it is past, so where the number is the same there is nothing new.
        self._read: dict[int, int] = {}
        self._lock = Lock()
        self.refresh()

    def holds(self, digest: str) -> bool:
        """Whether the token with this digest (`Known.signed`) was taken back."""
        return digest in self._held

    def add(self, digest: str, expires: int) -> None:
        """Take a token back, at once here and durably when this returns. Blocks.

        expires: Unix time at which it would have ended by itself, and is forgotten.
        """
        with self._lock:
            self._held[digest] = expires
        if self._store is not None:
            with self._store.work() as work:
                rows.take_back(work, digest, expires)

    def refresh(self) -> None:
        """Take up what others have revoked and forget what has expired. Blocks; opens a unit of work."""
        if self._store is None:
            return
        with self._store.work() as work:
            counts = rows.counts(work)
            more = [second for second, number in counts.items() if self._read.get(second) != number]
            found = rows.taken_back(work, more)
            now = int(work.now.timestamp())
        with self._lock:
            own = {digest: expires for digest, expires in self._held.items() if expires > now}
            self._held = own | found
            self._read = counts
