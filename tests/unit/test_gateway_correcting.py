"""A hospital sends a later record about its own referral: it is amended or taken back, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hospital_world import make_hospital, offered

from gateway.demo.agencies import PANTRY, organization
from gateway.demo.stories import RECORDS
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.node import Node
from gateway.offering import Receipt
from gateway.recording import Ask
from gateway.store import contents, referrals, tasks

FIRST = (RECORDS / "1-hospital.hl7").read_text("utf-8").replace("\n", "\r")


@pytest.fixture
def hospital(tmp_path: Path) -> Node:
    return make_hospital(tmp_path)


def message(event: str, *changes: tuple[str, str], control: str = "ECH-20261117-0001") -> bytes:
    text = FIRST.replace("REF^I12^REF_I12", f"REF^{event}^REF_I12").replace("ECH-20261116-0042", control)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


SOONER = ("A^ASAP^HL70280", "S^STAT^HL70280")
LATER = ("Pick-up before noon suits best.", "Pick-up after six suits best.")


def hand_in(node: Node, ask: Ask, body: bytes) -> Receipt | Refused:
    (answer,) = Exchange(node).hand_in(ask, "hl7v2-referral", body)
    return answer


def note_of(node: Node, referral_id: str) -> str:
    with node.store.work() as work:
        record = contents.get(work, referral_id, referrals.RECORD)
    assert record is not None
    return str(record["resources"]["ServiceRequest"]["note"][0]["text"])


def task_of(node: Node, referral_id: str) -> tasks.Task:
    with node.store.work() as work:
        (task,) = tasks.of_referral(work, referral_id)
    return task


def test_an_amendment_changes_what_is_read_and_makes_a_new_version(hospital: Node) -> None:
    ask, referral_id, _ = offered(hospital)
    before = task_of(hospital, referral_id)
    answer = hand_in(hospital, ask, message("I13", LATER, SOONER))
    assert isinstance(answer, Receipt), answer
    assert (answer.referral, answer.state) == (referral_id, "amended")
    assert "after six" in note_of(hospital, referral_id)
    after = task_of(hospital, referral_id)
    assert (after.status, after.version) == ("requested", before.version + 1)


def test_an_amendment_of_what_the_recipient_cannot_read_makes_no_new_version(hospital: Node) -> None:
    ask, referral_id, _ = offered(hospital)
    before = task_of(hospital, referral_id)
    answer = hand_in(hospital, ask, message("I13", LATER))
    assert isinstance(answer, Receipt) and answer.state == "amended", answer
    assert "after six" in note_of(hospital, referral_id)
    assert task_of(hospital, referral_id) == before


def test_what_only_the_amendment_holds_has_an_address_to_be_served_at(hospital: Node) -> None:
    ask, referral_id, _ = offered(hospital)
    with_rule = ("OBX|3|CWE|CONTACT^", "OBX|3|CWE|OTHER^")
    answer = hand_in(hospital, ask, message("I13", with_rule))
    assert isinstance(answer, Receipt), answer
    again = hand_in(hospital, ask, message("I13", LATER, control="ECH-20261117-0002"))
    assert isinstance(again, Receipt), again
    task = task_of(hospital, referral_id)
    with hospital.store.work() as work:
        served = tasks.addresses(work, task.id)
    assert "Observation/contact-rule" in served
    pantry = Ask(organization(PANTRY), hospital.home, "00000000-0000-4000-8000-000000000002")
    assert Exchange(hospital).read(pantry, "Task", task.id).resource["status"]


def test_the_same_amendment_under_a_new_message_id_is_taken_once(hospital: Node) -> None:
    ask, referral_id, _ = offered(hospital)
    first = hand_in(hospital, ask, message("I13", LATER))
    version = task_of(hospital, referral_id).version
    again = hand_in(hospital, ask, message("I13", LATER))
    assert first == again
    assert task_of(hospital, referral_id).version == version


def test_a_cancellation_takes_the_referral_back(hospital: Node) -> None:
    ask, referral_id, _ = offered(hospital)
    answer = hand_in(hospital, ask, message("I14"))
    assert isinstance(answer, Receipt), answer
    assert answer.state == "cancelled"
    assert task_of(hospital, referral_id).status == "cancelled"
    assert hand_in(hospital, ask, message("I14")) == answer


@pytest.mark.parametrize(
    ("event", "change", "status"),
    [
        ("I13", ("RF-88231", "RF-99999"), 404),
        ("I14", ("RF-88231", "RF-99999"), 404),
        ("I13", ("EC-480213^^^ECH", "EC-480299^^^ECH"), 409),
        ("I13", ("Z59.41^Food insecurity^I10C^733423003", "Z59.00^Homelessness^I10C^32911000"), 409),
        ("I13", ("harbor-food-pantry^ORG", "saint-brigid-shelter^ORG"), 422),
    ],
    ids=["unknown", "cancel-unknown", "another-person", "another-need", "unknown-recipient"],
)
def test_a_correction_of_something_else_changes_nothing(
    hospital: Node, event: str, change: tuple[str, str], status: int
) -> None:
    ask, referral_id, _ = offered(hospital)
    before = task_of(hospital, referral_id)
    answer = hand_in(hospital, ask, message(event, change))
    assert isinstance(answer, Refused), answer
    assert answer.status == status, answer
    assert task_of(hospital, referral_id) == before
    assert "before noon" in note_of(hospital, referral_id)


def test_a_closed_referral_is_not_amended(hospital: Node) -> None:
    ask, referral_id, _ = offered(hospital)
    hand_in(hospital, ask, message("I14"))
    answer = hand_in(hospital, ask, message("I13", LATER))
    assert isinstance(answer, Refused), answer
    assert answer.status == 409
    assert "before noon" in note_of(hospital, referral_id)


def test_the_record_says_which_mapping_made_it(hospital: Node) -> None:
    _, referral_id, _ = offered(hospital)
    with hospital.store.work() as work:
        record = contents.get(work, referral_id, referrals.RECORD)
    mapping = hospital.mappings["hl7v2-referral"]
    assert record is not None
    assert record["mapping"] == [mapping.system, mapping.version, mapping.fingerprint]
