"""Who asks, and the audit entry of what came of it: with the act, or for a refusal after undoing it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from consent import Decision
from gateway import audit
from gateway.errors import Refused
from gateway.judge import Denied
from gateway.node import Identity
from gateway.store import accounting, persons
from gateway.store.referrals import Referral
from gateway.store.tasks import Task
from gateway.store.work import Store, Work

T = TypeVar("T")
_CONSENT: Final = re.compile(r"\bConsent/([A-Za-z0-9.-]{1,64})")


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks, under which of our names, and the id of the attempt.

    agent: a partner's directory URL, a local client's id, or `operator` at the command line. purposes: those
    that a partner's token names, among the ones it is registered for at this moment.
    """

    agent: str
    identity: Identity
    request_id: str
    purposes: frozenset[str] | None = None


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
    """The entry of one act, in the act's own unit of work; what it showed of a person is accounted for.

    what: the name of the resource that was served or changed. items: the disclosure items that it showed.
    withheld: the paths of the record that it did not.
    """
    shown = tuple(items)
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
        items=shown,
        withheld=withheld,
        details={**(details or {}), **about, **epoch_of(work, found, decision)},
    )
    number = audit.record(work, entry)
    if shown and not refused and found is not None and found.subject_digest:
        name = persons.name_in_accounting(work, found.subject_digest)
        accounting.note(work, name, number, consents_relied_on(decision))


def epoch_of(work: Work, found: Referral | None, decision: Decision | None) -> dict[str, str]:
    """The audit detail that says at which consent epoch of the person a decision was made."""
    if found is None or decision is None or not found.subject_digest:
        return {}
    return {"consent-epoch": str(persons.epoch(work, found.subject_digest))}


def consents_relied_on(decision: Decision | None) -> frozenset[str]:
    """The ids of the consents that let a decision through; not of those that only narrowed it."""
    given = (
        (one.basis for one in decision.reasons if (one.step, one.outcome) == ("consent", "pass"))
        if decision
        else ()
    )
    return frozenset(found for basis in given for found in _CONSENT.findall(basis))


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
            details={"http-status": str(refusal.status)}
            | ({"consent-epoch": str(denied.epoch)} if denied else {}),
        )
        with store.work() as work:
            audit.record(work, entry)
        raise
