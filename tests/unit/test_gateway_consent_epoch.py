"""A decision is recorded with the consent epoch it was made at; nothing older outlives a withdrawal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from consent_store_world import (
    another_consent,
    beside,
    inactive,
    last_events,
    look,
    pantry,
    read,
    request_of,
    sent,
    the_consent,
    wait_for,
    withdraw,
)
from hospital_world import make_hospital, offered

from gateway import compiled, consenting, notify, permission, settings
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.judge import Denied
from gateway.node import Node
from gateway.store import consents, disclosures, persons, referrals, subscriptions, tasks
from gateway.store.work import Work


@pytest.fixture
def hospital(tmp_path: Path) -> Node:
    return make_hospital(tmp_path)


def epoch(node: Node, referral_id: str) -> int:
    def step(work: Work) -> int:
        found = referrals.get(work, referral_id)
        assert found is not None
        return persons.epoch(work, found.subject_digest)

    return look(node, step)


def test_each_change_of_a_persons_consents_raises_the_epoch(hospital: Node) -> None:
    ask, referral_id, _ = offered(hospital)
    assert epoch(hospital, referral_id) == 1
    second, _ = permission.record_consent(hospital, ask, another_consent(hospital))
    assert epoch(hospital, referral_id) == 2
    withdraw(hospital, ask, second)
    assert epoch(hospital, referral_id) == 3
    withdraw(hospital, ask, second)  # it has been withdrawn already, and nothing changes
    assert epoch(hospital, referral_id) == 3


def test_a_change_that_fails_raises_nothing(hospital: Node) -> None:
    ask, referral_id, _ = offered(hospital)
    person = consenting.person_of(hospital, another_consent(hospital))
    with pytest.raises(RuntimeError), hospital.store.work() as work:
        consenting.keep(hospital, ask, work, person, another_consent(hospital))
        raise RuntimeError
    assert epoch(hospital, referral_id) == 1


def test_a_decision_is_recorded_with_the_epoch_it_was_made_at(hospital: Node) -> None:
    ask, _, task_id = offered(hospital)
    read(hospital, "Task", task_id)
    permission.record_consent(hospital, ask, another_consent(hospital))
    read(hospital, "Task", task_id)
    Exchange(hospital).search_tasks(pantry(hospital), lambda _: True)

    said = [one for one in last_events(hospital, 5) if one["act"] in ("read", "create", "search-type")]
    assert [(one["act"], one["consent-epoch"]) for one in said] == [
        ("read", "1"),
        ("create", "2"),
        ("read", "2"),
        ("search-type", "2"),
    ]


def test_a_refusal_is_recorded_with_it_too(hospital: Node) -> None:
    ask, _, task_id = offered(hospital)
    request = request_of(hospital, task_id)
    withdraw(hospital, ask, the_consent(hospital))
    with pytest.raises(Refused):
        read(hospital, "ServiceRequest", request)
    (refused,) = last_events(hospital, 1)
    assert (refused["outcome"], refused["consent-epoch"]) == ("4", "2")


def test_a_withdrawal_waits_for_a_read_also_where_the_referral_goes_on(hospital: Node) -> None:
    """The referral has another consent to rest on; what is being sent rested on the one withdrawn."""
    ask, referral_id, task_id = offered(hospital)
    permission.record_consent(hospital, ask, another_consent(hospital))
    found = read(hospital, "ServiceRequest", request_of(hospital, task_id), held_open=True)

    thread, cancelled = beside(lambda: withdraw(hospital, ask, the_consent(hospital)))
    wait_for(hospital, inactive(the_consent(hospital)))
    thread.join(0.3)
    assert thread.is_alive(), "acknowledged while an answer was still being sent"

    sent(hospital, found.disclosure)
    thread.join(5)
    assert cancelled == [[]]
    assert look(hospital, lambda work: referrals.get(work, referral_id)).state == "offered"  # type: ignore[union-attr]


def test_what_is_decided_after_the_withdrawal_holds_it_up_no_longer(hospital: Node) -> None:
    ask, _, task_id = offered(hospital)
    permission.record_consent(hospital, ask, another_consent(hospital))
    older = read(hospital, "Task", task_id, held_open=True)
    thread, _ = beside(lambda: withdraw(hospital, ask, the_consent(hospital)))
    wait_for(hospital, inactive(the_consent(hospital)))

    newer = read(hospital, "Task", task_id, held_open=True)
    sent(hospital, older.disclosure)
    thread.join(5)
    assert not thread.is_alive(), "it waits for a read that it had decided on itself"
    sent(hospital, newer.disclosure)


def test_a_list_of_tasks_and_an_update_are_waited_for_as_a_read_is(hospital: Node) -> None:
    ask, _, task_id = offered(hospital)
    listed = Exchange(hospital).search_tasks(pantry(hospital), lambda _: True)
    assert len(listed.tasks) == len(listed.disclosures) == 1
    thread, _ = beside(lambda: withdraw(hospital, ask, the_consent(hospital)))
    wait_for(hospital, inactive(the_consent(hospital)))
    thread.join(0.2)
    assert thread.is_alive()
    sent(hospital, *listed.disclosures)
    thread.join(5)
    assert not thread.is_alive()
    task = look(hospital, lambda work: tasks.get(work, task_id))
    assert task is not None and task.status == "cancelled"


def test_a_notification_on_its_way_is_waited_for(hospital: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, referral_id, task_id = offered(hospital)
    with hospital.store.work() as work:
        found = referrals.get(work, referral_id)
        assert found is not None
        one, _ = subscriptions.subscribe(work, found.organization, pantry(hospital).agent, "http://p/n")
        number = subscriptions.number_event(work, one, task_id)
    body = {"subscription": one.id, "number": number, "task": task_id}
    posting, may_end = asyncio.Event(), asyncio.Event()

    async def post(*_: Any) -> None:
        posting.set()
        await may_end.wait()

    monkeypatch.setattr(notify, "_post", post)

    async def story() -> list[str]:
        sending = asyncio.create_task(notify.send_event(hospital, {}, body))
        await posting.wait()
        withdrawing = asyncio.create_task(asyncio.to_thread(withdraw, hospital, ask, the_consent(hospital)))
        await asyncio.sleep(0.3)
        assert not withdrawing.done(), "acknowledged while a notification was still being sent"
        may_end.set()
        await sending
        sent(hospital, *hospital.ended)  # as the worker does, a tenth of a second later at most
        return await asyncio.wait_for(withdrawing, 5)

    assert asyncio.run(story()) == [referral_id]


def test_a_subscriber_that_hangs_holds_up_a_withdrawal_for_seconds_only(
    hospital: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attempt is given up before its disclosure could be taken to have ended by itself."""
    assert 0 < notify._LONGEST_SECONDS < disclosures.LONGEST.total_seconds()
    monkeypatch.setattr(notify, "_LONGEST_SECONDS", 0.05)
    _, referral_id, task_id = offered(hospital)
    with hospital.store.work() as work:
        found = referrals.get(work, referral_id)
        assert found is not None
        one, _ = subscriptions.subscribe(work, found.organization, pantry(hospital).agent, "http://p/n")
        number = subscriptions.number_event(work, one, task_id)

    async def hang(*_: Any) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(notify, "_post", hang)
    body = {"subscription": one.id, "number": number, "task": task_id}
    with pytest.raises(TimeoutError):
        asyncio.run(notify.send_event(hospital, {}, body))
    assert len(hospital.ended) == 1


def test_a_refusal_that_is_recorded_ends_what_is_open_as_a_withdrawal_does(hospital: Node) -> None:
    ask, referral_id, task_id = offered(hospital)
    refusal = another_consent(hospital)
    refusal["provision"] = {
        "type": "deny",
        "actor": refusal["provision"]["actor"],
        "period": refusal["provision"]["period"],
        "purpose": refusal["provision"]["purpose"],
    }
    permission.record_consent(hospital, ask, refusal)
    task = look(hospital, lambda work: tasks.get(work, task_id))
    assert task is not None and task.status == "cancelled"
    assert look(hospital, lambda work: referrals.get(work, referral_id)).state == "closed"  # type: ignore[union-attr]


# ------------------------------------------------------------------ compiled when stored


class Counted:
    """`consent.compile_consent`, and how often it was called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._compile = compiled.consent.compile_consent
        monkeypatch.setattr(compiled.consent, "compile_consent", self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        return self._compile(*args, **kwargs)


def test_a_decision_compiles_nothing(hospital: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, task_id = offered(hospital)
    counted = Counted(monkeypatch)
    for _ in range(3):
        read(hospital, "Task", task_id)
    assert counted.count == 0


def test_after_a_restart_it_is_compiled_once(
    hospital: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, task_id = offered(hospital)
    counted = Counted(monkeypatch)
    restarted = Node(settings.read(hospital.settings.path), hospital.now)
    for _ in range(3):
        read(restarted, "Task", task_id)
    restarted.close()
    assert counted.count == 1


def test_a_withdrawal_by_another_process_is_seen_by_the_next_decision(hospital: Node) -> None:
    """The other has a connection and a memory of its own, as `waymeet revoke` beside a running node.

    It withdraws and goes no further here: no Task is cancelled that would close the referral to readers.
    """
    _, _, task_id = offered(hospital)
    request = request_of(hospital, task_id)
    read(hospital, "ServiceRequest", request)
    assert hospital.compiled._kept, "this process holds the consent compiled, as active"

    consent_id = the_consent(hospital)
    other = Node(settings.read(hospital.settings.path), hospital.now)
    with other.store.work() as work:
        held = consents.get(work, consent_id)
        assert held is not None
        consents.deactivate(work, held)
    other.close()

    with pytest.raises(Denied) as denied:
        read(hospital, "ServiceRequest", request)
    assert (denied.value.status, denied.value.decision.code) == (404, "consent-revoked")


def test_a_compiled_consent_is_only_used_for_the_state_it_was_made_of(hospital: Node) -> None:
    ask, referral_id, _ = offered(hospital)
    consent_id = the_consent(hospital)
    before = hospital.compiled._kept[consent_id]
    withdraw(hospital, ask, consent_id)
    hospital.compiled._kept[consent_id] = before  # as if dropping it had been forgotten

    def step(work: Work) -> str:
        found = referrals.get(work, referral_id)
        assert found is not None
        (one,) = hospital.compiled.of_person(work, found.subject_digest)
        return one.status

    assert before[1].status == "active"
    assert look(hospital, step) == "inactive"


def test_no_more_are_kept_than_is_stated(hospital: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "KEPT", 2)
    made = compiled.Compiled(hospital.settings.timezone)
    for number in range(5):
        made.keep(consents.State(str(number), "active", "now"), made.compile({}))
    assert list(made._kept) == ["3", "4"]
