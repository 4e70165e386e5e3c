"""What a partner's signed key set must be before a key in it is used."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey

from gateway.signing import keys
from gateway.signing.operational import accepted
from gateway.signing.operational_jwks import signed

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PANTRY = "https://directory.example.org/Organization/harbor-food-pantry"
FEDERATION, DAILY, NEXT = keys.generate(), keys.generate(), keys.generate()
RSA_FEDERATION = RSAKey.generate_key(2048)
RSA = RSAKey.generate_key(2048).as_dict(private=False)
DIRECTORY = keys.public_jwks(FEDERATION)
GOOD = {
    "iss": PANTRY,
    "sub": PANTRY,
    "iat": int(NOW.timestamp()),
    "exp": int((NOW + timedelta(days=14)).timestamp()),
    "keys": [keys.public_jwk(DAILY), keys.public_jwk(NEXT)],
}
HEADER = {"alg": "ES384", "typ": "jwk-set+jwt", "kid": FEDERATION.thumbprint()}


def rsa_jwk(key: RSAKey, kid: str) -> dict[str, Any]:
    return key.as_dict(private=False) | {"kid": kid, "alg": "RS384", "use": "sig"}


def token(header: dict[str, Any] | None = None, key: Any = FEDERATION, **changes: Any) -> bytes:
    """The good set but for these claims and members of the header."""
    claims = {name: value for name, value in (GOOD | changes).items() if value is not None}
    said = HEADER | (header or {})
    return jws.serialize_compact(said, msgspec.json.encode(claims), key, algorithms=[said["alg"]]).encode()


def with_key(**changes: Any) -> bytes:
    jwk = {name: value for name, value in (keys.public_jwk(DAILY) | changes).items() if value is not None}
    return token(keys=[jwk])


def test_what_a_node_signs_its_partners_accept() -> None:
    made = signed([DAILY, NEXT], FEDERATION, PANTRY, NOW, timedelta(days=14))
    assert accepted(made, DIRECTORY, PANTRY, NOW) == keys.public_jwks(DAILY, NEXT)


def test_an_rsa_key_may_sign_and_may_be_signed() -> None:
    directory = {"keys": [rsa_jwk(RSA_FEDERATION, "theirs")]}
    daily = rsa_jwk(RSAKey.generate_key(2048), "daily")
    made = token({"alg": "RS384", "kid": "theirs"}, RSA_FEDERATION, keys=[daily])
    assert accepted(made, directory, PANTRY, NOW) == {"keys": [daily]}


def test_what_is_said_beside_a_key_is_left_out() -> None:
    added = accepted(with_key(alg=None, use=None, x5t="abc", note="theirs"), DIRECTORY, PANTRY, NOW)
    assert added == keys.public_jwks(DAILY)


def test_a_key_that_the_directory_has_as_well_is_not_named_twice() -> None:
    both = token(keys=[keys.public_jwk(FEDERATION), keys.public_jwk(DAILY)])
    assert accepted(both, DIRECTORY, PANTRY, NOW) == keys.public_jwks(DAILY)


@pytest.mark.parametrize(
    ("changes", "from_now"),
    [
        pytest.param({"iat": GOOD["iat"] + 300}, 0, id="a clock that is five minutes fast"),
        pytest.param({"exp": GOOD["iat"] + 31 * 86_400}, 0, id="31 days"),
        pytest.param({}, 14 * 86_400 - 1, id="the last second"),
        pytest.param({"keys": [keys.public_jwk(keys.generate()) for _ in range(32)]}, 0, id="32 keys"),
    ],
)
def test_at_its_limits_it_is_accepted(changes: dict[str, Any], from_now: int) -> None:
    assert accepted(token(**changes), DIRECTORY, PANTRY, NOW + timedelta(seconds=from_now))["keys"]


def tampered() -> bytes:
    head, _payload, signature = token().split(b".")
    return b".".join((head, token(sub=PANTRY).split(b".")[1][:-4] + b"AAAA", signature))


REFUSALS: list[Any] = [
    pytest.param(lambda: token(iss="https://directory.example.org/Organization/x"), "iss and sub", id="iss"),
    pytest.param(lambda: token(sub=f"{PANTRY}/"), "iss and sub", id="sub"),
    pytest.param(lambda: token(iat=GOOD["iat"] + 301), "iat is in the future", id="future iat"),
    pytest.param(lambda: token(exp=GOOD["iat"]), "exp is over", id="expired"),
    pytest.param(lambda: token(exp=GOOD["iat"] + 31 * 86_400 + 301), "more than 31 days", id="too long"),
    pytest.param(lambda: token(exp=None), "does not cover", id="no exp"),
    pytest.param(lambda: token(exp="2027"), "does not cover", id="exp as text"),
    pytest.param(lambda: token(keys=[]), "1 to 32", id="no keys"),
    pytest.param(lambda: token(keys=[keys.public_jwk(DAILY)] * 33), "1 to 32", id="33 keys"),
    pytest.param(lambda: token(keys=[keys.public_jwk(DAILY)] * 2), "kid of its own", id="twice"),
    pytest.param(lambda: token(keys=["key"]), "does not cover", id="a key that is none"),
    pytest.param(lambda: token({"typ": "JWT"}), "typ jwk-set", id="typ"),
    pytest.param(lambda: token({"typ": "waymeet-directory+jwt"}), "typ jwk-set", id="another document"),
    pytest.param(lambda: token({"jwk": keys.public_jwk(DAILY)}), "and no more", id="embedded key"),
    pytest.param(lambda: token({"alg": "HS384"}, key=_oct()), "alg", id="HS384 with the public key"),
    pytest.param(lambda: token({"kid": DAILY.thumbprint()}, DAILY), "not signed by a key", id="by itself"),
    pytest.param(lambda: token(key=DAILY), "does not verify", id="another key under its name"),
    pytest.param(tampered, "does not verify", id="tampered"),
    pytest.param(lambda: b"", "not a compact JWS", id="empty"),
    pytest.param(lambda: b"<html>", "not a compact JWS", id="a page"),
    pytest.param(lambda: b"\xff.\xff.\xff", "not a compact JWS", id="bytes"),
    pytest.param(lambda: token() + b"A" * 65_536, "longer than", id="endless"),
    pytest.param(lambda: token(keys=[DAILY.as_dict(private=True) | {"kid": "k"}]), "private", id="private"),
    pytest.param(lambda: with_key(k="c2VjcmV0"), "private", id="a symmetric member"),
    pytest.param(lambda: with_key(kty="oct"), "EC or RSA", id="oct"),
    pytest.param(lambda: with_key(kty=None), "EC or RSA", id="no kty"),
    pytest.param(lambda: with_key(kid=None), "kid", id="no kid"),
    pytest.param(lambda: with_key(kid=""), "kid", id="empty kid"),
    pytest.param(lambda: with_key(kid="k" * 256), "kid", id="long kid"),
    pytest.param(lambda: with_key(kid=7), "kid", id="kid as number"),
    pytest.param(lambda: with_key(alg="ES256"), "alg must be", id="other alg"),
    pytest.param(lambda: with_key(use="enc"), "use sig", id="for encryption"),
    pytest.param(lambda: with_key(key_ops=["sign"]), "key_ops", id="to sign with"),
    pytest.param(lambda: with_key(x="A" * 64), "P-384", id="not on the curve"),
    pytest.param(lambda: with_key(y=None), "must be there", id="half a point"),
    pytest.param(lambda: with_key(x=["A"]), "must be there", id="x as list"),
    pytest.param(lambda: with_key(crv="P-256"), "P-384", id="crv P-256"),
    pytest.param(
        lambda: token(keys=[ECKey.generate_key("P-256").as_dict(private=False) | {"kid": "k"}]),
        "P-384",
        id="P-256",
    ),
    pytest.param(lambda: token(keys=[RSA | {"kid": "k", "n": RSA["n"][:171]}]), "2048", id="RSA 1024"),
    pytest.param(lambda: token(keys=[RSA | {"kid": "k", "n": RSA["n"] * 4 + "AAAA"}]), "8192", id="RSA 8200"),
    pytest.param(lambda: token(keys=[RSA | {"kid": "k", "n": "?" * 342}]), "2048", id="RSA of nothing"),
    pytest.param(lambda: token(keys=[RSA | {"kid": "k", "e": "Ag"}]), "2048", id="even exponent"),
    pytest.param(
        lambda: with_key(kid=FEDERATION.thumbprint()), "another key in the directory", id="stolen name"
    ),
]


def _oct() -> Any:
    return OctKey.import_key(keys.public_jwk(FEDERATION)["x"])


@pytest.mark.parametrize(("made", "rule"), REFUSALS)
def test_one_fact_changed_and_it_is_refused(made: Callable[[], bytes], rule: str) -> None:
    with pytest.raises(keys.KeysError, match=rule) as refused:
        accepted(made(), DIRECTORY, PANTRY, NOW)
    assert DAILY.thumbprint() not in str(refused.value)
    assert "directory.example.org" not in str(refused.value)


def test_a_name_that_two_keys_of_the_directory_bear_signs_nothing() -> None:
    twice = {"keys": [keys.public_jwk(FEDERATION)] * 2}
    with pytest.raises(keys.KeysError, match="not signed by a key"):
        accepted(token(), twice, PANTRY, NOW)
