"""A person, as far as this node must tell one from another: a keyed digest, a consent epoch, a key.

The epoch is raised by every change of the person's consents, in the transaction of the change. What was
decided at an epoch and is sent later can so be told from what was decided after the change.

The key makes the name under which the person stands in the accounting of disclosures. It belongs to the
person and not to a referral, so that the accounting outlives referrals; once it is destroyed no copy of the
database tells any more whom a disclosure was about.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import bindparam, delete, exists, select, update

from gateway.store.schema import consent, person, referral
from gateway.store.work import Work

AT_ONCE = 500  # keys to destroy in one go

_OF_DIGEST = select(person.c.id, person.c.epoch, person.c.disclosed_on).where(
    person.c.tenant == bindparam("at_tenant"), person.c.subject_digest == bindparam("subject")
)
_ONE = update(person).where(person.c.tenant == bindparam("at_tenant"), person.c.id == bindparam("wanted"))
_RAISE = _ONE.values(epoch=bindparam("epoch"))
_DISCLOSED = _ONE.values(disclosed_on=bindparam("day"))
_LET_GO = (
    update(person)
    .where(
        person.c.tenant == bindparam("at_tenant"),
        person.c.subject_digest.is_not(None),
        (person.c.disclosed_on.is_(None)) | (person.c.disclosed_on < bindparam("day")),
        *(
            ~exists().where(
                table.c.tenant == person.c.tenant, table.c.subject_digest == person.c.subject_digest
            )
            for table in (consent, referral)
        ),
    )
    .values(subject_digest=None)
)
_LET_GO_OF = (
    select(person.c.id)
    .where(person.c.tenant == bindparam("at_tenant"), person.c.subject_digest.is_(None))
    .limit(AT_ONCE)
)
_DELETE = delete(person).where(person.c.tenant == bindparam("at_tenant"), person.c.id == bindparam("wanted"))


@dataclass(frozen=True, slots=True)
class _Person:
    id: str
    epoch: int
    disclosed_on: str | None


def epoch(work: Work, subject: str) -> int:
    """The consent epoch of a person (by subject digest); 0 before the first consent."""
    found = _find(work, subject)
    return found.epoch if found else 0


def raise_epoch(work: Work, subject: str) -> int:
    """The next consent epoch of a person; part of the same transaction as the change."""
    found = _find(work, subject) or _make(work, subject)
    work.run(_RAISE, wanted=found.id, epoch=found.epoch + 1)
    return found.epoch + 1


def name_in_accounting(work: Work, subject: str) -> str:
    """The name under which a disclosure about this person, now, is written into the accounting."""
    found = _find(work, subject) or _make(work, subject)
    day = work.stamp[:10]
    if found.disclosed_on != day:
        work.run(_DISCLOSED, wanted=found.id, day=day)
    return work.vault.pseudonym(found.id, subject)


def known_in_accounting(work: Work, subject: str) -> str | None:
    """The name under which a person may stand in the accounting; None for one who cannot."""
    found = _find(work, subject)
    return work.vault.pseudonym(found.id, subject) if found and found.disclosed_on else None


def let_go(work: Work, before: str) -> list[str]:
    """Let go of everyone without consent or referral here, of whom nothing was disclosed since `before`.

    Returns the ids whose keys are to be destroyed; also of those whose keys an earlier run could not.
    """
    work.run(_LET_GO, day=before[:10])
    return [row.id for row in work.run(_LET_GO_OF)]


def forget(work: Work, person_id: str) -> None:
    """Delete the row of a person whose key is destroyed."""
    work.run(_DELETE, wanted=person_id)


def _find(work: Work, subject: str) -> _Person | None:
    row = work.run(_OF_DIGEST, subject=subject).one_or_none() if subject else None
    return _Person(row.id, row.epoch, row.disclosed_on) if row else None


def _make(work: Work, subject: str) -> _Person:
    made = _Person(str(uuid4()), 0, None)
    work.vault.create(made.id)  # durable before what it names
    work.add(person, {"id": made.id, "subject_digest": subject, "epoch": 0})
    return made
