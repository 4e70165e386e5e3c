"""The audit chain: whoever changes, removes or inserts an entry breaks it where they did."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from gateway import audit
from gateway.audit import Entry
from gateway.store.work import Store


def record(store: Store, count: int) -> None:
    with store.work() as work:
        for number in range(count):
            audit.record(work, Entry("read", "R", "someone", referral_id=f"referral-{number % 2}"))


def first_break(store: Store) -> int | None:
    with store.work() as work:
        return audit.first_break(work)


@pytest.fixture
def ten(store: Store) -> Store:
    record(store, 10)
    return store


def test_a_chain_that_nobody_touched_is_whole(ten: Store) -> None:
    assert first_break(ten) is None
    record(ten, 5)
    assert first_break(ten) is None


@pytest.mark.parametrize(
    ("tampering", "breaks_at"),
    [
        ("update audit set event = replace(event, 'someone', 'nobody') where number = 4", 4),
        ("update audit set event = event || ' ' where number = 1", 1),
        ("update audit set hash = previous where number = 7", 7),
        ("update audit set previous = hash where number = 7", 7),
        ("delete from audit where number = 5", 6),
        ("delete from audit where number = 1", 2),
        ("delete from audit where number < 4", 4),
        ("update audit set number = 11 where number = 3", 4),
        ("update audit set number = 20 where number = 10", 20),
        (
            "insert into audit select tenant, 11, 'r', hash, hash, event from audit where number = 10",
            11,
        ),
    ],
)
def test_tampering_is_found_where_it_happened(ten: Store, tampering: str, breaks_at: int) -> None:
    with ten.work() as work:
        work.tx.execute(text(tampering))
    assert first_break(ten) == breaks_at


def test_two_entries_that_change_places_are_found(ten: Store) -> None:
    with ten.work() as work:
        for step in (
            "number = 99 where number = 4",
            "number = 4 where number = 5",
            "number = 5 where number = 99",
        ):
            work.tx.execute(text(f"update audit set {step}"))
    assert first_break(ten) == 4


@hypothesis_settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(number=st.integers(1, 10), place=st.floats(0, 0.99), letter=st.characters(codec="ascii"))
def test_no_single_letter_can_be_changed_unseen(ten: Store, number: int, place: float, letter: str) -> None:
    def event() -> str:
        with ten.work() as work:
            found = work.tx.execute(text("select event from audit where number = :n"), {"n": number})
            return str(found.scalar_one())

    def write(value: str) -> None:
        with ten.work() as work:
            work.tx.execute(text("update audit set event = :e where number = :n"), {"e": value, "n": number})

    before = event()
    at = int(place * len(before))
    changed = before[:at] + letter + before[at + 1 :]
    write(changed)
    assert first_break(ten) == (None if changed == before else number)
    write(before)


def test_an_act_that_fails_leaves_no_entry_and_a_gapless_chain(ten: Store) -> None:
    with pytest.raises(RuntimeError), ten.work() as work:
        audit.record(work, Entry("update", "U", "someone"))
        raise RuntimeError
    record(ten, 1)
    assert first_break(ten) is None


def test_a_referral_has_its_own_story(ten: Store) -> None:
    with ten.work() as work:
        audit.record(work, Entry("update", "U", "someone", refused=True, referral_id="referral-1"))
        events = audit.of_referral(work, "referral-1")
    assert [event["subtype"][0]["code"] for event in events] == ["read"] * 5 + ["update"]
    assert [event["outcome"] for event in events] == ["0"] * 5 + ["4"]
