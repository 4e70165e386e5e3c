"""The outbox: at least once, in order within a lane, never across; given up only with a reason."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from gateway import outbox
from gateway.outbox import Done, GiveUp, Later, Posted
from gateway.store.work import Store

SECOND = timedelta(seconds=1)


def post(store: Store, *lanes: str) -> None:
    with store.work() as work:
        for number, lane in enumerate(lanes):
            outbox.post(work, "pull", lane, {"number": number})


def lease(store: Store, limit: int = 10) -> list[Posted]:
    with store.work() as work:
        return outbox.lease(work, limit)


def settle(store: Store, entry: Posted, outcome: outbox.Outcome) -> outbox.Outcome:
    with store.work() as work:
        return outbox.settle(work, entry, outcome)


def numbers(entries: list[Posted]) -> list[int]:
    return sorted(entry.body["number"] for entry in entries)


def test_only_the_first_entry_of_each_lane_is_handed_out(store: Store) -> None:
    post(store, "a", "a", "b", "a", "b")
    first = lease(store)
    assert numbers(first) == [0, 2]
    assert lease(store) == []
    for entry in first:
        settle(store, entry, Done())
    assert numbers(lease(store)) == [1, 4]


def test_a_waiting_entry_holds_back_its_own_lane_only(store: Store, clock: object) -> None:
    post(store, "a", "a", "b")
    (one,) = [entry for entry in lease(store) if entry.lane == "a"]
    settle(store, one, Later("busy", 30 * SECOND))
    with store.work() as work:
        assert (outbox.pending(work, "a"), outbox.pending(work, "b")) == (2, 1)
    clock.forward(29 * SECOND)  # type: ignore[attr-defined]
    assert [entry for entry in lease(store) if entry.lane == "a"] == []
    clock.forward(2 * SECOND)  # type: ignore[attr-defined]
    (again,) = [entry for entry in lease(store) if entry.lane == "a"]
    assert (again.number, again.attempts) == (one.number, 2)


def test_an_entry_that_was_given_up_lets_its_lane_go_on(store: Store) -> None:
    post(store, "a", "a")
    (one,) = lease(store)
    settle(store, one, GiveUp("the other side refused it with 400"))
    (two,) = lease(store)
    assert two.body == {"number": 1}
    with store.work() as work:
        assert outbox.dead_letters(work) == [(one.number, "pull", "the other side refused it with 400")]
        assert outbox.pending(work, "a") == 1


def test_a_lease_ends_by_itself_and_its_holder_then_settles_nothing(store: Store, clock: object) -> None:
    """The holder was killed, or slept too long: who leases the entry next has the say."""
    post(store, "a")
    (lost,) = lease(store)
    clock.forward(outbox.LEASE + SECOND)  # type: ignore[attr-defined]
    (held,) = lease(store)
    assert (held.number, held.attempts) == (lost.number, 2) and held.fence != lost.fence

    for outcome in (Done(), Later("slow"), GiveUp("no")):
        settle(store, lost, outcome)
        with store.work() as work:
            assert outbox.pending(work, "a") == 1
            assert outbox.dead_letters(work) == []
    assert lease(store) == []  # the lease of the second holder still stands
    settle(store, held, Done())
    with store.work() as work:
        assert outbox.pending(work, "a") == 0


def test_after_the_last_attempt_it_is_a_dead_letter_that_says_why(store: Store, clock: object) -> None:
    post(store, "a")
    for attempt in range(1, outbox.ATTEMPTS + 1):
        clock.forward(outbox.LONGEST_WAIT + SECOND)  # type: ignore[attr-defined]
        (entry,) = lease(store)
        assert entry.attempts == attempt
        settled = settle(store, entry, Later("the partner's node does not answer"))
    assert settled == GiveUp(f"the partner's node does not answer ({outbox.ATTEMPTS} attempts)")
    clock.forward(outbox.LONGEST_WAIT + SECOND)  # type: ignore[attr-defined]
    assert lease(store) == []


@pytest.mark.parametrize("attempts", range(1, 40))
def test_waits_double_up_to_an_hour_and_never_more(attempts: int) -> None:
    ceiling = min(2 ** (attempts - 1), 3600)
    waits = [outbox.backoff(attempts).total_seconds() for _ in range(20)]
    assert all(ceiling / 2 <= wait <= ceiling for wait in waits)
    assert len(set(waits)) > 1  # with jitter, so that a crowd does not come back at once


def test_what_is_posted_in_a_work_that_fails_was_never_posted(store: Store) -> None:
    with pytest.raises(RuntimeError), store.work() as work:
        outbox.post(work, "pull", "a", {"number": 1})
        raise RuntimeError
    assert lease(store) == []


OUTCOMES = st.sampled_from([Done(), Later("busy", 0 * SECOND), GiveUp("no"), None])


@hypothesis_settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8), st.data())
def test_whatever_happens_no_lane_is_ever_overtaken(
    store: Store, lanes: list[str], data: st.DataObject
) -> None:
    """None is a holder that vanishes. Each lane's entries end in the order in which they were posted."""
    with store.work() as work:
        work.tx.execute(text("delete from outbox"))
    post(store, *lanes)
    ended: dict[str, list[int]] = {}
    for _ in range(200):
        entries = lease(store)
        with store.work() as work:
            left = sum(outbox.pending(work, lane) for lane in set(lanes))
        if not left:
            break
        for entry in entries:
            outcome = data.draw(OUTCOMES)
            if outcome is None:
                continue
            final = settle(store, entry, outcome)
            if not isinstance(final, Later):
                ended.setdefault(entry.lane, []).append(entry.body["number"])
        store._clock.forward(outbox.LEASE + SECOND)  # type: ignore[attr-defined]
    for lane, order in ended.items():
        assert order == sorted(order)
        assert order == [number for number, one in enumerate(lanes) if one == lane][: len(order)]
