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
from typing import Any

import msgspec
from joserfc.jwk import ECKey, JWKRegistry

import consent
import mappings
from consent import Policy
from consent.agreement_book import AgreementBook, Listing, listing
from gateway import clock, settings
from gateway.calling import connection_files
from gateway.calling.client import PeerClient
from gateway.calling.connection import Connection
from gateway.compiled import Compiled
from gateway.entrance.certificate import Certificate
from gateway.oauth.authenticate import Registration
from gateway.oauth.key_sources import KeySource
from gateway.oauth.registered import Registered
from gateway.oauth.revoked import Revoked
from gateway.settings import IdentitySettings, Settings, mapping_path
from gateway.signing import key_files, keys
from gateway.signing.operational import KeyRing
from gateway.store.work import Store
from gateway.trust.directory import Directory, DirectoryError, Entry
from gateway.trust.names import Names
from gateway.trust.trusted import Trust
from mappings import LocalMapping
from profiles import package_store
from profiles.document import DocumentError
from profiles.registry import Definitions, shipped

log = logging.getLogger("waymeet.node")

# A folder that takes longer than this (seconds) to look through takes at most one fiftieth of the time.
_QUICK_LOOK = 0.02
_LOOK_PART = 50

# Where a node publishes its operational keys under a signature of the key that the directory names.
SIGNED_JWKS = "/.well-known/signed-jwks.jws"

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
_OF_A_PARTNER = frozenset(PARTNER_SCOPES)


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """A name that this node answers under, with its own address and keys."""

    organization: str
    address: str
    host: str
    port: int
    ring: KeyRing
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
        self._passphrase = key_files.stated_passphrase(settings.passphrase_file)
        self.identities: Mapping[str, Identity] = {
            told.organization: self._identity(told) for told in settings.identities
        }
        self._connections = {
            organization: self._connection(f"connections: {organization}", written)
            for organization, written in settings.connections.items()
        }
        self.webhooks: Mapping[str, Connection] = {
            name: self._connection(f"systems: {name}: writeback: auth", system.auth, webhook=True)
            for name, system in settings.systems.items()
            if system.auth
        }
        settings.retention.check(self.policy, settings.path.name)
        self.compiled = Compiled(settings.timezone)
        self.ended: deque[str] = deque()  # disclosures whose last byte is sent; the worker notes them
        self.clients = Registered(settings.clients)
        self.store = open_store(settings, now)
        self.revoked = Revoked(self.store)
        self.certificates: dict[str, Certificate] = {}  # those that `gateway.serve` serves with, by name
        anchors = [_public_key(path) for path in settings.directory.anchors]
        try:
            self.trust = Trust(self.store, settings.directory.folder, anchors, now, settings.directory.grace)
        except DirectoryError:
            self.store.close()
            raise
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
        return self.trust.directory

    @property
    def names(self) -> Names:
        """What the organisations of the directory are called."""
        return Names(self.directory)

    def refresh(self) -> bool:
        """Read directory and agreements again if they have changed, and say so; a bad file changes nothing.

        Opens a unit of work, so it is never called within one: the worker calls it between two.
        """
        changed = self.trust.refresh()
        found = self._agreement_files()
        if found != self._agreements_seen:
            self._agreements_seen = found
            try:
                self.agreements = AgreementBook.read(self.settings.agreements, self.agreements)
                changed = True
            except DocumentError as fault:
                log.error("what has changed is not used: %s", fault)
        if changed:
            self._look_up_partners()
        return changed

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
        """Verify now the signatures of all agreements that a decision can come to rest on.

        Whoever is a partner by one of them is met here: with these keys, until it hands over to others.
        """
        self.trust.pin(*{partner.organization for name in self.identities for partner in self.partners(name)})

    def is_known(self) -> bool:
        """Whether the directory holds the name that we send under, with this address and key.

        Only that one: a victim service provider may well register nothing but its alias.
        """
        ours = self.sends_as
        entry = self.directory.entry(ours.organization)
        return (
            entry is not None and entry.address == ours.address and ours.ring.federation in entry.thumbprints
        )

    def peer(self, organization: str) -> Entry | None:
        """A partner's directory entry as it may be trusted at this moment; None if not at all."""
        return self.trust.entry(organization)

    def partners(self, organization: str) -> tuple[Entry, ...]:
        """Those in the directory that have an agreement in force with one of our identities."""
        now = self.now()
        found = (
            entry
            for other in self.agreements.parties_of(organization)
            if (entry := self.peer(other)) and self.agreements.are_partners(organization, other, now)
        )
        return tuple(sorted(found, key=lambda entry: entry.organization))

    def registration(self, identity: Identity, client_id: str) -> Registration | None:
        """Who may ask for tokens under one of our names: partners, and at home our own systems."""
        local = None if identity.alias else self.clients.find(client_id)
        if local is not None:
            return Registration(
                client_id=client_id,
                keys=local.keys,
                secret=local.secret,
                scopes=local.scopes,
                systems=local.systems & self.settings.systems.keys(),
                purposes=local.purposes,
                active=local.active,
                addresses=local.addresses,
                introspects=local.introspects,
            )
        partner = self.peer(client_id)
        if partner is None or not self.agreements.are_partners(identity.organization, client_id, self.now()):
            return None
        return Registration(
            client_id=client_id,
            keys=_keys_of(partner),
            scopes=_OF_A_PARTNER,
            organization=partner.organization,
            purposes=partner.purposes,
            active=partner.status == "active",
        )

    def _connection(self, where: str, written: Mapping[str, Any], *, webhook: bool = False) -> Connection:
        """How our own name gets a token where the configuration says so. Raises ValueError, KeysError."""
        folder, home = self.settings.path.parent, self.home
        try:
            return connection_files.read(
                written, folder, home.organization, home.ring, self._passphrase, webhook=webhook
            )
        except ValueError as fault:
            raise ValueError(f"{self.settings.path.name}: {where}: {fault}") from None

    def client(self, identity: Identity) -> PeerClient:
        """An HTTP client that speaks for one of our names; for its user to close."""
        return PeerClient(
            identity.organization,
            identity.ring,
            networks=self.settings.networks,
            # What is registered for the agency elsewhere would tie an alias to it.
            connections={} if identity.alias else self._connections,
            ca_file=self.settings.authorities,
        )

    def _identity(self, told: IdentitySettings) -> Identity:
        return Identity(
            told.organization,
            told.address,
            told.host,
            told.port,
            KeyRing.opened(
                told.organization, told.key, told.operational, passphrase=self._passphrase, now=self.now
            ),
            told.alias,
        )

    def alarms(self) -> tuple[str, ...]:
        """What is wrong now with directory, suspensions, keys and TLS, in words for an operator."""
        of_keys = (
            f"{identity.organization.rpartition('/')[2]}: {alarm}"
            for identity in self.identities.values()
            for alarm in identity.ring.alarms(self.now())
        )
        of_tls = (
            f"{organization.rpartition('/')[2]}: {alarm}"
            for organization, certificate in self.certificates.items()
            for alarm in certificate.alarms(self.now())
        )
        return (*self.trust.alarms, *of_keys, *of_tls)

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


def open_store(settings: Settings, now: Callable[[], datetime] = clock.now) -> Store:
    """The store of a node by itself, for its user to close. Raises KeyFileError."""
    return Store(settings.data, _node_key(settings.node_key), settings.tenant, now)


def _node_key(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise keys.KeyFileError(f"{path}: the node key must be readable by its owner only (chmod 600)")
    return path.read_bytes()


def _public_key(path: Path) -> ECKey:
    key = JWKRegistry.import_key(msgspec.json.decode(path.read_bytes()))
    if not isinstance(key, ECKey) or key.is_private:
        raise keys.KeyFileError(f"{path}: a directory anchor is a public EC key")
    return key


def _keys_of(partner: Entry) -> KeySource:
    """A partner's keys: those in the directory, and what its node publishes under a signature of theirs."""
    if partner.endpoints:
        return KeySource(partner.jwks)
    return KeySource(partner.jwks, f"{partner.address}{SIGNED_JWKS}", partner.organization)
