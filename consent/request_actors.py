"""Who the actors are that a request's consents name, beside the party that asks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from consent.actors import Actors, names_of
from consent.request_person import kind_of


class AskedActors(Actors):
    """The parties of one request.

    A name of the same kind as one of the party that asks can be told from it without being looked up: another
    identifier of the same system is somebody else. Any other name must be in the directory, or the consent
    that uses it is unusable.
    """

    def __init__(self, directory: Any, asking: Sequence[Any], now: datetime) -> None:
        names = [name for actor in asking for name in names_of(actor)]
        self._systems = {kind for name in names if (kind := kind_of(name)).endswith("|")}
        # Where nobody is said to ask, no name is the asking party's.
        literal = not names or any(kind_of(name) == "literal" for name in names)
        super().__init__(directory, literal=literal, now=now)
        self._meanings: dict[tuple[tuple[str, ...], int], frozenset[str] | None] = {}

    def _meant(self, reference: Any, depth: int) -> frozenset[str] | None:
        # Groups within groups may share members: each is gone through once, or the work would multiply.
        key = (tuple(names_of(reference)), depth)
        if key not in self._meanings:
            self._meanings[key] = super()._meant(reference, depth)
        return self._meanings[key]

    def _comparable(self, name: str) -> bool:
        return super()._comparable(name) or kind_of(name) in self._systems
