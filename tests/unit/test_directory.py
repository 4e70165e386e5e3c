"""The signed directory: one good manifest, and refusals that each change one fact of it."""

from __future__ import annotations

import copy
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64encode

from gateway import directory, keys
from gateway.directory import Directory, DirectoryError, Service

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ANCHOR = keys.generate()
PANTRY = "https://directory.example.org/Organization/harbor-food-pantry"
CLINIC = "https://directory.example.org/Organization/mill-street-clinic"


def entry(organization: str, address: str) -> dict[str, Any]:
    return {
        "organization": organization,
        "name": organization.rpartition("/")[2].replace("-", " ").title(),
        "address": address,
        "jwks": keys.public_jwks(keys.generate()),
        "purposes": ["COC"],
        "services": [
            {"referral_type": "food-insecurity", "area": "Harbor County", "languages": ["en", "es"]}
        ],
        "contacts": {
            "primary": {"name": "Front desk", "telecom": "tel:+1-555-0100"},
            "backup": {"name": "Duty manager", "telecom": "mailto:duty@example.org"},
        },
        "status": "active",
    }


GOOD: dict[str, Any] = {
    "iss": "https://directory.example.org",
    "iat": int(NOW.timestamp()) - 3600,
    "exp": int((NOW + timedelta(days=7)).timestamp()),
    "sequence": 12,
    "entries": [entry(PANTRY, "https://pantry.example.org"), entry(CLINIC, "http://127.0.0.1:8101")],
}


def jws_of(claims: Any, key: Any = ANCHOR, **header: Any) -> str:
    """A JWS as someone else's tool might make it: nothing about its claims is checked."""
    protected = {"alg": "ES384", "typ": directory.TYPE, "kid": ANCHOR.thumbprint(), **header}
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    registry = jws.JWSRegistry(algorithms=[protected["alg"]], strict_check_header=False)
    return jws.serialize_compact(protected, payload, key, registry=registry)


def hmac_of(claims: Any) -> str:
    """`claims` under HS256 with the anchor's public key as the secret, the classic confusion."""
    header = {"alg": "HS256", "typ": directory.TYPE, "kid": ANCHOR.thumbprint()}
    signed = b".".join(urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims))
    mac = hmac.digest(ANCHOR.as_pem(private=False), signed, "sha256")
    return b".".join((signed, urlsafe_b64encode(mac))).decode()


def read(text: str, tmp_path: Path, minimum_sequence: int = 0) -> Directory:
    path = tmp_path / "directory.jws"
    path.write_text(text)
    public = ECKey.import_key(keys.public_jwk(ANCHOR))
    return Directory.read(path, [keys.generate(), public], NOW, minimum_sequence)


def changed(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    manifest = copy.deepcopy(GOOD)
    change(manifest)
    return manifest


def test_a_signed_manifest_is_read_back(tmp_path: Path) -> None:
    found = read(directory.sign(GOOD, ANCHOR) + "\n", tmp_path, minimum_sequence=12)
    assert found.sequence == 12
    assert found.issued == NOW - timedelta(hours=1)
    assert found.expires == NOW + timedelta(days=7)
    assert [one.organization for one in found.entries] == [PANTRY, CLINIC]
    pantry = found.entry(PANTRY)
    assert pantry is not None
    assert pantry.id == "harbor-food-pantry"
    assert (pantry.fhir_base, pantry.token_endpoint, pantry.issuer) == (
        "https://pantry.example.org/fhir",
        "https://pantry.example.org/oauth/token",
        "https://pantry.example.org",
    )
    assert pantry.purposes == {"COC"}
    assert pantry.services == (Service("food-insecurity", "Harbor County", ("en", "es")),)
    assert pantry.contacts["backup"]["telecom"] == "mailto:duty@example.org"
    assert found.entry("https://directory.example.org/Organization/unknown") is None


def test_the_same_signed_text_has_the_same_digest_and_another_has_another(tmp_path: Path) -> None:
    text = directory.sign(GOOD, ANCHOR)
    assert read(text, tmp_path).digest == read(text + "\n", tmp_path).digest
    # Even the same facts: what peers compare is the text that was signed.
    assert read(text, tmp_path).digest != read(directory.sign(GOOD, ANCHOR), tmp_path).digest


def test_an_expired_directory_is_read_and_says_so(tmp_path: Path) -> None:
    manifest = changed(lambda m: m.update(exp=int(NOW.timestamp())))
    found = read(directory.sign(manifest, ANCHOR), tmp_path)
    assert found.expired(NOW)
    assert not found.expired(NOW - timedelta(seconds=1))


def test_a_suspended_entry_is_found_and_shown_as_inactive(tmp_path: Path) -> None:
    manifest = changed(lambda m: m["entries"][0].update(status="suspended"))
    pantry = read(directory.sign(manifest, ANCHOR), tmp_path).entry(PANTRY)
    assert pantry is not None
    assert pantry.status == "suspended"
    assert directory.organization_resource(pantry)["active"] is False


def test_the_organization_that_is_served_holds_a_name_and_nothing_that_leads_on(tmp_path: Path) -> None:
    pantry = read(directory.sign(GOOD, ANCHOR), tmp_path).entry(PANTRY)
    assert pantry is not None
    assert directory.organization_resource(pantry) == {
        "resourceType": "Organization",
        "id": "harbor-food-pantry",
        "active": True,
        "name": "Harbor Food Pantry",
    }


def test_an_rsa_key_is_a_key_too(tmp_path: Path) -> None:
    rsa = RSAKey.generate_key(2048).as_dict(private=False, kid="rsa-1", alg="RS384", use="sig")
    manifest = changed(lambda m: m["entries"][0]["jwks"]["keys"].append(rsa))
    pantry = read(directory.sign(manifest, ANCHOR), tmp_path).entry(PANTRY)
    assert pantry is not None
    assert len(pantry.jwks["keys"]) == 2


def _first(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda m: m["entries"][0].update({name: value})


def _key(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda m: m["entries"][0]["jwks"]["keys"][0].update({name: value})


def _second_takes(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda m: m["entries"][1].update({name: m["entries"][0][name]})


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        pytest.param(lambda m: m.update(extra=1), "'extra' was unexpected", id="unknown member"),
        pytest.param(lambda m: m.pop("sequence"), "'sequence' is a required", id="missing member"),
        pytest.param(_first("kind", "shelter"), "'kind' was unexpected", id="a kind of agency"),
        pytest.param(_first("partOf", CLINIC), "'partOf' was unexpected", id="a link between entries"),
        pytest.param(_first("status", "retired"), "enum", id="unknown status"),
        pytest.param(_first("purposes", []), "minItems", id="no purpose"),
        pytest.param(_first("name", " "), "pattern", id="blank name"),
        pytest.param(_first("address", "https://pantry.example.org/"), "pattern", id="trailing slash"),
        pytest.param(_first("address", "https://Pantry.example.org"), "pattern", id="upper case"),
        pytest.param(_first("address", "https://a@pantry.example.org"), "pattern", id="user in the address"),
        pytest.param(_first("address", "ftp://pantry.example.org"), "pattern", id="other scheme"),
        pytest.param(_first("address", "https://pantry.example.org\n"), "pattern", id="line end"),
        pytest.param(
            _first("organization", "https://elsewhere.example.org/Organization/x"),
            "iss followed",
            id="foreign URL",
        ),
        pytest.param(
            _first("organization", "https://directory.example.org/Organization/a/Organization/b"),
            "iss followed",
            id="longer URL",
        ),
        pytest.param(_first("jwks", {"keys": []}), "minItems", id="no key"),
        pytest.param(_key("d", "c2VjcmV0"), "'d' was unexpected", id="private member"),
        pytest.param(_key("crv", "P-256"), "const", id="other curve"),
        pytest.param(_key("alg", "HS256"), "const", id="other algorithm"),
        pytest.param(_key("x", "A" * 64), "no key on its curve", id="no point on the curve"),
        pytest.param(_key("kty", "oct"), "enum", id="symmetric key"),
        pytest.param(
            lambda m: m["entries"][0]["jwks"]["keys"].append(
                m["entries"][0]["jwks"]["keys"][0] | {"x": "A" * 64}
            ),
            "kid of its own",
            id="kid twice",
        ),
        pytest.param(_second_takes("organization"), "twice", id="organisation twice"),
        pytest.param(_second_takes("address"), "twice", id="address twice"),
        pytest.param(_second_takes("jwks"), "twice", id="key twice"),
        pytest.param(
            lambda m: m["entries"][0]["contacts"].update(backup=m["entries"][0]["contacts"]["primary"]),
            "two different",
            id="backup is primary",
        ),
        pytest.param(
            lambda m: m["entries"][0]["contacts"]["primary"].update(telecom="ask at the door"),
            "pattern",
            id="telecom that is none",
        ),
        pytest.param(lambda m: m.update(exp=m["iat"]), "later than iat", id="ends as it begins"),
        pytest.param(lambda m: m.update(sequence=0), "minimum", id="sequence 0"),
        pytest.param(lambda m: m.update(sequence=True), "type", id="sequence no number"),
    ],
)
def test_a_manifest_with_one_wrong_fact_is_neither_signed_nor_read(
    change: Callable[[dict[str, Any]], object], rule: str, tmp_path: Path
) -> None:
    manifest = changed(change)
    with pytest.raises(DirectoryError, match=rule):
        directory.sign(manifest, ANCHOR)
    with pytest.raises(DirectoryError, match=rule) as refused:
        read(jws_of(manifest), tmp_path)
    assert "c2VjcmV0" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        pytest.param(
            lambda: jws_of(GOOD, alg="none"),
            "alg ES384",
            id="alg none",
            marks=pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning"),
        ),
        pytest.param(lambda: hmac_of(GOOD), "alg ES384", id="public key as HMAC secret"),
        pytest.param(lambda: jws_of(GOOD, typ="JWT"), "typ", id="other typ"),
        pytest.param(
            lambda: jws_of(GOOD, jwk=keys.public_jwk(ANCHOR)), "not a compact JWS", id="embedded key"
        ),
        pytest.param(lambda: jws_of(GOOD, keys.generate()), "does not verify", id="other key, anchor's name"),
        pytest.param(lambda: jws_of(GOOD, kid="someone"), "not signed by an anchor", id="unknown anchor"),
        pytest.param(lambda: jws_of(GOOD)[:-4] + "AAAA", "does not verify", id="tampered signature"),
        pytest.param(lambda: jws_of(b"[[["), "does not cover JSON", id="no JSON"),
        pytest.param(lambda: jws_of([GOOD]), "type", id="no object"),
        pytest.param(lambda: json.dumps(GOOD), "not a compact JWS", id="not signed at all"),
        pytest.param(lambda: "WyJhbGciXQ.e30.AAAA", "not a compact JWS", id="header is a list"),
        pytest.param(lambda: "", "not a compact JWS", id="empty"),
    ],
)
def test_what_no_anchor_signed_as_a_directory_is_refused(
    text: Callable[[], str], rule: str, tmp_path: Path
) -> None:
    with pytest.raises(DirectoryError, match=rule):
        read(text(), tmp_path)


def test_a_tampered_entry_is_refused(tmp_path: Path) -> None:
    header, _payload, signature = directory.sign(GOOD, ANCHOR).split(".")
    other = jws_of(changed(lambda m: m["entries"][0].update(address="https://evil.example.org"))).split(".")[
        1
    ]
    with pytest.raises(DirectoryError, match="does not verify"):
        read(f"{header}.{other}.{signature}", tmp_path)


def test_an_older_sequence_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="12 is older than 13"):
        read(directory.sign(GOOD, ANCHOR), tmp_path, minimum_sequence=13)


def test_a_directory_from_the_future_is_refused(tmp_path: Path) -> None:
    tomorrow = int((NOW + timedelta(days=1)).timestamp())
    with pytest.raises(DirectoryError, match="in the future"):
        read(directory.sign(changed(lambda m: m.update(iat=tomorrow)), ANCHOR), tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="cannot be read"):
        Directory.read(tmp_path / "absent.jws", [ANCHOR], NOW)


def test_a_manifest_beyond_the_size_limit_is_neither_signed_nor_read(tmp_path: Path) -> None:
    services = [
        {"referral_type": "food-insecurity", "area": f"Area {number} " + "x" * 200, "languages": ["en"]}
        for number in range(400)
    ]
    manifest = changed(lambda m: m["entries"][0].update(services=services))
    with pytest.raises(DirectoryError, match="too long"):
        directory.sign(manifest, ANCHOR)
    with pytest.raises(DirectoryError, match="or longer than"):
        read(jws_of(manifest), tmp_path)


def test_a_hundred_participants_fit_into_one_manifest(tmp_path: Path) -> None:
    entries = [
        entry(
            f"https://directory.example.org/Organization/agency-{number}",
            f"https://agency-{number}.example.org",
        )
        for number in range(100)
    ]
    assert len(read(directory.sign(GOOD | {"entries": entries}, ANCHOR), tmp_path).entries) == 100
