"""Disclosures under way: between the decision that lets one go and its last byte.

Begun in the unit of work of the decision, so whoever commits a withdrawal afterwards sees every disclosure
that was decided before it, in whichever process. What a crash leaves behind ends by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import bindparam, delete, func, select

from gateway.clock import stamp
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
        disclosure.c.referral_id.in_(bindparam("of", expanding=True)),
        disclosure.c.until >= bindparam("moment"),
    )
)


def begin(work: Work, referral_id: str) -> str:
    """Note that something of a referral is about to be sent; returns the id to end it with."""
    made = str(uuid4())
    work.add(disclosure, {"id": made, "referral_id": referral_id, "until": stamp(work.now + LONGEST)})
    return made


def end(work: Work, ended: Iterable[str]) -> None:
    """Note that these have been sent; forget any that can no longer be under way."""
    work.run(_END, ended=list(ended), moment=work.stamp)


def under_way(work: Work, referral_ids: Iterable[str]) -> int:
    """How many disclosures of these referrals are under way."""
    return int(work.run(_UNDER_WAY, of=list(referral_ids), moment=work.stamp).scalar_one())
