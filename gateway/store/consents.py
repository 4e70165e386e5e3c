"""The Consents of this agency's people: under a key of their own, found by a keyed digest of the person.

They belong to the person, not to a referral: closing a referral leaves them, and one withdrawal reaches
every open referral. A Consent is never deleted here, only made inactive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update

from gateway.store.schema import consent
from gateway.store.work import Work

_NAME = "consent"


@dataclass(frozen=True, slots=True)
class Held:
    """A Consent as it is kept. `resource` is the FHIR Consent with the status that now holds."""

    id: str
    subject_digest: str
    status: str
    recorded_at: str
    resource: Mapping[str, Any]


def subject_digest(work: Work, system: str, value: str) -> str:
    """The keyed digest that finds a person's Consents and referrals by the agency's own identifier."""
    return work.vault.digest("subject", system, value)


def add(work: Work, consent_id: str, subject: str, resource: Mapping[str, Any]) -> None:
    """Keep a new Consent. Its key (owner: the consent id) must have been made before."""
    work.tx.execute(
        insert(consent).values(
            tenant=work.tenant,
            id=consent_id,
            subject_digest=subject,
            status=str(resource["status"]),
            recorded_at=work.stamp,
            modified_at=work.stamp,
            sealed=work.vault.seal(consent_id, _NAME, resource),
        )
    )


def get(work: Work, consent_id: str) -> Held | None:
    """One Consent."""
    return next(iter(_held(work, consent.c.id == consent_id)), None)


def of_person(work: Work, subject: str) -> list[Held]:
    """Every Consent of a person, in any status, oldest first."""
    return _held(work, consent.c.subject_digest == subject)


def deactivate(work: Work, consent_id: str) -> None:
    """Withdraw a Consent: status `inactive`, FHIR's word for one that no longer holds."""
    work.tx.execute(
        update(consent)
        .where(consent.c.tenant == work.tenant, consent.c.id == consent_id)
        .values(status="inactive", modified_at=work.stamp)
    )


def _held(work: Work, condition: Any) -> list[Held]:
    rows = work.tx.execute(
        select(consent).where(consent.c.tenant == work.tenant, condition).order_by(consent.c.recorded_at)
    )
    return [
        Held(
            row.id,
            row.subject_digest,
            row.status,
            row.recorded_at,
            work.unseal(row.id, _NAME, row.sealed) | {"id": row.id, "status": row.status},
        )
        for row in rows
    ]
