"""Connections as the configuration writes them: one good one, and what is refused when a fact changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from gateway.calling.connection import PROFILES, Connection, assertion, prove
from gateway.calling.connection_files import public_jwks, read, secret_file
from gateway.signing import keys
from gateway.signing.keys import KeyFileError
from gateway.signing.operational import KeyRing

OURS = "https://directory.example.org/Organization/mill-street-clinic"
RING = KeyRing.of(keys.generate())
TOKEN = "https://login.hie.example.org/oauth2/token"
SECRET = "a-secret-of-the-exchange"
WITH_SECRET = {
    "profile": "client-secret",
    "token_endpoint": TOKEN,
    "client_id": "waymeet-mill",
    "secret": "secrets/hie",
    "scope": "hie.read",
    "fhir_base": "https://fhir.hie.example.org/r4/",
}
SMART = {"profile": "smart-backend", "token_endpoint": TOKEN, "purposes": True}
EHR = {
    "profile": "smart-backend",
    "token_endpoint": "https://ehr.example.org/oauth2/token",
    "client_id": "7f3c",
    "key": "keys/ehr.pem",
    "algorithm": "RS384",
    "kid": "mill-2026",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a configuration, with a secret and keys of two kinds."""
    write(tmp_path / "secrets/hie", f"{SECRET}\n".encode())
    write(tmp_path / "keys/ehr.pem", RSAKey.generate_key(2048).as_pem(private=True))
    write(tmp_path / "keys/own.pem", keys.generate().as_pem(private=True))
    return tmp_path


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    path.parent.mkdir(exist_ok=True, mode=0o700)
    path.write_bytes(content)
    path.chmod(mode)


def connection(folder: Path, written: Mapping[str, Any]) -> Connection:
    return read(written, folder, OURS, RING)


def claims(signed: str) -> dict[str, Any]:
    found = json.loads(jws.extract_compact(signed.encode()).payload)
    assert isinstance(found, dict)
    return found


# -- what is written is what is done ------------------------------------------------------------------------


def test_a_secret_stands_in_a_file_of_its_own(folder: Path) -> None:
    found = connection(folder, WITH_SECRET)
    assert (found.profile, found.token_endpoint, found.client_id) == ("client-secret", TOKEN, "waymeet-mill")
    assert (found.scope, found.fhir_base) == ("hie.read", "https://fhir.hie.example.org/r4")
    assert found.secret is not None
    assert found.secret() == SECRET
    assert prove(found, None).headers["Authorization"].startswith("Basic ")


def test_a_new_secret_counts_at_the_next_token(folder: Path) -> None:
    found = connection(folder, WITH_SECRET | {"secret_in": "post"})
    write(folder / "secrets/hie", b"the-next-secret")
    assert prove(found, None).fields["client_secret"] == "the-next-secret"
    (folder / "secrets/hie").chmod(0o644)
    with pytest.raises(KeyFileError, match="others than its owner"):
        prove(found, None)


def test_without_more_a_node_speaks_as_itself_with_its_own_keys(folder: Path) -> None:
    found = connection(folder, SMART)
    signed = assertion(found, "COC")
    said = claims(signed)
    header = jws.deserialize_compact(signed, RING.signing, algorithms=["ES384"]).headers()
    assert header == {"alg": "ES384", "kid": RING.signing.thumbprint(), "typ": "JWT"}
    assert (said["iss"], said["sub"], said["aud"], said["exp"] - said["iat"]) == (OURS, OURS, TOKEN, 60)
    assert said["extensions"]["hl7-b2b"]["purpose_of_use"] == ["COC"]
    assert "extensions" not in claims(assertion(found))
    assert public_jwks(found) == RING.jwks()


def test_every_assertion_is_another_one(folder: Path) -> None:
    found = connection(folder, SMART)
    assert len({claims(assertion(found))["jti"] for _ in range(50)}) == 50


def test_an_ehr_may_want_rs384_and_a_key_of_its_own(folder: Path) -> None:
    found = connection(folder, EHR)
    signed = prove(found, "COC").fields["client_assertion"]
    (public,) = public_jwks(found)["keys"]
    assert set(public) == {"kty", "n", "e", "kid", "alg", "use"}
    key = JWKRegistry.import_key(public)
    header = jws.deserialize_compact(signed, key, algorithms=["RS384"]).headers()
    assert header == {"alg": "RS384", "kid": "mill-2026", "typ": "JWT"}
    assert claims(signed)["iss"] == "7f3c"
    assert "extensions" not in claims(signed)
    unnamed = connection(folder, {name: value for name, value in EHR.items() if name != "kid"})
    assert public_jwks(unnamed)["keys"][0]["kid"] == key.thumbprint()


def test_a_key_of_its_own_may_be_of_our_kind_too(folder: Path) -> None:
    found = connection(folder, SMART | {"key": "keys/own.pem"})
    own = keys.load(folder / "keys/own.pem")
    assert isinstance(own, ECKey)
    assert jws.extract_compact(assertion(found).encode()).headers()["kid"] == own.thumbprint()


def test_an_encrypted_key_is_opened_with_the_passphrase(folder: Path) -> None:
    content = RSAKey.generate_key(2048).as_pem(private=True, password="open sesame, please")
    write(folder / "keys/ehr.pem", content)
    assert read(EHR, folder, OURS, RING, "open sesame, please").key is not None
    for wrong in ("another passphrase", None):
        with pytest.raises(KeyFileError, match="can be opened"):
            read(EHR, folder, OURS, RING, wrong)


def test_the_audience_may_be_another_than_the_token_endpoint(folder: Path) -> None:
    found = connection(folder, SMART | {"audience": "https://login.hie.example.org"})
    assert claims(assertion(found))["aud"] == "https://login.hie.example.org"


def test_a_partner_may_want_no_token_at_all(folder: Path) -> None:
    found = connection(folder, {"profile": "none"})
    assert not found.asks
    with pytest.raises(ValueError, match="asks for no token"):
        prove(found, None)


def test_what_is_shown_of_a_connection_holds_no_secret(folder: Path) -> None:
    for written in (WITH_SECRET, SMART, EHR):
        found = connection(folder, written)
        assert SECRET not in repr(found)
        for kept in ("secret=", "ring=", "key="):
            assert kept not in repr(found)
        assert repr(prove(found, None)) == "Proof()"


# -- what is refused ----------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no profile": (SMART, {"profile": None}, "profile"),
    "a profile that is not there": (SMART, {"profile": "basic-auth"}, "profile: must be one of"),
    "a member that is not known": (SMART, {"token_url": TOKEN}, "token_url"),
    "a secret that was written down": (WITH_SECRET, {"client_secret": SECRET}, "client_secret"),
    "no secret": (WITH_SECRET, {"secret": None}, "secret: the profile client-secret needs it"),
    "a token endpoint in the clear": (SMART, {"token_endpoint": TOKEN.replace("https", "http")}, "https"),
    "a FHIR base in the clear": (WITH_SECRET, {"fhir_base": "http://fhir.hie.example.org/r4"}, "https"),
    "a token endpoint that is no URL": (SMART, {"token_endpoint": "login.hie.example.org"}, "token_endpoint"),
    "a user in a URL": (SMART, {"token_endpoint": "https://me:pw@hie.example.org/"}, "user name"),
    "a fragment in a URL": (WITH_SECRET, {"fhir_base": "https://hie.example.org/r4#x"}, "fragment"),
    "a query in a FHIR base": (WITH_SECRET, {"fhir_base": "https://hie.example.org/r4?x=1"}, "query"),
    "a file of the network": (SMART, {"token_endpoint": "file:///etc/token"}, "http"),
    "an algorithm of the past": (EHR, {"algorithm": "RS256"}, "secret_in or algorithm"),
    "RS384 without a key": (EHR, {"key": None, "kid": None}, "key: RS384 needs"),
    "a name for the node's own key": (SMART, {"kid": "mill"}, "kid"),
    "the secret in the address": (WITH_SECRET, {"secret_in": "query"}, "secret_in or algorithm"),
    "a number for a text": (SMART, {"client_id": 7}, "client_id"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_connection_with_one_wrong_fact_is_refused_without_its_values(what: str, folder: Path) -> None:
    good, change, rule = REFUSED[what]
    connection(folder, good)
    written = {name: value for name, value in (good | change).items() if value is not None}
    with pytest.raises(ValueError, match=rule) as refused:
        connection(folder, written)
    for value in (SECRET, "RS256", "me:pw", "example.org"):
        assert value not in str(refused.value)


def test_a_webhook_has_no_directory_to_look_its_addresses_up_in(folder: Path) -> None:
    good = {name: value for name, value in WITH_SECRET.items() if name != "fhir_base"}
    assert read(good, folder, OURS, RING, webhook=True).token_endpoint == TOKEN
    assert not read({"profile": "none"}, folder, OURS, RING, webhook=True).asks
    with pytest.raises(ValueError, match="fhir_base"):
        read(WITH_SECRET, folder, OURS, RING, webhook=True)
    with pytest.raises(ValueError, match="token_endpoint"):
        read(good | {"token_endpoint": ""}, folder, OURS, RING, webhook=True)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "one line"),
        (b"\n", "one line"),
        (b"two\nlines", "one line"),
        (b" Rivera", "one line"),
        (b"tab\tinside", "one line"),
        ("schön".encode(), "ASCII"),
    ],
)
def test_a_secret_is_one_line(content: bytes, rule: str, folder: Path) -> None:
    write(folder / "secrets/hie", content)
    with pytest.raises(KeyFileError, match=rule) as refused:
        connection(folder, WITH_SECRET)
    assert "Rivera" not in str(refused.value)


@pytest.mark.parametrize(("file", "written"), [("secrets/hie", WITH_SECRET), ("keys/ehr.pem", EHR)])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(
    file: str, written: dict[str, Any], mode: int, folder: Path
) -> None:
    (folder / file).chmod(mode)
    with pytest.raises(KeyFileError, match="others than its owner"):
        connection(folder, written)
    (folder / file).unlink()
    with pytest.raises(KeyFileError, match="cannot be read"):
        connection(folder, written)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (keys.generate().as_pem(private=True), "RSA key of 2048"),
        (RSAKey.generate_key(2048).as_pem(private=False), "private key"),
        (b"-----BEGIN PRIVATE KEY-----\nRosa Martinez\n-----END PRIVATE KEY-----\n", "private key"),
    ],
    ids=["another kind", "the public half", "nonsense"],
)
def test_a_key_that_cannot_sign_rs384_is_refused(content: bytes, rule: str, folder: Path) -> None:
    write(folder / "keys/ehr.pem", content)
    with pytest.raises(KeyFileError, match=rule) as refused:
        connection(folder, EHR)
    assert "Rosa" not in str(refused.value)


def test_an_rsa_key_that_is_too_short_is_refused(folder: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    short = rsa.generate_private_key(65537, 1024)
    write(folder / "keys/ehr.pem", short.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyFileError, match="RSA key of 2048"):
        connection(folder, EHR)


def test_a_secret_that_cannot_be_used_is_noticed_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError):
        secret_file(tmp_path / "none")


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_says_what_it_lacks(profile: str) -> None:
    if profile == "none":
        assert Connection(profile).profile == "none"
    else:
        with pytest.raises(ValueError, match="client_id: the profile"):
            Connection(profile, TOKEN)
        with pytest.raises(ValueError, match=r"(key|secret): the profile"):
            Connection(profile, TOKEN, client_id="us")
