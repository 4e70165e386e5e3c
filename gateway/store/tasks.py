"""Where a referral stands with each recipient, and the random addresses of what it may be served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, bindparam, select, update

from gateway.store.schema import pointer, referral, task
from gateway.store.work import Work


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


class _Sealed(Mapping[str, Any]):
    """What a recipient wrote, opened when it is first looked at: a Task that is refused is never opened."""

    def __init__(self, work: Work, owner_id: str, name: str, sealed: bytes) -> None:
        self._opened: Mapping[str, Any] | None = None
        self._work = work
        self._at = owner_id, name, sealed

    def _values(self) -> Mapping[str, Any]:
        if self._opened is None:
            self._opened = self._work.unseal(*self._at)
        assert self._opened is not None
        return self._opened

    def __getitem__(self, name: str) -> Any:
        return self._values()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values())

    def __len__(self) -> int:
        return len(self._values())


_ALL = select(task).where(task.c.tenant == bindparam("at_tenant"))
_GET = _ALL.where(task.c.id == bindparam("wanted"))
_OF_REFERRAL = _ALL.where(task.c.referral_id == bindparam("wanted")).order_by(task.c.authored_on, task.c.id)
_FOR_OWNER = (
    _ALL.join(referral, (referral.c.tenant == task.c.tenant) & (referral.c.id == task.c.referral_id))
    .where(
        task.c.owner == bindparam("theirs"),
        task.c.status != "draft",
        referral.c.organization == bindparam("ours"),
    )
    .order_by(task.c.last_modified, task.c.id)
)
_CHANGE = (
    update(task)
    .where(task.c.tenant == bindparam("at_tenant"), task.c.id == bindparam("wanted"))
    .values({name: bindparam(name) for name in ("status", "version", "last_modified", "sealed")})
)
_FORGET = (
    update(task)
    .where(task.c.tenant == bindparam("at_tenant"), task.c.referral_id == bindparam("wanted"))
    .values(sealed=None)
)
_ADDRESSES = select(pointer.c.name, pointer.c.id).where(
    pointer.c.tenant == bindparam("at_tenant"), pointer.c.task_id == bindparam("wanted")
)
_POINTED_AT = select(pointer.c.task_id, pointer.c.name).where(
    pointer.c.tenant == bindparam("at_tenant"),
    pointer.c.resource_type == bindparam("of_type"),
    pointer.c.id == bindparam("wanted"),
)


def add(work: Work, referral_id: str, owner: str, served: Iterable[str]) -> Task:
    """A Task in `draft` for one recipient, with a random address for each thing it may ever be served.

    served: names in the content; the part before a slash is the resource type ("Observation/diet").
    """
    made = Task(str(uuid4()), referral_id, owner, "draft", 1, work.stamp, work.stamp, {})
    row = {
        "id": made.id,
        "referral_id": referral_id,
        "owner": owner,
        "status": made.status,
        "version": made.version,
        "authored_on": made.authored_on,
        "last_modified": made.last_modified,
    }
    work.add(task, row)
    work.add(pointer, *(_pointer(made.id, name) for name in served))
    return made


def add_served(work: Work, task_id: str, served: Iterable[str]) -> None:
    """Random addresses for what can be served only now, when the content has been amended."""
    known = addresses(work, task_id)
    new = [_pointer(task_id, name) for name in served if name not in known]
    if new:
        work.add(pointer, *new)


def add_address(work: Work, task_id: str, resource_type: str) -> str:
    """A random address for one more thing, which is named by it; returns its id."""
    made = str(uuid4())
    row = {
        "resource_type": resource_type,
        "id": made,
        "task_id": task_id,
        "name": f"{resource_type}/{made}",
    }
    work.add(pointer, row)
    return made


def addresses(work: Work, task_id: str) -> dict[str, str]:
    """The addresses of a Task's things: name in the content → id."""
    return {row.name: row.id for row in work.run(_ADDRESSES, wanted=task_id)}


def pointed_at(work: Work, resource_type: str, resource_id: str) -> tuple[str, str] | None:
    """What stands at an address: (Task id, name in the content)."""
    row = work.run(_POINTED_AT, of_type=resource_type, wanted=resource_id).one_or_none()
    return (row.task_id, row.name) if row else None


def get(work: Work, task_id: str) -> Task | None:
    """One Task."""
    row = work.run(_GET, wanted=task_id).one_or_none()
    return _task(work, row) if row else None


def of_referral(work: Work, referral_id: str) -> list[Task]:
    """The Tasks of one referral, oldest first."""
    return [_task(work, row) for row in work.run(_OF_REFERRAL, wanted=referral_id)]


def for_owner(work: Work, organization: str, owner: str) -> list[Task]:
    """The Tasks that one of our identities has ever offered to one recipient, oldest change first."""
    return [_task(work, row) for row in work.run(_FOR_OWNER, ours=organization, theirs=owner)]


def change(work: Work, current: Task, status: str, detail: Mapping[str, Any]) -> Task:
    """The next version of a Task."""
    changed = replace(
        current, status=status, version=current.version + 1, last_modified=work.stamp, detail=dict(detail)
    )
    work.run(
        _CHANGE,
        wanted=current.id,
        status=status,
        version=changed.version,
        last_modified=changed.last_modified,
        sealed=work.vault.seal(current.referral_id, f"task/{current.id}", dict(detail)) if detail else None,
    )
    return changed


def forget_details(work: Work, referral_id: str) -> None:
    """Delete what recipients wrote into the Tasks of a referral."""
    work.run(_FORGET, wanted=referral_id)


def _pointer(task_id: str, name: str) -> dict[str, str]:
    return {
        "resource_type": name.partition("/")[0],
        "id": str(uuid4()),
        "task_id": task_id,
        "name": name,
    }


def _task(work: Work, row: Row[Any]) -> Task:
    sealed = row.sealed
    return Task(
        id=row.id,
        referral_id=row.referral_id,
        owner=row.owner,
        status=row.status,
        version=row.version,
        authored_on=row.authored_on,
        last_modified=row.last_modified,
        detail=_Sealed(work, row.referral_id, f"task/{row.id}", sealed) if sealed is not None else {},
    )
