"""The same key and content get the first answer; the same key with another content is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from gateway.errors import Refused
from gateway.store import contents, received
from gateway.store.work import Store

ANSWER = {"referral": "r-1", "state": "held"}


@pytest.fixture
def taken(store: Store) -> Store:
    with store.work() as work:
        received.remember(work, "hl7v2", "ECH|RF-1", b"the record", "r-1", ANSWER)
    return store


def test_a_new_record_has_no_answer_yet(taken: Store) -> None:
    with taken.work() as work:
        assert received.first_answer(work, "hl7v2", "ECH|RF-2", b"the record") is None
        assert received.first_answer(work, "csv", "ECH|RF-1", b"the record") is None  # another system


def test_the_same_record_gets_the_first_answer(taken: Store) -> None:
    with taken.work() as work:
        assert received.first_answer(work, "hl7v2", "ECH|RF-1", b"the record") == ANSWER


def test_the_same_key_with_another_content_is_refused_and_changes_nothing(taken: Store) -> None:
    with taken.work() as work, pytest.raises(Refused) as refused:
        received.first_answer(work, "hl7v2", "ECH|RF-1", b"the record, changed")
    assert refused.value.status == 409 and refused.value.issues[0].code == "duplicate"
    assert "RF-1" not in str(refused.value.outcome())
    with taken.work() as work:
        assert received.first_answer(work, "hl7v2", "ECH|RF-1", b"the record") == ANSWER


def test_keys_and_contents_are_kept_as_keyed_digests_only(taken: Store) -> None:
    with taken.work() as work:
        (row,) = work.tx.execute(text("select * from received")).all()
    assert "RF-1" not in str(row) and "the record" not in str(row)


def test_once_the_referral_is_forgotten_its_record_is_not_recognised_any_more(taken: Store) -> None:
    with taken.work() as work:
        contents.forget(work, "r-1")
    with taken.work() as work:
        assert received.first_answer(work, "hl7v2", "ECH|RF-1", b"the record") is None


def remember(store: Store, issuer: str, jti: str, expires: int) -> bool:
    with store.work() as work:
        return received.remember_assertion(work, issuer, jti, expires)


def test_an_assertion_is_good_once_for_each_issuer(store: Store, clock: object) -> None:
    expires = int(clock.now.timestamp()) + 300  # type: ignore[attr-defined]
    assert remember(store, "pantry", "jti-1", expires)
    assert not remember(store, "pantry", "jti-1", expires)
    assert remember(store, "hospital", "jti-1", expires)
    assert remember(store, "pantry", "jti-2", expires)


def test_it_is_remembered_for_as_long_as_it_could_be_used(store: Store, clock: object) -> None:
    expires = int(clock.now.timestamp()) + 300  # type: ignore[attr-defined]
    assert remember(store, "pantry", "jti-1", expires)
    clock.forward(timedelta(seconds=301))  # type: ignore[attr-defined]
    assert not remember(store, "pantry", "jti-1", expires)
    clock.forward(timedelta(minutes=5))  # type: ignore[attr-defined]
    assert remember(store, "pantry", "jti-2", expires + 700)
    with store.work() as work:
        assert work.tx.execute(text("select jti from assertion")).all() == [("jti-2",)]
