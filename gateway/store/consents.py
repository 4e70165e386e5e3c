"""The Consents of this agency's people: under a key of their own, found by a keyed digest of the person.

They belong to the person, not to a referral: closing a referral leaves them, and one withdrawal reaches
every open referral. A Consent is never deleted here, only made inactive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, update

from gateway.store.schema import consent
from gateway.store.work import Work

_NAME = "consent"

_GET = select(consent).where(consent.c.tenant == bindparam("at_tenant"), consent.c.id == bindparam("wanted"))
_OF_PERSON = (
    select(consent)
    .where(consent.c.tenant == bindparam("at_tenant"), consent.c.subject_digest == bindparam("subject"))
    .order_by(consent.c.recorded_at)
)
_DEACTIVATE = (
    update(consent)
    .where(consent.c.tenant == bindparam("at_tenant"), consent.c.id == bindparam("wanted"))
    .values(status="inactive", modified_at=bindparam("modified_at"))
)


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
    row = {
        "id": consent_id,
        "subject_digest": subject,
        "status": str(resource["status"]),
        "recorded_at": work.stamp,
        "modified_at": work.stamp,
        "sealed": work.vault.seal(consent_id, _NAME, resource),
    }
    work.add(consent, row)


def get(work: Work, consent_id: str) -> Held | None:
    """One Consent."""
    return next(iter(_held(work, work.run(_GET, wanted=consent_id))), None)


def of_person(work: Work, subject: str) -> list[Held]:
    """Every Consent of a person, in any status, oldest first."""
    return _held(work, work.run(_OF_PERSON, subject=subject))


def deactivate(work: Work, consent_id: str) -> None:
    """Withdraw a Consent: status `inactive`, FHIR's word for one that no longer holds."""
    work.run(_DEACTIVATE, wanted=consent_id, modified_at=work.stamp)


def _held(work: Work, rows: Iterable[Any]) -> list[Held]:
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
