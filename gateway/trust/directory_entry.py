"""One participant, as the directory has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from gateway.trust.directory_form import Keys, converted
from gateway.trust.directory_rules import thumbprint


@dataclass(frozen=True, slots=True)
class Service:
    """What an organisation offers, a FHIR HealthcareService in small.

    referral_type: Gravity SDOH category code. code: a narrower code, where there is one. area: coverage
    area in words or code. languages: BCP 47 tags. source, assured: who other than the organisation itself
    vouches for it, and since when.
    """

    referral_type: str
    area: str
    languages: tuple[str, ...]
    code: str | None = None
    source: str | None = None
    assured: date | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One participant as the convening body vouches for it.

    organization: its directory URL, by which it is referred to everywhere and which is its OAuth
    `client_id`. address: origin of its node. jwks: its public keys (JWK Set). purposes: v3-ActReason codes
    it may ask for. contacts: `primary` and `backup`, each with `name` and `telecom`. endpoints: `fhir`,
    `token`, `issuer`, full URLs where they do not follow from the address. succession: its key changes,
    each signed by a key of the set before, oldest first. wire, profiles: what it speaks. name_source,
    name_assured: as in `Service`, of the name.
    """

    organization: str
    name: str
    address: str
    jwks: Mapping[str, Any]
    purposes: frozenset[str]
    services: tuple[Service, ...]
    contacts: Mapping[str, Mapping[str, str]]
    status: Literal["active", "suspended"]
    endpoints: Mapping[str, str] = field(default_factory=dict)
    succession: tuple[str, ...] = ()
    wire: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    name_source: str | None = None
    name_assured: date | None = None

    @property
    def id(self) -> str:
        """The FHIR id of the Organization: the last part of its directory URL."""
        return self.organization.rpartition("/")[2]

    @property
    def fhir_base(self) -> str:
        """FHIR base URL of the node."""
        return self.endpoints.get("fhir") or f"{self.address}/fhir"

    @property
    def token_endpoint(self) -> str:
        """OAuth token endpoint of the node."""
        return self.endpoints.get("token") or f"{self.address}/oauth/token"

    @property
    def issuer(self) -> str:
        """The `iss` of the access tokens that the node issues."""
        return self.endpoints.get("issuer") or self.address

    @property
    def thumbprints(self) -> frozenset[str]:
        """The RFC 7638 thumbprints of its keys. Raises DirectoryError for a set that no directory holds."""
        return frozenset(map(thumbprint, converted(self.jwks, Keys, "jwks").keys))


def organization_resource(entry: Entry) -> dict[str, Any]:
    """The FHIR R4 Organization that every node serves from its copy: nothing but name and activity."""
    return {
        "resourceType": "Organization",
        "id": entry.id,
        "active": entry.status == "active",
        "name": entry.name,
    }


def entry_of(members: Mapping[str, Any]) -> Entry:
    """The entry of a statement whose form and rules were checked."""
    services = tuple(
        Service(
            referral_type=service["referral_type"],
            area=service["area"],
            languages=tuple(service["languages"]),
            code=service.get("code"),
            source=service.get("source"),
            assured=_date(service.get("assured")),
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
        endpoints=members.get("endpoints", {}),
        succession=tuple(members.get("succession", ())),
        wire=tuple(members.get("wire", ())),
        profiles=tuple(members.get("profiles", ())),
        name_source=members.get("name_source"),
        name_assured=_date(members.get("name_assured")),
    )


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
