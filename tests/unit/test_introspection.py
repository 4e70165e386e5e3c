"""Asking about a token, and taking one back: RFC 7662 and RFC 7009, with what SMART 2.2 adds."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from oauth_world import (
    CLAIMS,
    INTAKE,
    ISSUER,
    NOW,
    PANTRY,
    REGISTERED,
    SECRET,
    Node,
    T,
    basic,
    fresh,
    proof,
    twin,
)

from gateway.errors import Refused
from gateway.oauth.allowance import Allowance
from gateway.oauth.assertion import TokenError
from gateway.oauth.key_sources import KeySource
from gateway.oauth.revoked import Revoked
from gateway.signing import keys
from gateway.store import revoked as rows
from gateway.store.work import Store

MILL = "https://directory.example.org/Organization/mill-street-clinic"
MILL_KEY = keys.generate()
INACTIVE = {"active": False}


@pytest.fixture
def node() -> Node:
    """The pantry, the intake system, and one more partner."""
    found = Node()
    found.clients[MILL] = REGISTERED
    found.register(MILL, client_id=MILL, organization=MILL, keys=KeySource(keys.public_jwks(MILL_KEY)))
    return found


def by_mill(**claims: Any) -> dict[str, Any]:
    """The proof of the other partner, as changes of the pantry's."""
    header = {"alg": "ES384", "kid": MILL_KEY.thumbprint()}
    return {"claims": fresh(iss=MILL, sub=MILL, **claims), "header": header, "key": MILL_KEY}


# -- asking ---------------------------------------------------------------------------------------------


def test_a_client_is_told_of_its_own_token_and_nothing_more_than_is_needed(node: Node) -> None:
    token = node.token(scope="system/Task.rus system/Patient.read")
    assert node.about(token) == {
        "active": True,
        "scope": "system/Task.rus system/Patient.read",
        "client_id": PANTRY,
        "sub": PANTRY,
        "token_type": "bearer",
        "iss": ISSUER,
        "aud": f"{ISSUER}/fhir",
        "iat": T,
        "exp": T + 300,
    }


def test_a_client_is_not_told_of_anothers_token(node: Node) -> None:
    assert node.about(node.token(), **by_mill()) == INACTIVE


def test_a_client_that_is_registered_to_is_told_of_every_token(node: Node) -> None:
    node.register(MILL, introspects=True)
    assert node.about(node.token(), **by_mill())["client_id"] == PANTRY


def test_a_client_may_prove_itself_with_a_token_of_its_own(node: Node) -> None:
    """SMART 2.2, token introspection: a bearer token in the Authorization header."""
    token, own = node.token(), node.token(**by_mill())
    assert node.about(token, authorization=f"Bearer {own}") == INACTIVE
    assert node.about(own, authorization=f"bearer {own}")["client_id"] == MILL
    node.register(MILL, introspects=True)
    assert node.about(token, authorization=f"Bearer {own}")["client_id"] == PANTRY


def test_an_older_system_asks_with_its_secret(node: Node) -> None:
    node.register(INTAKE, introspects=True)
    assert node.about(node.token(), authorization=basic())["client_id"] == PANTRY


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda node, token: token[:-4] + "AAAA", id="tampered"),
        pytest.param(lambda node, token: "abc", id="no token at all"),
        pytest.param(lambda node, token: "a" * 9000, id="oversized"),
        pytest.param(lambda node, token: "\udcff", id="no Unicode"),
        pytest.param(lambda node, token: dict(proof())["client_assertion"], id="an assertion"),
        pytest.param(
            lambda node, token: Node("https://other.example.org", keys.generate()).token(
                claims=CLAIMS | {"aud": "https://other.example.org"}
            ),
            id="another server's",
        ),
    ],
)
def test_whatever_is_no_good_token_of_ours_is_inactive_and_nothing_else(change: Any, node: Node) -> None:
    assert node.about(change(node, node.token())) == INACTIVE


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(lambda node, token: node.revoke(token), id="revoked"),
        pytest.param(lambda node, token: node.register(active=False), id="client suspended"),
        pytest.param(lambda node, token: node.clients.pop(PANTRY), id="client removed"),
        pytest.param(lambda node, token: node.register(scopes=frozenset()), id="no scope left"),
    ],
)
def test_a_token_that_is_good_no_more_is_inactive_and_nothing_else(happens: Any, node: Node) -> None:
    token = node.token()
    node.register(MILL, introspects=True)
    assert node.about(token, **by_mill())["active"] is True
    happens(node, token)
    assert node.about(token, **by_mill()) == INACTIVE


def test_an_expired_token_is_inactive(node: Node) -> None:
    token = node.token()
    for seconds, active in ((299, True), (300, False)):
        later = NOW + timedelta(seconds=seconds)
        claims = fresh(iat=T + seconds, exp=T + seconds + 60)
        assert node.about(token, now=later, claims=claims)["active"] is active


def test_the_scope_that_is_told_is_the_one_that_counts_now(node: Node) -> None:
    token = node.token(scope="system/Task.rus system/Patient.r")
    node.register(scopes=frozenset({"system/Task.rs"}))
    assert node.about(token)["scope"] == "system/Task.rs"


# -- who asks, and how ----------------------------------------------------------------------------------

ENDPOINTS = pytest.mark.parametrize("endpoint", ["introspect", "revoke"])


def refused(
    node: Node,
    endpoint: str,
    form: list[tuple[str, str]],
    status: int,
    error: str,
    authorization: str | None = None,
) -> TokenError:
    with pytest.raises(TokenError) as found:
        asyncio.run(getattr(node.server, endpoint)(form, NOW, authorization))
    assert (found.value.status, found.value.error) == (status, error)
    assert set(found.value.body()) == {"error", "error_description"}
    return found.value


@ENDPOINTS
def test_who_does_not_say_who_it_is_is_refused(endpoint: str, node: Node) -> None:
    token = ("token", node.token())
    refused(node, endpoint, [token], 400, "invalid_client")
    refused(node, endpoint, [token, *proof(key=keys.generate())], 400, "invalid_client")
    error = refused(node, endpoint, [token], 401, "invalid_client", basic(secret="wrong"))
    assert error.headers["WWW-Authenticate"].startswith("Basic ")


@ENDPOINTS
def test_the_token_is_asked_for_once(endpoint: str, node: Node) -> None:
    token = ("token", node.token())
    refused(node, endpoint, proof(), 400, "invalid_request")
    refused(node, endpoint, [("token", ""), *proof()], 400, "invalid_request")
    refused(node, endpoint, [token, token, *proof()], 400, "invalid_request")


@ENDPOINTS
def test_a_hint_is_not_needed_and_an_unknown_one_no_error(endpoint: str, node: Node) -> None:
    form = [("token", node.token()), ("token_type_hint", "refresh_token"), *proof(claims=fresh())]
    asyncio.run(getattr(node.server, endpoint)(form, NOW))


@ENDPOINTS
def test_an_assertion_is_used_up_here_too(endpoint: str, node: Node) -> None:
    form = [("token", node.token()), *proof(claims=fresh())]
    asyncio.run(getattr(node.server, endpoint)(form, NOW))
    refused(node, endpoint, form, 400, "invalid_client")


def test_a_bearer_token_that_is_no_good_is_refused_as_at_any_other_address(node: Node) -> None:
    token = node.token()
    error = refused(node, "introspect", [("token", token)], 401, "invalid_token", "Bearer abc")
    assert error.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    both = [("token", token), *proof(claims=fresh())]
    refused(node, "introspect", both, 400, "invalid_request", f"Bearer {token}")
    node.register(active=False)
    refused(node, "introspect", [("token", token)], 401, "invalid_token", f"Bearer {token}")


@pytest.mark.parametrize(
    "then", [None, replace(REGISTERED, active=False)], ids=["its file is removed", "it is suspended"]
)
def test_a_client_that_is_gone_while_its_token_is_looked_at_is_refused(then: Any, node: Node) -> None:
    token = node.token()
    found = iter([REGISTERED, then])
    node.server._registration = lambda _client_id: next(found, then)
    error = refused(node, "introspect", [("token", token)], 401, "invalid_token", f"Bearer {token}")
    assert error.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


def test_a_token_is_not_taken_back_on_the_word_of_its_bearer(node: Node) -> None:
    token = node.token()
    refused(node, "revoke", [("token", token)], 401, "invalid_client", f"Bearer {token}")
    assert node.caller(token).client_id == PANTRY


# -- taking back ----------------------------------------------------------------------------------------


def test_a_client_takes_back_its_own_token(node: Node) -> None:
    token = node.token()
    node.revoke(token)
    with pytest.raises(Refused, match="taken back"):
        node.caller(token)
    node.revoke(token)


def test_a_client_does_not_take_back_anothers(node: Node) -> None:
    token = node.token()
    error = refused(node, "revoke", [("token", token), *proof(**by_mill())], 400, "invalid_grant")
    assert token not in json.dumps(error.body())
    node.register(MILL, introspects=True)
    refused(node, "revoke", [("token", token), *proof(**by_mill())], 400, "invalid_grant")
    assert node.caller(token).client_id == PANTRY


@pytest.mark.parametrize("token", ["abc", "a" * 9000, "\udcff", "a.b.c"])
def test_what_is_no_token_is_no_error(token: str, node: Node) -> None:
    node.revoke(token)
    assert node.revoked._held == {}


def test_an_older_system_takes_back_its_own(node: Node) -> None:
    form = [("grant_type", "client_credentials"), ("scope", "system/Consent.c")]
    token = node.ask(form, basic())["access_token"]
    node.revoke(token, authorization=basic())
    with pytest.raises(Refused, match="taken back"):
        node.caller(token)


# -- remembered -----------------------------------------------------------------------------------------


def remembered(store: Store) -> dict[str, int]:
    with store.work() as work:
        return rows.taken_back(work, list(rows.counts(work)))


def test_what_was_taken_back_is_known_after_a_restart(store: Store) -> None:
    Revoked(store).add("digest", T + 300)
    assert Revoked(store).holds("digest")


def test_a_replica_learns_of_it_when_it_looks(tmp_path: Path, store: Store, clock: Any) -> None:
    second = Store(tmp_path / "data", b"k" * 32, "main", clock)
    here, there = Revoked(store), Revoked(second)
    here.add("digest", T + 300)
    assert here.holds("digest")
    assert not there.holds("digest")
    there.refresh()
    assert there.holds("digest")
    second.close()


def test_only_what_is_new_is_read(
    tmp_path: Path, store: Store, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = Store(tmp_path / "data", b"k" * 32, "main", clock)
    here, there = Revoked(store), Revoked(second)
    for number in range(40):
        there.add(str(number), T + 100 + number % 20)
    here.refresh()
    read: list[list[int]] = []
    real = rows.taken_back

    def seen(work: Any, seconds: list[int]) -> dict[str, int]:
        read.append(seconds)
        return real(work, seconds)

    monkeypatch.setattr(rows, "taken_back", seen)
    here.refresh()
    there.add("new", T + 105)
    here.refresh()
    assert read == [[], [T + 105]]
    assert all(here.holds(name) for name in ["new", *map(str, range(40))])
    second.close()


def test_two_that_take_back_at_once_learn_of_each_others(tmp_path: Path, store: Store, clock: Any) -> None:
    """As many as one has read may be in the store, and yet others."""
    second = Store(tmp_path / "data", b"k" * 32, "main", clock)
    here, there = Revoked(store), Revoked(second)
    here.add("one", T + 300)
    here.refresh()
    there.add("two", T + 300)
    here.add("three", T + 300)
    here.refresh()
    there.refresh()
    for name in ("one", "two", "three"):
        assert here.holds(name)
        assert there.holds(name)
    second.close()


def test_a_client_that_takes_back_too_many_is_told_when_to_come_again(node: Node) -> None:
    """What is taken back is remembered until it would have ended, by every process."""
    node.server._revocations = Allowance(0.001, burst=2, clock=lambda: 0.0)
    first, second, third = (node.token(claims=fresh()) for _ in range(3))
    node.revoke(first)
    node.revoke(first)
    node.revoke(second)
    error = refused(
        node, "revoke", [("token", third), *proof(claims=fresh())], 429, "temporarily_unavailable"
    )
    assert error.headers == {"Retry-After": "1000"}
    assert len(node.revoked._held) == 2
    node.revoke(node.token(**by_mill()), **by_mill())


def test_it_is_kept_until_the_token_would_have_ended_and_no_longer(store: Store, clock: Any) -> None:
    revoked = Revoked(store)
    revoked.add("short", T + 10)
    revoked.add("lasting", T + 300)
    clock.forward(timedelta(seconds=10))
    revoked.refresh()
    assert not revoked.holds("short")
    assert revoked.holds("lasting")
    revoked.add("another", T + 300)
    assert remembered(store) == {"lasting": T + 300, "another": T + 300}
    with store.work() as work:
        assert len(work.tx.execute(rows.revoked_token.select()).all()) == 2, "expired rows are gone"


def test_taking_back_twice_is_no_error(store: Store) -> None:
    revoked = Revoked(store)
    revoked.add("digest", T + 300)
    revoked.add("digest", T + 300)
    assert remembered(store) == {"digest": T + 300}


def test_one_tenant_does_not_hear_of_anothers(tmp_path: Path, store: Store, clock: Any) -> None:
    other = Store(tmp_path / "data", b"k" * 32, "other", clock)
    Revoked(store).add("digest", T + 300)
    assert not Revoked(other).holds("digest")
    other.close()


def test_nothing_is_lost_between_a_look_and_a_revocation(store: Store) -> None:
    revoked = Revoked(store)
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            revoked.refresh()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for number in range(100):
            revoked.add(str(number), T + 300)
            assert revoked.holds(str(number))
        assert all(revoked.holds(str(number)) for number in range(100))
    finally:
        stop.set()
        looking.join()
    assert len(remembered(store)) == 100


def test_a_token_in_its_other_spelling_is_taken_back_with_it(node: Node) -> None:
    token = node.token()
    node.revoke(twin(token))
    with pytest.raises(Refused, match="taken back"):
        node.caller(token)
    assert node.about(token) == INACTIVE


def test_a_secret_shown_in_the_form_asks_too(node: Node) -> None:
    form = [("token", node.token()), ("client_id", INTAKE), ("client_secret", SECRET)]
    assert asyncio.run(node.server.introspect(form, NOW)) == INACTIVE
    node.register(INTAKE, introspects=True)
    assert asyncio.run(node.server.introspect(form, NOW))["active"] is True
