"""A node's configuration file, read once and checked: unknown keys, missing files and bad values stop the
start, with file and line. Relative paths are relative to the file itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import mappings
from gateway import scopes
from gateway.retention import Retention
from profiles.document import Document, DocumentError, load, read_schema
from profiles.outcome import Issue

VICTIM_SERVICES = "victim-service-provider"
CONSENTS = "consent"  # the last part of `POST /records/consent`, so no system's name

_SCHEMA = read_schema(Path(__file__).with_name("node.schema.json"))


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """A name that this node answers under: an entry of its own in the directory.

    `alias` identities speak to partners only; an agency's own systems use the first one without it.
    """

    organization: str
    address: str
    host: str
    port: int
    key: Path
    alias: bool


@dataclass(frozen=True, slots=True)
class SystemSettings:
    """One of the agency's own systems: how its records read, and where answers go."""

    name: str
    mapping: str
    folder: Path | None
    webhook: str | None
    recipients: Mapping[str, str]
    inbox: bool


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """A client of the agency's own that may hand in records."""

    id: str
    jwks: Path
    key: Path | None
    systems: frozenset[str]
    scopes: str
    active: bool


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a node is told by its operator."""

    path: Path
    name: str
    tenant: str
    kinds: frozenset[str]
    state: str | None
    contact: str
    timezone: ZoneInfo
    identities: tuple[IdentitySettings, ...]
    directory: Path
    anchors: tuple[Path, ...]
    agreements: Path
    policies: Path | None
    data: Path
    node_key: Path
    close_grace_minutes: int
    retention: Retention
    poll_minutes: int
    quiet: bool
    consent_service: bool
    body_limit: int
    systems: Mapping[str, SystemSettings]
    clients: tuple[ClientSettings, ...]

    @property
    def packages(self) -> Path:
        """Where the FHIR packages are kept that were added (`waymeet profiles add`)."""
        return self.data / "packages"

    @property
    def home(self) -> IdentitySettings:
        """The identity that the agency's own systems talk to."""
        return next(identity for identity in self.identities if not identity.alias)

    @property
    def sends_as(self) -> IdentitySettings:
        """The identity that referrals leave under: an alias where there is one."""
        return next((identity for identity in self.identities if identity.alias), self.home)


def read(path: Path) -> Settings:
    """The settings in the file at `path`. Raises DocumentError naming file, line and key."""
    if not path.exists():
        missing = "there is no such file; name the node's with --config FILE, or in WAYMEET_CONFIG"
        raise DocumentError([Issue("error", "not-found", missing)], str(path))
    document = load(path, _SCHEMA)
    data: dict[str, Any] = document.data
    base = path.resolve().parent
    settings = Settings(
        path=path.resolve(),
        name=data["name"],
        tenant=data.get("tenant", "main"),
        kinds=frozenset(data["kinds"]),
        state=data.get("state"),
        contact=f"{data['contact']['name']}, {data['contact']['telecom']}",
        timezone=_timezone(document),
        identities=tuple(_identity(base, entry) for entry in data["identities"]),
        directory=base / data["directory"]["file"],
        anchors=tuple(base / anchor for anchor in data["directory"]["anchors"]),
        agreements=base / data["agreements"],
        policies=base / data["policies"] if "policies" in data else None,
        data=base / data["data"],
        node_key=base / data["node_key"],
        close_grace_minutes=data.get("close_grace_minutes", 24 * 60),
        retention=Retention.stated(data.get("retention", {}), data["kinds"]),
        poll_minutes=data.get("poll_minutes", 15),
        quiet=data.get("quiet", False),
        consent_service=data.get("consent_service", VICTIM_SERVICES not in data["kinds"]),
        body_limit=data.get("body_limit_bytes", 1024 * 1024),
        systems={name: _system(base, name, entry) for name, entry in data["systems"].items()},
        clients=tuple(_client(base, entry) for entry in data["clients"]),
    )
    _check(document, settings)
    return settings


def mapping_path(settings: Settings, named: str) -> Path:
    """A mapping file beside the configuration, or else a shipped mapping by its name."""
    local = settings.path.parent / named
    return local if local.is_file() else mappings.shipped(named)


def _identity(base: Path, entry: Mapping[str, Any]) -> IdentitySettings:
    host, _, port = entry["listen"].rpartition(":")
    return IdentitySettings(
        organization=entry["organization"],
        address=entry["address"],
        host=host.strip("[]"),
        port=int(port),
        key=base / entry["key"],
        alias=entry.get("alias", False),
    )


def _system(base: Path, name: str, entry: Mapping[str, Any]) -> SystemSettings:
    writeback = entry.get("writeback", {})
    return SystemSettings(
        name=name,
        mapping=entry["mapping"],
        folder=base / writeback["folder"] if "folder" in writeback else None,
        webhook=writeback.get("webhook"),
        recipients=dict(entry.get("recipients", {})),
        inbox=entry.get("inbox", False),
    )


def _client(base: Path, entry: Mapping[str, Any]) -> ClientSettings:
    return ClientSettings(
        id=entry["id"],
        jwks=base / entry["jwks"],
        key=base / entry["key"] if "key" in entry else None,
        systems=frozenset(entry["systems"]),
        scopes=entry["scopes"],
        active=entry.get("active", True),
    )


def _timezone(document: Document) -> ZoneInfo:
    try:
        return ZoneInfo(document.data.get("timezone", "UTC"))
    except (ZoneInfoNotFoundError, ValueError):
        raise document.error(
            [document.issue(("timezone",), "is not the name of a time zone, such as America/New_York")]
        ) from None


def _check(document: Document, settings: Settings) -> None:
    """What one entry must be true to another; everything wrong is said at once."""
    issues = []
    if all(identity.alias for identity in settings.identities):
        issues.append(document.issue(("identities",), "needs one identity that is not an alias"))
    if sum(system.inbox for system in settings.systems.values()) > 1:
        issues.append(document.issue(("systems",), "at most one system can be the inbox"))
    if settings.consent_service and VICTIM_SERVICES in settings.kinds:
        issues.append(
            document.issue(("consent_service",), "a victim service provider's node cannot have this service")
        )
    if CONSENTS in settings.systems:
        issues.append(
            document.issue(("systems", CONSENTS), "is where consents are handed in; choose another name")
        )
    for number, client in enumerate(settings.clients):
        issues += [
            document.issue(("clients", number, "systems"), f"there is no system {name!r} in this file")
            for name in sorted(client.systems - settings.systems.keys())
        ]
        try:
            scopes.split(client.scopes)
        except scopes.ScopeError as fault:
            issues.append(document.issue(("clients", number, "scopes"), str(fault)))
    if issues:
        raise document.error(issues)
