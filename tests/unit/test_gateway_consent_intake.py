"""The agency's own system hands in a consent or takes one back: once, with errors that name the field."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from consent_store_world import (
    PATIENT,
    another_consent,
    beside,
    inactive,
    look,
    read,
    request_of,
    sent,
    the_consent,
    wait_for,
)
from hospital_world import make_hospital, offered
from sample_records import HOSPITAL_PATIENTS, hospital_consent

from gateway import consent_intake, permission, settings
from gateway.cli import consent as cli_consent
from gateway.consent_intake import Taken
from gateway.errors import Refused
from gateway.judge import judge
from gateway.node import Node
from gateway.recording import Ask
from gateway.store import consents, referrals, schema, tasks
from gateway.store.work import Work

STORY = yaml.safe_load((Path(__file__).parents[1] / "cases" / "consent-intake.yaml").read_text("utf-8"))
FORMS = "https://example.org/forms"


@pytest.fixture
def hospital(tmp_path: Path) -> Node:
    return make_hospital(tmp_path)


def own_system(node: Node) -> Ask:
    return Ask("own-system", node.home, "00000000-0000-4000-8000-000000000009")


def hand_in(node: Node, said: Any, key: str | None = None) -> Taken:
    return consent_intake.hand_in(node, own_system(node), json.dumps(said).encode(), key)


def filled(node: Node, value: Any, ids: dict[str, str]) -> Any:
    """A value of the story with its days and ids put in."""
    if isinstance(value, dict):
        return {name: filled(node, one, ids) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(node, one, ids) for one in value]
    if not isinstance(value, str):
        return value
    if ahead := re.fullmatch(r"TODAY\+(\d+)", value):
        return (node.now() + timedelta(days=int(ahead[1]))).date().isoformat()
    return value.replace("{consent}", ids["consent"]).replace("{other}", ids["other"])


def one_of_each(node: Node) -> dict[str, str]:
    """A consent of the patient, with a number on its form, and one of somebody else."""
    resource = another_consent(node) | {"identifier": [{"system": FORMS, "value": "F-1"}]}
    mine, _ = permission.record_consent(node, own_system(node), resource)
    answers = hospital_consent("EC-000001", end=(node.now() + timedelta(days=9)).date().isoformat())
    other, _ = permission.record_consent(node, own_system(node), cli_consent.build(node.settings, answers))
    return {"consent": mine, "other": other}


@pytest.mark.parametrize("case", STORY["cases"], ids=lambda case: case["name"])
def test_what_a_system_may_send_and_what_it_is_told(hospital: Node, case: dict[str, Any]) -> None:
    ids = one_of_each(hospital)
    said = copy.deepcopy(STORY["good"][case["like"]]) | case.get("set", {})
    for name in case.get("drop", ()):
        del said[name]
    said = filled(hospital, said, ids)
    before = look(hospital, lambda work: work.tx.execute(schema.consent.select()).all())
    try:
        taken = hand_in(hospital, said)
    except Refused as refusal:
        assert refusal.status == case["status"], refusal
        told = json.dumps(refusal.outcome())
        assert [place for place in case["at"] if place not in told] == [], told
        values = (PATIENT, "EC-000001", "Paper form", "shoe-size", "Nobody Knows", "NOSUCH", "2027-02-30")
        assert [value for value in values if value in told] == []
        after = look(hospital, lambda work: work.tx.execute(schema.consent.select()).all())
        assert after == before, "what was refused has changed something"
    else:
        assert taken.state == case["status"]
        held = look(hospital, lambda work: consents.get(work, taken.consent))
        assert held is not None and held.status == case["status"]
        assert held.told.replaces == ((ids["consent"],) if "replaces" in case["name"] + str(said) else ())


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a": 1, "a": 2}', b'"text"', b"\xff"])
def test_what_is_no_json_object_is_refused_as_that(hospital: Node, body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        consent_intake.hand_in(hospital, own_system(hospital), body, None)
    assert refused.value.status == 400


def test_the_same_record_twice_gives_the_first_answer(hospital: Node) -> None:
    said = filled(hospital, STORY["good"]["answers"], {"consent": "", "other": ""})
    first = hand_in(hospital, said)
    again = hand_in(hospital, dict(reversed(said.items())))
    assert again == first
    assert len(look(hospital, lambda work: work.tx.execute(schema.consent.select()).all())) == 1


def test_an_old_record_that_comes_again_does_not_bring_a_withdrawn_consent_back(hospital: Node) -> None:
    said = filled(hospital, STORY["good"]["answers"], {"consent": "", "other": ""})
    first = hand_in(hospital, said)
    hand_in(hospital, {"withdraw": first.consent})
    assert hand_in(hospital, said) == first
    held = look(hospital, lambda work: work.tx.execute(schema.consent.select()).all())
    assert [one.status for one in held] == ["inactive"]


def test_the_same_words_anew_are_another_consent_under_a_key_of_their_own(hospital: Node) -> None:
    said = filled(hospital, STORY["good"]["answers"], {"consent": "", "other": ""})
    first = hand_in(hospital, said)
    hand_in(hospital, {"withdraw": first.consent})
    anew = hand_in(hospital, said, "signed-again-1")
    assert anew.consent != first.consent and anew == hand_in(hospital, said, "signed-again-1")
    with pytest.raises(Refused) as refused:
        hand_in(hospital, said | {"items": ["need"]}, "signed-again-1")
    assert refused.value.status == 409


def test_a_withdrawal_by_identifier_reaches_the_one_that_has_it(hospital: Node) -> None:
    ids = one_of_each(hospital)
    taken = hand_in(
        hospital,
        {
            "resourceType": "Consent",
            "status": "inactive",
            "identifier": [{"system": FORMS, "value": "F-1"}],
            "patient": {"identifier": {"system": HOSPITAL_PATIENTS, "value": PATIENT}},
        },
    )
    assert taken.consent == ids["consent"]
    assert look(hospital, inactive(ids["consent"])) and not look(hospital, inactive(ids["other"]))


def test_a_withdrawal_cancels_and_is_answered_only_when_nothing_is_under_way(hospital: Node) -> None:
    _, referral_id, task_id = offered(hospital)
    consent_id = the_consent(hospital)
    found = read(hospital, "ServiceRequest", request_of(hospital, task_id), held_open=True)
    thread, taken = beside(lambda: hand_in(hospital, {"withdraw": consent_id}))
    wait_for(hospital, inactive(consent_id))
    thread.join(0.3)
    assert thread.is_alive(), "answered while a read was still being sent"
    sent(hospital, found.disclosure)
    thread.join(5)
    assert [one.cancelled for one in taken] == [(referral_id,)]
    task = look(hospital, lambda work: tasks.get(work, task_id))
    assert task is not None and task.status == "cancelled"


def test_a_withdrawal_sent_again_waits_again(hospital: Node) -> None:
    """The first answer may never have come, because the node was stopped while it waited."""
    _, _, task_id = offered(hospital)
    permission.record_consent(hospital, own_system(hospital), another_consent(hospital))
    consent_id = the_consent(hospital)
    found = read(hospital, "Task", task_id, held_open=True)
    first, _ = beside(lambda: hand_in(hospital, {"withdraw": consent_id}))
    wait_for(hospital, inactive(consent_id))
    second, _ = beside(lambda: hand_in(hospital, {"withdraw": consent_id}))
    second.join(0.3)
    assert second.is_alive()
    sent(hospital, found.disclosure)
    for thread in (first, second):
        thread.join(5)
        assert not thread.is_alive()


def test_a_consent_sends_on_what_was_held_for_want_of_it(hospital: Node) -> None:
    ask, _, task_id = offered(hospital)
    permission.withdraw_consent(hospital, ask, the_consent(hospital))
    task = look(hospital, lambda work: tasks.get(work, task_id))
    assert task is not None and task.status == "cancelled"
    from gateway.demo.stories import RECORDS
    from gateway.exchange import Exchange

    body = (RECORDS / "1-hospital.hl7").read_bytes().replace(b"RF-88231", b"RF-88232")
    (receipt,) = Exchange(hospital).hand_in(ask, "hl7v2-referral", body)
    assert not isinstance(receipt, Refused) and receipt.state == "held"
    said = filled(hospital, STORY["good"]["answers"], {"consent": "", "other": ""})
    taken = hand_in(hospital, said | {"items": [*said["items"], "period"]})
    assert [(one.referral, one.state) for one in taken.results] == [(receipt.referral, "offered")]


def test_what_a_consent_replaces_is_kept_and_told(hospital: Node) -> None:
    """Named by the number on its form; the engine is given this node's own id for it."""
    ids = one_of_each(hospital)
    resource = another_consent(hospital, items=["need"])
    url = "https://waymeet.example/fhir/StructureDefinition/consent-replaces"
    resource["extension"] = [
        *resource.get("extension", []),
        {"url": url, "valueIdentifier": {"system": FORMS, "value": "F-1"}},
    ]
    taken = hand_in(hospital, resource)
    held = look(hospital, lambda work: consents.get(work, taken.consent))
    assert held is not None and held.told.replaces == (ids["consent"],)
    assert resource["extension"] == held.resource["extension"], "the resource is kept as it came"
    _, made = hospital.compiled._kept[taken.consent]
    assert made.replaces == {ids["consent"]}


@pytest.mark.parametrize("restarted", [False, True])
def test_one_signed_on_the_same_day_replaces_what_came_before_it(hospital: Node, restarted: bool) -> None:
    """Its date has no time of day, so by dates alone it would come first, and the wider one would go on."""
    _, referral_id, _ = offered(hospital)
    assert {"alias", "diet", "phone"} <= dossier(hospital, referral_id)
    said = filled(hospital, STORY["good"]["answers"], {"consent": "", "other": ""})
    said |= {"replaces": the_consent(hospital), "signed-on": filled(hospital, "TODAY+0", {})}
    hand_in(hospital, said | {"items": ["need", "priority", "area", "period", "alias"]})
    if restarted:
        hospital = Node(settings.read(hospital.settings.path), hospital.now)
    assert dossier(hospital, referral_id) & {"alias", "diet", "phone"} == {"alias"}


def dossier(node: Node, referral_id: str) -> frozenset[str]:
    """The items that the recipient would see, had it accepted."""

    def step(work: Work) -> frozenset[str]:
        found = referrals.get(work, referral_id)
        assert found is not None
        (task,) = tasks.of_referral(work, referral_id)
        return judge(node, work, found, replace(task, status="accepted")).decision.items

    return look(node, step)
