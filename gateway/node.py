"""A node, loaded: everything that is read, checked and compiled once at start, and the store.

Opening a node fails loudly: an unreadable key, directory, agreement, policy, mapping or FHIR package stops
the start.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from joserfc.jwk import ECKey, JWKRegistry

import consent
import mappings
from consent import Policy
from consent.agreement_book import AgreementBook, Listing, listing
from gateway import clock, keys, settings
from gateway.authenticate import Registration
from gateway.compiled import Compiled
from gateway.directory import Directory, DirectoryError, Entry
from gateway.names import Names
from gateway.settings import Settings, mapping_path
from gateway.store import marks
from gateway.store.work import Store
from mappings import LocalMapping
from profiles import package_store
from profiles.document import DocumentError
from profiles.registry import Definitions, shipped

log = logging.getLogger("waymeet.node")

# A folder that takes longer than this (seconds) to look through takes at most one fiftieth of the time.
_QUICK_LOOK = 0.02
_LOOK_PART = 50

# What a partner's node may do here, and asks for there: the SDOH-CC "Light" pattern, notifications included.
PARTNER_SCOPES = (
    "system/Bundle.c",
    "system/DocumentReference.r",
    "system/Observation.r",
    "system/Organization.r",
    "system/Patient.r",
    "system/Procedure.c",
    "system/ServiceRequest.r",
    "system/Subscription.crs",
    "system/Task.rus",
)


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """A name that this node answers under, with its own address and key."""

    organization: str
    address: str
    host: str
    port: int
    key: ECKey
    alias: bool

    @property
    def fhir_base(self) -> str:
        """FHIR base URL under this name."""
        return f"{self.address}/fhir"


class Node:
    """Settings, keys, rules, mappings, definitions and store of one node."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] = clock.now) -> None:
        self.settings = settings
        self.now = now
        own_rules = [settings.policies] if settings.policies else []
        self.policy: Policy = consent.load_policy(consent.SHIPPED, *own_rules, state=settings.state)
        if unlisted := sorted(self.policy.unlisted(settings.kinds)):
            raise ValueError(
                f"{settings.path.name}: kinds: no regime on file speaks of {', '.join(unlisted)}, so nothing "
                "could ever go. Name a kind from docs/reference/regimes, or add a policy folder."
            )
        added = package_store.kept(settings.packages)
        self.definitions: Definitions = Definitions(added) if added else shipped()
        self.agreements = AgreementBook.read(settings.agreements)
        self._agreements_seen: Listing = self.agreements.listing
        self._look_again = 0.0
        self.mappings: Mapping[str, LocalMapping] = {
            name: mappings.load(mapping_path(settings, system.mapping))
            for name, system in settings.systems.items()
        }
        self.identities: Mapping[str, Identity] = {
            entry.organization: Identity(
                entry.organization,
                entry.address,
                entry.host,
                entry.port,
                keys.load(entry.key),
                entry.alias,
            )
            for entry in settings.identities
        }
        settings.retention.check(self.policy, settings.path.name)
        self.compiled = Compiled(settings.timezone)
        self.ended: deque[str] = deque()  # disclosures whose last byte is sent; the worker notes them
        self._anchors = [_public_key(path) for path in settings.anchors]
        self._locals = {client.id: client for client in settings.clients}
        self._local_jwks = {client.id: _jwks(client.jwks) for client in settings.clients}
        self.store = Store(settings.data, _node_key(settings.node_key), settings.tenant, now)
        self._directory_seen = _changed(settings.directory)
        self._directory = self._read_directory()
        self._look_up_partners()

    @property
    def home(self) -> Identity:
        """The identity that the agency's own systems talk to."""
        return self.identities[self.settings.home.organization]

    @property
    def sends_as(self) -> Identity:
        """The identity that referrals leave under."""
        return self.identities[self.settings.sends_as.organization]

    @property
    def directory(self) -> Directory:
        """The directory in use."""
        return self._directory

    @property
    def names(self) -> Names:
        """What the organisations of the directory are called."""
        return Names(self.directory)

    def refresh(self) -> bool:
        """Read directory and agreements again if they have changed, and say so; a bad file changes nothing.

        Opens a unit of work, so it is never called within one: the worker calls it between two.
        """
        directory, agreements = _changed(self.settings.directory), self._agreement_files()
        if (directory, agreements) == (self._directory_seen, self._agreements_seen):
            return False
        self._directory_seen, self._agreements_seen = directory, agreements
        try:
            self._directory = self._read_directory()
            self.agreements = AgreementBook.read(self.settings.agreements, self.agreements)
        except (DirectoryError, DocumentError) as fault:
            log.error("what has changed is not used: %s", fault)
            return False
        self._look_up_partners()
        return True

    def _agreement_files(self) -> Listing:
        """The agreement files as they are now; where there are very many, as they were a moment ago."""
        began = time.monotonic()
        if began < self._look_again:
            return self._agreements_seen
        found = listing(self.settings.agreements)
        took = time.monotonic() - began
        if took > _QUICK_LOOK:
            self._look_again = began + _LOOK_PART * took
        return found

    def _look_up_partners(self) -> None:
        """Verify now the signatures of all agreements that a decision can come to rest on."""
        for organization in self.identities:
            self.partners(organization)

    def is_known(self) -> bool:
        """Whether the directory holds the name that we send under, with this address and key.

        Only that one: a victim service provider may well register nothing but its alias.
        """
        ours = self.sends_as
        entry = self.directory.entry(ours.organization)
        return (
            entry is not None
            and entry.address == ours.address
            and ours.key.thumbprint() in {key.get("kid") for key in entry.jwks["keys"]}
        )

    def _read_directory(self) -> Directory:
        """The directory in the file; one older than any that was ever used here is refused (rollback)."""
        with self.store.work() as work:
            lowest = marks.highest(work, marks.DIRECTORY)
            found = Directory.read(self.settings.directory, self._anchors, self.now(), lowest)
            marks.note(work, marks.DIRECTORY, found.sequence)
        return found

    def peer(self, organization: str) -> Entry | None:
        """A partner's directory entry; None when unknown or when the directory itself has expired."""
        directory = self.directory
        return None if directory.expired(self.now()) else directory.entry(organization)

    def partners(self, organization: str) -> tuple[Entry, ...]:
        """Those in the directory that have an agreement in force with one of our identities."""
        directory, now = self.directory, self.now()
        if directory.expired(now):
            return ()
        found = (
            entry
            for other in self.agreements.parties_of(organization)
            if (entry := directory.entry(other)) and self.agreements.are_partners(organization, other, now)
        )
        return tuple(sorted(found, key=lambda entry: entry.organization))

    def registration(self, identity: Identity, client_id: str) -> Registration | None:
        """Who may ask for tokens under one of our names: partners, and at home our own systems."""
        local = None if identity.alias else self._locals.get(client_id)
        if local is not None:
            return Registration(
                client_id=client_id,
                jwks=self._local_jwks[client_id],
                scopes=frozenset(local.scopes.split()),
                organization=None,
                systems=local.systems,
                purposes=frozenset(),
                active=local.active,
            )
        partner = self.peer(client_id)
        if partner is None or not self.agreements.are_partners(identity.organization, client_id, self.now()):
            return None
        return Registration(
            client_id=client_id,
            jwks=partner.jwks,
            scopes=frozenset(PARTNER_SCOPES),
            organization=partner.organization,
            systems=frozenset(),
            purposes=partner.purposes,
            active=partner.status == "active",
        )

    def stamp(self) -> str:
        """This moment as it is written in resources."""
        return clock.stamp(self.now())

    def inbox(self) -> str | None:
        """The system that gets offers and dossiers from partners."""
        return next((name for name, system in self.settings.systems.items() if system.inbox), None)

    def close(self) -> None:
        """Release the store."""
        self.store.close()


@contextmanager
def opened(config: Path) -> Iterator[Node]:
    """The node of a configuration file, opened beside a running one, as the command line does."""
    node = Node(settings.read(config))
    try:
        yield node
    finally:
        node.close()


def _node_key(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise keys.KeyFileError(f"{path}: the node key must be readable by its owner only (chmod 600)")
    return path.read_bytes()


def _public_key(path: Path) -> ECKey:
    key = JWKRegistry.import_key(msgspec.json.decode(path.read_bytes()))
    if not isinstance(key, ECKey) or key.is_private:
        raise keys.KeyFileError(f"{path}: a directory anchor is a public EC key")
    return key


def _jwks(path: Path) -> Mapping[str, object]:
    found: Mapping[str, object] = msgspec.json.decode(path.read_bytes())
    return found


def _changed(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
