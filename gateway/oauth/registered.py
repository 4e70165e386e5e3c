"""The agency's own systems that may call this node: a folder with one JSON file for each.

A file that is written, changed or taken away counts at the very next call: suspending needs no restart. One
that cannot be read, or says what it must not say, refuses its own client and nobody else. The members:
docs/reference/clients.md.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway import durable
from gateway.oauth import scopes
from gateway.oauth.key_sources import KeySource
from gateway.oauth.key_urls import Network, fetchable
from gateway.oauth.public_keys import registration_fault
from profiles.document import Document, DocumentError, load, parse, read_schema
from profiles.outcome import Issue

log = logging.getLogger("waymeet.clients")

MAX_BYTES: Final = 65_536
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SCHEMA: Final = read_schema(Path(__file__).with_name("client.schema.json"))
_OTHERS_WRITE: Final = 0o022
# What belongs to which way of proving who one is: one of these, and nothing else.
_PROOFS: Final = {"private_key_jwt": ("jwks", "jwks_url"), "client_secret": ("secret_sha256",)}
# Key addresses in any network: whether one may be asked is decided when it is, by the node's configuration.
_ANYWHERE: Final = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))

_Signature = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class LocalClient:
    """One of the agency's own systems, as it is registered.

    keys, secret: how it proves who it is; exactly one of them. secret: the SHA-256 digest of a random secret.
    systems: whose records it may hand in. scopes: the most it is granted. addresses: where it may call from;
    none stated is anywhere. introspects: whether it may ask about others' tokens. key: its private key, where
    this node's own command line acts as it.
    """

    id: str
    keys: KeySource | None
    secret: bytes | None = field(repr=False)
    systems: frozenset[str]
    scopes: frozenset[str]
    purposes: frozenset[str] = frozenset()
    addresses: tuple[Network, ...] = ()
    active: bool = True
    introspects: bool = False
    key: Path | None = None
    name: str = ""


class Registered:
    """The clients in a folder, as its files say at this moment. May be used from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = str(folder)
        self._known: dict[str, tuple[_Signature, LocalClient | None]] = {}

    def find(self, client_id: str) -> LocalClient | None:
        """The client of this id, suspended or not; None where there is none or its file is not good.

        A few microseconds where nothing has changed: the folder and the file are looked at, not read.
        """
        if not _ID.fullmatch(client_id):
            return None
        name = f"{self._path}/{client_id}.json"
        try:
            folder, file = os.stat(self._path), os.stat(name)  # noqa: PTH116 - half of what a Path costs
        except OSError:
            self._known.pop(client_id, None)
            return None
        signature = (folder.st_mode, file.st_mtime_ns, file.st_ctime_ns, file.st_size, file.st_ino)
        known = self._known.get(client_id)
        if known is None or known[0] != signature:
            known = (signature, self._read(Path(name), folder.st_mode))
            self._known[client_id] = known
        return known[1]

    def all(self) -> tuple[LocalClient, ...]:
        """Every client whose file is good, by id."""
        found = (self.find(path.stem) for path in files(self._folder))
        return tuple(client for client in found if client is not None)

    def _read(self, path: Path, folder_mode: int) -> LocalClient | None:
        if folder_mode & _OTHERS_WRITE:
            log.error("the folder %s: others can write to it, so nobody in it is a client", path.parent.name)
            return None
        try:
            return read(path)
        except DocumentError as fault:
            log.error("this client is refused: %s", fault)
            return None


def read(path: Path) -> LocalClient:
    """The client in a registration file. Raises DocumentError, naming file, line and rule and no value."""
    try:
        status = path.stat()
    except OSError:
        raise _fault(path, "the file cannot be read") from None
    if status.st_mode & _OTHERS_WRITE:
        raise _fault(path, "others than its owner can write to it; it needs mode 0600")
    if status.st_size > MAX_BYTES:
        raise _fault(path, f"has more than {MAX_BYTES} bytes")
    return client(load(path, _SCHEMA), path)


def files(folder: Path) -> list[Path]:
    """The registration files of a folder, in the order of their names; none where it does not exist."""
    return sorted(path for path in folder.glob("*.json") if _ID.fullmatch(path.stem))


def write(folder: Path, content: Mapping[str, Any], *, replace: bool = False) -> Path:
    """Write a registration, at once and durably; returns its file, which only its owner can read.

    content: the file's members. replace: an existing one is changed; without it none is ever overwritten.
    A relative `key` is one seen from the folder. Raises DocumentError for what would not be read again,
    FileExistsError, OSError.
    """
    text = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
    path = folder / f"{content['id']}.json"
    client(parse(text.decode(), _SCHEMA, path.name), path)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (durable.replace if replace else durable.create)(path, text)
    return path


def remove(folder: Path, client_id: str) -> None:
    """Take a registration away, durably. Raises FileNotFoundError, ValueError for what is no id."""
    if not _ID.fullmatch(client_id):
        raise ValueError("an id has 1 to 64 letters, digits, dots, dashes and underscores")
    (folder / f"{client_id}.json").unlink()
    durable.sync_folder(folder)


def client(document: Document, path: Path) -> LocalClient:
    """What a registration says that fits its schema. Raises DocumentError for what a schema cannot tell."""
    data: dict[str, Any] = document.data
    issues: list[Issue] = []
    if data["id"] != path.stem:
        issues.append(document.issue(("id",), "must be the file's name without .json"))
    try:
        allowed = frozenset(scopes.split(data["scopes"]) if data["scopes"] else ())
    except scopes.ScopeError as fault:
        allowed = frozenset()
        issues.append(document.issue(("scopes",), str(fault)))
    issues += _proof_issues(document, data["auth"])
    addresses = []
    for number, text in enumerate(data.get("addresses", [])):
        try:
            addresses.append(ipaddress.ip_network(text))
        except ValueError:
            rule = "must be an address, or a network such as 10.2.0.0/16 with no bit set after its mask"
            issues.append(document.issue(("addresses", number), rule))
    if issues:
        raise document.error(issues)
    auth = data["auth"]
    secret = auth.get("secret_sha256")
    return LocalClient(
        id=data["id"],
        keys=None if secret else KeySource(auth.get("jwks", {}), auth.get("jwks_url")),
        secret=bytes.fromhex(secret) if secret else None,
        systems=frozenset(data["systems"]),
        scopes=allowed,
        purposes=frozenset(data.get("purposes", [])),
        addresses=tuple(addresses),
        active=data.get("status", "active") == "active",
        introspects=data.get("introspects", False),
        key=path.parent / data["key"] if "key" in data else None,
        name=data.get("name", ""),
    )


def _proof_issues(document: Document, auth: Mapping[str, Any]) -> list[Issue]:
    """What is wrong about how a client is to prove who it is."""
    allowed = _PROOFS[auth["method"]]
    given = [name for name in ("jwks", "jwks_url", "secret_sha256") if name in auth]
    if len(given) != 1 or given[0] not in allowed:
        rule = f"with method {auth['method']} needs {' or '.join(allowed)}, and nothing else of this kind"
        return [document.issue(("auth",), rule)]
    if "jwks_url" in auth and not fetchable(auth["jwks_url"], _ANYWHERE):
        return [document.issue(("auth", "jwks_url"), "must be an https URL without user and fragment")]
    keys = auth["jwks"]["keys"] if "jwks" in auth else []
    issues = [
        document.issue(("auth", "jwks", "keys", number), found)
        for number, jwk in enumerate(keys)
        if (found := registration_fault(jwk))
    ]
    names = [(jwk.get("kid"), jwk.get("kty")) for jwk in keys]
    if not issues and len(set(names)) < len(names):
        issues.append(document.issue(("auth", "jwks", "keys"), "two keys have the same kid"))
    return issues


def _fault(path: Path, message: str) -> DocumentError:
    return DocumentError([Issue("error", "invalid", message)], path.name)
