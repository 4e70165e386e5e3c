"""The signed directory: one good folder, and refusals that each change one fact of it."""

from __future__ import annotations

import copy
import hmac
import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from directory_world import (
    ANCHOR,
    ANCHORS,
    CLINIC,
    GOOD,
    ISSUER,
    NEXT_ANCHOR,
    NOW,
    PANTRY,
    SUSPENDER,
    claims_of,
    entry,
    jws_of,
    published,
    read,
    shard_of,
    text_of,
    written,
)
from joserfc.jwk import RSAKey
from joserfc.util import urlsafe_b64encode

from gateway.signing import keys
from gateway.trust.directory import Directory, DirectoryError, Service, organization_resource
from gateway.trust.directory_form import MANIFEST_TYPE
from gateway.trust.succession import hand_over


def changed(change: Callable[[list[dict[str, Any]]], object]) -> list[dict[str, Any]]:
    entries = copy.deepcopy(list(GOOD))
    change(entries)
    return entries


def hmac_of(claims: Any) -> str:
    """`claims` under HS256 with the anchor's public key as the secret, the classic confusion."""
    header = {"alg": "HS256", "typ": MANIFEST_TYPE, "kid": ANCHOR.thumbprint()}
    signed = b".".join(urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims))
    mac = hmac.digest(ANCHOR.as_pem(private=False), signed, "sha256")
    return b".".join((signed, urlsafe_b64encode(mac))).decode()


def test_a_published_directory_is_read_back(tmp_path: Path) -> None:
    written = published(tmp_path, suspender=keys.public_jwk(SUSPENDER), previous=["a" * 64])
    found = read(tmp_path, minimum_sequence=12)
    assert (found.issuer, found.sequence, found.previous) == (ISSUER, 12, ("a" * 64,))
    assert found.issued == NOW - timedelta(hours=1)
    assert found.expires == NOW + timedelta(days=7, hours=-1)
    assert found.suspender == keys.public_jwk(SUSPENDER)
    assert found.digest == written.digest
    assert len(found) == 2
    assert {one.organization for one in found.entries} == {PANTRY, CLINIC}
    pantry = found.entry(PANTRY)
    assert pantry is not None
    assert pantry == written.entry(PANTRY) == found.by_id("harbor-food-pantry")
    assert pantry.id == "harbor-food-pantry"
    assert (pantry.fhir_base, pantry.token_endpoint, pantry.issuer) == (
        "https://pantry.example.org/fhir",
        "https://pantry.example.org/oauth/token",
        "https://pantry.example.org",
    )
    assert pantry.purposes == {"COC"}
    assert pantry.services == (Service("food-insecurity", "Harbor County", ("en", "es")),)
    assert pantry.contacts["backup"]["telecom"] == "mailto:duty@example.org"
    assert pantry.thumbprints == {pantry.jwks["keys"][0]["kid"]}
    assert found.name(PANTRY) == "Harbor Food Pantry"


@pytest.mark.parametrize("unknown", [f"{ISSUER}/Organization/other", "", "x" * 10_000, "\ud800", "é"])
def test_who_is_not_in_it_is_unknown_and_called_by_the_url(unknown: str, tmp_path: Path) -> None:
    found = published(tmp_path)
    assert found.entry(unknown) is None
    assert found.by_id(unknown) is None
    assert found.name(unknown) == unknown


def test_a_directory_of_nobody_is_one(tmp_path: Path) -> None:
    published(tmp_path, [])
    found = read(tmp_path)
    assert (len(found), list(found.entries), bool(found)) == (0, [], True)
    assert found.entry(PANTRY) is None


def test_a_partner_with_another_software_says_where_it_answers(tmp_path: Path) -> None:
    ends = {
        "fhir": "https://ehr.example.org/R4",
        "token": "https://sso.example.org/a/token",
        "issuer": "https://sso.example.org/a",
    }
    added = {"endpoints": ends, "wire": ["rest-hook/1"], "profiles": ["sdoh-clinicalcare/3.0.0"]}
    published(tmp_path, changed(lambda e: e[0].update(added)))
    pantry = read(tmp_path).entry(PANTRY)
    assert pantry is not None
    assert (pantry.fhir_base, pantry.token_endpoint, pantry.issuer) == tuple(ends.values())
    assert (pantry.wire, pantry.profiles) == (("rest-hook/1",), ("sdoh-clinicalcare/3.0.0",))


def test_it_says_who_else_vouches_for_a_description(tmp_path: Path) -> None:
    vouched = {"source": "2-1-1 Harbor County", "assured": "2026-11-01"}
    published(tmp_path, changed(lambda e: e[0]["services"][0].update(vouched)))
    pantry = read(tmp_path).entry(PANTRY)
    assert pantry is not None
    assert pantry.services[0].source == "2-1-1 Harbor County"
    assert pantry.services[0].assured == date(2026, 11, 1)


def test_peers_compare_what_was_signed(tmp_path: Path) -> None:
    first = published(tmp_path / "a")
    assert read(tmp_path / "a").digest == first.digest
    # The same claims are the same directory, whichever anchor signs them and however its signature falls.
    assert published(tmp_path / "b", anchor=NEXT_ANCHOR).digest == first.digest
    assert published(tmp_path / "c", list(reversed(GOOD))).digest == first.digest
    assert published(tmp_path / "d", GOOD[:1]).digest != first.digest


def test_either_pinned_anchor_may_sign_and_no_other(tmp_path: Path) -> None:
    published(tmp_path, anchor=NEXT_ANCHOR)
    assert read(tmp_path).sequence == 12
    with pytest.raises(DirectoryError, match="not signed by an anchor"):
        Directory.read(tmp_path, ANCHORS[:1], NOW)
    with pytest.raises(DirectoryError, match="not signed by an anchor"):
        Directory.read(tmp_path, [], NOW)


def test_an_expired_directory_is_read_and_says_so(tmp_path: Path) -> None:
    published(tmp_path, now=NOW - timedelta(days=7))
    found = read(tmp_path)
    assert found.expired(NOW)
    assert not found.expired(NOW - timedelta(seconds=1))


def test_a_suspended_entry_is_found_and_shown_as_inactive(tmp_path: Path) -> None:
    published(tmp_path, changed(_first("status", "suspended")))
    pantry = read(tmp_path).entry(PANTRY)
    assert pantry is not None
    assert pantry.status == "suspended"
    assert organization_resource(pantry)["active"] is False


def test_the_organization_that_is_served_holds_a_name_and_nothing_that_leads_on(tmp_path: Path) -> None:
    pantry = published(tmp_path).entry(PANTRY)
    assert pantry is not None
    assert organization_resource(pantry) == {
        "resourceType": "Organization",
        "id": "harbor-food-pantry",
        "active": True,
        "name": "Harbor Food Pantry",
    }


RSA = RSAKey.generate_key(2048).as_dict(private=False, kid="rsa-1", alg="RS384", use="sig")


def test_an_rsa_key_is_a_key_too(tmp_path: Path) -> None:
    published(tmp_path, changed(lambda e: e[0]["jwks"]["keys"].append(RSA)))
    pantry = read(tmp_path).entry(PANTRY)
    assert pantry is not None
    assert len(pantry.thumbprints) == 2
    assert RSAKey.import_key({name: RSA[name] for name in ("kty", "n", "e")}).thumbprint() in (
        pantry.thumbprints
    )


def _first(name: str, value: Any) -> Callable[[list[dict[str, Any]]], object]:
    return lambda entries: entries[0].update({name: value})


def _key(name: str, value: Any) -> Callable[[list[dict[str, Any]]], object]:
    return lambda entries: entries[0]["jwks"]["keys"][0].update({name: value})


def _rsa(**members: Any) -> Callable[[list[dict[str, Any]]], object]:
    return lambda entries: entries[0]["jwks"]["keys"].append(RSA | members)


def _service(**members: Any) -> Callable[[list[dict[str, Any]]], object]:
    return lambda entries: entries[0]["services"][0].update(members)


def _second_takes(name: str) -> Callable[[list[dict[str, Any]]], object]:
    return lambda entries: entries[1].update({name: entries[0][name]})


def _second_answers_at(url: str) -> Callable[[list[dict[str, Any]]], object]:
    return lambda entries: entries[1].update(endpoints={"fhir": url})


def _second_had_the_key_of_the_first(entries: list[dict[str, Any]]) -> None:
    change = hand_over(CLINIC, entries[0]["jwks"], keys.generate(), NOW)
    entries[1]["succession"] = [change, hand_over(CLINIC, entries[1]["jwks"], keys.generate(), NOW)]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        pytest.param(_first("kind", "shelter"), "unknown member 'kind'", id="a kind of agency"),
        pytest.param(_first("partOf", CLINIC), "unknown member 'partOf'", id="a link between entries"),
        pytest.param(lambda e: e[0].pop("status"), "needs the member 'status'", id="missing member"),
        pytest.param(_first("status", "retired"), "status: is none of the values", id="unknown status"),
        pytest.param(_first("purposes", []), "purposes: must not be empty", id="no purpose"),
        pytest.param(_first("purposes", ["COC", "COC"]), "purposes: .*twice", id="purpose twice"),
        pytest.param(_first("name", " "), "name: must be text", id="blank name"),
        pytest.param(_first("name", "\x1b[2J"), "name: must be text", id="name that clears the screen"),
        pytest.param(_first("name", "Harbor \u202e"), "name: must be text", id="name that turns the line"),
        pytest.param(_first("name", None), "name: .*got `null`", id="no name"),
        pytest.param(
            _first("address", "https://pantry.example.org/"), "address: must be an origin", id="slash"
        ),
        pytest.param(
            _first("address", "https://Pantry.example.org"), "address: must be an origin", id="upper case"
        ),
        pytest.param(
            _first("address", "https://a@pantry.example.org"), "address: must be an origin", id="user in it"
        ),
        pytest.param(
            _first("address", "https://pantry.example.org:443"), "address: must be an origin", id="port 443"
        ),
        pytest.param(
            _first("address", "http://pantry.example.org:80"), "address: must be an origin", id="port 80"
        ),
        pytest.param(
            _first("address", "ftp://pantry.example.org"), "address: must be an origin", id="other scheme"
        ),
        pytest.param(
            _first("address", "https://pantry.example.org\n"), "address: must be an origin", id="line end"
        ),
        pytest.param(_first("endpoints", {}), "endpoints: is empty", id="no endpoint"),
        pytest.param(_first("endpoints", {"web": ISSUER}), "unknown member 'web'", id="other endpoint"),
        pytest.param(
            _first("endpoints", {"fhir": "https://pantry.example.org/?a"}), "fhir: must be a URL", id="query"
        ),
        pytest.param(
            _first("organization", "https://elsewhere.example.org/Organization/x"),
            "iss followed",
            id="foreign URL",
        ),
        pytest.param(
            _first("organization", "https://directory.example.org/Organization/a/Organization/b"),
            "organization: must be iss",
            id="longer URL",
        ),
        pytest.param(_first("jwks", {"keys": []}), "keys: must not be empty", id="no key"),
        pytest.param(_key("d", "c2VjcmV0"), "unknown member 'd'", id="private member"),
        pytest.param(_key("crv", "P-256"), "crv: is none of the values", id="other curve"),
        pytest.param(_key("alg", "HS256"), "alg: is none of the values", id="other algorithm"),
        pytest.param(_key("use", "enc"), "use: is none of the values", id="key for something else"),
        pytest.param(_key("x", "A" * 64), "no point on P-384", id="no point on the curve"),
        pytest.param(_key("x", "_" * 64), "no point on P-384", id="coordinate beyond the field"),
        pytest.param(_key("kid", "key-1"), "thumbprint", id="key by another name"),
        pytest.param(_key("kty", "oct"), "kty: is none of the values", id="symmetric key"),
        pytest.param(_rsa(n="AA" + RSA["n"]), "no RSA key", id="RSA key written longer"),
        pytest.param(_rsa(n="A" * 342), "no RSA key", id="RSA modulus 0"),
        pytest.param(_rsa(e="AAAA"), "no RSA key", id="RSA exponent 0"),
        pytest.param(_rsa(n=RSA["n"][:300]), "length >= 342", id="short RSA key"),
        pytest.param(
            lambda e: e[0]["jwks"]["keys"].append(RSA | {"kid": e[0]["jwks"]["keys"][0]["kid"]}),
            "kid of its own",
            id="kid twice",
        ),
        pytest.param(_second_takes("organization"), "twice", id="organisation twice"),
        pytest.param(_second_takes("address"), "address: stands in two entries", id="address twice"),
        pytest.param(_second_takes("jwks"), "jwks: stands in two entries", id="key twice"),
        pytest.param(
            lambda e: [one["jwks"]["keys"].append(RSA | {"kid": str(n)}) for n, one in enumerate(e)],
            "jwks: stands in two entries",
            id="RSA key twice, under two names",
        ),
        pytest.param(_second_had_the_key_of_the_first, "jwks: stands in two entries", id="had its key"),
        pytest.param(
            _second_answers_at("https://pantry.example.org/fhir"), "stands in two", id="another's FHIR base"
        ),
        pytest.param(
            _second_answers_at("https://pantry.example.org/"), "stands in two", id="another's address"
        ),
        pytest.param(_first("succession", ["a.b.c"]), "no key change", id="key change that is none"),
        pytest.param(
            lambda e: e[0].update(succession=[hand_over(CLINIC, e[0]["jwks"], keys.generate(), NOW)]),
            "no key change of this",
            id="another's key change",
        ),
        pytest.param(_service(languages=["en", "en"]), "languages: .*twice", id="language twice"),
        pytest.param(_service(source="2-1-1"), "go together", id="source without a date"),
        pytest.param(
            _service(source="2-1-1", assured="2026-02-30"), "no day of the calendar", id="no such day"
        ),
        pytest.param(
            _service(source=CLINIC, assured="2026-02-03"), "not by a URL", id="source that leads on"
        ),
        pytest.param(_first("name_assured", "2026-11-01"), "goes together", id="date without a source"),
        pytest.param(
            lambda e: e[0]["contacts"].update(backup=e[0]["contacts"]["primary"]),
            "two different",
            id="backup is primary",
        ),
        pytest.param(
            lambda e: e[0]["contacts"]["primary"].update(telecom="ask at the door"),
            "telecom: must be like",
            id="telecom that is none",
        ),
    ],
)
def test_an_entry_with_one_wrong_fact_is_neither_published_nor_read(
    change: Callable[[list[dict[str, Any]]], object], rule: str, tmp_path: Path
) -> None:
    entries = changed(change)
    with pytest.raises(DirectoryError, match=rule) as refused:
        published(tmp_path / "ours", entries)
    assert not (tmp_path / "ours").exists()
    with pytest.raises(DirectoryError, match=rule) as unread:
        read(written(tmp_path, shard_of(entries)))
    for said in (str(refused.value), str(unread.value)):
        for value in ("c2VjcmV0", "retired", "P-256", "HS256", "ask at the door", "Pantry.example"):
            assert value not in said


@pytest.mark.parametrize(
    ("claims", "rule"),
    [
        pytest.param({"extra": 1}, "unknown member 'extra'", id="unknown member"),
        pytest.param({"iss": f"{ISSUER}/"}, "iss: must be an origin", id="issuer with a slash"),
        pytest.param({"iss": "https://other.example.org"}, "iss followed", id="another's entries"),
        pytest.param({"exp": int(NOW.timestamp()) - 3600}, "later than iat", id="ends as it begins"),
        pytest.param({"exp": 10**12}, "exp: .*<=", id="ends after all time"),
        pytest.param({"iat": 1.5}, "iat: Expected `int`", id="half a second"),
        pytest.param({"iat": int((NOW + timedelta(days=1)).timestamp())}, "in the future", id="future"),
        pytest.param({"sequence": 0}, "sequence: .*>= 1", id="sequence 0"),
        pytest.param({"sequence": True}, "sequence: Expected `int`", id="sequence no number"),
        pytest.param({"sequence": 11}, "11 is older than 12", id="rollback"),
        pytest.param({"previous": ["A" * 64]}, "previous.*SHA-256", id="digest in upper case"),
        pytest.param({"previous": ["a" * 64] * 33}, "more than 32", id="long history"),
        pytest.param({"shards": []}, "shards: must not be empty", id="no shard"),
        pytest.param({"shards": ["../../etc/passwd"]}, "shards.*SHA-256", id="shard that is a path"),
        pytest.param({"shards": ["a" * 64] * 3}, "2, 4, 8", id="three shards"),
        pytest.param({"shards": ["a" * 64] * 1025}, "more than 1024", id="too many shards"),
        pytest.param({"shards": ["a" * 64]}, "cannot be read", id="shard that is not there"),
        pytest.param({"suspender": None}, "suspender: ", id="suspender null"),
        pytest.param({"suspender": SUSPENDER.as_dict(private=True)}, "suspender: ", id="private suspender"),
        pytest.param(
            {"suspender": keys.public_jwk(SUSPENDER) | {"x": "A" * 64}},
            "suspender: is no point",
            id="suspender no key",
        ),
    ],
)
def test_a_manifest_with_one_wrong_claim_is_not_read(
    claims: dict[str, Any], rule: str, tmp_path: Path
) -> None:
    with pytest.raises(DirectoryError, match=rule):
        read(written(tmp_path, shard_of(GOOD), **claims), minimum_sequence=12)


@pytest.mark.parametrize(
    ("how", "rule"),
    [
        pytest.param({"days": 0}, "later than iat", id="ends as it begins"),
        pytest.param({"sequence": 0}, "sequence: .*>= 1", id="sequence 0"),
        pytest.param({"issuer": "https://Directory.example.org"}, "iss", id="issuer in upper case"),
        pytest.param({"previous": ["a" * 64] * 33}, "more than 32", id="long history"),
        pytest.param({"suspender": {"kty": "oct", "k": "c2VjcmV0"}}, "suspender", id="suspender no key"),
    ],
)
def test_a_manifest_that_no_node_would_read_is_not_signed(
    how: dict[str, Any], rule: str, tmp_path: Path
) -> None:
    with pytest.raises(DirectoryError, match=rule) as refused:
        published(tmp_path, **how)
    assert "c2VjcmV0" not in str(refused.value)
    assert not list(tmp_path.iterdir())


GOOD_CLAIMS = claims_of(shard_of(GOOD))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        pytest.param(
            lambda: jws_of(GOOD_CLAIMS, alg="none"),
            "alg ES384",
            id="alg none",
            marks=pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning"),
        ),
        pytest.param(lambda: hmac_of(GOOD_CLAIMS), "alg ES384", id="public key as HMAC secret"),
        pytest.param(lambda: jws_of(GOOD_CLAIMS, typ="JWT"), "typ", id="other typ"),
        pytest.param(
            lambda: jws_of(GOOD_CLAIMS, jwk=keys.public_jwk(ANCHOR)), "not a compact JWS", id="embedded key"
        ),
        pytest.param(
            lambda: jws_of(GOOD_CLAIMS, keys.generate()), "does not verify", id="other key, anchor's name"
        ),
        pytest.param(lambda: jws_of(GOOD_CLAIMS, kid="someone"), "not signed by an anchor", id="stranger"),
        pytest.param(lambda: jws_of(GOOD_CLAIMS)[:-4] + "AAAA", "does not verify", id="tampered signature"),
        pytest.param(lambda: jws_of(b"[[["), "manifest: ", id="no JSON"),
        pytest.param(lambda: jws_of([GOOD_CLAIMS]), "Expected `object`", id="no object"),
        pytest.param(lambda: json.dumps(GOOD_CLAIMS), "not a compact JWS", id="not signed at all"),
        pytest.param(lambda: "WyJhbGciXQ.e30.AAAA", "not a compact JWS", id="header is a list"),
        pytest.param(lambda: " ", "not a compact JWS", id="empty"),
        pytest.param(lambda: jws_of(GOOD_CLAIMS) + " " * 300_000, "longer than", id="too long"),
        pytest.param(
            lambda: jws_of(json.dumps(GOOD_CLAIMS).encode()), "not canonical JSON", id="members as they come"
        ),
        pytest.param(
            lambda: jws_of(text_of(GOOD_CLAIMS).replace(b'"sequence":12', b'"sequence":99,"sequence":12')),
            "not canonical JSON",
            id="a member twice",
        ),
    ],
)
def test_what_no_anchor_signed_as_a_directory_is_refused(
    text: Callable[[], str], rule: str, tmp_path: Path
) -> None:
    with pytest.raises(DirectoryError, match=rule):
        read(written(tmp_path, shard_of(GOOD), manifest=text()))


def test_the_good_folder_that_somebody_else_wrote_is_read(tmp_path: Path) -> None:
    ours = published(tmp_path / "ours", now=NOW - timedelta(hours=1), days=7)
    theirs = read(written(tmp_path, shard_of(GOOD), exp=int(ours.expires.timestamp())))
    assert theirs.digest == ours.digest


def test_claims_under_the_signature_of_others_are_refused(tmp_path: Path) -> None:
    published(tmp_path)
    header, _, signature = (tmp_path / "manifest.jws").read_text().split(".")
    evil = shard_of(changed(_first("address", "https://evil.example.org")))
    written(tmp_path, evil, manifest=f"{header}.{jws_of(claims_of(evil)).split('.')[1]}.{signature}")
    with pytest.raises(DirectoryError, match="does not verify"):
        read(tmp_path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="cannot be read"):
        read(tmp_path / "absent")


def test_two_keys_of_one_agency_are_two(tmp_path: Path) -> None:
    """As while it changes from one to the other."""
    both = entry(PANTRY, "https://pantry.example.org")
    both["jwks"] = keys.public_jwks(keys.generate(), keys.generate())
    published(tmp_path, [both])
    pantry = read(tmp_path).entry(PANTRY)
    assert pantry is not None
    assert len(pantry.thumbprints) == 2


def test_a_key_change_is_kept_as_it_was_signed(tmp_path: Path) -> None:
    old, new = keys.generate(), keys.generate()
    changes = (hand_over(PANTRY, keys.public_jwks(new), old, NOW),)
    published(tmp_path, [entry(PANTRY, "https://a.example.org", new) | {"succession": list(changes)}])
    pantry = read(tmp_path).entry(PANTRY)
    assert pantry is not None
    assert pantry.succession == changes
