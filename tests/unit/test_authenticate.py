"""The token endpoint: one good request, and refusals that each change one fact of it."""

from __future__ import annotations

import hmac
import json
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.util import urlsafe_b64encode

from gateway import authenticate, keys
from gateway.assertion import ASSERTION_TYPE, CLOCK_SKEW_SECONDS, TokenError, read_form
from gateway.authenticate import Registration, TokenServer
from gateway.errors import Refused

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
T = int(NOW.timestamp())
ISSUER = "https://clinic.example.org"
PANTRY = "https://directory.example.org/Organization/harbor-food-pantry"
NODE_KEY = keys.generate()
CLIENT_KEY = keys.generate()
RSA_KEY = RSAKey.generate_key(2048)
with warnings.catch_warnings(action="ignore"):
    SHORT_RSA_KEY = RSAKey.generate_key(1024)


def rsa_jwk(key: RSAKey, kid: str) -> dict[str, Any]:
    return dict(key.as_dict(private=False, kid=kid, alg="RS384", use="sig"))


REGISTERED = Registration(
    client_id=PANTRY,
    jwks={
        "keys": [keys.public_jwk(CLIENT_KEY), rsa_jwk(RSA_KEY, "rsa-1"), rsa_jwk(SHORT_RSA_KEY, "rsa-short")]
    },
    scopes=frozenset({"system/Task.rus", "system/Patient.rs"}),
    organization=PANTRY,
    purposes=frozenset({"COC"}),
)


class Node:
    """A token server with its registrations and what it remembers, both in memory."""

    def __init__(self, issuer: str = ISSUER, key: ECKey = NODE_KEY) -> None:
        self.clients = {PANTRY: REGISTERED}
        self.used: set[tuple[str, str]] = set()
        self.expires: list[int] = []
        self._lock = threading.Lock()
        self.server = TokenServer(issuer, key, self.clients.get, self._remember, ["system/Task.rus"])

    def _remember(self, client_id: str, jti: str, expires: int) -> bool:
        with self._lock:
            new = (client_id, jti) not in self.used
            self.used.add((client_id, jti))
            self.expires.append(expires)
            return new

    def token(self, **changes: Any) -> str:
        return str(self.server.token(request(**changes), NOW)["access_token"])


@pytest.fixture
def node() -> Node:
    return Node()


HEADER: dict[str, Any] = {"alg": "ES384", "kid": CLIENT_KEY.thumbprint(), "typ": "JWT"}
CLAIMS: dict[str, Any] = {
    "iss": PANTRY,
    "sub": PANTRY,
    "aud": f"{ISSUER}/oauth/token",
    "iat": T,
    "exp": T + 60,
    "jti": "a-fresh-identifier",
}


def without(claims: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in claims.items() if key != name}


def signed(header: dict[str, Any], claims: Any, key: Key = CLIENT_KEY) -> str:
    """An assertion as any tool might make it: nothing is checked but that it can be signed."""
    registry = jws.JWSRegistry(algorithms=[header["alg"]], strict_check_header=False)
    return jws.serialize_compact(header, json.dumps(claims), key, registry=registry)


def hmac_signed(claims: Any) -> str:
    """`claims` under HS256 with the client's public key as the secret, the classic confusion."""
    parts = (HEADER | {"alg": "HS256"}, claims)
    text = b".".join(urlsafe_b64encode(json.dumps(part).encode()) for part in parts)
    mac = hmac.digest(CLIENT_KEY.as_pem(private=False), text, "sha256")
    return b".".join((text, urlsafe_b64encode(mac))).decode()


GOOD_ASSERTION = signed(HEADER, CLAIMS)
HMAC_ASSERTION = hmac_signed(CLAIMS)


def request(
    *,
    claims: Any = CLAIMS,
    header: dict[str, Any] = HEADER,
    key: Key = CLIENT_KEY,
    assertion: str | None = None,
    scope: str = "system/Task.rus",
    **changes: str,
) -> list[tuple[str, str]]:
    """The fields of a good token request, but for what is stated."""
    fields = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": signed(header, claims, key) if assertion is None else assertion,
    }
    return list((fields | changes).items())


def refused(node: Node, form: list[tuple[str, str]], error: str, rule: str) -> None:
    with pytest.raises(TokenError, match=rule) as found:
        node.server.token(form, NOW)
    assert (found.value.status, found.value.error) == (400, error)
    assert found.value.body() == {"error": error, "error_description": found.value.description}


# -- what is accepted -----------------------------------------------------------------------------------


def test_a_good_request_gets_a_token_for_what_was_asked(node: Node) -> None:
    answer = node.server.token(request(), NOW)
    assert {name: value for name, value in answer.items() if name != "access_token"} == {
        "token_type": "bearer",
        "expires_in": 300,
        "scope": "system/Task.rus",
    }
    caller = node.server.verify(f"Bearer {answer['access_token']}", NOW)
    assert caller.client_id == caller.organization == PANTRY
    assert (caller.scopes, caller.purposes, caller.systems) == (
        frozenset({"system/Task.rus"}),
        frozenset({"COC"}),
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
    assert node.server.token(request(**form), NOW)["access_token"]


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
    answer = node.server.token(request(scope=asked), NOW)
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
        *[
            pytest.param({"claims": without(CLAIMS, name)}, name, id=f"no {name}")
            for name in ("iss", "sub", "aud", "exp", "jti")
        ],
        pytest.param({"claims": [CLAIMS]}, "must hold iss", id="claims no object"),
        pytest.param({"header": HEADER | {"kid": "someone"}}, "exactly one", id="unknown kid"),
        pytest.param({"header": without(HEADER, "kid")}, "kid", id="no kid"),
        pytest.param({"header": HEADER | {"kid": "rsa-1"}}, "exactly one", id="kid of another kty"),
        pytest.param({"key": keys.generate()}, "does not verify", id="wrong key"),
        pytest.param({"header": HEADER | {"typ": "at+jwt"}}, "typ must be JWT", id="typ of an access token"),
        pytest.param({"header": HEADER | {"jwk": keys.public_jwk(CLIENT_KEY)}}, "only", id="embedded jwk"),
        pytest.param({"header": HEADER | {"x5c": ["MIIB"]}}, "only", id="embedded x5c"),
        pytest.param({"header": HEADER | {"jku": "https://evil.example.org/jwks"}}, "only", id="foreign jku"),
        pytest.param({"header": HEADER | {"x5u": "https://evil.example.org/x"}}, "only", id="foreign x5u"),
        pytest.param({"header": HEADER | {"crit": ["cty"], "cty": "x"}}, "only", id="critical header"),
        pytest.param(
            {"header": HEADER | {"alg": "RS256", "kid": "rsa-1"}, "key": RSA_KEY}, "alg", id="RS256"
        ),
        pytest.param(
            {"header": HEADER | {"alg": "RS384", "kid": "rsa-short"}, "key": SHORT_RSA_KEY},
            "too short",
            id="short RSA key",
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


def test_a_changed_payload_does_not_verify(node: Node) -> None:
    head, _payload, signature = signed(HEADER, CLAIMS).split(".")
    other = signed(HEADER, CLAIMS | {"jti": "another"}).split(".")[1]
    refused(node, request(assertion=f"{head}.{other}.{signature}"), "invalid_client", "does not verify")


def test_a_kid_that_is_registered_twice_is_refused(node: Node) -> None:
    jwk = keys.public_jwk(CLIENT_KEY)
    node.clients[PANTRY] = replace(REGISTERED, jwks={"keys": [jwk, jwk]})
    refused(node, request(), "invalid_client", "exactly one")


def test_a_registered_key_that_is_no_key_is_refused(node: Node) -> None:
    jwk = keys.public_jwk(CLIENT_KEY) | {"x": "A" * 64}
    node.clients[PANTRY] = replace(REGISTERED, jwks={"keys": [jwk]})
    refused(node, request(), "invalid_client", "not usable")


def test_one_clients_key_does_not_sign_for_another(node: Node) -> None:
    other = "https://directory.example.org/Organization/mill-street-clinic"
    node.clients[other] = replace(
        REGISTERED, client_id=other, jwks={"keys": [keys.public_jwk(keys.generate())]}
    )
    refused(node, request(claims=CLAIMS | {"iss": other, "sub": other}), "invalid_client", "exactly one")


def test_an_unknown_and_a_suspended_client_are_told_the_same(node: Node) -> None:
    node.clients[PANTRY] = replace(REGISTERED, active=False)
    refused(node, request(), "invalid_client", "not known here, or not active")
    del node.clients[PANTRY]
    refused(node, request(), "invalid_client", "not known here, or not active")


def test_a_jti_is_good_once_and_remembered_for_longer_than_it_could_be_used(node: Node) -> None:
    node.server.token(request(), NOW)
    refused(node, request(), "invalid_client", "used before")
    # The same assertion is refused as expired from here on, so nothing need be remembered longer.
    assert node.expires[0] > CLAIMS["exp"] + CLOCK_SKEW_SECONDS


def test_of_many_who_use_one_jti_at_the_same_time_one_gets_a_token(node: Node) -> None:
    form = request()

    def ask(_number: int) -> bool:
        try:
            return bool(node.server.token(form, NOW))
        except TokenError:
            return False

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(ask, range(64))) == 1


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
            Node().server.token(request(assertion=changed), NOW)


# -- the access token -----------------------------------------------------------------------------------


def unauthorized(node: Node, authorization: str | None, rule: str, now: datetime = NOW) -> Refused:
    with pytest.raises(Refused, match=rule) as found:
        node.server.verify(authorization, now)
    assert found.value.status == 401
    assert found.value.headers["WWW-Authenticate"].startswith("Bearer")
    return found.value


@pytest.mark.parametrize("authorization", [None, "", "Basic dXNlcjpwYXNz", "token"])
def test_who_shows_no_token_is_told_the_scheme_only(authorization: str | None, node: Node) -> None:
    found = unauthorized(node, authorization, "access token is needed")
    assert found.headers == {"WWW-Authenticate": "Bearer"}


def test_a_token_is_good_until_it_expires_also_when_it_was_seen_before(node: Node) -> None:
    token = f"Bearer {node.token()}"
    before, after = NOW + timedelta(seconds=299), NOW + timedelta(seconds=300)
    node.server.verify(token, before)
    found = unauthorized(node, token, "expired", after)
    assert 'error="invalid_token"' in found.headers["WWW-Authenticate"]
    unauthorized(Node(), token, "expired", after)


def test_the_scheme_may_be_written_in_any_case(node: Node) -> None:
    assert node.server.verify(f"bearer {node.token()}", NOW).client_id == PANTRY


def own(claims: dict[str, Any] | None = None, key: ECKey = NODE_KEY, **header: Any) -> str:
    """A token as this node issues them, but for what is stated."""
    good = {"iss": ISSUER, "aud": f"{ISSUER}/fhir", "sub": PANTRY, "scope": "system/Task.rus", "exp": T + 300}
    head = {"alg": "ES384", "typ": "at+jwt", "kid": NODE_KEY.thumbprint()} | header
    return signed(head, good | (claims or {}), key)


def test_a_token_as_this_node_issues_them_is_accepted(node: Node) -> None:
    assert node.server.verify(f"Bearer {own()}", NOW).client_id == PANTRY


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda: own({"iss": "https://other.example.org"}), id="other issuer"),
        pytest.param(lambda: own({"aud": "https://other.example.org/fhir"}), id="wrong aud"),
        pytest.param(lambda: own({"aud": [f"{ISSUER}/fhir"]}), id="aud array"),
        pytest.param(lambda: own({"scope": None}), id="no scope"),
        pytest.param(lambda: own(key=keys.generate()), id="other key under our kid"),
        pytest.param(lambda: own(kid="other"), id="other kid"),
        pytest.param(lambda: own(typ="JWT"), id="typ of an assertion"),
        pytest.param(lambda: own(jwk=keys.public_jwk(NODE_KEY)), id="embedded key"),
        pytest.param(lambda: own()[:-4] + "AAAA", id="tampered signature"),
        pytest.param(lambda: signed(HEADER, CLAIMS), id="a client's assertion"),
        pytest.param(
            lambda: Node("https://other.example.org", keys.generate()).token(
                claims=CLAIMS | {"aud": "https://other.example.org"}
            ),
            id="another node's token",
        ),
        pytest.param(lambda: "abc", id="no JWT"),
        pytest.param(lambda: "", id="empty"),
        pytest.param(lambda: "\u00e9.\u00e9.\u00e9", id="not ASCII"),
    ],
)
def test_a_token_that_this_node_did_not_issue_for_itself_is_refused(
    token: Callable[[], str], node: Node
) -> None:
    shown = token()
    found = unauthorized(node, f"Bearer {shown}", "not one of this server")
    assert 'error="invalid_token"' in found.headers["WWW-Authenticate"]
    assert not shown or shown not in str(found) + json.dumps(found.outcome())


def test_an_oversized_token_is_refused_unread(node: Node) -> None:
    unauthorized(node, "Bearer " + "a" * 9000, "8192 bytes")


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_an_unsigned_token_is_refused(node: Node) -> None:
    unauthorized(node, f"Bearer {own(alg='none')}", "not one of this server")


def test_a_suspended_client_is_refused_at_its_next_request(node: Node) -> None:
    token = f"Bearer {node.token()}"
    node.server.verify(token, NOW)
    node.clients[PANTRY] = replace(REGISTERED, active=False)
    unauthorized(node, token, "not active")
    node.clients[PANTRY] = REGISTERED
    assert node.server.verify(token, NOW).organization == PANTRY


def test_what_is_registered_now_counts_and_not_what_was_when_the_token_was_issued(node: Node) -> None:
    token = f"Bearer {node.token()}"
    node.clients[PANTRY] = replace(REGISTERED, purposes=frozenset({"HOPERAT"}), systems=frozenset({"intake"}))
    caller = node.server.verify(token, NOW)
    assert (caller.purposes, caller.systems) == ({"HOPERAT"}, {"intake"})


def test_a_token_is_verified_once_and_recognised_after_that(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = f"Bearer {node.token()}"
    first = node.server.verify(token, NOW)

    def never(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the signature was verified again")

    monkeypatch.setattr(jws, "deserialize_compact", never)
    assert node.server.verify(token, NOW) == first


def test_the_cache_of_tokens_is_bounded_and_forgetting_costs_only_time(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.server, "_cache", authenticate._Verified(3))
    tokens = [f"Bearer {node.token(claims=CLAIMS | {'jti': str(number)})}" for number in range(5)]
    for _round in range(2):
        assert {node.server.verify(token, NOW).client_id for token in tokens} == {PANTRY}
    assert len(node.server._cache._known) == 3


def test_expired_tokens_leave_the_cache_first() -> None:
    cache = authenticate._Verified(2)
    cache.put("lasting", authenticate._Known(PANTRY, frozenset(), T + 300), T)
    cache.put("short", authenticate._Known(PANTRY, frozenset(), T + 1), T)
    cache.put("new", authenticate._Known(PANTRY, frozenset(), T + 300), T + 2)
    assert cache.get("lasting")
    assert cache.get("new")
    assert cache.get("short") is None


def test_two_tokens_are_never_the_same(node: Node) -> None:
    first, second = (node.token(claims=CLAIMS | {"jti": jti}) for jti in ("one", "two"))
    assert first != second
    digests = {node.server.verify(f"Bearer {token}", NOW).token_digest for token in (first, second)}
    assert len(digests) == 2


# -- what is published ----------------------------------------------------------------------------------


def test_the_configuration_document_says_what_this_server_does(node: Node) -> None:
    document = node.server.smart_configuration()
    assert document["token_endpoint"] == f"{ISSUER}/oauth/token"
    assert document["token_endpoint_auth_signing_alg_values_supported"] == ["ES384", "RS384"]
    assert set(document["capabilities"]) == {
        "client-confidential-asymmetric",
        "permission-v1",
        "permission-v2",
    }
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["scopes_supported"] == ["system/Task.rus"]
    assert not {"authorization_endpoint", "issuer"} & set(document)
    # RFC 8414 section 3.2: what has no elements is left out.
    assert (
        "scopes_supported" not in TokenServer(ISSUER, NODE_KEY, {}.get, lambda *_: True).smart_configuration()
    )


def test_the_published_keys_are_public(node: Node) -> None:
    (key,) = node.server.jwks()["keys"]
    assert key["kid"] == NODE_KEY.thumbprint()
    assert "d" not in key
