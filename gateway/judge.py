"""Ask `consent.decide` about one referral and one recipient, now: gather the facts, nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import consent
from consent import Decision, Facts, Party
from consent.undecided import undecided
from gateway import exclusion
from gateway.errors import Refused, not_found
from gateway.node import Node
from gateway.store import contents, exclusions, persons, referrals
from gateway.store.referrals import Referral
from gateway.store.tasks import Task
from gateway.store.work import Work


@dataclass(frozen=True, slots=True)
class Judged:
    """A decision with the content it was made about, so that nobody opens it twice."""

    decision: Decision
    resources: Mapping[str, Any]


class Denied(Refused):
    """A denial: to the caller the same 404 as for what does not exist; to the audit, the decision."""

    def __init__(self, referral_id: str, decision: Decision, epoch: int) -> None:
        """epoch: the person's consent epoch that the decision was made at."""
        answer = not_found()
        super().__init__(answer.status, answer.issues)
        self.referral_id = referral_id
        self.decision = decision
        self.epoch = epoch


def judge(
    node: Node, work: Work, referral: Referral, task: Task, purposes: frozenset[str] | None = None
) -> Judged:
    """What this Task's owner may see of this referral at this moment.

    purposes: what the owner asks for with its token; None: whatever the directory lists for it.

    Reads content and consents in the caller's unit of work, so a withdrawal that is committed is seen and
    one that is not yet committed waits. Raises vault.Erased once the content is destroyed.
    """
    asked = ask_about(node, work, referral, task, purposes)
    decide = undecided if asked.undecided else consent.decide
    return Judged(decide(asked.facts, work.now), asked.resources)


@dataclass(frozen=True, slots=True)
class Asked:
    """The facts of one question, the content they are about, and whether an exclusion is still open."""

    facts: Facts
    resources: Mapping[str, Any]
    undecided: bool


def ask_about(
    node: Node, work: Work, referral: Referral, task: Task, purposes: frozenset[str] | None = None
) -> Asked:
    """The facts of the question that `judge` decides."""
    recipient = recipient_now(node, task.owner)
    record = contents.get(work, referral.id, referrals.RECORD) or {}
    excluded = exclusion.of(record)
    resources: Mapping[str, Any] = record.get("resources", {})
    consents = node.compiled.of_person(work, referral.subject_digest)
    agreements = node.agreements.between(referral.organization, task.owner)
    kinds = frozenset[str]().union(*(one.kinds_of(task.owner) for one in agreements))
    facts = Facts(
        source=Party(referral.organization, kinds=node.settings.kinds),
        recipient=replace(
            recipient, kinds=kinds, purposes=recipient.purposes if purposes is None else purposes
        ),
        purpose=referral.purpose,
        referral_type=referral.referral_type,
        state=task.status,
        record=consent.describe(
            resources,
            node.policy,
            node.settings.kinds,
            [(element, sensitivity) for _, _, element, sensitivity in record.get("lineage", ())],
            zone=node.settings.timezone,
        ),
        person=consent.person(resources, consents, work.now),
        agreements=agreements,
        consents=consents,
        excluded=excluded.closed if record else _closed_to(work, referral, task.owner),
        policy=node.policy,
    )
    return Asked(facts, resources, bool(excluded.undecided))


def _closed_to(work: Work, referral: Referral, organization: str) -> frozenset[str]:
    """Of a referral whose content is erased: whether it was closed to this organisation before."""
    return frozenset({organization} if exclusions.holds(work, referral.id, organization) else ())


def recipient_now(node: Node, organization: str) -> Party:
    """A recipient as the directory knows it at this moment."""
    peer = node.peer(organization)
    return Party(
        organization,
        known=peer is not None,
        active=peer is not None and peer.status == "active",
        suspended=peer is not None and peer.status == "suspended",
        purposes=None if peer is None else peer.purposes,
    )


def permitted(
    node: Node,
    work: Work,
    referral: Referral,
    task: Task,
    name: str = "Task",
    purposes: frozenset[str] | None = None,
) -> Judged:
    """`judge`, but a deny is raised as Denied, and so is one of what stands under `name` in the content."""
    judged = judge(node, work, referral, task, purposes)
    if not judged.decision.shows(name):
        raise Denied(referral.id, judged.decision, persons.epoch(work, referral.subject_digest))
    return judged
