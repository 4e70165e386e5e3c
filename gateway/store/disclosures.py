"""Disclosures under way: between the decision that lets one go and its last byte.

Begun in the unit of work of the decision, with the person's consent epoch that it was made at, so whoever
commits a withdrawal afterwards sees every disclosure that was decided before it, in whichever process. What
was decided at the new epoch holds up nobody. What a crash leaves behind ends by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import bindparam, delete, func, select

from gateway.clock import stamp
from gateway.store import persons
from gateway.store.referrals import Referral
from gateway.store.schema import disclosure
from gateway.store.work import Work

LONGEST = timedelta(seconds=10)

_END = delete(disclosure).where(
    disclosure.c.tenant == bindparam("at_tenant"),
    disclosure.c.id.in_(bindparam("ended", expanding=True)) | (disclosure.c.until < bindparam("moment")),
)
_UNDER_WAY = (
    select(func.count())
    .select_from(disclosure)
    .where(
        disclosure.c.tenant == bindparam("at_tenant"),
        disclosure.c.subject_digest == bindparam("subject"),
        disclosure.c.epoch < bindparam("epoch"),
        disclosure.c.until >= bindparam("moment"),
    )
)


def begin(work: Work, found: Referral) -> str:
    """Note that something of a referral is about to be sent; returns the id to end it with."""
    return begin_about(work, found.id, found.subject_digest)


def begin_about(work: Work, owner_id: str, subject: str) -> str:
    """The same of whatever tells of a person: an answer to a referral that was made to us, for one."""
    made = str(uuid4())
    row = {
        "id": made,
        "referral_id": owner_id,
        "until": stamp(work.now + LONGEST),
        "subject_digest": subject,
        "epoch": persons.epoch(work, subject),
    }
    work.add(disclosure, row)
    return made


def end(work: Work, ended: Iterable[str]) -> None:
    """Note that these have been sent; forget any that can no longer be under way."""
    work.run(_END, ended=list(ended), moment=work.stamp)


def older_than(work: Work, subject: str, epoch: int) -> int:
    """How many disclosures about a person are under way that were decided before this consent epoch."""
    return int(work.run(_UNDER_WAY, subject=subject, epoch=epoch, moment=work.stamp).scalar_one())
