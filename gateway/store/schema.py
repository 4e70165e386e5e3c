"""The node's tables. Every row carries its tenant; nothing here holds a person's data in clear.

`sealed` columns are AES-256-GCM under a key that lives in `vault`, apart from this database. Digests are
keyed (HMAC) with a secret that lives there too. All other values are random ids, codes, states and times.
Times are ISO 8601 UTC text with microseconds, so that they sort as they pass.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, String, Table, UniqueConstraint

metadata = MetaData()


def _id(name: str = "id") -> Column[str]:
    return Column(name, String, primary_key=True)


def _tenant() -> Column[str]:
    return Column("tenant", String, primary_key=True)


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, String, nullable=null)


def _number(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, Integer, nullable=null)


def _sealed(name: str = "sealed", *, null: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=null)


# --- at the source -----------------------------------------------------------------------------------

referral = Table(
    "referral",
    metadata,
    _tenant(),
    _id(),
    _text("organization"),  # the identity that the referral is sent under
    _text("system"),
    _text("referral_type"),
    _text("purpose"),
    _text("subject_digest"),
    _text("state"),  # held, offered, closed, erasing, erased
    _text("opened_at"),
    _text("closed_at", null=True),
    Index("referral_subject", "tenant", "subject_digest"),
    Index("referral_state", "tenant", "state"),
)

content = Table(
    "content",
    metadata,
    _tenant(),
    _id("owner_id"),  # a referral, or one answer to one
    _id("name"),
    _sealed(),
)

task = Table(
    "task",
    metadata,
    _tenant(),
    _id(),
    _text("referral_id"),
    _text("owner"),
    _text("status"),
    _number("version"),
    _text("authored_on"),
    _text("last_modified"),
    _sealed(null=True),  # statusReason, businessStatus, output: what the owner wrote
    Index("task_referral", "tenant", "referral_id"),
    Index("task_owner", "tenant", "owner", "last_modified"),
)

pointer = Table(
    "pointer",
    metadata,
    _tenant(),
    Column("resource_type", String, primary_key=True),
    _id(),
    _text("task_id"),
    _text("name"),  # what it is called in the referral's content
    UniqueConstraint("tenant", "task_id", "name"),
)

exclusion = Table(
    "exclusion",
    metadata,
    _tenant(),
    _id("referral_id"),
    _id("organization_digest"),  # keyed, so that a copy of these rows does not say who is excluded
)

disclosure = Table(
    "disclosure",
    metadata,
    _tenant(),
    _id(),
    _text("referral_id"),
    _text("until"),  # after this it can no longer be under way
    _text("subject_digest"),
    _number("epoch"),  # the person's consent epoch that it was decided at
    Index("disclosure_subject", "tenant", "subject_digest"),
)

person = Table(
    "person",
    metadata,
    _tenant(),
    _id(),  # random; it owns a key in the vault, which names the person in `accounting`
    _text("subject_digest", null=True),  # null: being forgotten
    _number("epoch"),  # raised by every change of the person's consents
    _text("disclosed_on", null=True),  # the last day on which something was disclosed
    UniqueConstraint("tenant", "subject_digest"),
)

consent = Table(
    "consent",
    metadata,
    _tenant(),
    _id(),
    _text("subject_digest"),  # empty once erased
    _text("status"),
    _text("recorded_at"),
    _text("modified_at"),
    _sealed(),  # empty once erased
    _text("regime", null=True),  # the law it was given under, for its retention; null: not looked up yet
    _text("ends_at", null=True),  # the last moment of its period
    _text("replaces", null=True),  # the consent in whose place it was given
    _text("erased_at", null=True),  # when its key was destroyed
    Index("consent_subject", "tenant", "subject_digest"),
)

accounting = Table(
    "accounting",
    metadata,
    _tenant(),
    Column("number", Integer, primary_key=True, autoincrement=False),  # the audit entry of the disclosure
    Column("consent_id", String, primary_key=True),  # a consent that it rested on; empty: on none
    _text("subject"),  # the person under the key of `person`
    _text("at"),
    Index("accounting_subject", "tenant", "subject"),
    Index("accounting_consent", "tenant", "consent_id"),
    Index("accounting_at", "tenant", "at"),
)

subscription = Table(
    "subscription",
    metadata,
    _tenant(),
    _id(),
    _text("organization"),
    _text("subscriber"),
    _text("endpoint"),
    _text("status"),  # requested, active, error, off
    _number("events"),
    UniqueConstraint("tenant", "organization", "subscriber", "endpoint"),
)

subscription_event = Table(
    "subscription_event",
    metadata,
    _tenant(),
    _id("subscription_id"),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _text("task_id"),
    _text("at"),
)

# --- at the recipient --------------------------------------------------------------------------------

inbound = Table(
    "inbound",
    metadata,
    _tenant(),
    _id(),  # the id that the agency's own system knows the referral by
    _text("organization"),
    _text("source"),
    _text("task_id"),
    _text("status"),  # as last read at the source
    _text("expected"),  # as it will be once the answers under way have arrived
    _text("offered_at", null=True),
    _text("opened_at", null=True),
    _text("modified_at"),
    _text("seen_at", null=True),  # the source's time of the Task as last handed over
    _text("handed", null=True),  # a keyed digest of what was handed over last
    _text("subject_digest", null=True),  # the person, once our own system has said who it is
    UniqueConstraint("tenant", "organization", "source", "task_id"),
    Index("inbound_subject", "tenant", "subject_digest"),
)

kept_answer = Table(
    "kept_answer",
    metadata,
    _tenant(),
    _id(),  # an answer of the agency's own system that waits here for a release; its content is sealed
    _text("inbound_id"),
    _text("at"),
    Index("kept_answer_inbound", "tenant", "inbound_id"),
)

peer_subscription = Table(
    "peer_subscription",
    metadata,
    _tenant(),
    Column("organization", String, primary_key=True),
    Column("source", String, primary_key=True),
    _text("subscription_id", null=True),
    _number("last_event"),
)

# --- both --------------------------------------------------------------------------------------------

received = Table(
    "received",
    metadata,
    _tenant(),
    _id("key_digest"),
    _text("body_digest"),
    _text("owner_id"),  # the referral or inbound referral it belongs to, with which it is forgotten
    _text("answer"),
    _text("at"),
    Index("received_owner", "tenant", "owner_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    _text("tenant"),
    _text("lane"),  # order is kept within a lane, and never across
    _text("kind"),
    _text("body"),  # ids only
    _number("attempts"),
    _text("due_at"),
    _text("leased_until", null=True),
    _text("fence", null=True),
    _text("gave_up", null=True),  # a dead letter: the reason, in words without data
    Index("outbox_due", "tenant", "gave_up", "due_at"),
    Index("outbox_lane", "tenant", "lane", "number"),
    sqlite_autoincrement=True,
)

mark = Table(
    "mark",
    metadata,
    _tenant(),
    _id("name"),  # what is counted, such as the directory's sequence
    _number("value"),
)

assertion = Table(
    "assertion",
    metadata,
    _tenant(),
    _id("issuer"),
    _id("jti"),
    _number("expires"),
    Index("assertion_expires", "expires"),
)

# --- whom this node trusts ---------------------------------------------------------------------------

pin = Table(
    "pin",
    metadata,
    _tenant(),
    _id("organization"),  # a partner
    _text("jwks"),  # the keys it was first met with, or changed to by a chain that its old keys signed
    _text("at"),
)

directory_seen = Table(
    "directory_seen",
    metadata,
    _tenant(),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    _text("digest"),  # of the manifest that was used under this number
    _text("at"),
)

revoked_token = Table(
    "revoked_token",
    metadata,
    _tenant(),
    _id("digest"),  # SHA-256 of an access token of ours that was taken back
    _number("expires"),  # when it would have ended by itself
    Index("revoked_token_expires", "tenant", "expires"),
)

audit = Table(
    "audit",
    metadata,
    _tenant(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    _text("referral_id", null=True),
    _text("previous"),
    _text("hash"),
    _text("event"),
    Index("audit_referral", "tenant", "referral_id"),
)
