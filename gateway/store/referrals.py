"""Referrals at their source: the row, the sealed record, one Task a recipient, and the pointers it serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, insert, select, update

from gateway.store import contents
from gateway.store.schema import pointer, referral, task
from gateway.store.work import Work

RECORD = "record"


@dataclass(frozen=True, slots=True)
class Referral:
    """What is known of a referral without opening it."""

    id: str
    organization: str
    system: str
    referral_type: str
    purpose: str
    subject_digest: str
    state: str
    opened_at: str


@dataclass(frozen=True, slots=True)
class Task:
    """Where a referral stands with one recipient. `detail` is what the recipient wrote (opened)."""

    id: str
    referral_id: str
    owner: str
    status: str
    version: int
    authored_on: str
    last_modified: str
    detail: Mapping[str, Any]


def open_referral(work: Work, found: Referral, record: Mapping[str, Any]) -> None:
    """Write a new referral with its record sealed. Its key must have been made before."""
    work.tx.execute(
        insert(referral).values(
            tenant=work.tenant,
            id=found.id,
            organization=found.organization,
            system=found.system,
            referral_type=found.referral_type,
            purpose=found.purpose,
            subject_digest=found.subject_digest,
            state=found.state,
            opened_at=found.opened_at,
        )
    )
    contents.put(work, found.id, RECORD, record)


def get(work: Work, referral_id: str) -> Referral | None:
    """One referral."""
    return next(_referrals(work, referral.c.id == referral_id), None)


def all_of(work: Work) -> list[Referral]:
    """Every referral this node has sent or holds, newest first."""
    return sorted(_referrals(work), key=lambda found: found.opened_at, reverse=True)


def unfinished_of_person(work: Work, subject_digest: str) -> list[Referral]:
    """The held and offered referrals of one person."""
    return list(
        _referrals(
            work, referral.c.subject_digest == subject_digest, referral.c.state.in_(("held", "offered"))
        )
    )


def in_state(work: Work, state: str) -> list[Referral]:
    """The referrals that are held, offered, closed, erasing or erased."""
    return list(_referrals(work, referral.c.state == state))


def closed_before(work: Work, moment: str) -> list[Referral]:
    """Closed referrals whose content still stands and that closed at or before `moment`."""
    return list(_referrals(work, referral.c.state == "closed", referral.c.closed_at <= moment))


def set_state(work: Work, referral_id: str, state: str) -> None:
    """Move a referral on: held, offered, closed, erasing, erased."""
    values = {"state": state} | ({"closed_at": work.stamp} if state == "closed" else {})
    work.tx.execute(
        update(referral).where(referral.c.tenant == work.tenant, referral.c.id == referral_id).values(values)
    )


def start_erasing(work: Work, referral_id: str) -> None:
    """Let go of what is left of a referral's content and of what could still recognise the person."""
    work.tx.execute(
        update(task)
        .where(task.c.tenant == work.tenant, task.c.referral_id == referral_id)
        .values(sealed=None)
    )
    work.tx.execute(
        update(referral)
        .where(referral.c.tenant == work.tenant, referral.c.id == referral_id)
        .values(state="erasing", subject_digest="")
    )


def add_task(work: Work, referral_id: str, owner: str, served: Iterable[str]) -> Task:
    """A Task in `draft` for one recipient, with a random address for each thing it may ever be served.

    served: names in the content; the part before a slash is the resource type ("Observation/diet").
    """
    made = Task(str(uuid4()), referral_id, owner, "draft", 1, work.stamp, work.stamp, {})
    work.tx.execute(
        insert(task).values(
            tenant=work.tenant,
            id=made.id,
            referral_id=referral_id,
            owner=owner,
            status=made.status,
            version=made.version,
            authored_on=made.authored_on,
            last_modified=made.last_modified,
        )
    )
    for name in served:
        add_pointer(work, made.id, name)
    return made


def add_pointer(work: Work, task_id: str, name: str) -> str:
    """A random address for one more thing; returns its id."""
    made = str(uuid4())
    resource_type = name.partition("/")[0]
    work.tx.execute(
        insert(pointer).values(
            tenant=work.tenant, resource_type=resource_type, id=made, task_id=task_id, name=name
        )
    )
    return made


def pointers(work: Work, task_id: str) -> dict[str, str]:
    """The addresses of a Task's things: name in the content → id."""
    rows = work.tx.execute(
        select(pointer.c.name, pointer.c.id).where(
            pointer.c.tenant == work.tenant, pointer.c.task_id == task_id
        )
    )
    return {row.name: row.id for row in rows}


def pointed_at(work: Work, resource_type: str, resource_id: str) -> tuple[str, str] | None:
    """What stands at an address: (Task id, name in the content)."""
    row = work.tx.execute(
        select(pointer.c.task_id, pointer.c.name).where(
            pointer.c.tenant == work.tenant,
            pointer.c.resource_type == resource_type,
            pointer.c.id == resource_id,
        )
    ).one_or_none()
    return (row.task_id, row.name) if row else None


def get_task(work: Work, task_id: str) -> Task | None:
    """One Task."""
    row = work.tx.execute(
        select(task).where(task.c.tenant == work.tenant, task.c.id == task_id)
    ).one_or_none()
    return _task(work, row) if row else None


def tasks_of(work: Work, referral_id: str) -> list[Task]:
    """The Tasks of one referral, oldest first."""
    return _tasks(work, task.c.referral_id == referral_id)


def tasks_for(work: Work, organization: str, owner: str) -> list[Task]:
    """The Tasks that one recipient has ever been offered by one of our identities, oldest change first."""
    rows = work.tx.execute(
        select(task)
        .join(referral, (referral.c.tenant == task.c.tenant) & (referral.c.id == task.c.referral_id))
        .where(
            task.c.tenant == work.tenant,
            task.c.owner == owner,
            task.c.status != "draft",
            referral.c.organization == organization,
        )
        .order_by(task.c.last_modified, task.c.id)
    )
    return [_task(work, row) for row in rows]


def change_task(work: Work, current: Task, status: str, detail: Mapping[str, Any]) -> Task:
    """The next version of a Task."""
    changed = Task(
        current.id,
        current.referral_id,
        current.owner,
        status,
        current.version + 1,
        current.authored_on,
        work.stamp,
        dict(detail),
    )
    sealed = work.vault.seal(current.referral_id, f"task/{current.id}", changed.detail) if detail else None
    work.tx.execute(
        update(task)
        .where(task.c.tenant == work.tenant, task.c.id == current.id)
        .values(status=status, version=changed.version, last_modified=changed.last_modified, sealed=sealed)
    )
    return changed


def _referrals(work: Work, *conditions: Any) -> Iterator[Referral]:
    rows = work.tx.execute(
        select(*(referral.c[name] for name in Referral.__slots__)).where(
            referral.c.tenant == work.tenant, *conditions
        )
    )
    return (Referral(*row) for row in rows)


def _tasks(work: Work, condition: Any) -> list[Task]:
    rows = work.tx.execute(
        select(task).where(task.c.tenant == work.tenant, condition).order_by(task.c.authored_on, task.c.id)
    )
    return [_task(work, row) for row in rows]


def _task(work: Work, row: Row[Any]) -> Task:
    detail = work.unseal(row.referral_id, f"task/{row.id}", row.sealed) if row.sealed is not None else {}
    return Task(
        row.id,
        row.referral_id,
        row.owner,
        row.status,
        row.version,
        row.authored_on,
        row.last_modified,
        detail,
    )
