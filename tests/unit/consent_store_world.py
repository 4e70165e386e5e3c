"""A hospital's node with one referral on offer, and what the tests of its consents do with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from hospital_world import Clock
from sample_records import hospital_consent

from gateway import audit, permission
from gateway.cli import consent as cli_consent
from gateway.demo.agencies import PANTRY, organization
from gateway.exchange import Answer, Exchange
from gateway.node import Node
from gateway.recording import Ask
from gateway.store import consents, disclosures, schema, tasks
from gateway.store.work import Work

T = TypeVar("T")
PATIENT = "EC-480213"


def look(node: Node, step: Callable[[Work], T]) -> T:
    """What `step` finds in one unit of work."""
    with node.store.work() as work:
        return step(work)


def the_consent(node: Node) -> str:
    """The id of the consent that was recorded first."""
    return look(
        node,
        lambda work: str(work.tx.execute(schema.consent.select().order_by("recorded_at")).first().id),
    )


def another_consent(node: Node, **answers: Any) -> dict[str, Any]:
    """One more Consent of the same patient, not recorded yet."""
    end = (node.now() + timedelta(days=30)).date().isoformat()
    return cli_consent.build(node.settings, hospital_consent(PATIENT, end=end, **answers))


def pantry(node: Node) -> Ask:
    """The pantry, asking the hospital."""
    return Ask(organization(PANTRY), node.home, "00000000-0000-4000-8000-000000000002")


def read(node: Node, resource_type: str, resource_id: str, *, held_open: bool = False) -> Answer:
    """What the pantry reads; held_open: its last byte is not out yet."""
    found = Exchange(node).read(pantry(node), resource_type, resource_id)
    if not held_open:
        sent(node, found.disclosure)
    return found


def sent(node: Node, *ended: str) -> None:
    """The last byte of these is out."""
    look(node, lambda work: disclosures.end(work, ended))


def request_of(node: Node, task_id: str) -> str:
    """The id of the ServiceRequest that a Task points to."""
    return look(node, lambda work: tasks.addresses(work, task_id)["ServiceRequest"])


def last_events(node: Node, count: int) -> list[Mapping[str, Any]]:
    """The details of the last entries of the audit, oldest first."""
    found = look(node, lambda work: list(work.tx.execute(schema.audit.select().order_by("number"))))
    return [details(row.event) for row in found[-count:]]


def details(event: str) -> dict[str, Any]:
    """An AuditEvent's act, outcome and details, each detail's last value by its name."""
    import msgspec

    decoded = msgspec.json.decode(event)
    said = {
        detail["type"]: detail["valueString"]
        for entity in decoded["entity"]
        for detail in entity.get("detail", ())
    }
    return {"act": decoded["subtype"][0]["code"], "outcome": decoded["outcome"], **said}


def beside(step: Callable[[], T]) -> tuple[threading.Thread, list[T]]:
    """Start `step` on another thread; what it returns once it does."""
    returned: list[T] = []
    thread = threading.Thread(target=lambda: returned.append(step()))
    thread.start()
    return thread, returned


def wait_for(node: Node, found: Callable[[Work], bool]) -> None:
    """Wait until the store says so."""
    for _ in range(500):
        if look(node, found):
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came to be")


def inactive(consent_id: str) -> Callable[[Work], bool]:
    """Whether a consent has been withdrawn."""

    def step(work: Work) -> bool:
        held = consents.get(work, consent_id)
        return held is not None and held.status == "inactive"

    return step


def later(node: Node, days: float) -> None:
    """Turn the node's clock forward."""
    assert isinstance(node.now, Clock)
    node.now.ahead += timedelta(days=days)


def audit_is_whole(node: Node) -> bool:
    """Whether every entry follows from the one before it."""
    return look(node, audit.first_break) is None


def withdraw(node: Node, ask: Ask, consent_id: str) -> list[str]:
    """Withdraw a consent; the referrals that it cancelled."""
    return permission.withdraw_consent(node, ask, consent_id)
