"""A directory of two, and directories as somebody else's tool might write them: nothing is checked there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey

from gateway.signing import keys
from gateway.trust.directory import Directory
from gateway.trust.directory_form import MANIFEST_TYPE
from gateway.trust.directory_signing import publish

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ISSUER = "https://directory.example.org"
PANTRY = f"{ISSUER}/Organization/harbor-food-pantry"
CLINIC = f"{ISSUER}/Organization/mill-street-clinic"
ANCHOR = keys.generate()
NEXT_ANCHOR = keys.generate()
SUSPENDER = keys.generate()


def public(key: ECKey) -> ECKey:
    return ECKey.import_key(keys.public_jwk(key))


ANCHORS = [public(ANCHOR), public(NEXT_ANCHOR)]


def entry(organization: str, address: str, key: ECKey | None = None) -> dict[str, Any]:
    return {
        "organization": organization,
        "name": organization.rpartition("/")[2].replace("-", " ").title(),
        "address": address,
        "jwks": keys.public_jwks(key or keys.generate()),
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


GOOD: tuple[dict[str, Any], ...] = (
    entry(PANTRY, "https://pantry.example.org"),
    entry(CLINIC, "http://127.0.0.1:8101"),
)


def many(count: int) -> list[dict[str, Any]]:
    """So many entries."""
    return [
        entry(f"{ISSUER}/Organization/agency-{one}", f"https://agency-{one}.example.org")
        for one in range(count)
    ]


def published(folder: Path, entries: Sequence[Mapping[str, Any]] = GOOD, **how: Any) -> Directory:
    """The directory of `entries`, signed an hour ago and laid into `folder`."""
    given = {"sequence": 12, "now": NOW - timedelta(hours=1), **how}
    return publish(folder, given.pop("issuer", ISSUER), entries, given.pop("anchor", ANCHOR), **given)


def read(folder: Path, minimum_sequence: int = 0, known: Directory | None = None) -> Directory:
    return Directory.read(folder, ANCHORS, NOW, minimum_sequence, known)


def jws_of(claims: Any, key: Any = ANCHOR, **header: Any) -> str:
    """A JWS over anything, with any header."""
    protected = {"alg": "ES384", "typ": MANIFEST_TYPE, "kid": ANCHOR.thumbprint(), **header}
    payload = claims if isinstance(claims, bytes) else text_of(claims)
    registry = jws.JWSRegistry(algorithms=[protected["alg"]], strict_check_header=False)
    return jws.serialize_compact(protected, payload, key, registry=registry)


def text_of(value: Any) -> bytes:
    """Canonical JSON, written without our own code."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def claims_of(*shards: bytes, **other: Any) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "iat": int(NOW.timestamp()) - 3600,
        "exp": int((NOW + timedelta(days=7)).timestamp()),
        "sequence": 12,
        "previous": [],
        "shards": [hashlib.sha256(shard).hexdigest() for shard in shards],
        **other,
    }


def written(folder: Path, *shards: bytes, manifest: str | None = None, **claims: Any) -> Path:
    """A folder with these shards, and with the manifest that names them or with that one."""
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    for shard in shards:
        (folder / "shards" / f"{hashlib.sha256(shard).hexdigest()}.json").write_bytes(shard)
    (folder / "manifest.jws").write_text(manifest or jws_of(claims_of(*shards, **claims)))
    return folder


def shard_of(entries: Sequence[Mapping[str, Any]]) -> bytes:
    return text_of(sorted(entries, key=lambda one: str(one.get("organization"))))
