"""Content under lock: one key per referral (or consent), kept apart from the content it opens.

A key is written, durably, before the content it seals; destroying it destroys the content wherever a copy
of the database may lie. Keys are wrapped by the node's key, which is a file outside both databases. The
vault has a file of its own so that its backups can be short-lived.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, LargeBinary, MetaData, String, Table, bindparam, delete, insert, select

from gateway import fhir_json
from gateway.store.database import sqlite_engine

KEY_BYTES = 32
NONCE_BYTES = 12
KEYS_IN_MEMORY = 256

_metadata = MetaData()
_content_key = Table(
    "content_key",
    _metadata,
    Column("tenant", String, primary_key=True),
    Column("owner_id", String, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)


# Built once: building a statement costs more than running it.
_WRAPPED = select(_content_key.c.wrapped).where(
    _content_key.c.tenant == bindparam("tenant"), _content_key.c.owner_id == bindparam("owner")
)
_DESTROY = delete(_content_key).where(
    _content_key.c.tenant == bindparam("tenant"), _content_key.c.owner_id == bindparam("owner")
)


class Erased(Exception):  # noqa: N818 - a state, not a fault
    """The key of this content has been destroyed: the content no longer exists."""


def make_node_key(path: Path) -> None:
    """Write a fresh 256-bit node key, readable by its owner only. Raises FileExistsError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        path.chmod(0o600)
        file.write(secrets.token_bytes(KEY_BYTES))


class Vault:
    """Seals and opens a tenant's content, and makes its keyed digests."""

    def __init__(self, path: Path, node_key: bytes, tenant: str) -> None:
        if len(node_key) != KEY_BYTES:
            raise ValueError("the node key must be 32 bytes")
        self._engine = sqlite_engine(path)
        _metadata.create_all(self._engine)
        # A look-up is one statement: no write lock, no transaction of its own.
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._wrap = AESGCM(node_key)
        self._digest_key = hmac.digest(node_key, b"waymeet digest " + tenant.encode(), "sha256")
        self._tenant = tenant
        self._lately: dict[str, bytes] = {}

    def create(self, owner_id: str) -> None:
        """Make the key of a new owner; it is durable when this returns."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        key = AESGCM.generate_key(bit_length=KEY_BYTES * 8)
        wrapped = nonce + self._wrap.encrypt(nonce, key, self._bound(owner_id, "key"))
        with self._engine.begin() as connection:
            connection.execute(
                insert(_content_key).values(tenant=self._tenant, owner_id=owner_id, wrapped=wrapped)
            )

    def seal(self, owner_id: str, name: str, value: object) -> bytes:
        """`value` (JSON-able) as bytes that only `open` with the same owner and name can read."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        plain = fhir_json.encode(value)
        return nonce + AESGCM(self._key(owner_id)).encrypt(nonce, plain, self._bound(owner_id, name))

    def open(self, owner_id: str, name: str, sealed: bytes) -> bytes:
        """The JSON bytes that were sealed. Raises Erased when the key is gone or does not fit."""
        try:
            return AESGCM(self._key(owner_id)).decrypt(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._bound(owner_id, name)
            )
        except InvalidTag as fault:
            raise Erased(owner_id) from fault

    def destroy(self, owner_id: str) -> bool:
        """Destroy the owner's key; True when it is gone from the write-ahead log as well.

        False when another process was reading at that moment: the key opens nothing here any more, but
        call again to be sure that no file holds it.
        """
        with self._engine.begin() as connection:
            connection.execute(_DESTROY, {"tenant": self._tenant, "owner": owner_id})
        self._lately.pop(owner_id, None)
        log = self._engine.raw_connection()
        try:
            cursor = log.cursor()
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return bool(cursor.fetchall()[0][0] == 0)  # its first column: busy
        finally:
            log.close()

    def digest(self, label: str, *parts: str) -> str:
        """A keyed digest (HMAC-SHA-256) of `parts`, told apart by `label`."""
        message = "\x00".join((label, *parts)).encode()
        return hmac.digest(self._digest_key, message, "sha256").hex()

    def pseudonym(self, owner_id: str, text: str) -> str:
        """A name for `text` that holds within one owner and means nothing once its key is destroyed."""
        return hmac.digest(self._key(owner_id), b"pseudonym " + text.encode(), hashlib.sha256).hex()[:32]

    def close(self) -> None:
        """Release every connection."""
        self._engine.dispose()

    def _key(self, owner_id: str) -> bytes:
        """An owner's key, from memory if it was used lately. Rows are deleted before their key is destroyed,
        so a key that another process has destroyed finds nothing here that it could still open.
        """
        known = self._lately.get(owner_id)
        if known is None:
            known = self._lately[owner_id] = self._unwrapped(owner_id)
            while len(self._lately) > KEYS_IN_MEMORY:
                self._lately.pop(next(iter(self._lately)), None)
        return known

    def _unwrapped(self, owner_id: str) -> bytes:
        with self._reading.connect() as connection:
            wrapped = connection.execute(_WRAPPED, {"tenant": self._tenant, "owner": owner_id}).scalar()
        if wrapped is None:
            raise Erased(owner_id)
        try:
            return self._wrap.decrypt(
                wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], self._bound(owner_id, "key")
            )
        except InvalidTag as fault:
            raise Erased(owner_id) from fault

    def _bound(self, owner_id: str, name: str) -> bytes:
        return "\x00".join((self._tenant, owner_id, name)).encode()
