"""The token endpoint: one good request, and refusals that each change one fact of it."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.util import urlsafe_b64encode
from oauth_world import (
    CLAIMS,
    CLIENT_KEY,
    HEADER,
    ISSUER,
    JWKS_URL,
    NODE_KEY,
    NOW,
    PANTRY,
    REGISTERED,
    RSA_KEY,
    SHORT_RSA_KEY,
    Node,
    T,
    hmac_signed,
    refused,
    request,
    signed,
    without,
)

from gateway.oauth.assertion import CLOCK_SKEW_SECONDS, TokenError, read_form
from gateway.oauth.assertion_keys import Unproven, usable_key
from gateway.oauth.key_sources import KeySource
from gateway.signing import keys

GOOD_ASSERTION = signed(HEADER, CLAIMS)
HMAC_ASSERTION = hmac_signed(CLAIMS)


@pytest.fixture
def node() -> Node:
    return Node()


# -- what is accepted -----------------------------------------------------------------------------------


def test_a_good_request_gets_a_token_for_what_was_asked(node: Node) -> None:
    answer = node.ask(request())
    assert {name: value for name, value in answer.items() if name != "access_token"} == {
        "token_type": "bearer",
        "expires_in": 300,
        "scope": "system/Task.rus",
    }
    caller = node.server.verify(f"Bearer {answer['access_token']}", NOW)
    assert caller.client_id == caller.organization == PANTRY
    assert (caller.scopes, caller.purposes, caller.systems) == (
        frozenset({"system/Task.rus"}),
        frozenset({"TREAT", "COC"}),
        frozenset(),
    )


def test_an_access_token_is_what_rfc_9068_says(node: Node) -> None:
    token = jws.deserialize_compact(node.token(), NODE_KEY, algorithms=["ES384"])
    assert token.headers() == {"alg": "ES384", "typ": "at+jwt", "kid": NODE_KEY.thumbprint()}
    claims = json.loads(token.payload)
    assert claims.pop("jti")
    assert claims == {
        "iss": ISSUER,
        "aud": f"{ISSUER}/fhir",
        "sub": PANTRY,
        "client_id": PANTRY,
        "scope": "system/Task.rus",
        "iat": T,
        "exp": T + 300,
    }


@pytest.mark.parametrize(
    "form",
    [
        pytest.param({"claims": CLAIMS | {"aud": ISSUER}}, id="aud is the issuer"),
        pytest.param({"header": without(HEADER, "typ")}, id="no typ, as some clients send it"),
        pytest.param({"claims": CLAIMS | {"exp": T + 300}}, id="the longest life"),
        pytest.param({"claims": CLAIMS | {"exp": T + 309}}, id="the longest life by a fast clock"),
        pytest.param({"claims": CLAIMS | {"exp": T - 9}}, id="expired within the skew"),
        pytest.param({"claims": CLAIMS | {"exp": T + 60.5}}, id="a fraction of a second"),
        pytest.param({"claims": without(CLAIMS, "iat")}, id="no iat"),
        pytest.param({"claims": CLAIMS | {"nbf": T + 9}}, id="nbf by a fast clock"),
        pytest.param({"header": HEADER | {"alg": "RS384", "kid": "rsa-1"}, "key": RSA_KEY}, id="RS384"),
        pytest.param({"client_id": PANTRY}, id="client_id repeated as a parameter"),
        pytest.param({"state": "ignored"}, id="an unknown parameter"),
    ],
)
def test_what_the_specifications_leave_free_is_accepted(form: dict[str, Any], node: Node) -> None:
    assert node.ask(request(**form))["access_token"]


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        ("system/Task.rs", "system/Task.rs"),
        ("system/Task.cruds", "system/Task.rus"),
        ("system/Task.read", "system/Task.read"),
        ("system/Task.*", "system/Task.read"),
        ("system/*.s system/Consent.r", "system/Task.s system/Patient.s"),
    ],
)
def test_a_client_gets_of_what_it_asked_what_it_was_registered_for(
    asked: str, granted: str, node: Node
) -> None:
    answer = node.ask(request(scope=asked))
    assert set(answer["scope"].split()) == set(granted.split())
    caller = node.server.verify(f"Bearer {answer['access_token']}", NOW)
    assert caller.scopes == set(granted.split())


# -- the request ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grant_type", "scope", "client_assertion_type", "client_assertion"])
def test_a_missing_an_empty_and_a_repeated_parameter_are_refused(name: str, node: Node) -> None:
    refused(node, [one for one in request() if one[0] != name], "invalid_request", f"{name} is missing")
    refused(node, request(**{name: ""}), "invalid_request", f"{name} is missing")
    twice = [one for one in request() if one[0] == name]
    refused(node, request() + twice, "invalid_request", "sent twice")


def test_an_unknown_parameter_sent_twice_is_refused_too(node: Node) -> None:
    refused(node, [*request(), ("state", "a"), ("state", "b")], "invalid_request", "sent twice")


def test_another_grant_is_refused(node: Node) -> None:
    refused(node, request(grant_type="authorization_code"), "unsupported_grant_type", "client_credentials")


@pytest.mark.parametrize(
    ("body", "content_type", "rule"),
    [
        (b"{}", "application/json", "must be application/x-www-form-urlencoded"),
        (b"", "", "must be application/x-www-form-urlencoded"),
        (b"a=" + b"x" * 20_000, "application/x-www-form-urlencoded", "16384 bytes"),
        (b"&".join(b"a%d=1" % n for n in range(40)), "application/x-www-form-urlencoded", "well-formed"),
        (b"a=%ff", "application/x-www-form-urlencoded", "well-formed"),
        ("a=\u00e9".encode(), "application/x-www-form-urlencoded", "well-formed"),
    ],
)
def test_a_body_that_is_no_bounded_form_is_refused(body: bytes, content_type: str, rule: str) -> None:
    with pytest.raises(TokenError, match=rule) as found:
        read_form(body, content_type)
    assert found.value.error == "invalid_request"


def test_a_form_keeps_what_was_sent_twice_or_empty() -> None:
    body = urlencode([("scope", "system/Task.r"), ("scope", "a b"), ("grant_type", "")]).encode()
    assert read_form(body, "application/x-www-form-urlencoded; charset=UTF-8") == [
        ("scope", "system/Task.r"),
        ("scope", "a b"),
        ("grant_type", ""),
    ]


# -- the assertion --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "rule"),
    [
        pytest.param({"claims": CLAIMS | {"aud": "https://other.example.org"}}, "aud", id="wrong aud"),
        pytest.param({"claims": CLAIMS | {"aud": f"{ISSUER}/fhir"}}, "aud", id="aud is the resource"),
        pytest.param({"claims": CLAIMS | {"aud": f"{ISSUER}/oauth/token/"}}, "aud", id="aud with a slash"),
        pytest.param({"claims": CLAIMS | {"aud": [f"{ISSUER}/oauth/token"]}}, "one string", id="aud array"),
        pytest.param({"claims": CLAIMS | {"exp": T - 10}}, "expired", id="expired"),
        pytest.param({"claims": CLAIMS | {"exp": T + 311}}, "300 seconds ahead", id="exp too far"),
        pytest.param({"claims": CLAIMS | {"exp": 1e300}}, "300 seconds ahead", id="exp never"),
        pytest.param({"claims": CLAIMS | {"exp": str(T + 60)}}, "exp", id="exp a string"),
        pytest.param({"claims": CLAIMS | {"exp": True}}, "exp", id="exp a boolean"),
        pytest.param({"claims": CLAIMS | {"nbf": T + 11}}, "not valid yet", id="not valid yet"),
        pytest.param({"claims": CLAIMS | {"iat": T + 11}}, "not valid yet", id="issued in the future"),
        pytest.param(
            {"claims": CLAIMS | {"sub": "https://other.example.org"}}, "iss and sub", id="iss is not sub"
        ),
        pytest.param({"claims": CLAIMS | {"jti": ""}}, "jti", id="empty jti"),
        pytest.param({"claims": CLAIMS | {"jti": "j" * 256}}, "jti", id="long jti"),
        pytest.param({"claims": CLAIMS | {"jti": 7}}, "jti", id="jti a number"),
        pytest.param({"claims": CLAIMS | {"jti": "a\0b"}}, "control characters", id="jti with U+0000"),
        pytest.param({"claims": CLAIMS | {"jti": "ab\n"}}, "control characters", id="jti with a line end"),
        pytest.param({"claims": CLAIMS | {"jti": "\x9b2J"}}, "control characters", id="jti with C1 control"),
        pytest.param(
            {"claims": CLAIMS | {"iss": PANTRY + "\0", "sub": PANTRY + "\0"}}, "control", id="iss with U+0000"
        ),
        *[
            pytest.param({"claims": without(CLAIMS, name)}, name, id=f"no {name}")
            for name in ("iss", "sub", "aud", "exp", "jti")
        ],
        pytest.param({"claims": [CLAIMS]}, "must hold iss", id="claims no object"),
        pytest.param({"header": without(HEADER, "kid")}, "kid", id="no kid"),
        pytest.param({"header": HEADER | {"kid": "a\0b"}}, "kid", id="kid with U+0000"),
        pytest.param({"header": HEADER | {"typ": "at+jwt"}}, "typ must be JWT", id="typ of an access token"),
        pytest.param({"header": HEADER | {"jwk": keys.public_jwk(CLIENT_KEY)}}, "only", id="embedded jwk"),
        pytest.param({"header": HEADER | {"x5c": ["MIIB"]}}, "only", id="embedded x5c"),
        pytest.param({"header": HEADER | {"jku": ["x"]}}, "only", id="jku no text"),
        pytest.param({"header": HEADER | {"x5u": "https://evil.example.org/x"}}, "only", id="foreign x5u"),
        pytest.param({"header": HEADER | {"crit": ["cty"], "cty": "x"}}, "only", id="critical header"),
        pytest.param(
            {"header": HEADER | {"alg": "RS256", "kid": "rsa-1"}, "key": RSA_KEY}, "alg", id="RS256"
        ),
        pytest.param({"assertion": HMAC_ASSERTION}, "alg", id="HS256 with the public key"),
        pytest.param(
            {"header": HEADER | {"alg": "none"}},
            "alg",
            id="alg none",
        ),
        pytest.param({"claims": CLAIMS | {"more": "x" * 9000}}, "8192 bytes", id="oversized"),
        pytest.param({"assertion": "not.a-jwt"}, "must be a JWT", id="two parts"),
        pytest.param({"assertion": "WyJhbGciXQ.e30.AAAA"}, "must be a JWT", id="header is a list"),
        pytest.param({"assertion": "\udcff.\udcff.\udcff"}, "must be a JWT", id="no Unicode"),
        pytest.param({"client_assertion_type": "password"}, "client_assertion_type", id="assertion type"),
        pytest.param({"client_id": "someone"}, "client_id", id="other client_id"),
    ],
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_an_assertion_with_one_wrong_fact_is_refused(form: dict[str, Any], rule: str, node: Node) -> None:
    refused(node, request(**form), "invalid_client", rule)
    assert node.used == set(), "what was not proven must not be recorded"


def test_a_payload_nested_beyond_all_bounds_is_refused(node: Node) -> None:
    head, _payload, signature = signed(HEADER, CLAIMS).split(".")
    deep = urlsafe_b64encode(b"[" * 5000).decode()
    refused(node, request(assertion=f"{head}.{deep}.{signature}"), "invalid_client", "must hold iss")


def test_a_changed_payload_does_not_verify(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    head, _payload, signature = signed(HEADER, CLAIMS).split(".")
    other = signed(HEADER, CLAIMS | {"jti": "another"}).split(".")[1]
    unproven(node, request(assertion=f"{head}.{other}.{signature}"), "does not verify", caplog)


def test_a_kid_that_is_registered_twice_is_refused(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    jwk = keys.public_jwk(CLIENT_KEY)
    node.register(keys=KeySource({"keys": [jwk, jwk]}))
    unproven(node, request(), "exactly one", caplog)


def test_a_registered_key_that_is_no_key_is_refused(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    jwk = keys.public_jwk(CLIENT_KEY) | {"x": "A" * 64}
    node.register(keys=KeySource({"keys": [jwk]}))
    unproven(node, request(), "not usable", caplog)


def test_one_clients_key_does_not_sign_for_another(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    other = "https://directory.example.org/Organization/mill-street-clinic"
    node.clients[other] = replace(
        REGISTERED, client_id=other, keys=KeySource(keys.public_jwks(keys.generate()))
    )
    unproven(node, request(claims=CLAIMS | {"iss": other, "sub": other}), "exactly one", caplog)


def test_an_unknown_and_a_suspended_client_are_told_the_same(node: Node) -> None:
    node.register(active=False)
    refused(node, request(), "invalid_client", "not known here, not active")
    del node.clients[PANTRY]
    refused(node, request(), "invalid_client", "not known here, not active")


def test_a_jti_is_good_once_and_remembered_for_longer_than_it_could_be_used(node: Node) -> None:
    node.ask(request())
    refused(node, request(), "invalid_client", "used before")
    # The same assertion is refused as expired from here on, so nothing need be remembered longer.
    assert node.expires[0] > CLAIMS["exp"] + CLOCK_SKEW_SECONDS


# -- what is not proven -----------------------------------------------------------------------------------

STRANGER = "https://directory.example.org/Organization/nobody"
OF_STRANGER = CLAIMS | {"iss": STRANGER, "sub": STRANGER}
WITH_RSA = {"header": HEADER | {"alg": "RS384", "kid": "rsa-1"}}


def unproven(node: Node, form: list[tuple[str, str]], why: str, log: pytest.LogCaptureFixture) -> None:
    """A token request is refused as a stranger's would be; only the log says why, and no value."""
    log.clear()
    with log.at_level("INFO", "waymeet.oauth"):
        error = refused(node, form, "invalid_client", "not known here, not active")
    assert error.body() == refused(Node(), request(claims=OF_STRANGER), "invalid_client", "not known").body()
    assert (why in log.text, "example.org" in log.text) == (True, False)
    assert node.used == set()


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The algorithm of each signature that is verified."""
    found: list[str] = []
    real = jws.deserialize_compact

    def counted(*arguments: Any, **options: Any) -> Any:
        found.extend(options["algorithms"])
        return real(*arguments, **options)

    monkeypatch.setattr(jws, "deserialize_compact", counted)
    return found


@pytest.mark.parametrize(
    ("form", "changes", "why"),
    [
        pytest.param({"claims": OF_STRANGER}, {}, "not known", id="stranger"),
        pytest.param({"claims": OF_STRANGER, **WITH_RSA, "key": RSA_KEY}, {}, "not known", id="stranger RSA"),
        pytest.param({}, {"active": False}, "not active", id="suspended"),
        pytest.param({}, {"addresses": (ip_network("10.0.0.0/8"),)}, "not at its address", id="elsewhere"),
        pytest.param({}, {"keys": None, "secret": bytes(32)}, "has a secret", id="registered with a secret"),
        pytest.param({"header": HEADER | {"kid": "someone"}}, {}, "exactly one", id="unknown kid"),
        pytest.param({"header": HEADER | {"kid": "rsa-1"}}, {}, "exactly one", id="kid of another kty"),
        pytest.param({"key": keys.generate()}, {}, "does not verify", id="wrong key"),
        pytest.param({**WITH_RSA, "key": SHORT_RSA_KEY}, {}, "does not verify", id="wrong RSA key"),
        pytest.param(
            {"header": HEADER | {"jku": "https://evil.example.org/jwks"}},
            {},
            "jku must be the URL that is registered",
            id="foreign jku",
        ),
        pytest.param(
            {"header": HEADER | {"alg": "RS384", "kid": "rsa-short"}, "key": SHORT_RSA_KEY},
            {},
            "too short",
            id="short RSA key",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_who_has_proven_nothing_does_not_learn_who_is_registered(
    form: dict[str, Any],
    changes: dict[str, Any],
    why: str,
    node: Node,
    verified: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    node.register(**changes)
    with caplog.at_level("INFO", "waymeet.oauth"):
        error = refused(node, request(**form), "invalid_client", "not known here, not active")
    assert verified == [form.get("header", HEADER)["alg"]], "the work is that of a signature, whoever asks"
    assert error.body() == refused(Node(), request(claims=OF_STRANGER), "invalid_client", "not known").body()
    assert (why in caplog.text, "example.org" in caplog.text) == (True, False)
    assert node.used == set(), "what was not proven must not be recorded"


def test_what_an_assertion_breaks_by_itself_is_said_to_everybody(node: Node) -> None:
    for claims in (CLAIMS, OF_STRANGER):
        late = request(claims=claims | {"exp": T - 10})
        refused(node, late, "invalid_client", "expired")
        refused(node, request(claims=claims | {"aud": "x"}), "invalid_client", "aud must be")


# -- where the keys are ---------------------------------------------------------------------------------

BY_URL = KeySource(url=JWKS_URL)


@pytest.fixture
def published(node: Node) -> Node:
    """The pantry is registered by the URL of its JWK Set, and publishes it there."""
    node.register(keys=BY_URL)
    node.published[JWKS_URL] = keys.public_jwks(CLIENT_KEY)
    return node


def test_a_client_may_register_the_url_of_its_keys(published: Node) -> None:
    assert published.ask(request())["access_token"]
    assert published.ask(request(claims=CLAIMS | {"jti": "another"}))["access_token"]
    assert published.fetched == [JWKS_URL], "kept for as long as Cache-Control says"


def test_a_jku_is_accepted_where_it_is_the_registered_url(published: Node) -> None:
    assert published.ask(request(header=HEADER | {"jku": JWKS_URL}))["access_token"]


@pytest.mark.parametrize(
    "jku",
    [
        "https://evil.example.org/jwks.json",
        JWKS_URL + "/",
        JWKS_URL + "?",
        JWKS_URL.upper(),
        JWKS_URL.replace("https", "http"),
        "",
    ],
)
def test_any_other_jku_is_refused_and_never_asked(
    jku: str, published: Node, caplog: pytest.LogCaptureFixture
) -> None:
    published.published["https://evil.example.org/jwks.json"] = keys.public_jwks(CLIENT_KEY)
    unproven(published, request(header=HEADER | {"jku": jku}), "the URL that is registered", caplog)
    assert published.fetched == []


def test_a_jku_of_who_has_registered_its_keys_inline_is_refused(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    unproven(node, request(header=HEADER | {"jku": JWKS_URL}), "the URL that is registered", caplog)


def test_a_jku_of_who_publishes_a_signed_set_is_refused(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    node.register(keys=replace(REGISTERED.keys, url=JWKS_URL, signed_for=PANTRY))
    unproven(node, request(header=HEADER | {"jku": JWKS_URL}), "the URL that is registered", caplog)


def test_another_key_than_those_published_is_refused(
    published: Node, caplog: pytest.LogCaptureFixture
) -> None:
    published.published[JWKS_URL] = keys.public_jwks(keys.generate())
    unproven(published, request(), "exactly one", caplog)
    published.published.clear()


def test_where_the_keys_cannot_be_had_the_client_is_told_to_come_again(published: Node) -> None:
    published.published.clear()
    error = refused(published, request(), "temporarily_unavailable", "cannot be had", status=503)
    assert int(error.headers["Retry-After"]) >= 1
    assert published.used == set()


def test_a_key_set_that_is_none_proves_nothing(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    node.register(keys=KeySource({"keys": "none"}))
    unproven(node, request(), "exactly one", caplog)


def test_a_private_key_proves_nothing_even_if_it_were_registered() -> None:
    with pytest.raises(Unproven, match="not usable"):
        usable_key([CLIENT_KEY.as_dict(private=True)])


# -- scopes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "rule"),
    [
        ("system/Task.usr", "in this order"),
        ("system/Task.delete", "in this order"),
        ("patient/Task.rs", "in this order"),
        ("openid", "in this order"),
        ("system/Consent.r", "Nothing that was asked for"),
        ("system/Task.d", "Nothing that was asked for"),
    ],
)
def test_a_scope_that_cannot_be_granted_is_refused(scope: str, rule: str, node: Node) -> None:
    refused(node, request(scope=scope), "invalid_scope", rule)


@given(
    position=st.integers(min_value=0),
    replacement=st.characters(codec="ascii"),
    removed=st.integers(min_value=0, max_value=3),
)
def test_no_change_of_any_character_gets_a_token_or_breaks_the_server(
    position: int, replacement: str, removed: int
) -> None:
    good = GOOD_ASSERTION
    at = position % len(good)
    changed = good[:at] + replacement + good[at + removed :]
    if changed != good:
        with pytest.raises(TokenError):
            Node().ask(request(assertion=changed))
