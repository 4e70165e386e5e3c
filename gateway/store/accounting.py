"""The accounting of disclosures: which audit entries showed something of a person, and by which consent.

It holds no more than that link. What was shown, to whom and when is in the audit entry itself; the link
through the person's own key stays when a referral, with the person's name in its audit, has been erased.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, select

from gateway.store.schema import accounting, audit
from gateway.store.work import Work

_ROWS = (
    select(audit.c.number, audit.c.referral_id, audit.c.event, accounting.c.consent_id)
    .join(audit, (audit.c.tenant == accounting.c.tenant) & (audit.c.number == accounting.c.number))
    .where(accounting.c.tenant == bindparam("at_tenant"))
    .order_by(accounting.c.number, accounting.c.consent_id)
)
_OF_PERSON = _ROWS.where(accounting.c.subject == bindparam("subject"), accounting.c.at >= bindparam("since"))
_UNDER = _ROWS.where(accounting.c.consent_id == bindparam("consent"))
_FORGET = delete(accounting).where(
    accounting.c.tenant == bindparam("at_tenant"), accounting.c.at < bindparam("before")
)


@dataclass(frozen=True, slots=True)
class Accounted:
    """A disclosure: the AuditEvent that tells of it, and the consents that it rested on, none: on the law."""

    number: int
    referral_id: str
    event: dict[str, Any]
    consents: tuple[str, ...]


def note(work: Work, name: str, number: int, consents: Iterable[str]) -> None:
    """Note that the audit entry `number` disclosed something of the person with this name."""
    row = {"number": number, "subject": name, "at": work.stamp}
    work.add(accounting, *({**row, "consent_id": one} for one in sorted(set(consents)) or [""]))


def of_person(work: Work, name: str, since: str) -> list[Accounted]:
    """What was disclosed of the person with this name at or after `since`, oldest first."""
    return _accounted(work.run(_OF_PERSON, subject=name, since=since))


def under_consent(work: Work, consent_id: str) -> list[Accounted]:
    """What was disclosed on the ground of a consent, oldest first."""
    return _accounted(work.run(_UNDER, consent=consent_id))


def forget_before(work: Work, before: str) -> int:
    """Delete what is older than must be kept; returns how many links there were."""
    return int(work.run(_FORGET, before=before).rowcount)


def _accounted(rows: Iterable[Any]) -> list[Accounted]:
    found: dict[int, Accounted] = {}
    for row in rows:
        known = found.get(row.number)
        consents = (*(known.consents if known else ()), *([row.consent_id] if row.consent_id else []))
        event = known.event if known else msgspec.json.decode(row.event)
        found[row.number] = Accounted(row.number, row.referral_id or "", event, consents)
    return list(found.values())
