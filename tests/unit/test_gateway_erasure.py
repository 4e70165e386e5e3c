"""After a referral has closed and its grace is over, its state can still be read, and nothing else exists."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hospital_world import Clock, make_hospital, offered
from sqlalchemy import select

from gateway import decoy, notify, outbox, permission
from gateway.demo.agencies import PANTRY, organization
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.node import Node
from gateway.outbox import Done
from gateway.recording import Ask
from gateway.store import schema, tasks
from gateway.store.vault import Erased


@pytest.fixture
def hospital(tmp_path: Path) -> Node:
    return make_hospital(tmp_path)


def drain(node: Node, lane: str) -> None:
    """Settle what waits in a lane, as if it had been delivered."""
    with node.store.work() as work:
        for entry in outbox.lease(work, 10):
            if entry.lane == lane:
                outbox.settle(work, entry, Done())


def test_the_state_outlives_the_content(hospital: Node) -> None:
    ask, referral_id, task_id = offered(hospital)
    permission.cancel_referral(hospital, ask, referral_id)
    drain(hospital, notify.write_back_lane(referral_id))

    assert Exchange(hospital).erase_closed() == 1

    with hospital.store.work() as work:
        owners = work.tx.execute(select(schema.content.c.owner_id)).scalars()
        assert set(owners) == {decoy.OWNER}
    with pytest.raises(Erased):
        hospital.store.vault.open(referral_id, "record", b"\0" * 64)
    pantry = Ask(organization(PANTRY), hospital.home, "00000000-0000-4000-8000-000000000002")
    task = Exchange(hospital).read(pantry, "Task", task_id).resource
    assert task["status"] == "cancelled"
    assert task["statusReason"]["text"]
    with pytest.raises(Refused) as refused:
        Exchange(hospital).read(pantry, "Patient", task["for"]["reference"].removeprefix("Patient/"))
    assert refused.value.status == 404


def test_content_stays_while_its_own_system_has_not_been_told(hospital: Node) -> None:
    ask, referral_id, _ = offered(hospital)
    permission.cancel_referral(hospital, ask, referral_id)

    assert Exchange(hospital).erase_closed() == 0


def test_a_closed_referral_is_not_cancelled_again(hospital: Node) -> None:
    ask, referral_id, _ = offered(hospital)
    permission.cancel_referral(hospital, ask, referral_id)

    with pytest.raises(Refused) as refused:
        permission.cancel_referral(hospital, ask, referral_id)
    assert refused.value.status == 409


def test_a_referral_ends_with_its_consent(hospital: Node) -> None:
    ask, referral_id, task_id = offered(hospital)
    assert permission.cancel_where_consent_ended(hospital, ask) == []

    assert isinstance(hospital.now, Clock)
    hospital.now.ahead = timedelta(days=3)

    assert permission.cancel_where_consent_ended(hospital, ask) == [referral_id]
    with hospital.store.work() as work:
        task = tasks.get(work, task_id)
    assert task is not None
    assert task.status == "cancelled"


def test_a_partner_that_is_away_for_a_while_loses_no_referral(hospital: Node) -> None:
    ask, _, _ = offered(hospital)

    assert isinstance(hospital.now, Clock)
    hospital.now.ahead = timedelta(days=22)  # the directory has run out, and its grace

    assert permission.cancel_where_consent_ended(hospital, ask) == []
