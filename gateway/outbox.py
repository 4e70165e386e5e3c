"""What must still be done elsewhere: written with what caused it, kept until done or given up.

At least once. Order is kept within a lane (a referral) and never across: a lane whose first entry waits
holds back its own later entries only. An entry holds ids, never content; content is read, and consent is
decided, when it is sent. What to do after an attempt is a value that the attempt returns.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import uuid4

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from gateway.clock import stamp
from gateway.store.schema import outbox
from gateway.store.work import Work

_earlier = outbox.alias("earlier")
_DUE = (
    select(outbox)
    .where(
        outbox.c.tenant == bindparam("at_tenant"),
        outbox.c.gave_up.is_(None),
        outbox.c.due_at <= bindparam("moment"),
        outbox.c.leased_until.is_(None) | (outbox.c.leased_until < bindparam("moment")),
        outbox.c.number
        == select(func.min(_earlier.c.number))
        .where(
            _earlier.c.tenant == outbox.c.tenant,
            _earlier.c.lane == outbox.c.lane,
            _earlier.c.gave_up.is_(None),
        )
        .scalar_subquery(),
    )
    .order_by(outbox.c.due_at)
    .limit(bindparam("most"))
)
_ALL_OF_LANE = (
    select(func.count())
    .select_from(outbox)
    .where(outbox.c.tenant == bindparam("at_tenant"), outbox.c.lane == bindparam("wanted"))
)
_PENDING = _ALL_OF_LANE.where(outbox.c.gave_up.is_(None))
_DEAD = (
    outbox.c.tenant == bindparam("at_tenant"),
    outbox.c.number == bindparam("wanted"),
    outbox.c.gave_up.is_not(None),
)
_RETRY = update(outbox).where(*_DEAD).values(gave_up=None, attempts=0, due_at=bindparam("due_at"))
_DROP = delete(outbox).where(*_DEAD)
_TAKE_OVER = update(outbox).where(outbox.c.tenant == bindparam("at_tenant")).values(leased_until=None)

Kind = Literal["handshake", "notify", "write-back", "subscribe", "poll", "pull", "answer"]

LEASE = timedelta(seconds=60)
ATTEMPTS = 12
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Done:
    """It arrived, or need not be sent any more."""


@dataclass(frozen=True, slots=True)
class Later:
    """Try again: when the receiver said so, or when the backoff says so. `why` holds no data."""

    why: str
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """A dead letter: trying again cannot help. `why` holds no data."""

    why: str


Outcome = Done | Later | GiveUp


@dataclass(frozen=True, slots=True)
class Posted:
    """One leased entry."""

    number: int
    lane: str
    kind: Kind
    body: Mapping[str, Any]
    attempts: int
    fence: str


def post(work: Work, kind: Kind, lane: str, body: Mapping[str, Any]) -> None:
    """Write an entry in the caller's unit of work."""
    row = {
        "lane": lane,
        "kind": kind,
        "body": msgspec.json.encode(body).decode(),
        "attempts": 0,
        "due_at": work.stamp,
    }
    work.add(outbox, row)


def lease(work: Work, limit: int) -> list[Posted]:
    """Take up to `limit` entries that are due and first in their lane. A lease ends by itself."""
    rows = work.run(_DUE, moment=work.stamp, most=limit).all()
    fence = uuid4().hex
    if rows:
        work.tx.execute(
            update(outbox)
            .where(outbox.c.number.in_([row.number for row in rows]))
            .values(leased_until=stamp(work.now + LEASE), fence=fence, attempts=outbox.c.attempts + 1)
        )
    return [
        Posted(row.number, row.lane, row.kind, msgspec.json.decode(row.body), row.attempts + 1, fence)
        for row in rows
    ]


def take_over(work: Work) -> None:
    """Free what a process that is gone had leased. Only for a node's one process, when it starts."""
    work.run(_TAKE_OVER)


def settle(work: Work, entry: Posted, outcome: Outcome) -> Outcome:
    """Write down what became of an attempt; returns the outcome that holds after the attempt limit.

    A lease that was lost meanwhile (fence changed) settles nothing: whoever holds it now will.
    """
    mine = (outbox.c.number == entry.number) & (outbox.c.fence == entry.fence)
    if isinstance(outcome, Later) and entry.attempts >= ATTEMPTS:
        outcome = GiveUp(f"{outcome.why} ({entry.attempts} attempts)")
    match outcome:
        case Done():
            work.tx.execute(delete(outbox).where(mine))
        case Later(after=after):
            due = work.now + (after if after is not None else backoff(entry.attempts))
            work.tx.execute(update(outbox).where(mine).values(due_at=stamp(due), leased_until=None))
        case GiveUp(why=why):
            work.tx.execute(update(outbox).where(mine).values(gave_up=why, leased_until=None))
    return outcome


def backoff(attempts: int) -> timedelta:
    """How long to wait after the n-th failed attempt: doubling, with jitter, up to an hour."""
    ceiling: timedelta = min(FIRST_WAIT * 2 ** (attempts - 1), LONGEST_WAIT)
    return ceiling * float(random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, protects nothing


def pending(work: Work, lane: str, *, given_up: bool = False) -> int:
    """How many entries of a lane are still to be done; on request, those given up as well."""
    return int(work.run(_ALL_OF_LANE if given_up else _PENDING, wanted=lane).scalar_one())


def dead_letters(work: Work) -> list[tuple[int, str, str]]:
    """Every entry that was given up: number, kind, why."""
    rows = work.tx.execute(
        select(outbox.c.number, outbox.c.kind, outbox.c.gave_up)
        .where(outbox.c.tenant == work.tenant, outbox.c.gave_up.is_not(None))
        .order_by(outbox.c.number)
    )
    return [(row.number, row.kind, row.gave_up) for row in rows]


def retry(work: Work, number: int) -> bool:
    """Put a dead letter back, as if it had never been tried; False when there is none with this number."""
    return work.run(_RETRY, wanted=number, due_at=work.stamp).rowcount == 1


def drop(work: Work, number: int) -> bool:
    """Let go of a dead letter for good; False when there is none with this number."""
    return work.run(_DROP, wanted=number).rowcount == 1
