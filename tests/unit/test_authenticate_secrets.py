"""Client secrets (RFC 6749 section 2.3.1): good requests, and refusals that each change one fact."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest
from oauth_world import (
    CLIENT_JWKS,
    INTAKE,
    INTAKE_REGISTERED,
    PANTRY,
    SECRET,
    Node,
    basic,
    proof,
    refused,
    request,
)

from gateway.oauth import client_authentication
from gateway.oauth.key_sources import KeySource


@pytest.fixture
def node() -> Node:
    return Node()


def wanted(**changes: str) -> list[tuple[str, str]]:
    """A token request of the intake system that says who it is elsewhere."""
    fields = {"grant_type": "client_credentials", "scope": "system/Consent.c"} | changes
    return [(name, value) for name, value in fields.items() if value]


def posted(**changes: str) -> list[tuple[str, str]]:
    """A token request of the intake system with its secret in the form."""
    return wanted(**({"client_id": INTAKE, "client_secret": SECRET} | changes))


def test_a_secret_gets_a_token_from_the_header_and_from_the_form(node: Node) -> None:
    for answer in (node.ask(wanted(), basic()), node.ask(posted())):
        assert {name: answer[name] for name in ("token_type", "expires_in", "scope")} == {
            "token_type": "bearer",
            "expires_in": 300,
            "scope": "system/Consent.c",
        }
        caller = node.caller(answer["access_token"])
        assert (caller.client_id, caller.organization, caller.systems) == (INTAKE, None, {"intake"})


def test_the_scheme_may_be_written_in_any_case_and_the_id_be_repeated(node: Node) -> None:
    assert node.ask(wanted(client_id=INTAKE), basic().replace("Basic", "bASIC"))["access_token"]


def test_what_stands_in_the_header_is_form_encoded(node: Node) -> None:
    name, secret = "case system: north", "p+w %:\u00e9"
    node.clients[name] = replace(
        INTAKE_REGISTERED, client_id=name, secret=hashlib.sha256(secret.encode()).digest()
    )
    assert node.ask(wanted(), basic("case+system%3A%20north", "p%2Bw+%25%3A%C3%A9"))["access_token"]
    refused(
        node, wanted(), "invalid_client", "not known", status=401, authorization=basic("case system", "x")
    )


@pytest.mark.parametrize(
    ("authorization", "rule"),
    [
        pytest.param(basic(secret=SECRET + "x"), "not known", id="wrong secret"),
        pytest.param(basic(secret=""), "not known", id="no secret"),
        pytest.param(basic(client_id="someone"), "not known", id="unknown client"),
        pytest.param(basic(client_id=""), "not known", id="no client"),
        pytest.param(basic(secret=SECRET.lower()), "not known", id="other case"),
        pytest.param(
            basic(secret=hashlib.sha256(SECRET.encode()).hexdigest()), "not known", id="what is kept of it"
        ),
        pytest.param("Basic", "well-formed", id="nothing"),
        pytest.param("Basic " + base64.b64encode(b"intake").decode(), "well-formed", id="no colon"),
        pytest.param("Basic " + base64.b64encode(b"\xff:x").decode(), "well-formed", id="no UTF-8"),
        pytest.param(basic(secret="%ff"), "well-formed", id="escapes that are no UTF-8"),
        pytest.param("Basic !!!!", "well-formed", id="no base64"),
        pytest.param(basic()[:9] + "!" + basic()[9:], "well-formed", id="not all of it base64"),
        pytest.param("Basic " + "A" * 3000, "must be Basic", id="oversized"),
        pytest.param("Bearer abc", "must be Basic", id="another scheme"),
        pytest.param("", "must be Basic", id="empty"),
    ],
)
def test_a_wrong_fact_in_the_header_is_refused_with_a_challenge(
    authorization: str, rule: str, node: Node
) -> None:
    error = refused(node, wanted(), "invalid_client", rule, status=401, authorization=authorization)
    assert error.headers == {"WWW-Authenticate": 'Basic realm="oauth"'}


@pytest.mark.parametrize(
    "change",
    [
        {"client_secret": SECRET + "x"},
        {"client_secret": SECRET + "\udcff"},
        {"client_id": "someone"},
        {"client_id": PANTRY},
    ],
)
def test_a_wrong_fact_in_the_form_is_refused_without_one(change: dict[str, str], node: Node) -> None:
    error = refused(node, posted(**change), "invalid_client", "not known here, not active, or may not")
    assert error.headers == {}


def test_a_secret_without_a_client_and_a_client_without_a_secret_are_refused(node: Node) -> None:
    refused(node, posted(client_id=""), "invalid_request", "client_id is missing")
    refused(node, posted(client_secret=""), "invalid_client", "No client authentication")
    refused(node, wanted(), "invalid_client", "No client authentication")


def test_another_client_id_beside_the_header_is_refused(node: Node) -> None:
    refused(node, wanted(client_id=PANTRY), "invalid_client", "client_id", status=401, authorization=basic())


@pytest.mark.parametrize(
    ("form", "authorization"),
    [
        pytest.param(posted(), basic(), id="header and form"),
        pytest.param(posted(**dict(proof())), None, id="form and assertion"),
        pytest.param(request(), basic(), id="header and assertion"),
        pytest.param(request(), "Bearer abc", id="a token and an assertion"),
        pytest.param(wanted(client_assertion_type="x"), basic(), id="header and half an assertion"),
    ],
)
def test_two_ways_at_once_are_refused(
    form: list[tuple[str, str]], authorization: str | None, node: Node
) -> None:
    refused(node, form, "invalid_request", "one way only", authorization=authorization)
    assert node.used == set()


def test_a_client_with_keys_may_not_use_a_secret_nor_the_other_way_round(node: Node) -> None:
    secret = INTAKE_REGISTERED.secret
    node.register(PANTRY, secret=secret)
    refused(node, posted(client_id=PANTRY), "invalid_client", "not known")
    refused(node, request(), "invalid_client", "not known")
    node.register(INTAKE, keys=KeySource(CLIENT_JWKS))
    refused(node, posted(), "invalid_client", "not known")
    node.register(INTAKE, secret=None)
    refused(node, posted(), "invalid_client", "not known")
    node.register(PANTRY, secret=None, keys=None)
    refused(node, request(), "invalid_client", "not known")
    assert node.used == set()


def test_a_suspended_client_is_told_what_an_unknown_one_is_told(node: Node) -> None:
    node.register(INTAKE, active=False)
    suspended = refused(node, posted(), "invalid_client", "not known here")
    del node.clients[INTAKE]
    assert refused(node, posted(), "invalid_client", "not known here").body() == suspended.body()


def test_a_secret_is_compared_in_constant_time_also_for_who_is_not_known(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []

    def compare(one: Any, other: Any) -> bool:
        compared.append(len(other))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(client_authentication, "compare_digest", compare)
    refused(node, posted(client_id="someone"), "invalid_client", "not known")
    refused(node, posted(client_secret="wrong"), "invalid_client", "not known")
    refused(node, posted(client_id=PANTRY), "invalid_client", "not known")
    assert compared == [32, 32, 32]


def test_a_registration_does_not_show_its_secret() -> None:
    assert "secret" not in repr(INTAKE_REGISTERED)
