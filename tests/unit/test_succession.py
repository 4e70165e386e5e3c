"""New keys follow from old ones when one of the old has signed the change, over any number of changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from directory_world import CLINIC, PANTRY
from joserfc import jws
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64encode

from gateway.signing import keys
from gateway.trust import key_change
from gateway.trust.directory import Entry
from gateway.trust.succession import SuccessionError, follows, hand_over, thumbprints

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST, SECOND, THIRD, FOURTH, SPARE, THIEF = (keys.generate() for _ in range(6))


def entry(*held: ECKey, succession: Sequence[str] = (), organization: str = PANTRY) -> Entry:
    return Entry(
        organization=organization,
        name="Harbor Food Pantry",
        address="https://pantry.example.org",
        jwks=keys.public_jwks(*held),
        purposes=frozenset({"COC"}),
        services=(),
        contacts={},
        status="active",
        succession=tuple(succession),
    )


def change(old: ECKey, *new: ECKey, organization: str = PANTRY) -> str:
    return hand_over(organization, keys.public_jwks(*new), old, NOW)


def pinned(*held: ECKey) -> frozenset[str]:
    return frozenset(key.thumbprint() for key in held)


CHAIN = (change(FIRST, SECOND), change(SECOND, THIRD), change(THIRD, FOURTH))
LAST = entry(FOURTH, succession=CHAIN)


@pytest.mark.parametrize("held", [FIRST, SECOND, THIRD, FOURTH])
def test_whoever_was_last_heard_of_at_any_point_of_the_chain_comes_to_its_end(held: ECKey) -> None:
    assert follows(pinned(held), LAST)


def test_a_set_of_several_keys_hands_over_with_any_of_them_and_keeps_what_it_likes() -> None:
    one_of_two = entry(SECOND, SPARE, succession=[change(FIRST, SECOND, SPARE)])
    assert follows(pinned(FIRST, SPARE), one_of_two)


def test_changes_before_the_pinned_key_are_passed_over() -> None:
    assert follows(pinned(THIRD), replace(LAST, succession=(change(SPARE, FIRST), *CHAIN)))


def test_a_statement_says_who_signs_for_whom_and_no_more() -> None:
    header, claims = (json.loads(part) for part in _parts(CHAIN[0]))
    assert header.keys() == {"alg", "typ", "jwk"}
    assert header["typ"] == "waymeet-key-change+jwt"
    assert header["jwk"].keys() == {"kty", "crv", "x", "y"}
    assert claims == {"sub": PANTRY, "keys": [SECOND.thumbprint()], "iat": int(NOW.timestamp())}


def _parts(text: str) -> tuple[bytes, bytes]:
    found = jws.extract_compact(text.encode())
    return json.dumps(found.headers()).encode(), found.payload


def signed(key: ECKey, claims: Any = None, **header: Any) -> str:
    """A statement as somebody else's tool might make it."""
    public = {name: keys.public_jwk(key)[name] for name in ("kty", "crv", "x", "y")}
    protected = {"alg": "ES384", "typ": key_change.TYPE, "jwk": public} | header
    members = claims or {"sub": PANTRY, "keys": [FOURTH.thumbprint()], "iat": 1}
    registry = jws.JWSRegistry(algorithms=["ES384"], strict_check_header=False)
    return jws.serialize_compact(protected, json.dumps(members), key, registry=registry)


def test_such_a_tool_can_make_a_good_one() -> None:
    assert follows(pinned(FIRST), entry(FOURTH, succession=[signed(FIRST)]))


def with_signature_of(text: str, other: str) -> str:
    return ".".join((*text.split(".")[:2], other.split(".")[2]))


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(list, id="nothing is said"),
        pytest.param(lambda: CHAIN[1:], id="the first step is missing"),
        pytest.param(lambda: (CHAIN[0], CHAIN[2]), id="a step between is missing"),
        pytest.param(lambda: CHAIN[:2], id="the last step is missing"),
        pytest.param(lambda: CHAIN[::-1], id="the steps are not in their order"),
        pytest.param(lambda: [signed(THIEF)], id="a stranger signs, with its own key in the header"),
        pytest.param(lambda: [change(FIRST, FOURTH, organization=CLINIC)], id="for another organization"),
        pytest.param(lambda: [change(FIRST, FOURTH, SPARE)], id="for a larger set"),
        pytest.param(lambda: [change(FIRST, SECOND)], id="for another set"),
        pytest.param(
            lambda: [with_signature_of(signed(FIRST), signed(THIEF))], id="the old key's name, another's hand"
        ),
        pytest.param(
            lambda: [with_signature_of(signed(FIRST), CHAIN[0])], id="a signature of something else"
        ),
        pytest.param(lambda: [signed(FIRST, typ="JWT")], id="not a key change by its typ"),
        pytest.param(lambda: [signed(FIRST, kid="x")], id="a header more"),
        pytest.param(lambda: [signed(FIRST, {"sub": PANTRY, "iat": 1})], id="no keys named"),
        pytest.param(lambda: [signed(FIRST, {"sub": PANTRY, "keys": [], "iat": 1})], id="an empty set"),
        pytest.param(
            lambda: [signed(FIRST, {"sub": PANTRY, "keys": [FOURTH.thumbprint()], "iat": 1, "x": 1})],
            id="a claim more",
        ),
        pytest.param(lambda: ["", "..", "a.b.c", "é.é.é", "e30.e30.e30", "W10.e30.AA"], id="no statements"),
        pytest.param(lambda: [signed(FIRST) + "A" * 20_000], id="far too long"),
    ],
)
def test_a_chain_with_one_wrong_fact_leads_nowhere(statements: Callable[[], Sequence[str]]) -> None:
    assert not follows(pinned(FIRST), entry(FOURTH, succession=statements()))


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_statement_that_nobody_signed_leads_nowhere(algorithm: str) -> None:
    public = {name: keys.public_jwk(FIRST)[name] for name in ("kty", "crv", "x", "y")}
    header = {"alg": algorithm, "typ": key_change.TYPE, "jwk": public}
    claims = {"sub": PANTRY, "keys": [FOURTH.thumbprint()], "iat": 1}
    text = b".".join(urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims))
    assert not follows(pinned(FIRST), entry(FOURTH, succession=[text.decode() + ".AAAA"]))


def test_keys_that_did_not_change_need_nobodys_word() -> None:
    assert follows(pinned(FIRST), entry(FIRST))


def test_one_key_more_is_a_change() -> None:
    assert not follows(pinned(FIRST), entry(FIRST, SPARE))
    assert follows(pinned(FIRST), entry(FIRST, SPARE, succession=[change(FIRST, FIRST, SPARE)]))


def test_nobody_is_followed_from_no_key_at_all() -> None:
    assert not follows(frozenset(), LAST)


def test_handing_over_to_nobody_is_refused() -> None:
    with pytest.raises(SuccessionError, match="must hold a key"):
        hand_over(PANTRY, {"keys": []}, FIRST, NOW)


@pytest.mark.parametrize(
    "jwks", [{}, {"keys": [{}]}, {"keys": ["x"]}, {"keys": [{"kty": "EC", "crv": "P-384"}]}]
)
def test_what_is_no_key_set_is_refused_without_repeating_it(jwks: Any) -> None:
    with pytest.raises(SuccessionError, match="cannot be read as a JWK Set"):
        thumbprints(jwks)
