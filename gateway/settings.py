"""A node's configuration file, read once and checked: unknown keys, missing files and bad values stop the
start, with file and line. Relative paths are relative to the file itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import mappings
from gateway.retention import Retention
from profiles.document import Document, DocumentError, load, read_schema
from profiles.outcome import Issue

Network = IPv4Network | IPv6Network

VICTIM_SERVICES = "victim-service-provider"
CONSENTS = "consent"  # the last part of `POST /records/consent`, so no system's name

_SCHEMA = read_schema(Path(__file__).with_name("node.schema.json"))


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """A name that this node answers under: an entry of its own in the directory.

    `alias` identities speak to partners only; an agency's own systems use the first one without it.
    key: the federation key. operational: folder of the keys that it vouches for. tls: certificate and key.
    """

    organization: str
    address: str
    host: str
    port: int
    key: Path
    alias: bool
    operational: Path
    tls: tuple[Path, Path] | None


@dataclass(frozen=True, slots=True)
class SystemSettings:
    """One of the agency's own systems: how its records read, and where answers go.

    auth: how to get a token for the webhook (`gateway.calling.connection_files`).
    """

    name: str
    mapping: str
    folder: Path | None
    webhook: str | None
    auth: Mapping[str, Any] | None
    recipients: Mapping[str, str]
    inbox: bool


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """The mirror of the directory. url: where it is fetched from; None: somebody lays it into the folder.

    grace: how long after its end existing partners go on.
    """

    folder: Path
    url: str | None
    anchors: tuple[Path, ...]
    poll_seconds: int
    grace: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one caller may ask for, and how long (seconds) a request may take to come and to be taken."""

    requests_per_second: int = 200
    requests_at_once: int = 64
    headers_seconds: int = 10
    body_seconds: int = 30
    answer_seconds: int = 30


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a node is told by its operator.

    networks: what partners' addresses may lie in besides public ones. proxies: whose word about a caller's
    address is believed. authorities: further TLS authorities to trust (PEM). connections: by the partner's
    directory URL, how to get a token there. clients: folder of the agency's own systems' registrations.
    """

    path: Path
    name: str
    tenant: str
    kinds: frozenset[str]
    state: str | None
    contact: str
    timezone: ZoneInfo
    identities: tuple[IdentitySettings, ...]
    directory: DirectorySettings
    agreements: Path
    policies: Path | None
    data: Path
    node_key: Path
    passphrase_file: Path | None
    rotate_keys: bool
    networks: tuple[Network, ...]
    proxies: tuple[Network, ...]
    authorities: Path | None
    limits: Limits
    connections: Mapping[str, Mapping[str, Any]]
    close_grace_minutes: int
    retention: Retention
    poll_minutes: int
    quiet: bool
    consent_service: bool
    body_limit: int
    systems: Mapping[str, SystemSettings]
    clients: Path

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
        directory=_directory(base, data["directory"]),
        agreements=base / data["agreements"],
        policies=_optional(base, data, "policies"),
        data=base / data["data"],
        node_key=base / data["node_key"],
        passphrase_file=_optional(base, data, "passphrase_file"),
        rotate_keys=data.get("rotate_keys", True),
        networks=_networks(document, "networks"),
        proxies=_networks(document, "proxies"),
        authorities=_optional(base, data, "authorities"),
        limits=Limits(**data.get("limits", {})),
        connections=data.get("connections", {}),
        close_grace_minutes=data.get("close_grace_minutes", 24 * 60),
        retention=Retention.stated(data.get("retention", {}), data["kinds"]),
        poll_minutes=data.get("poll_minutes", 15),
        quiet=data.get("quiet", False),
        consent_service=data.get("consent_service", VICTIM_SERVICES not in data["kinds"]),
        body_limit=data.get("body_limit_bytes", 1024 * 1024),
        systems={name: _system(base, name, entry) for name, entry in data["systems"].items()},
        clients=base / data["clients"],
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
        operational=base / entry.get("operational", str(Path(entry["key"]).with_suffix(".operational"))),
        tls=(base / entry["tls"]["certificate"], base / entry["tls"]["key"]) if "tls" in entry else None,
    )


def _directory(base: Path, entry: Mapping[str, Any]) -> DirectorySettings:
    return DirectorySettings(
        folder=base / entry["folder"],
        url=entry.get("url"),
        anchors=tuple(base / anchor for anchor in entry["anchors"]),
        poll_seconds=entry.get("poll_seconds", 30),
        grace=timedelta(days=entry.get("grace_days", 14)),
    )


def _system(base: Path, name: str, entry: Mapping[str, Any]) -> SystemSettings:
    writeback = entry.get("writeback", {})
    return SystemSettings(
        name=name,
        mapping=entry["mapping"],
        folder=base / writeback["folder"] if "folder" in writeback else None,
        webhook=writeback.get("webhook"),
        auth=writeback.get("auth"),
        recipients=dict(entry.get("recipients", {})),
        inbox=entry.get("inbox", False),
    )


def _optional(base: Path, data: Mapping[str, Any], name: str) -> Path | None:
    return base / data[name] if name in data else None


def _networks(document: Document, name: str) -> tuple[Network, ...]:
    found, issues = [], []
    for number, text in enumerate(document.data.get(name, ())):
        try:
            found.append(ip_network(text))
        except ValueError:
            issues.append(document.issue((name, number), "is not a network, such as 10.2.0.0/16"))
    if issues:
        raise document.error(issues)
    return tuple(found)


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
    issues += [
        document.issue(("identities", number, "tls"), "serves https, and the address says http")
        for number, identity in enumerate(settings.identities)
        if identity.tls and identity.address.startswith("http:")
    ]
    if CONSENTS in settings.systems:
        issues.append(
            document.issue(("systems", CONSENTS), "is where consents are handed in; choose another name")
        )
    if issues:
        raise document.error(issues)
