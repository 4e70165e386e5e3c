"""Who asks too often, or from where it may not, at the OAuth endpoints and with its tokens."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

import pytest
from oauth_world import INTAKE, NOW, PANTRY, SECRET, Node, T, basic, fresh, proof, refused, request

from gateway.errors import Refused
from gateway.oauth import assertion
from gateway.oauth.allowance import Allowance
from gateway.oauth.assertion import TokenError
from gateway.signing import keys

HERE, ELSEWHERE = "192.0.2.7", "192.0.2.8"


def few(number: int = 2) -> Allowance:
    """So many requests, and no more while the test runs."""
    return Allowance(0.001, burst=number, clock=lambda: 0.0)


def good() -> list[tuple[str, str]]:
    return request(claims=fresh())


def bad() -> list[tuple[str, str]]:
    return request(claims=fresh(), key=keys.generate())


# -- where requests come from ---------------------------------------------------------------------------


def test_an_address_that_asks_too_often_is_told_when_to_come_again() -> None:
    node = Node(attempts=few())
    node.ask(good(), source=HERE)
    node.ask(good(), source=HERE)
    error = refused(node, good(), "temporarily_unavailable", "this address", status=429, source=HERE)
    assert error.headers == {"Retry-After": "1000"}
    node.ask(good(), source=ELSEWHERE)


@pytest.mark.parametrize("form", [pytest.param(bad, id="wrong key"), pytest.param(list, id="nothing")])
def test_what_fails_counts_like_what_succeeds(form: Any) -> None:
    node = Node(attempts=few())
    for _ in range(2):
        with pytest.raises(TokenError):
            node.ask(form(), source=HERE)
    refused(node, good(), "temporarily_unavailable", "this address", status=429, source=HERE)


def test_nobody_can_burn_signature_checks_from_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(attempts=few(3))
    checked: list[str] = []
    real = assertion.jws.deserialize_compact

    def counted(*arguments: Any, **options: Any) -> Any:
        checked.append("one")
        return real(*arguments, **options)

    token = node.token()
    monkeypatch.setattr(assertion.jws, "deserialize_compact", counted)
    for _ in range(10):
        with pytest.raises(TokenError):
            node.ask(bad(), source=HERE)
    for number in range(10):
        with pytest.raises(Refused) as found:
            node.server.verify(f"Bearer {token[:-4]}AA{number:02}", NOW, HERE)
        assert (found.value.status, found.value.headers) == (429, {"Retry-After": "1000"})
    assert len(checked) == 3


def test_a_token_that_was_seen_before_costs_nothing_and_counts_nothing() -> None:
    node = Node(attempts=few(2))
    token = node.ask(good(), source=HERE)["access_token"]
    assert {node.caller(token, source=HERE).client_id for _ in range(10)} == {PANTRY}


@pytest.mark.parametrize("endpoint", ["introspect", "revoke"])
def test_the_other_endpoints_count_too(endpoint: str) -> None:
    node = Node(attempts=few(1))
    node.ask(good(), source=HERE)
    form = [("token", "abc"), *proof(claims=fresh())]
    with pytest.raises(TokenError) as found:
        asyncio.run(getattr(node.server, endpoint)(form, NOW, None, HERE))
    assert found.value.status == 429


def test_a_bearer_that_comes_too_often_is_told_so_where_it_asks_about_tokens() -> None:
    node = Node(attempts=few(1))
    token = node.token()
    with pytest.raises(TokenError) as found:
        asyncio.run(node.server.introspect([("token", token)], NOW, f"Bearer {token}", HERE))
    assert (found.value.status, found.value.error) == (429, "temporarily_unavailable")
    assert found.value.headers == {"Retry-After": "1000"}


# -- each client ----------------------------------------------------------------------------------------


def test_a_client_that_asks_too_often_is_told_when_to_come_again_and_others_are_not() -> None:
    node = Node(allowance=few())
    node.ask(good())
    node.ask(good())
    error = refused(node, good(), "temporarily_unavailable", "This client", status=429)
    assert error.headers == {"Retry-After": "1000"}
    form = [("grant_type", "client_credentials"), ("scope", "system/Consent.c")]
    node.ask(form, basic())
    node.ask([*form, ("client_id", INTAKE), ("client_secret", SECRET)])
    error = refused(node, form, "temporarily_unavailable", "This client", status=429, authorization=basic())
    assert error.headers == {"Retry-After": "1000"}


def test_nobody_uses_up_what_is_anothers() -> None:
    node = Node(allowance=few(1))
    for _ in range(5):
        refused(node, bad(), "invalid_client", "not known")
        refused(
            node,
            [*good()[:2], ("client_id", INTAKE), ("client_secret", "wrong")],
            "invalid_client",
            "not known",
        )
    node.ask(good())
    node.ask([("grant_type", "client_credentials"), ("scope", "system/Consent.c")], basic())


def test_an_assertion_that_came_too_early_is_not_used_up() -> None:
    seconds = [0.0]
    node = Node(allowance=Allowance(1, burst=1, clock=lambda: seconds[0]))
    node.ask(good())
    form = good()
    refused(node, form, "temporarily_unavailable", "This client", status=429)
    seconds[0] = 1.0
    assert node.ask(form)["access_token"]


# -- registered addresses -------------------------------------------------------------------------------

INSIDE = (ipaddress.ip_network("10.2.0.0/16"), ipaddress.ip_network("fd00:7::/32"))


@pytest.mark.parametrize("source", ["10.2.0.1", "10.2.255.254", "fd00:7::1", "::ffff:10.2.0.1"])
def test_a_client_gets_tokens_from_its_registered_addresses(source: str) -> None:
    node = Node()
    node.register(addresses=INSIDE)
    node.register(INTAKE, addresses=INSIDE)
    assert node.ask(good(), source=source)["access_token"]
    form = [("grant_type", "client_credentials"), ("scope", "system/Consent.c")]
    assert node.ask(form, basic(), source)["access_token"]


@pytest.mark.parametrize("source", ["10.3.0.1", "fd00:8::1", "::ffff:10.3.0.1", "127.0.0.1", "", "x", None])
def test_and_from_nowhere_else_and_is_told_what_a_stranger_is_told(source: str | None) -> None:
    node = Node()
    node.register(addresses=INSIDE)
    elsewhere = refused(node, good(), "invalid_client", "not known here", source=source)
    del node.clients[PANTRY]
    assert refused(node, good(), "invalid_client", "not known here").body() == elsewhere.body()
    node.register(INTAKE, addresses=INSIDE)
    form = [("grant_type", "client_credentials"), ("scope", "system/Consent.c")]
    refused(node, form, "invalid_client", "not known here", status=401, authorization=basic(), source=source)
    assert node.used == set()


def test_a_suspended_client_is_refused_at_its_own_address_too() -> None:
    node = Node()
    node.register(addresses=INSIDE)
    token = node.ask(good(), source="10.2.0.1")["access_token"]
    node.register(active=False)
    refused(node, good(), "invalid_client", "not known here", source="10.2.0.1")
    with pytest.raises(Refused, match="not active"):
        node.caller(token, source="10.2.0.1")


def test_the_time_of_a_token_does_not_depend_on_the_limits() -> None:
    node = Node(attempts=few(), allowance=few())
    assert node.about(node.token())["exp"] == T + 300
