"""Answers of our own system that stay here until a release lets them go: ids and times, nothing they say.

The sealed content of each stands in `contents` under the answer's own id and key.
"""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select

from gateway.store import contents
from gateway.store.schema import kept_answer
from gateway.store.work import Work

ANSWER = "answer"  # the name of its content

_OF_INBOUND = (
    select(kept_answer.c.id, kept_answer.c.at)
    .where(kept_answer.c.tenant == bindparam("at_tenant"), kept_answer.c.inbound_id == bindparam("wanted"))
    .order_by(kept_answer.c.at, kept_answer.c.id)
)
_REMOVE = delete(kept_answer).where(
    kept_answer.c.tenant == bindparam("at_tenant"), kept_answer.c.id == bindparam("wanted")
)


def add(work: Work, answer_id: str, inbound_id: str, at: str = "") -> None:
    """Note that an answer waits. at: when it was said, if that is not now."""
    work.add(kept_answer, {"id": answer_id, "inbound_id": inbound_id, "at": at or work.stamp})


def of_inbound(work: Work, inbound_id: str) -> list[tuple[str, str]]:
    """The answers to one referral that wait, in the order in which they were said: (id, when)."""
    return [(row.id, row.at) for row in work.run(_OF_INBOUND, wanted=inbound_id)]


def remove(work: Work, answer_id: str) -> None:
    """An answer waits no more. Its content goes too; the caller destroys its key afterwards."""
    work.run(_REMOVE, wanted=answer_id)
    contents.forget(work, answer_id)
