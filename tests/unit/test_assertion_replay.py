"""An assertion is good once: for every process on one store, across a restart, and at the same moment."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from oauth_world import CLAIMS, INTAKE, ISSUER, NODE_KEY, NOW, PANTRY, REGISTERED, Node, T, fresh, request
from sqlalchemy import Engine, event

from gateway.oauth.assertion import TokenError
from gateway.oauth.authenticate import TokenServer
from gateway.oauth.key_sources import KeySources
from gateway.oauth.revoked import Revoked
from gateway.signing.operational import KeyRing
from gateway.store import received, schema
from gateway.store.work import Store

AT_ONCE = 64


class Replica:
    """One process of a node: connections to the store and event loops of its own, all else the same."""

    def __init__(self, folder: Path, now: Any) -> None:
        self.store = Store(folder, b"k" * 32, "main", now)
        self._now = now
        self.server = TokenServer(
            ISSUER,
            KeyRing.of(NODE_KEY),
            {PANTRY: REGISTERED}.get,
            self._remember,
            KeySources(Node()._fetch, now),
            Revoked(self.store),
        )

    def _remember(self, client_id: str, jti: str, expires: int) -> bool:
        with self.store.work() as work:
            return received.remember_assertion(work, client_id, jti, expires)

    def gets_one(self, form: list[tuple[str, str]], now: datetime | None = None) -> bool:
        """Whether this request gets a token."""
        return asyncio.run(self.asked(form, now))

    async def asked(self, form: list[tuple[str, str]], now: datetime | None = None) -> bool:
        """The same, in an event loop that runs already."""
        try:
            return bool(await self.server.token(form, now or self._now()))
        except TokenError as error:
            assert (error.error, "used before" in error.description) == ("invalid_client", True)
            return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@contextmanager
def replicas(folder: Path, clock: Any, number: int) -> Iterator[list[Replica]]:
    found = [Replica(folder, clock) for _ in range(number)]
    yield found
    for replica in found:
        replica.store.close()


def test_an_assertion_is_refused_after_a_restart(folder: Path, clock: Any) -> None:
    form = request()
    with replicas(folder, clock, 1) as (replica,):
        assert replica.gets_one(form)
        assert not replica.gets_one(form)
    with replicas(folder, clock, 1) as (restarted,):
        assert not restarted.gets_one(form)
        assert restarted.gets_one(request(claims=fresh()))


def test_an_assertion_that_one_replica_took_is_refused_by_the_other(folder: Path, clock: Any) -> None:
    with replicas(folder, clock, 2) as (one, other):
        form = request()
        assert one.gets_one(form)
        assert not other.gets_one(form)


def test_of_many_requests_in_one_loop_at_once_exactly_one_gets_a_token(folder: Path, clock: Any) -> None:
    async def all_at_once(replica: Replica) -> list[bool]:
        form = request()
        return await asyncio.gather(*(replica.asked(form) for _ in range(AT_ONCE)))

    with replicas(folder, clock, 1) as (replica,):
        assert sum(asyncio.run(all_at_once(replica))) == 1


def test_of_many_requests_to_two_replicas_at_once_exactly_one_gets_a_token(folder: Path, clock: Any) -> None:
    form = request()
    ready = threading.Barrier(AT_ONCE)

    def ask(replica: Replica) -> bool:
        ready.wait()
        return replica.gets_one(form)

    with replicas(folder, clock, 2) as both, ThreadPoolExecutor(AT_ONCE) as pool:
        assert sum(pool.map(ask, both * (AT_ONCE // 2))) == 1


def test_the_same_jti_of_another_client_is_another(folder: Path, clock: Any) -> None:
    with replicas(folder, clock, 1) as (replica,):
        assert replica._remember(PANTRY, "one", T + 60)
        assert replica._remember(INTAKE, "one", T + 60)


def test_a_jti_is_forgotten_only_when_its_assertion_is_refused_as_expired(folder: Path, clock: Any) -> None:
    """While anything could still be done with it, it is remembered: the skew that is granted included."""
    with replicas(folder, clock, 1) as (replica,):
        exp = T + 300
        form = request(claims=CLAIMS | {"exp": exp})
        assert replica.gets_one(form)
        for later in (timedelta(seconds=299), timedelta(seconds=309)):
            assert not replica.gets_one(form, NOW + later)
            # Another assertion of the time makes room.
            clock.now = NOW + later
            moment = int(clock.now.timestamp())
            assert replica.gets_one(request(claims=fresh(iat=moment, exp=moment + 60)))
        with pytest.raises(TokenError, match="expired"):
            asyncio.run(replica.server.token(form, NOW + timedelta(seconds=310)))


def test_what_is_remembered_does_not_grow_without_end(folder: Path, clock: Any) -> None:
    with replicas(folder, clock, 1) as (replica,):
        for _ in range(5):
            moment = int(clock.now.timestamp())
            assert replica.gets_one(request(claims=fresh(iat=moment, exp=moment + 300)))
            clock.forward(timedelta(seconds=600))
        with replica.store.work() as work:
            assert len(work.tx.execute(schema.assertion.select()).all()) == 1


def test_an_assertion_costs_the_store_one_statement(folder: Path, clock: Any) -> None:
    """What has expired is deleted now and then; until it is, it counts for nothing."""
    with replicas(folder, clock, 1) as (replica,):
        moment = int(clock.now.timestamp())
        assert replica._remember(PANTRY, "old", moment - 30)
        asked: list[str] = []
        event.listen(
            Engine, "before_cursor_execute", listener := lambda *arguments: asked.append(arguments[2])
        )
        clock.forward(timedelta(seconds=40))
        assert [replica._remember(PANTRY, jti, moment + 300) for jti in ("new", "new")] == [True, False]
        assert [replica._remember(PANTRY, "old", moment + 300) for _ in "12"] == [True, False]
        event.remove(Engine, "before_cursor_execute", listener)
        assert {text.split()[0] for text in asked} == {"BEGIN", "INSERT"}
        assert sum(text.startswith("INSERT") for text in asked) == 4
