"""Who asks, and the audit entry of what came of it: with the act, or for a refusal after undoing it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from consent import Decision
from gateway import audit
from gateway.errors import Refused
from gateway.judge import Denied
from gateway.node import Identity
from gateway.store.referrals import Referral
from gateway.store.tasks import Task
from gateway.store.work import Store, Work

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks, under which of our names, and the id of the attempt.

    agent: a partner's directory URL, a local client's id, or `operator` at the command line.
    """

    agent: str
    identity: Identity
    request_id: str


def record(
    work: Work,
    ask: Ask,
    act: str,
    action: audit.Action,
    found: Referral | None = None,
    task: Task | None = None,
    decision: Decision | None = None,
    *,
    refused: bool = False,
    what: str = "Task",
    items: Iterable[str] = (),
    withheld: Iterable[str] = (),
    details: Mapping[str, str] | None = None,
) -> None:
    """The entry of one act, in the act's own unit of work.

    what: the name of the resource that was served or changed. items: the disclosure items that it showed.
    withheld: the paths of the record that it did not.
    """
    about = {"status": task.status, "recipient": task.owner, "resource": what} if task else {}
    entry = audit.Entry(
        act,
        action,
        ask.agent,
        refused=refused,
        referral_id=found.id if found else None,
        what=f"Task/{task.id}" if task else "",
        subject=_pseudonym(work, found),
        request_id=ask.request_id,
        decision=decision,
        items=items,
        withheld=withheld,
        details={**(details or {}), **about},
    )
    audit.record(work, entry)


def _pseudonym(work: Work, found: Referral | None) -> str:
    """The person's name in this referral's audit; none once the content and the digest are erased."""
    if found is None or not found.subject_digest:
        return ""
    return work.vault.pseudonym(found.id, found.subject_digest)


def or_refuse(store: Store, ask: Ask, act: str, action: audit.Action, step: Callable[[Work], T]) -> T:
    """Run `step` in one unit of work. A refusal undoes it, is recorded in one of its own, then goes out."""
    try:
        with store.work() as work:
            return step(work)
    except Refused as refusal:
        denied = refusal if isinstance(refusal, Denied) else None
        entry = audit.Entry(
            act,
            action,
            ask.agent,
            refused=True,
            referral_id=denied.referral_id if denied else None,
            request_id=ask.request_id,
            decision=denied.decision if denied else None,
            details={"http-status": str(refusal.status)},
        )
        with store.work() as work:
            audit.record(work, entry)
        raise
