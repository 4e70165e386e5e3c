"""The signed directory: which nodes there are, where they answer and with which keys.

The convening body signs one manifest; every node keeps a copy and reads it at start. No server stands
behind it. One compact JWS (RFC 7515), ES384, `typ` `waymeet-directory+jwt`, whose claims are described in
docs/reference/directory.md. The size of one manifest is bounded by joserfc's limit for a JWS payload.

Every entry stands alone: there is no member that says what kind of agency it is, none that leads from one
entry to another, and no key or address may stand in two entries, because an alias must not be traceable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, cast

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry
from jsonschema import Draft202012Validator

from gateway.keys import ALGORITHM

TYPE: Final = "waymeet-directory+jwt"
MAX_BYTES: Final = jws.default_registry.max_payload_length
_CLOCK_SKEW: Final = timedelta(minutes=5)


class DirectoryError(Exception):
    """A directory that must not be used; the message names member and rule, never a value."""


@dataclass(frozen=True, slots=True)
class Service:
    """What an organisation offers, a FHIR HealthcareService in small.

    referral_type: Gravity SDOH category code. code: a narrower code, where there is one. area: coverage
    area in words or code. languages: BCP 47 tags.
    """

    referral_type: str
    area: str
    languages: tuple[str, ...]
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One participant as the convening body vouches for it.

    organization: its directory URL, by which it is referred to everywhere and which is its OAuth
    `client_id`. address: origin of its node. jwks: its public keys (JWK Set). purposes: v3-ActReason codes
    it may ask for. contacts: `primary` and `backup`, each with `name` and `telecom`.
    """

    organization: str
    name: str
    address: str
    jwks: Mapping[str, Any]
    purposes: frozenset[str]
    services: tuple[Service, ...]
    contacts: Mapping[str, Mapping[str, str]]
    status: Literal["active", "suspended"]

    @property
    def id(self) -> str:
        """The FHIR id of the Organization: the last part of its directory URL."""
        return self.organization.rpartition("/")[2]

    @property
    def fhir_base(self) -> str:
        """FHIR base URL of the node."""
        return f"{self.address}/fhir"

    @property
    def token_endpoint(self) -> str:
        """OAuth token endpoint of the node."""
        return f"{self.address}/oauth/token"

    @property
    def issuer(self) -> str:
        """The `iss` of the access tokens that the node issues."""
        return self.address


class Directory:
    """A verified directory, read once and then only looked up.

    sequence: the manifest's number, which only grows. issued, expires: its time of validity. digest:
    SHA-256 of the signed text in hex, which peers compare so that nobody can be shown another one.
    """

    def __init__(
        self, sequence: int, issued: datetime, expires: datetime, digest: str, entries: Sequence[Entry]
    ) -> None:
        self.sequence = sequence
        self.issued = issued
        self.expires = expires
        self.digest = digest
        self.entries = tuple(entries)
        self._by_organization = {entry.organization: entry for entry in entries}

    @classmethod
    def read(
        cls, path: Path, anchors: Sequence[ECKey], now: datetime, minimum_sequence: int = 0
    ) -> Directory:
        """The directory in `path`, if one of `anchors` (public keys pinned by this node) signed it.

        `minimum_sequence` is the highest sequence this node has ever used: an older one is refused. An
        expired one is returned, as the convening body's absence must not stop traffic; ask `expired`.
        Raises `DirectoryError`.
        """
        try:
            with path.open("rb") as file:
                text = file.read(2 * MAX_BYTES).strip()
        except OSError as error:
            raise DirectoryError(f"{path}: cannot be read ({error.strerror})") from None
        manifest = _checked(_verified(text, anchors))
        issued, expires = (datetime.fromtimestamp(manifest[name], UTC) for name in ("iat", "exp"))
        if issued > now + _CLOCK_SKEW:
            raise DirectoryError("iat: the directory was signed in the future; is this node's clock right?")
        if manifest["sequence"] < minimum_sequence:
            raise DirectoryError(
                f"sequence: {manifest['sequence']} is older than {minimum_sequence}, which was used here"
            )
        entries = [_entry(members) for members in manifest["entries"]]
        return cls(manifest["sequence"], issued, expires, hashlib.sha256(text).hexdigest(), entries)

    def entry(self, organization: str) -> Entry | None:
        """The entry with this directory URL, suspended ones included."""
        return self._by_organization.get(organization)

    def expired(self, now: datetime) -> bool:
        """Whether the manifest's time is over: then nobody new may be trusted on its word."""
        return now >= self.expires


def sign(manifest: Mapping[str, Any], key: ECKey) -> str:
    """The compact JWS of `manifest`, signed with the private anchor `key`.

    Raises `DirectoryError` where `Directory.read` would refuse what is in it, its size included.
    """
    payload = msgspec.json.encode(_checked(dict(manifest)))
    header = {"alg": ALGORITHM, "typ": TYPE, "kid": key.thumbprint()}
    signed = jws.serialize_compact(header, payload, key, algorithms=[ALGORITHM])
    if len(signed.split(".")[1]) > MAX_BYTES:
        raise DirectoryError(f"the manifest is too long: {MAX_BYTES} bytes in base64url are the limit")
    return signed


def organization_resource(entry: Entry) -> dict[str, Any]:
    """The FHIR R4 Organization that every node serves from its copy: nothing but name and activity."""
    return {
        "resourceType": "Organization",
        "id": entry.id,
        "active": entry.status == "active",
        "name": entry.name,
    }


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    alg: Literal["ES384"]
    typ: Literal["waymeet-directory+jwt"]
    kid: str


def _verified(text: bytes, anchors: Sequence[ECKey]) -> Any:
    """The claims of the JWS in `text` after its signature was found to be an anchor's."""
    try:
        unverified = jws.extract_compact(text)
        header = msgspec.json.decode(msgspec.json.encode(unverified.headers()), type=_Header)
    except (JoseError, msgspec.MsgspecError, ValueError, AttributeError, RecursionError):
        raise DirectoryError(
            f"not a compact JWS with alg {ALGORITHM}, typ {TYPE} and kid, or longer than {MAX_BYTES} bytes"
        ) from None
    anchor = next((key for key in anchors if key.thumbprint() == header.kid), None)
    if anchor is None:
        raise DirectoryError("kid: not signed by an anchor that this node trusts")
    try:
        jws.deserialize_compact(text, anchor, algorithms=[ALGORITHM])
        return msgspec.json.decode(unverified.payload)
    except (JoseError, ValueError):
        raise DirectoryError("the signature does not verify, or it does not cover JSON") from None


def _checked(manifest: Any) -> dict[str, Any]:
    """`manifest` if it satisfies the schema and the rules that a schema cannot say."""
    for error in sorted(_VALIDATOR.iter_errors(manifest), key=lambda found: found.json_path):
        names_only = error.validator in ("additionalProperties", "required")
        rule = error.message if names_only else f"does not satisfy {error.validator}"
        raise DirectoryError(f"{error.json_path}: {rule}")
    for place, rule in _broken_rules(manifest):
        raise DirectoryError(f"$.{place}: {rule}")
    return cast("dict[str, Any]", manifest)


def _broken_rules(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if manifest["exp"] <= manifest["iat"]:
        yield "exp", "must be later than iat"
    seen: set[tuple[str, str]] = set()
    for position, entry in enumerate(manifest["entries"]):
        place = f"entries[{position}]"
        if entry["organization"].rpartition("/")[0] != f"{manifest['iss']}/Organization":
            yield f"{place}.organization", "must be iss followed by /Organization/ and an id"
        if entry["contacts"]["primary"] == entry["contacts"]["backup"]:
            yield f"{place}.contacts", "primary and backup must be two different contacts"
        if len({key["kid"] for key in entry["jwks"]["keys"]}) < len(entry["jwks"]["keys"]):
            yield f"{place}.jwks", "each key needs a kid of its own"
        marks = [("organization", entry["organization"]), ("address", entry["address"])]
        marks += [("jwks", _thumbprint(key, place)) for key in entry["jwks"]["keys"]]
        for mark in marks:
            if mark in seen:
                yield f"{place}.{mark[0]}", "stands twice in the directory"
            seen.add(mark)


def _thumbprint(jwk: dict[str, Any], place: str) -> str:
    try:
        return JWKRegistry.import_key(jwk).thumbprint()
    except (JoseError, ValueError):
        raise DirectoryError(f"$.{place}.jwks: holds a key that is no key on its curve") from None


def _entry(members: Mapping[str, Any]) -> Entry:
    services = tuple(
        Service(
            referral_type=service["referral_type"],
            area=service["area"],
            languages=tuple(service["languages"]),
            code=service.get("code"),
        )
        for service in members["services"]
    )
    return Entry(
        organization=members["organization"],
        name=members["name"],
        address=members["address"],
        jwks=members["jwks"],
        purposes=frozenset(members["purposes"]),
        services=services,
        contacts=members["contacts"],
        status=members["status"],
    )


def _object(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _text(pattern: str = r"\S", longest: int = 255) -> dict[str, Any]:
    return {"type": "string", "pattern": pattern, "maxLength": longest}


def _list(items: Mapping[str, Any], fewest: int = 0) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": fewest, "uniqueItems": True}


# Lower case and without a path: addresses are compared as text, and OAuth's aud is made from them.
_ORIGIN: Final = r"^https?://([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[1-9][0-9]{0,4})?\Z"
_BASE64URL: Final = r"^[A-Za-z0-9_-]+\Z"
_COUNT: Final = {"type": "integer", "minimum": 1, "maximum": 2**53 - 1}
_INSTANT: Final = {"type": "integer", "minimum": 1, "maximum": 253_402_300_799}
_KEY_USE: Final = {"kid": _text(), "use": {"const": "sig"}}
_EC_KEY: Final = _object(
    {
        "kty": {"const": "EC"},
        "crv": {"const": "P-384"},
        "x": _text(r"^[A-Za-z0-9_-]{64}\Z"),
        "y": _text(r"^[A-Za-z0-9_-]{64}\Z"),
        "alg": {"const": "ES384"},
        **_KEY_USE,
    }
)
_RSA_KEY: Final = _object(
    {
        "kty": {"const": "RSA"},
        "n": {"type": "string", "pattern": _BASE64URL, "minLength": 342, "maxLength": 1366},
        "e": _text(_BASE64URL, 8),
        "alg": {"const": "RS384"},
        **_KEY_USE,
    }
)
_KEY: Final = {
    "type": "object",
    "properties": {"kty": {"enum": ["EC", "RSA"]}},
    "required": ["kty"],
    "allOf": [
        {"if": {"properties": {"kty": {"const": "EC"}}}, "then": _EC_KEY},
        {"if": {"properties": {"kty": {"const": "RSA"}}}, "then": _RSA_KEY},
    ],
}
_CONTACT: Final = _object({"name": _text(), "telecom": _text(r"^(mailto:[^\s@]+@[^\s@]+|tel:\+?[0-9-]+)\Z")})
_SERVICE: Final = _object(
    {
        "referral_type": _text(r"^[a-z0-9-]+\Z"),
        "area": _text(),
        "languages": _list(_text(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")),
    },
    {"code": _text()},
)
_ENTRY: Final = _object(
    {
        "organization": _text(r"/Organization/[A-Za-z0-9.-]{1,64}\Z"),
        "name": _text(),
        "address": _text(_ORIGIN),
        "jwks": _object({"keys": _list(_KEY, fewest=1)}),
        "purposes": _list(_text(r"^[A-Z0-9-]+\Z"), fewest=1),
        "services": _list(_SERVICE),
        "contacts": _object({"primary": _CONTACT, "backup": _CONTACT}),
        "status": {"enum": ["active", "suspended"]},
    }
)
_MANIFEST: Final = _object(
    {
        "iss": _text(_ORIGIN),
        "iat": _INSTANT,
        "exp": _INSTANT,
        "sequence": _COUNT,
        "entries": {"type": "array", "items": _ENTRY},
    }
)
_VALIDATOR: Final = Draft202012Validator(_MANIFEST)
