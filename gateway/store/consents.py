"""The Consents of this agency's people: under a key of their own, found by a keyed digest of the person.

They belong to the person, not to a referral: closing a referral leaves them, and one withdrawal reaches
every open referral. A Consent is made inactive, never changed otherwise; when its retention is over its
content is destroyed, and id, states and times stay: they tell that there was one.

Every change raises the person's consent epoch in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, update

from gateway.store import persons
from gateway.store.schema import consent
from gateway.store.work import Work

_NAME = "consent"
AT_ONCE = 500  # keys to destroy in one go

_GET = select(consent).where(consent.c.tenant == bindparam("at_tenant"), consent.c.id == bindparam("wanted"))
_OF_PERSON = (
    select(consent)
    .where(consent.c.tenant == bindparam("at_tenant"), consent.c.subject_digest == bindparam("subject"))
    .order_by(consent.c.recorded_at)
)
_STATES = (
    select(consent.c.id, consent.c.status, consent.c.modified_at)
    .where(consent.c.tenant == bindparam("at_tenant"), consent.c.subject_digest == bindparam("subject"))
    .order_by(consent.c.recorded_at)
)
_ONE = update(consent).where(consent.c.tenant == bindparam("at_tenant"), consent.c.id == bindparam("wanted"))
_DEACTIVATE = _ONE.values(status=bindparam("status"), modified_at=bindparam("modified_at"))
_DESCRIBE = _ONE.values(regime=bindparam("regime"), ends_at=bindparam("ends_at"))
_EMPTY = _ONE.values(sealed=b"", subject_digest="")
_ERASED = _ONE.values(erased_at=bindparam("erased_at"))
_UNDESCRIBED = select(consent).where(
    consent.c.tenant == bindparam("at_tenant"), consent.c.regime.is_(None), consent.c.subject_digest != ""
)
_REGIMES = (
    select(consent.c.regime)
    .where(consent.c.tenant == bindparam("at_tenant"), consent.c.subject_digest != "")
    .distinct()
)
_ENDED = select(consent.c.id).where(
    consent.c.tenant == bindparam("at_tenant"),
    consent.c.regime == bindparam("under"),
    consent.c.subject_digest != "",
    ((consent.c.status != "active") & (consent.c.modified_at < bindparam("before")))
    | (consent.c.ends_at < bindparam("before")),
)
_EMPTIED = (
    select(consent.c.id)
    .where(
        consent.c.tenant == bindparam("at_tenant"),
        consent.c.subject_digest == "",
        consent.c.erased_at.is_(None),
    )
    .limit(AT_ONCE)
)


@dataclass(frozen=True, slots=True)
class State:
    """What tells one state of a Consent from another: what was made of it then holds as long as this does."""

    id: str
    status: str
    modified_at: str


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a Consent without opening it.

    regime: the law it was given under, by id. ends_at: the last moment of its period, None where it has no
    end. replaces: the ids of those in whose place it was given.
    """

    regime: str
    ends_at: str | None
    replaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A Consent as it is kept. `resource` is the FHIR Consent with the status that now holds.

    Of an erased one `resource` holds id and status alone, and `subject_digest` is empty.
    """

    id: str
    subject_digest: str
    status: str
    recorded_at: str
    modified_at: str
    erased_at: str | None
    told: Told
    resource: Mapping[str, Any]

    @property
    def state(self) -> State:
        """The state that it is in."""
        return State(self.id, self.status, self.modified_at)


def subject_digest(work: Work, system: str, value: str) -> str:
    """The keyed digest that finds a person's Consents and referrals by the agency's own identifier."""
    return work.vault.digest("subject", system, value)


def add(work: Work, consent_id: str, subject: str, resource: Mapping[str, Any], told: Told) -> State:
    """Keep a new Consent. Its key (owner: the consent id) must have been made before."""
    row = {
        "id": consent_id,
        "subject_digest": subject,
        "status": str(resource["status"]),
        "recorded_at": work.stamp,
        "modified_at": work.stamp,
        "sealed": work.vault.seal(consent_id, _NAME, resource),
        "regime": told.regime,
        "ends_at": told.ends_at,
        "replaces": " ".join(told.replaces) or None,
    }
    work.add(consent, row)
    persons.raise_epoch(work, subject)
    return State(consent_id, str(resource["status"]), work.stamp)


def get(work: Work, consent_id: str) -> Held | None:
    """One Consent."""
    return next(iter(_held(work, work.run(_GET, wanted=consent_id))), None)


def of_person(work: Work, subject: str) -> list[Held]:
    """Every Consent of a person, in any status, oldest first."""
    return _held(work, work.run(_OF_PERSON, subject=subject)) if subject else []


def states(work: Work, subject: str) -> list[State]:
    """Every Consent of a person without opening any, oldest first."""
    return [State(*row) for row in work.run(_STATES, subject=subject)] if subject else []


def deactivate(work: Work, held: Held, status: str = "inactive") -> None:
    """Withdraw a Consent: status `inactive`, FHIR's word for one that no longer holds, or another such."""
    work.run(_DEACTIVATE, wanted=held.id, status=status, modified_at=work.stamp)
    persons.raise_epoch(work, held.subject_digest)


def undescribed(work: Work) -> list[Held]:
    """Those kept by an earlier version, of which law and end are not told apart from the content yet."""
    return _held(work, work.run(_UNDESCRIBED))


def describe(work: Work, consent_id: str, told: Told) -> None:
    """Tell law and end of a Consent apart from its content."""
    work.run(_DESCRIBE, wanted=consent_id, regime=told.regime, ends_at=told.ends_at)


def regimes(work: Work) -> list[str]:
    """The laws under which there are Consents here."""
    return [row.regime for row in work.run(_REGIMES) if row.regime is not None]


def ended_before(work: Work, regime: str, moment: str) -> list[str]:
    """The Consents under a law that were withdrawn, or ended by themselves, before `moment`."""
    return [row.id for row in work.run(_ENDED, under=regime, before=moment)]


def empty(work: Work, consent_id: str) -> None:
    """Let go of a Consent's content and of whose it was; its key is to be destroyed next."""
    work.run(_EMPTY, wanted=consent_id)


def emptied(work: Work) -> list[str]:
    """Those that were emptied and whose key may still be there; not more than can be destroyed in one go."""
    return [row.id for row in work.run(_EMPTIED)]


def erased(work: Work, consent_id: str) -> None:
    """Note that a Consent's key is destroyed."""
    work.run(_ERASED, wanted=consent_id, erased_at=work.stamp)


def _held(work: Work, rows: Iterable[Any]) -> list[Held]:
    return [
        Held(
            row.id,
            row.subject_digest,
            row.status,
            row.recorded_at,
            row.modified_at,
            row.erased_at,
            Told(row.regime or "", row.ends_at, tuple((row.replaces or "").split())),
            _content(work, row) | {"id": row.id, "status": row.status},
        )
        for row in rows
    ]


def _content(work: Work, row: Any) -> dict[str, Any]:
    if not row.sealed:
        return {"resourceType": "Consent"}
    found: dict[str, Any] = work.unseal(row.id, _NAME, row.sealed)
    return found
