"""Write what a new node needs: configuration, keys, a directory and an agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any

import msgspec
from joserfc.jwk import ECKey

from consent.agreement_draft import draft
from consent.agreement_signing import sign as sign_agreement
from gateway.oauth import registered
from gateway.signing import keys
from gateway.store.vault import make_node_key
from gateway.trust.directory_signing import publish

CLIENT = "own-system"
DIRECTORY_DAYS = 7
TEMPLATES = Path(__file__).parent / "templates"
_TEMPLATE = Template((TEMPLATES / "node.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Name:
    """One name of a node. services: (referral type, area, languages) that it offers under it."""

    organization: str
    name: str
    address: str
    listen: str
    alias: bool = False
    services: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    @property
    def id(self) -> str:
        """The last part of its directory URL, which also names its key file."""
        return self.organization.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Plan:
    """A node to be written. writeback: one line of YAML, `folder: …` or `webhook: …`."""

    name: str
    kind: str
    names: tuple[Name, ...]
    system: str
    writeback: str
    recipients: Mapping[str, str] = field(default_factory=dict)
    contact: tuple[str, str] = ("Data steward", "steward@agency.example")
    grace_minutes: int = 24 * 60


def write_node(folder: Path, plan: Plan) -> list[dict[str, Any]]:
    """Write the node's folder; returns its entries for the directory.

    Raises FileExistsError rather than overwrite a key or a configuration.
    """
    for part in ("keys", "agreements", "data"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "keys").chmod(0o700)
    make_node_key(folder / "keys" / "node.key")
    entries = []
    for one in plan.names:
        key = keys.generate()
        keys.save(_key_file(folder, one), key)
        entries.append(_entry(one, key))
    client = keys.generate()
    keys.save(folder / "keys" / f"{CLIENT}.pem", client)
    registered.write(
        folder / "clients",
        {
            "id": CLIENT,
            "name": "The agency's own system",
            "systems": [plan.system],
            "scopes": "system/ServiceRequest.c system/Task.u system/Consent.c",
            "auth": {"method": "private_key_jwt", "jwks": keys.public_jwks(client)},
            "status": "active",
            "key": f"../keys/{CLIENT}.pem",
        },
    )
    with (folder / "node.yaml").open("x", encoding="utf-8") as file:
        file.write(_configuration(plan))
    return entries


def write_anchor(folder: Path) -> ECKey:
    """A key that signs directories: the private half stays in `folder`. Raises FileExistsError."""
    folder.mkdir(parents=True, exist_ok=True)
    key = keys.generate()
    keys.save(folder / "anchor.pem", key)
    return key


def publish_directory(
    folders: Sequence[Path],
    anchor: ECKey,
    issuer: str,
    entries: Sequence[Mapping[str, Any]],
    sequence: int,
    now: datetime,
) -> None:
    """Sign a directory and lay it, with the anchor's public half, into each node's folder."""
    public = keys.public_jwks(anchor)["keys"][0]
    for folder in folders:
        place = folder / "directory"
        publish(place, issuer, entries, anchor, sequence=sequence, now=now, days=DIRECTORY_DAYS)
        write_json(folder / "keys" / "anchor.pub.json", public)


def agreement(source: tuple[Name, Path], recipient: tuple[Name, Path], *, now: datetime) -> dict[str, Any]:
    """An agreement by which `source` may refer people who need food to `recipient`, for a year.

    The shipped template for minimal-data coordination, signed by both. source, recipient: the name and the
    folder of the node that holds its key. Raises KeyFileError.
    """
    signing = {one.organization: keys.load(_key_file(folder, one)) for one, folder in (source, recipient)}
    content = draft(
        "minimal-data-coordination",
        {
            "id": f"{source[0].id}-{recipient[0].id}",
            "source": _party(source[0], signing),
            "recipient": _party(recipient[0], signing),
            "referralTypes": ["food-insecurity"],
            "start": (now - timedelta(days=1)).date().isoformat(),
            "end": (now + timedelta(days=365)).date().isoformat(),
            "zone": "America/New_York",
        },
    )
    for organization, key in signing.items():
        content = sign_agreement(content, organization, key)
    return content


def _party(one: Name, signing: Mapping[str, ECKey]) -> dict[str, Any]:
    return {
        "organization": one.organization,
        "name": one.name,
        "keys": [signing[one.organization].thumbprint()],
        "primary": {"name": "Intake desk", "email": f"intake@{one.id}.example"},
        "backup": {"name": "Duty manager", "email": f"duty@{one.id}.example"},
    }


def _key_file(folder: Path, one: Name) -> Path:
    return folder / "keys" / f"{one.id}.pem"


def write_agreement(folders: Sequence[Path], content: Mapping[str, Any]) -> None:
    """Lay an agreement into the folders of its parties."""
    for folder in folders:
        write_json(folder / "agreements" / f"{content['id']}.json", content)


def _configuration(plan: Plan) -> str:
    identities = "".join(
        f"  - organization: {one.organization}\n"
        f"    address: {one.address}\n"
        f"    listen: {one.listen}\n"
        f"    key: keys/{one.id}.pem\n" + ("    alias: true\n" if one.alias else "")
        for one in plan.names
    )
    recipients = "".join(f"\n      {name}: {url}" for name, url in plan.recipients.items()) or " {}"
    return _TEMPLATE.substitute(
        name=_quoted(plan.name),
        kind=plan.kind,
        contact_name=_quoted(plan.contact[0]),
        contact_telecom=_quoted(plan.contact[1]),
        identities=identities,
        grace=plan.grace_minutes,
        system=plan.system,
        mapping=plan.system,
        writeback=plan.writeback,
        recipients=recipients,
    )


def _entry(one: Name, key: ECKey) -> dict[str, Any]:
    return {
        "organization": one.organization,
        "name": one.name,
        "address": one.address,
        "jwks": keys.public_jwks(key),
        "purposes": ["COC"],
        "services": [
            {"referral_type": referral_type, "area": area, "languages": list(languages)}
            for referral_type, area, languages in one.services
        ],
        "contacts": {
            "primary": {"name": "Intake desk", "telecom": f"mailto:intake@{one.id}.example"},
            "backup": {"name": "Duty manager", "telecom": f"mailto:duty@{one.id}.example"},
        },
        "status": "active",
    }


def _quoted(text: str) -> str:
    """`text` as a YAML scalar: JSON's quoting is YAML's too."""
    return msgspec.json.encode(text).decode()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON."""
    path.write_bytes(as_json(value))


def as_json(value: Any) -> bytes:
    """`value` as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"
