"""A record brings the person's consent along: it is kept first, and the referral is offered by it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hospital_world import make_hospital

from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.node import Node
from gateway.offering import Receipt
from gateway.recording import Ask
from gateway.store import schema
from mappings import load

EXAMPLE = Path(__file__).parent.parent / "cases" / "mapping-examples" / "hl7v2-consent"
SYSTEM = "hl7v2-referral"


CHANGE = """
  change:
    like: referral
    kind: amendment
    when: {all: [{from: MSH-9.1, is: REF}, {from: MSH-9.2, is: I13}]}
    of: [MSH-4.1, RF1-6.1, {constant: REF^I12}]
"""


@pytest.fixture
def hospital(tmp_path: Path) -> Node:
    node = make_hospital(tmp_path)
    copy = Path(shutil.copytree(EXAMPLE, tmp_path / "mapping")) / "mapping.yaml"
    text = copy.read_text("utf-8").rstrip()
    assert text.rpartition("\nrecords:")[2].startswith("\n  referral:")  # so that a kind may follow
    copy.write_text(f"{text}\n{CHANGE}", "utf-8")
    node.mappings = {**node.mappings, SYSTEM: load(copy)}
    return node


def message(node: Node, *changes: tuple[str, str]) -> bytes:
    text = (EXAMPLE / "with-a-consent.hl7").read_text("utf-8")
    dated = ("20270215", node.now().replace(year=node.now().year + 1).strftime("%Y%m%d"))
    for old, new in (dated, *changes):
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def hand_in(node: Node, body: bytes) -> Receipt | Refused:
    ask = Ask("operator", node.home, "00000000-0000-4000-8000-000000000001")
    (answer,) = Exchange(node).hand_in(ask, SYSTEM, body)
    return answer


def consents_held(node: Node) -> int:
    with node.store.work() as work:
        return len(work.tx.execute(schema.consent.select()).all())


def test_the_consent_is_kept_and_the_referral_is_decided_by_it(hospital: Node) -> None:
    answer = hand_in(hospital, message(hospital))
    assert isinstance(answer, Receipt), answer
    assert answer.state == "offered", answer
    assert consents_held(hospital) == 1


def test_the_same_record_again_keeps_no_second_consent(hospital: Node) -> None:
    first = hand_in(hospital, message(hospital))
    assert hand_in(hospital, message(hospital)) == first
    assert consents_held(hospital) == 1


def test_without_it_the_referral_is_held_and_nothing_is_kept(hospital: Node) -> None:
    answer = hand_in(hospital, message(hospital, ("\nZCN|", "\nZZZ|")))
    assert isinstance(answer, Receipt), answer
    assert answer.state == "held", answer
    assert consents_held(hospital) == 0


def test_a_consent_that_comes_with_an_amendment_sends_the_held_referral_on(hospital: Node) -> None:
    held = hand_in(hospital, message(hospital, ("\nZCN|", "\nZZZ|")))
    assert isinstance(held, Receipt), held
    amended = hand_in(hospital, message(hospital, ("REF^I12", "REF^I13")))
    assert isinstance(amended, Receipt), amended
    assert (amended.referral, amended.state) == (held.referral, "offered")
    assert consents_held(hospital) == 1


def test_an_amendment_of_a_held_referral_says_what_it_still_needs(hospital: Node) -> None:
    held = hand_in(hospital, message(hospital, ("\nZCN|", "\nZZZ|")))
    amended = hand_in(hospital, message(hospital, ("\nZCN|", "\nZZZ|"), ("REF^I12", "REF^I13")))
    assert isinstance(held, Receipt) and isinstance(amended, Receipt), amended
    assert amended.state == "held"
    assert amended.needed == held.needed != ()
