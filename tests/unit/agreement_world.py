"""Agreements for tests, really signed: from the shipped template, by keys that have names."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from consent_world import POLICY, changed
from joserfc import jws
from joserfc.jwk import ECKey, OctKey, RSAKey
from joserfc.util import urlsafe_b64encode

import consent
from consent import Agreement, Facts, Matter, Party, agreement_signing, agreement_status
from consent.agreement_book import AgreementBook
from consent.agreement_draft import draft
from consent.agreement_signing import TYPE, Key, sign_bytes, terms

URL = "https://directory.example.org/Organization/"
HOSPITAL, PANTRY = f"{URL}hospital", f"{URL}pantry"
ITEMS = frozenset({"need", "given-name", "family-name", "household-size", "address"})


@cache
def key(name: str) -> Key:
    """A key by its name, the same throughout a run. The pantry's and the short one are RSA keys."""
    if name == "pantry":
        return RSAKey.generate_key(2048)
    if name == "short":
        return RSAKey.generate_key(1024)
    return ECKey.generate_key("P-256" if name == "other-curve" else "P-384")


def terms_of(changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The draft of hospital and pantry, unsigned, some of it changed: `{"data.0.items.0": "need"}`."""

    def party(name: str) -> dict[str, Any]:
        return {"organization": URL + name, "name": name.capitalize(), "keys": [key(name).thumbprint()]}

    answers = {
        "id": "hospital-pantry",
        "source": party("hospital"),
        "recipient": party("pantry"),
        "referralTypes": ["food-insecurity"],
        "start": "2026-01-01",
        "end": "2026-12-31",
        "zone": "UTC",
        "consentRequired": False,
    }
    return changed(draft("minimal-data-coordination", answers), changes or {})


def signed(document: Mapping[str, Any], by: Mapping[str, str] | None = None) -> dict[str, Any]:
    """`document` signed by parties, each with a named key, whether the terms list that key or not."""
    by = {"hospital": "hospital", "pantry": "pantry"} if by is None else by
    signatures = [
        {"organization": URL + party, "jws": sign_bytes(terms(document), key(name), TYPE)}
        for party, name in by.items()
    ]
    found = agreement_signing.verify({**document, "signatures": signatures})
    everyone = all(one.state == "signed" for one in found)
    status = "active" if everyone and document["status"] == "draft" else document["status"]
    return {**document, "signatures": signatures, "status": status}


def stated(document: Mapping[str, Any], statements: list[Mapping[str, str]]) -> dict[str, Any]:
    """`document` with what single parties state: `{by, status, at}`, and `key` for another than its own."""
    found = dict(document)
    for one in statements:
        mine = key(one.get("key", one["by"]))
        about: dict[str, Any] = {"organization": URL + one["by"], "status": one["status"], "at": one["at"]}
        content = agreement_status.statement_bytes(found, about)
        token = sign_bytes(content, mine, agreement_status.TYPE)
        found["statements"] = [*found.get("statements", ()), {**about, "jws": token}]
    return found


def loaded(document: Mapping[str, Any], name: str = "case.json") -> Agreement:
    """What a file with this content would be loaded as."""
    return consent.agreement.loads(json.dumps(document), name)


def decided(on_file: list[Agreement], now: datetime, state: str = "accepted") -> consent.Decision:
    """May the pantry see this dossier of the hospital's, with these agreements on file?"""
    book = AgreementBook.of(on_file)
    facts = Facts(
        source=Party(HOSPITAL, frozenset({"covered-entity"})),
        recipient=Party(PANTRY, frozenset({"community-organization"})),
        purpose="COC",
        referral_type="food-insecurity",
        state=state,
        record=Matter.of_items(ITEMS),
        agreements=book.between(HOSPITAL, PANTRY),
        consents=(),
        policy=POLICY,
    )
    return consent.decide(facts, now)


# ------------------------------------------------------------------ signatures that are none


def _token(header: Mapping[str, Any], content: bytes, signing: Key | OctKey, alg: str) -> str:
    text: str = jws.detach_content(jws.serialize_compact(dict(header), content, signing, algorithms=[alg]))
    return text


def _public(name: str) -> dict[str, Any]:
    members = key(name).as_dict(private=False)
    return {part: value for part, value in members.items() if part in ("kty", "crv", "x", "y", "n", "e")}


def _raw(header: Mapping[str, Any], signature: bytes = b"") -> str:
    encoded = urlsafe_b64encode(json.dumps(header).encode()).decode()
    return f"{encoded}..{urlsafe_b64encode(signature).decode()}"


def _extra(content: bytes) -> str:
    header = {"alg": "ES384", "typ": TYPE, "jwk": _public("hospital"), "kid": "mine"}
    return _token(header, content, key("hospital"), "ES384")


def _loose(content: bytes) -> str:
    """The pantry's good signature with a last character that decodes to the same bytes."""
    good = sign_bytes(content, key("pantry"), TYPE)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return good[:-1] + alphabet[alphabet.index(good[-1]) ^ 1]


def _attached(content: bytes) -> str:
    header, _, signature = sign_bytes(content, key("hospital"), TYPE).split(".")
    return f"{header}.{urlsafe_b64encode(content).decode()}.{signature}"


FORGED: Mapping[str, Callable[[bytes], str]] = {
    "alg-none": lambda _: _raw({"alg": "none", "typ": TYPE, "jwk": _public("hospital")}),
    "alg-hs384-with-the-public-key": lambda content: _token(
        {"alg": "HS384", "typ": TYPE},
        content,
        OctKey.import_key(json.dumps(_public("hospital")).encode() * 2),
        "HS384",
    ),
    "alg-es256": lambda content: _token(
        {"alg": "ES256", "typ": TYPE, "jwk": _public("other-curve")}, content, key("other-curve"), "ES256"
    ),
    "alg-of-another-kind-of-key": lambda content: _token(
        {"alg": "ES384", "typ": TYPE, "jwk": _public("pantry")}, content, key("hospital"), "ES384"
    ),
    "another-member-in-the-header": _extra,
    "private-key-in-the-header": lambda content: _token(
        {"alg": "ES384", "typ": TYPE, "jwk": key("hospital").as_dict(private=True)},
        content,
        key("hospital"),
        "ES384",
    ),
    "without-a-key": lambda content: _token({"alg": "ES384", "typ": TYPE}, content, key("hospital"), "ES384"),
    "of-another-type": lambda content: sign_bytes(
        content, key("hospital"), "waymeet-agreement-statement+jws"
    ),
    "with-the-content-inside": _attached,
    "loosely-written": _loose,
    "no-jws": lambda _: "..",
    "signed-bytes-of-nothing": lambda _: sign_bytes(b"", key("hospital"), TYPE),
    "jwk-of-the-party-signature-of-another": lambda content: _token(
        {"alg": "ES384", "typ": TYPE, "jwk": _public("hospital")}, content, key("stranger"), "ES384"
    ),
}


def forged(document: Mapping[str, Any], party: str, kind: str) -> dict[str, Any]:
    """`document` with another signature for one party, of the kind that is named."""
    others = [one for one in document["signatures"] if one["organization"] != URL + party]
    mine = {"organization": URL + party, "jws": FORGED[kind](terms(document))}
    return {**document, "signatures": [*others, mine]}


CASES = Path(__file__).parent.parent / "cases" / "agreement"
