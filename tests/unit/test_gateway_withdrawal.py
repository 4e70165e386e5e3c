"""A withdrawal is acknowledged only after what was decided before it has been sent to its last byte."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hospital_world import Clock, make_hospital, offered

from gateway import permission
from gateway.demo.agencies import PANTRY, organization
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.node import Node
from gateway.recording import Ask
from gateway.store import consents, disclosures, schema


@pytest.fixture
def hospital(tmp_path: Path) -> Node:
    return make_hospital(tmp_path)


def the_consent(node: Node) -> str:
    with node.store.work() as work:
        return str(work.tx.execute(schema.consent.select()).one().id)


def withdraw_beside(node: Node, ask: Ask) -> tuple[threading.Thread, list[list[str]]]:
    """Start a withdrawal on another thread; what it returns once it does."""
    returned: list[list[str]] = []
    consent = the_consent(node)
    thread = threading.Thread(target=lambda: returned.append(permission.withdraw_consent(node, ask, consent)))
    thread.start()
    return thread, returned


def withdrawn(node: Node) -> bool:
    consent = the_consent(node)
    with node.store.work() as work:
        held = consents.get(work, consent)
    return held is not None and held.status == "inactive"


def wait_until_withdrawn(node: Node) -> None:
    for _ in range(500):
        if withdrawn(node):
            return
        threading.Event().wait(0.01)
    raise AssertionError("the withdrawal was never committed")


def test_it_waits_for_a_read_that_was_decided_before(hospital: Node) -> None:
    ask, referral_id, task_id = offered(hospital)
    pantry = Ask(organization(PANTRY), hospital.home, "00000000-0000-4000-8000-000000000002")
    read = Exchange(hospital).read(pantry, "Task", task_id)

    thread, returned = withdraw_beside(hospital, ask)
    wait_until_withdrawn(hospital)
    thread.join(0.3)
    assert thread.is_alive(), "acknowledged while an answer was still being sent"

    with hospital.store.work() as work:
        disclosures.end(work, [read.disclosure])
    thread.join(5)
    assert returned == [[referral_id]]


def test_it_does_not_wait_for_what_a_crash_left_behind(hospital: Node) -> None:
    ask, referral_id, task_id = offered(hospital)
    pantry = Ask(organization(PANTRY), hospital.home, "00000000-0000-4000-8000-000000000002")
    Exchange(hospital).read(pantry, "Task", task_id)  # and its end is never noted

    assert isinstance(hospital.now, Clock)
    hospital.now.ahead += disclosures.LONGEST + timedelta(seconds=1)

    assert permission.withdraw_consent(hospital, ask, the_consent(hospital)) == [referral_id]


def test_nothing_new_of_the_person_is_decided_meanwhile(hospital: Node) -> None:
    ask, _, task_id = offered(hospital)
    pantry = Ask(organization(PANTRY), hospital.home, "00000000-0000-4000-8000-000000000002")
    read = Exchange(hospital).read(pantry, "Task", task_id)
    patient = str(read.resource["for"]["reference"]).removeprefix("Patient/")
    request = str(read.resource["focus"]["reference"]).removeprefix("ServiceRequest/")

    thread, _ = withdraw_beside(hospital, ask)
    wait_until_withdrawn(hospital)
    for resource_type, resource_id in (("Patient", patient), ("ServiceRequest", request)):
        with pytest.raises(Refused):
            Exchange(hospital).read(pantry, resource_type, resource_id)

    with hospital.store.work() as work:
        disclosures.end(work, [read.disclosure])
    thread.join(5)
    assert not thread.is_alive()


def accept(node: Node, task_id: str, key: str) -> dict[str, object]:
    """The pantry accepts, under an idempotency key; the update that it sent."""
    pantry = Ask(organization(PANTRY), node.home, "00000000-0000-4000-8000-000000000003")
    read = Exchange(node).read(pantry, "Task", task_id)
    with node.store.work() as work:
        disclosures.end(work, [read.disclosure])
    wanted = {**read.resource, "status": "accepted"}
    done = Exchange(node).update_task(pantry, task_id, wanted, read.etag, key)
    with node.store.work() as work:
        disclosures.end(work, [done.disclosure])
    return wanted


def test_a_repeated_answer_is_answered_again(hospital: Node) -> None:
    _, _, task_id = offered(hospital)
    wanted = accept(hospital, task_id, "an-answer-1")
    pantry = Ask(organization(PANTRY), hospital.home, "00000000-0000-4000-8000-000000000004")

    again = Exchange(hospital).update_task(pantry, task_id, wanted, "W/stale", "an-answer-1")

    assert again.resource["status"] == "accepted"


def test_repeating_an_answer_tells_nothing_that_came_later(hospital: Node) -> None:
    """From a victim service provider nothing is heard once a referral is closed, by this way either."""
    hospital.settings = replace(hospital.settings, kinds=frozenset({"victim-service-provider"}))
    ask, _, task_id = offered(hospital)
    wanted = accept(hospital, task_id, "an-answer-1")
    permission.withdraw_consent(hospital, ask, the_consent(hospital))
    pantry = Ask(organization(PANTRY), hospital.home, "00000000-0000-4000-8000-000000000004")

    with pytest.raises(Refused) as refused:
        Exchange(hospital).update_task(pantry, task_id, wanted, "W/stale", "an-answer-1")

    assert refused.value.status == 404
