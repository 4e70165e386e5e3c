"""Whatever is sent to the OAuth endpoints: an answer within what is registered, or a refusal of theirs."""

from __future__ import annotations

import asyncio
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oauth_world import CLAIMS, HEADER, INTAKE, NOW, PANTRY, SECRET, Node, basic, fresh, request, signed

from gateway.errors import Refused
from gateway.oauth import scopes
from gateway.oauth.assertion import ASSERTION_TYPE, TokenError, read_form

ERRORS = {
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "unsupported_grant_type",
    "invalid_token",
}

# -- any form -------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        "grant_type",
        "scope",
        "client_assertion_type",
        "client_assertion",
        "client_id",
        "client_secret",
        "token",
        "token_type_hint",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CLAIM = st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "extensions"])
WRONG_CLAIMS = st.dictionaries(CLAIM, JSON, max_size=3).map(lambda wrong: fresh() | wrong)
WRONG_HEADER = st.dictionaries(
    st.sampled_from(["kid", "typ", "jku", "jwk", "x5u", "crit", "b64"]), JSON, max_size=2
).map(lambda wrong: HEADER | wrong)
ASSERTIONS = st.builds(signed, WRONG_HEADER, WRONG_CLAIMS | JSON)
VALUES = st.one_of(
    st.sampled_from(
        ["client_credentials", ASSERTION_TYPE, "system/Task.rus", "system/*.cruds", PANTRY, INTAKE, SECRET]
    ),
    ASSERTIONS,
    st.text(max_size=40),
    st.text(alphabet=string.printable, max_size=40),
)
FORMS = st.lists(st.tuples(NAMES | st.text(max_size=6), VALUES), max_size=8)
WORKING = st.dictionaries(NAMES, VALUES, max_size=2).map(
    lambda wrong: list((dict(request(claims=fresh())) | wrong).items())
)
AUTHORIZATIONS = st.one_of(
    st.none(),
    st.just(basic()),
    st.text(max_size=30),
    st.builds("{} {}".format, st.sampled_from(["Basic", "Bearer"]), st.text(max_size=30)),
    st.builds(basic, st.text(max_size=10), st.text(max_size=10)),
)


@given(form=FORMS | WORKING, authorization=AUTHORIZATIONS, source=st.none() | st.text(max_size=20))
def test_every_request_gets_an_answer_or_a_refusal_of_the_endpoint(
    form: list[tuple[str, str]], authorization: str | None, source: str | None
) -> None:
    node = Node()
    for endpoint in ("token", "introspect", "revoke"):
        try:
            asyncio.run(getattr(node.server, endpoint)(form, NOW, authorization, source))
        except TokenError as error:
            assert error.error in ERRORS
            assert error.status in (400, 401)
            assert (error.status == 401) == ("WWW-Authenticate" in error.headers)
            assert all(text.isascii() for text in error.body().values())


@given(authorization=AUTHORIZATIONS, source=st.none() | st.text(max_size=20))
def test_every_authorization_header_names_a_caller_or_is_refused(
    authorization: str | None, source: str | None
) -> None:
    with pytest.raises(Refused) as found:
        Node().server.verify(authorization, NOW, source)
    assert found.value.status == 401


@given(body=st.binary(max_size=200), kind=st.just("application/x-www-form-urlencoded") | st.text(max_size=20))
def test_every_body_is_a_form_or_refused(body: bytes, kind: str) -> None:
    try:
        read_form(body, kind)
    except TokenError as error:
        assert error.error == "invalid_request"


# -- any scope ------------------------------------------------------------------------------------------

LETTERS = st.sets(st.sampled_from("cruds"), min_size=1).map(
    lambda held: "".join(letter for letter in "cruds" if letter in held)
)
ACTIONS = LETTERS | st.sampled_from(["read", "write", "*"])
TYPES = st.sampled_from(["*", "Task", "Patient", "Consent"])
SCOPES = st.lists(st.builds("system/{}.{}".format, TYPES, ACTIONS), min_size=1, max_size=5)


@given(asked=SCOPES, registered=SCOPES, later=SCOPES)
def test_no_token_is_good_for_more_than_was_asked_and_is_registered(
    asked: list[str], registered: list[str], later: list[str]
) -> None:
    node = Node()
    node.register(scopes=frozenset(registered))
    try:
        answer = node.ask(request(claims=CLAIMS, scope=" ".join(asked)))
    except TokenError as error:
        assert error.error == "invalid_scope"
        return
    token = answer["access_token"]
    granted = node.caller(token).scopes
    assert granted == frozenset(answer["scope"].split(" "))
    assert node.about(token)["scope"] == answer["scope"]
    node.register(scopes=frozenset(later))
    left = node.caller(token).scopes
    for kind in ("Task", "Patient", "Consent", "Observation"):
        for letter in "cruds":
            if scopes.grants(granted, kind, letter):
                assert scopes.grants(asked, kind, letter)
                assert scopes.grants(registered, kind, letter)
            if scopes.grants(left, kind, letter):
                assert scopes.grants(granted, kind, letter)
                assert scopes.grants(later, kind, letter)


# -- any purpose ----------------------------------------------------------------------------------------

PURPOSES = st.frozensets(st.sampled_from(["TREAT", "COC", "HOPERAT", "HMARKT"]), max_size=3)


def held(registered: frozenset[str]) -> frozenset[str]:
    """Everything that these purposes hold: coordination of care is part of treatment."""
    return registered | ({"COC"} if "TREAT" in registered else set())


@given(stated=PURPOSES, registered=PURPOSES, later=PURPOSES)
def test_no_token_is_for_more_purposes_than_were_stated_and_are_registered(
    stated: frozenset[str], registered: frozenset[str], later: frozenset[str]
) -> None:
    node = Node()
    node.register(purposes=registered)
    business: dict[str, Any] = {
        "version": "1",
        "organization_id": PANTRY,
        "purpose_of_use": sorted(stated),
    }
    try:
        token = node.token(claims=fresh(extensions={"hl7-b2b": business}))
    except TokenError as error:
        assert error.error == "invalid_grant"
        assert not stated or not stated <= held(registered)
        return
    assert node.caller(token).purposes == stated
    node.register(purposes=later)
    assert node.caller(token).purposes == stated & held(later)
