"""The agency's own side of a node: hand it a record, with a token, as its own system would."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec

import mappings
from gateway.calling.client import Answer, PeerClient
from gateway.oauth.registered import LocalClient, Registered
from gateway.settings import Settings, mapping_path
from gateway.signing import key_files, keys
from gateway.signing.operational import KeyRing
from gateway.trust.directory import Entry

_CONTENT_TYPES = {
    ".csv": "text/csv",
    ".hl7": "x-application/hl7-v2+er7",
    ".json": "application/json",
    ".ndjson": "application/x-ndjson",
    ".xml": "application/xml",
    ".zip": "application/zip",
}


class NoClient(Exception):  # noqa: N818 - says what is missing
    """The configuration has no client that could act here."""


async def send_record(settings: Settings, system: str, body: bytes, suffix: str) -> Answer:
    """What the node answers to a record for one of its systems. Raises NoClient or transport.PeerError."""
    content_type = _CONTENT_TYPES.get(suffix, "application/octet-stream")
    return await _post(
        settings, system, f"/records/{system}", body, content_type, "system/ServiceRequest.c system/Task.u"
    )


async def send_consent(settings: Settings, consent: dict[str, Any]) -> Answer:
    """What the node answers to a Consent. Raises NoClient or transport.PeerError."""
    body = msgspec.json.encode(consent)
    system = next(iter(settings.systems))
    return await _post(settings, system, "/fhir/Consent", body, "application/fhir+json", "system/Consent.c")


def person_in(settings: Settings, path: Path) -> tuple[str, str]:
    """Whose record it is: the identifier (system, value) that a system's mapping finds in it.

    Raises ValueError when no system's mapping finds a person, and OSError.
    """
    body = read_record(path, settings.body_limit)
    for system in settings.systems.values():
        mapping = mappings.load(mapping_path(settings, system.mapping))
        try:
            subjects = {mapping.map(record).subject for record in mapping.read(body)} - {None}
        except mappings.RecordError:
            continue
        if len(subjects) == 1 and (subject := subjects.pop()):
            return subject
    raise ValueError(f"{path.name}: no mapping of this node finds exactly one person in it")


def read_record(path: Path, limit: int) -> bytes:
    """A record file, no longer than the node would take. Raises OSError or ValueError."""
    if path.stat().st_size > limit:
        raise ValueError(f"the file is longer than the node takes: {limit} bytes")
    return path.read_bytes()


async def _post(
    settings: Settings, system: str, path: str, body: bytes, content_type: str, scope: str
) -> Answer:
    acting = _client(settings, system)
    assert acting.key is not None
    key = keys.load(acting.key, key_files.stated_passphrase(settings.passphrase_file))
    client = PeerClient(
        acting.id,
        KeyRing.of(key),
        networks=[ip_network("0.0.0.0/0"), ip_network("::/0")],  # our own node is where we put it
        ca_file=settings.authorities,
        max_body=16 * 1024 * 1024,
    )
    try:
        return await client.request(
            _own_node(settings),
            "POST",
            path,
            scope=scope,
            headers={"Content-Type": content_type},
            content=body,
        )
    finally:
        await client.close()


def _client(settings: Settings, system: str) -> LocalClient:
    if system not in settings.systems:
        known = ", ".join(settings.systems)
        raise NoClient(f"there is no system {system} in {settings.path.name}; there is {known}")
    for client in Registered(settings.clients).all():
        if client.key is not None and client.active and system in client.systems:
            return client
    raise NoClient(f"no client with a `key` may hand in records of {system}; see `waymeet client list`")


def _own_node(settings: Settings) -> Entry:
    home = settings.home
    return Entry(home.organization, settings.name, home.address, {}, frozenset(), (), {}, "active")
