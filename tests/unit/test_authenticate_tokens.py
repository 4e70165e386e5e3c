"""Access tokens: made, shown, recognised, and refused at once when what they rest on has changed."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode
from key_world import DAY, MINUTE, World, kid
from oauth_world import (
    CLAIMS,
    HEADER,
    ISSUER,
    NODE_KEY,
    NOW,
    PANTRY,
    REGISTERED,
    TAG_KEY,
    Node,
    T,
    fresh,
    request,
    signed,
    twin,
)

from gateway.errors import Refused
from gateway.oauth import access_tokens
from gateway.oauth.access_tokens import AccessTokens, Known
from gateway.oauth.revoked import Revoked
from gateway.signing import keys
from gateway.signing.operational import KeyRing, Signing


@pytest.fixture
def node() -> Node:
    return Node()


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


def own(
    claims: dict[str, Any] | None = None, key: ECKey = NODE_KEY, tag_key: bytes = TAG_KEY, **header: Any
) -> str:
    """A token as this node issues them, with the tag that it makes, but for what is stated."""
    good = {"iss": ISSUER, "aud": f"{ISSUER}/fhir", "sub": PANTRY, "scope": "system/Task.rus"}
    good |= {"iat": T, "exp": T + 300}
    head = {"alg": "ES384", "typ": "at+jwt", "kid": NODE_KEY.thumbprint()} | header
    good |= (claims or {}) | {"jti": "a-random-identifier-22"}
    tag = access_tokens.tag(tag_key, head["kid"], json.dumps(good).encode()[:-2])
    return signed(head, good | {"jti": good["jti"] + tag.decode()}, key)


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
        pytest.param(lambda: own(tag_key=b"another"), id="tag under another key"),
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


# -- the tag --------------------------------------------------------------------------------------------


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One for each signature that is verified."""
    found: list[str] = []
    real = jws.deserialize_compact

    def counted(*arguments: Any, **options: Any) -> Any:
        found.append("one")
        return real(*arguments, **options)

    monkeypatch.setattr(jws, "deserialize_compact", counted)
    return found


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda good: own({"sub": "another"}, tag_key=b"guessed"), id="made up"),
        pytest.param(lambda good: with_claims(good, sub="another"), id="another client"),
        pytest.param(lambda good: with_claims(good, exp=T + 9999), id="a longer life"),
        pytest.param(lambda good: with_claims(good, jti="x" * 44), id="another identifier"),
        pytest.param(lambda good: with_claims(good, jti=""), id="no identifier"),
        pytest.param(lambda good: with_claims(good, more="x"), id="more after it"),
    ],
)
def test_a_forged_token_costs_no_signature_check(
    forge: Callable[[str], str], node: Node, verified: list[str]
) -> None:
    good = node.token()
    verified.clear()
    unauthorized(node, f"Bearer {forge(good)}", "not one of this server")
    assert verified == []
    assert node.caller(good).client_id == PANTRY
    assert len(verified) == 1


def with_claims(token: str, **changes: Any) -> str:
    """The token with other claims under the same signature."""
    head, payload, signature = token.split(".")
    claims = json.loads(urlsafe_b64decode(payload.encode())) | changes
    text = json.dumps(claims, separators=(",", ":")).encode()
    return f"{head}.{urlsafe_b64encode(text).decode()}.{signature}"


def test_a_changed_signature_under_a_good_tag_is_still_checked(node: Node, verified: list[str]) -> None:
    token = node.token()
    verified.clear()
    unauthorized(node, f"Bearer {token[:-4]}AAAA", "not one of this server")
    assert len(verified) == 1


def test_a_tag_is_known_to_every_process_and_after_every_change_of_keys(node: Node) -> None:
    token = node.token()
    for server in (Node(), on(Node(), Ring(keys.generate(), NODE_KEY))):
        assert server.caller(token).client_id == PANTRY


def test_without_a_key_for_tags_the_signature_alone_decides() -> None:
    def bare() -> AccessTokens:
        return AccessTokens(ISSUER, f"{ISSUER}/fhir", KeyRing.of(NODE_KEY), Revoked())

    token = bare().issue(PANTRY, "system/Task.r", frozenset({"COC"}), T).encode()
    found = bare().verify(token, T)
    assert found is not None
    assert (found.client_id, found.purposes) == (PANTRY, {"COC"})
    assert bare().verify(token[:-4] + b"AAAA", T) is None


def test_an_oversized_token_is_refused_unread(node: Node) -> None:
    unauthorized(node, "Bearer " + "a" * 9000, "8192 bytes")


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_an_unsigned_token_is_refused(node: Node) -> None:
    unauthorized(node, f"Bearer {own(alg='none')}", "not one of this server")


def test_a_suspended_client_is_refused_at_its_next_request(node: Node) -> None:
    token = f"Bearer {node.token()}"
    node.server.verify(token, NOW)
    node.register(active=False)
    unauthorized(node, token, "not active")
    node.clients[PANTRY] = REGISTERED
    assert node.server.verify(token, NOW).organization == PANTRY


def test_what_is_registered_now_counts_and_not_what_was_when_the_token_was_issued(node: Node) -> None:
    token = f"Bearer {node.token()}"
    node.register(purposes=frozenset({"HOPERAT"}), systems=frozenset({"intake"}))
    caller = node.server.verify(token, NOW)
    assert (caller.purposes, caller.systems) == ({"HOPERAT"}, {"intake"})


def test_a_scope_that_is_taken_away_is_gone_at_the_next_request(node: Node) -> None:
    token = node.token(scope="system/Task.rus system/Patient.read")
    assert node.caller(token).scopes == {"system/Task.rus", "system/Patient.read"}
    node.register(scopes=frozenset({"system/Task.rs"}))
    assert node.caller(token).scopes == {"system/Task.rs"}
    node.register(scopes=frozenset({"system/*.cruds"}))
    assert node.caller(token).scopes == {"system/Task.rus", "system/Patient.read"}


def test_a_client_is_refused_from_elsewhere_than_it_is_registered_for(node: Node) -> None:
    token = node.token()
    node.register(addresses=(ipaddress.ip_network("10.2.0.0/16"), ipaddress.ip_network("fd00:7::/32")))
    for source in ("10.2.0.7", "10.2.255.255", "fd00:7::1", "::ffff:10.2.0.7"):
        assert node.caller(token, source=source).client_id == PANTRY
    for source in ("10.3.0.7", "fd00:8::1", "::ffff:10.3.0.7", "", "nowhere", None):
        with pytest.raises(Refused, match="not at its address") as found:
            node.caller(token, source=source)
        assert found.value.status == 401


# -- the keys that sign them ----------------------------------------------------------------------------


class Ring:
    """Keys of an identity while it goes over to a new one."""

    def __init__(self, signing: ECKey, *former: ECKey) -> None:
        self.signing = signing
        self._good = {key.thumbprint(): key for key in (signing, *former)}

    def verifying(self, kid: str) -> ECKey | None:
        return self._good.get(kid)

    def jwks(self) -> dict[str, Any]:
        return keys.public_jwks(*self._good.values())

    def published(self) -> None:
        return None


def on(node: Node, ring: Signing) -> Node:
    """The same node, with these keys from now on."""
    node.server._ring = ring
    node.server._tokens._ring = ring
    return node


def test_a_rotation_overlaps_and_a_key_that_is_gone_is_honoured_at_once(node: Node) -> None:
    old, new = NODE_KEY, keys.generate()
    before = node.token()
    on(node, Ring(new, old))
    after = node.token(claims=CLAIMS | {"jti": "another"})
    assert jws.extract_compact(after.encode()).headers()["kid"] == new.thumbprint()
    for token in (before, after):
        assert node.caller(token).client_id == PANTRY
    assert {key["kid"] for key in node.server.jwks()["keys"]} == {old.thumbprint(), new.thumbprint()}
    on(node, Ring(new))
    unauthorized(node, f"Bearer {before}", "not one of this server")
    assert node.caller(after).client_id == PANTRY


def test_tokens_outlive_the_change_of_keys_from_day_to_day_and_not_a_revoked_key(
    node: Node, tmp_path: Path
) -> None:
    world = World(tmp_path)
    ring = world.ring()
    on(node, ring)

    def issue() -> str:
        moment = int(world.now.timestamp())
        form = request(claims=fresh(iat=moment, exp=moment + 60))
        return str(node.ask(form, now=world.now)["access_token"])

    world.forward(ring, 7 * DAY)
    first = kid(ring)
    while kid(ring) == first:
        token = issue()
        assert jws.extract_compact(token.encode()).headers()["kid"] == first
        world.forward(ring, MINUTE, MINUTE)
    world.forward(ring, 3 * MINUTE, MINUTE)
    for server in (node, on(Node(), world.ring())):
        assert server.caller(token, world.now).client_id == PANTRY, "four minutes old, by the former key"
        assert server.caller(issue(), world.now).client_id == PANTRY
    ring.rotation(world.now).revoke(first)
    unauthorized(node, f"Bearer {token}", "not one of this server", world.now)
    assert node.caller(issue(), world.now).client_id == PANTRY


# -- tokens that were taken back ------------------------------------------------------------------------


def test_a_revoked_token_is_refused_at_once_though_it_was_seen_before(node: Node) -> None:
    token, other = node.token(), node.token(claims=CLAIMS | {"jti": "another"})
    node.caller(token)
    node.revoke(token)
    unauthorized(node, f"Bearer {token}", "taken back")
    assert node.caller(other).client_id == PANTRY


def test_a_revoked_token_is_refused_however_it_is_written(node: Node) -> None:
    token = node.token()
    assert twin(token) != token
    assert node.caller(twin(token)).client_id == PANTRY, "the other signature of the pair verifies too"
    node.revoke(token)
    unauthorized(node, f"Bearer {twin(token)}", "taken back")
    unauthorized(node, f"Bearer {twin(twin(token))}", "taken back")


# -- recognised -----------------------------------------------------------------------------------------


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
    verified = access_tokens._Verified(3)
    monkeypatch.setattr(node.server._tokens, "_verified", verified)
    tokens = [f"Bearer {node.token(claims=CLAIMS | {'jti': str(number)})}" for number in range(5)]
    for _round in range(2):
        assert {node.server.verify(token, NOW).client_id for token in tokens} == {PANTRY}
    assert len(verified._known) == 3


def known(digest: str, expires: int) -> Known:
    return Known(PANTRY, "", frozenset(), None, T, expires, "kid", digest, "")


def test_expired_tokens_leave_the_cache_first() -> None:
    cache = access_tokens._Verified(2)
    cache.put(known("lasting", T + 300), T)
    cache.put(known("short", T + 1), T)
    cache.put(known("new", T + 300), T + 2)
    assert cache.get("lasting")
    assert cache.get("new")
    assert cache.get("short") is None


def test_who_has_many_tokens_pushes_out_none_but_its_own(node: Node, verified: list[str]) -> None:
    other = "https://directory.example.org/Organization/mill-street-clinic"
    node.clients[other] = replace(REGISTERED, client_id=other)
    calm = node.token(claims=fresh(iss=other, sub=other))
    mine = [node.token(claims=fresh()) for _ in range(access_tokens.MAX_KNOWN_OF_ONE + 2)]
    for token in (calm, *mine):
        node.caller(token)
    verified.clear()
    for token in (calm, *mine[2:]):
        node.caller(token)
    assert verified == [], "the last ones of each are known"
    for token in mine[:2]:
        assert node.caller(token).client_id == PANTRY
    assert len(verified) == 2, "its own oldest ones are not"
    cache = node.server._tokens._verified
    assert len(cache._known) == sum(map(len, cache._of.values())) == access_tokens.MAX_KNOWN_OF_ONE + 1


def test_two_tokens_are_never_the_same(node: Node) -> None:
    first, second = (node.token(claims=CLAIMS | {"jti": jti}) for jti in ("one", "two"))
    assert first != second
    digests = {node.server.verify(f"Bearer {token}", NOW).token_digest for token in (first, second)}
    assert len(digests) == 2
