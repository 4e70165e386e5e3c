"""A record brings the person's consent along: it is kept first, and the referral is offered by it."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest
from hospital_world import make_hospital

from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.node import Node
from gateway.offering import Receipt
from gateway.recording import Ask
from gateway.store import disclosures, referrals, schema, tasks
from mappings import load

EXAMPLE = Path(__file__).parent.parent / "cases" / "mapping-examples" / "hl7v2-consent"
SYSTEM = "hl7v2-referral"
REFERRAL = "RF-90041"


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


def test_a_consent_that_cannot_be_used_stops_its_record_and_is_named(hospital: Node) -> None:
    body = message(hospital)
    end = hospital.now().replace(year=hospital.now().year + 1).strftime("%Y%m%d").encode()
    assert body.count(end) == 1
    answer = hand_in(hospital, body.replace(end, b"20010101"))
    assert isinstance(answer, Refused) and answer.status == 422
    told = json.dumps(answer.outcome())
    assert "Consent.provision.period" in told and "CON-15" in told and "20010101" not in told
    assert consents_held(hospital) == 0 and referrals_held(hospital) == 0


def test_a_consent_that_is_to_replace_one_that_is_not_here_stops_its_record(
    hospital: Node, tmp_path: Path
) -> None:
    replacing(hospital, tmp_path / "mapping" / "mapping.yaml", "no-such-consent")
    answer = hand_in(hospital, message(hospital))
    assert isinstance(answer, Refused) and answer.status == 422
    assert "Consent.extension[0]" in json.dumps(answer.outcome())
    assert consents_held(hospital) == 0 and referrals_held(hospital) == 0


def test_what_else_of_the_person_was_held_goes_out_by_it_too(hospital: Node) -> None:
    held = hand_in(hospital, message(hospital, ("\nZCN|", "\nZZZ|")))
    assert isinstance(held, Receipt) and held.state == "held", held
    other = hand_in(hospital, message(hospital, (REFERRAL, f"{REFERRAL}-2")))
    assert isinstance(other, Receipt) and other.state == "offered", other
    with hospital.store.work() as work:
        first = referrals.get(work, held.referral)
    assert first is not None and first.state == "offered"


def test_the_record_is_answered_when_nothing_decided_before_is_under_way(hospital: Node) -> None:
    first = hand_in(hospital, message(hospital))
    assert isinstance(first, Receipt), first
    with hospital.store.work() as work:
        (task,) = tasks.of_referral(work, first.referral)
    pantry = Ask(task.owner, hospital.home, "00000000-0000-4000-8000-000000000002")
    read = Exchange(hospital).read(pantry, "Task", task.id)

    answers: list[Receipt | Refused] = []
    second = message(hospital, (REFERRAL, f"{REFERRAL}-2"))
    thread = threading.Thread(target=lambda: answers.append(hand_in(hospital, second)))
    thread.start()
    thread.join(1)
    assert thread.is_alive() and consents_held(hospital) == 2
    with hospital.store.work() as work:
        disclosures.end(work, [read.disclosure])
    thread.join(5)
    assert isinstance(answers[0], Receipt), answers


def replacing(node: Node, mapping: Path, consent_id: str) -> None:
    """Let the mapping say of every consent that it takes the place of this one."""
    text = mapping.read_text("utf-8")
    start = "        status: active\n        scope:"
    assert text.count(start) == 1
    extension = (
        "        extension:\n"
        "          - url: https://waymeet.example/fhir/StructureDefinition/consent-replaces\n"
        f"            valueReference: {{reference: Consent/{consent_id}}}\n"
    )
    mapping.write_text(text.replace(start, extension + start), "utf-8")
    node.mappings = {**node.mappings, SYSTEM: load(mapping)}


def referrals_held(node: Node) -> int:
    with node.store.work() as work:
        return len(referrals.all_of(work))
