"""What a partner is shown of a referral at its source: found by its address, built by minimising, tagged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import consent
from consent import Decision
from gateway import decoy, fhir_json
from gateway.judge import Judged
from gateway.node import Node
from gateway.recording import Ask
from gateway.store import referrals, tasks
from gateway.store.referrals import Referral
from gateway.store.tasks import Task
from gateway.store.work import Work
from gateway.task_resource import task_resource


@dataclass(frozen=True, slots=True)
class View:
    """The Task, and by its name in the content everything else that the decision lets through."""

    task: Mapping[str, Any]
    resources: Mapping[str, Mapping[str, Any]]
    withheld: tuple[str, ...]  # paths, never values


def find(
    node: Node, work: Work, ask: Ask, resource_type: str, resource_id: str
) -> tuple[Referral, Task, str]:
    """What stands at an address, and its name in the content.

    Raises the one 404 to all but its owner, after the same look-ups and the same work as for what is there.
    """
    pointed = (
        (resource_id, "Task")
        if resource_type == "Task"
        else tasks.pointed_at(work, resource_type, resource_id) or ("", "")
    )
    task = tasks.get(work, pointed[0])
    found = referrals.get(work, task.referral_id if task else "")
    if (
        task is None
        or found is None
        or task.status == "draft"
        or task.owner != ask.agent
        or found.organization != ask.identity.organization
    ):
        raise decoy.refusal(node, work, ask)
    return found, task, pointed[1]


def view(node: Node, work: Work, found: Referral, task: Task, judged: Judged) -> View:
    """Everything that this decision lets the Task's owner see, built up from the allow-list."""
    addresses = tasks.addresses(work, task.id)
    disclosed = consent.minimise(judged.resources, judged.decision, node.policy, addresses)
    inputs = [name for name in disclosed.resources if name not in ("Patient", "ServiceRequest")]
    shown = task_resource(found, task, addresses, inputs)
    return View(shown, disclosed.resources, disclosed.withheld)


def disclosed_items(node: Node, decision: Decision, name: str) -> tuple[str, ...]:
    """The disclosure items in one served resource: what the accounting of disclosures must say was seen."""
    resource_type, _, fact = name.partition("/")
    return tuple(
        code
        for code in sorted(decision.items)
        if node.policy.items.entries[code].resource == resource_type and fact in ("", code)
    )


def etag(work: Work, versioned: Task | Mapping[str, Any]) -> str:
    """An entity tag that tells two versions apart, and nothing else: a keyed digest."""
    version = (
        [versioned.id, str(versioned.version)]
        if isinstance(versioned, Task)
        else [fhir_json.encode(versioned).decode()]
    )
    return f'W/"{work.vault.digest("etag", *version)[:20]}"'
