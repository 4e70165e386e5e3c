"""The four stories, over real sockets between three running nodes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from happenings import answer_files, audit_is_whole, case_of, look_into, offer_after, running, settle
from partner_calls import door, partner
from sample_records import (
    hospital_consent,
    hospital_message,
    hospital_patient,
    shelter_release,
    shelter_row,
)

from gateway import notify, outbox
from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY, SHELTER, organization
from gateway.demo.network import Network, Refusal
from gateway.store import contents, inbound, schema, tasks
from gateway.store.work import Work

HIDDEN_IN_THE_ROW = (
    "Marrero", "1991-03-08", "Orchard", "06511", "5550142", "555-0142", "stroller", "Okafor", "Site B",
    "high", "R-2031", "C-0417",
)  # fmt: skip
NAMES_OF_THE_SHELTER = ("Safe Haven", "safe-haven", "shelter", "violence", "victim", "vawa")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running(tmp_path_factory.mktemp("network")) as started:
        yield started
        audit_is_whole(started)


def segments(message: bytes) -> dict[str, list[str]]:
    """The last segment of each name of an HL7 v2 message, by field."""
    assert message.endswith(b"\r")
    return {line[:3]: line.split("|") for line in message.decode().rstrip("\r").split("\r")}


# ------------------------------------------------------------------ 1. hospital to pantry, with consent


def test_a_hospital_refers_a_patient_and_hears_how_it_ended(network: Network) -> None:
    network.consent(HOSPITAL, hospital_consent("EC-480213"))
    sent, offer = offer_after(network, lambda: network.send(HOSPITAL, hospital_message(), ".hl7"))
    referral = sent["referral"]
    assert sent["state"] == "offered"
    assert offer["need"] == "food" and offer["language"] == "es" and offer["county"] == "New Haven County"
    said = json.dumps(offer)
    assert not [name for name in ("Marisol", "Mari", "Alvarado", "EC-480213", "5550142") if name in said]

    task = read_task(network, HOSPITAL, offer["referral"])
    assert "input" not in task
    assert_unknown(network, PANTRY, task["for"]["reference"], "system/Patient.r", HOSPITAL)

    network.answer(offer["referral"], "accepted")
    case = case_of(network, offer)
    assert case["client"]["alias"] == "Mari"
    assert case["client"]["household_size"] == 4
    assert case["client"]["diet"] == "Low sodium & diabetic; no shellfish"
    assert case["client"]["contact_rule"] == "text-only"
    assert case["client"]["phone"] == "+12035550142"
    said = json.dumps(case)
    withheld = (
        "Alvarado",
        "1989",
        "Quinnipiac",
        "06513",
        "marisol@",
        "EC-480213",
        "999-41",
        "E11",
        "evenings",
    )
    assert not [value for value in withheld if value in said]

    network.answer(offer["referral"], "started")
    network.answer(offer["referral"], "completed", outcome="need met", service="food")
    network.wait_for_state(HOSPITAL, referral, "completed")

    accepted, started, completed = map(segments, answer_files(network, HOSPITAL, referral, 3))
    assert accepted["MSH"][8] == "RRI^I12^RRI_I12"
    assert accepted["RF1"][1].startswith("A^Accepted") and accepted["RF1"][6].startswith("RF-88231")
    assert accepted["MSA"][1:3] == ["AA", "ECH-20261116-0042"]
    assert (started["MSH"][8], started["ORC"][5]) == ("OSU^O51^OSU_O51", "IP")
    assert (completed["MSH"][8], completed["ORC"][5]) == ("OSU^O51^OSU_O51", "CM")
    assert "met" in completed["ORC"][-1]
    assert accepted["PID"][3].startswith("EC-480213")  # her own hospital knows her number


def test_what_the_pantry_did_is_a_procedure_and_the_outcome_stands_in_the_task(network: Network) -> None:
    """Completed is not helped: the outcome is recorded apart. Read before the content is erased."""
    fields = hospital_patient(1)
    network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    _sent, offer = offer_after(network, lambda: network.send(HOSPITAL, hospital_message(**fields), ".hl7"))
    network.answer(offer["referral"], "accepted")
    case_of(network, offer)
    network.answer(offer["referral"], "started", service="food")

    def task_at_the_hospital() -> dict[str, object]:
        return read_task(network, HOSPITAL, offer["referral"])

    for _ in range(100):
        if task_at_the_hospital()["status"] == "in-progress":
            break
        settle(network)
    task = task_at_the_hospital()
    (output,) = task["output"]
    assert output["type"]["coding"][0]["code"] == "resulting-activity"
    name = output["valueReference"]["reference"]
    referral = source_referral(network, HOSPITAL, str(task["id"]))

    procedure = look_into(network, HOSPITAL, lambda work: contents.get(work, referral, name))
    assert procedure is not None
    assert procedure["resourceType"] == "Procedure" and procedure["status"] == "completed"
    assert procedure["basedOn"] == [task["focus"]] and procedure["subject"] == task["for"]

    def owes_an_answer(work: Work) -> None:
        """Its own system is still to be told something, so that closing erases nothing while we look."""
        lane = notify.write_back_lane(referral)
        letter = {"lane": lane, "kind": "write-back", "body": "{}", "attempts": 1, "due_at": work.stamp}
        work.add(schema.outbox, {**letter, "gave_up": "kept open by this test"})

    def owes_nothing(work: Work) -> None:
        for number, _, why in outbox.dead_letters(work):
            if why == "kept open by this test":
                outbox.drop(work, number)

    look_into(network, HOSPITAL, owes_an_answer)
    network.answer(offer["referral"], "completed", outcome="partly met")
    network.wait_for_state(HOSPITAL, referral, "completed")
    outcomes = [
        one["valueCodeableConcept"]["coding"][0]["code"]
        for one in read_task(network, HOSPITAL, offer["referral"])["output"]
        if one["type"]["coding"][0]["code"] == "outcome"
    ]
    look_into(network, HOSPITAL, owes_nothing)
    assert outcomes == ["partly-met"]


def test_a_declined_referral_comes_back_as_rejected_with_its_reason(network: Network) -> None:
    fields = hospital_patient(2)
    network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    sent, offer = offer_after(network, lambda: network.send(HOSPITAL, hospital_message(**fields), ".hl7"))
    network.answer(
        offer["referral"], "declined", reason={"code": "no capacity", "text": "Full until December."}
    )
    network.wait_for_state(HOSPITAL, sent["referral"], "rejected")

    (rejected,) = map(segments, answer_files(network, HOSPITAL, sent["referral"], 1))
    assert rejected["MSH"][8] == "RRI^I12^RRI_I12"
    assert rejected["RF1"][1].startswith("R^")
    assert "Full until December." in "|".join("|".join(fields) for fields in rejected.values())
    assert not [one for one in network.pantry_system.records("case") if one["referral"] == offer["referral"]]


def amended(fields: dict[str, str], **changes: str) -> bytes:
    """The hospital's later message about the same referral."""
    later = fields | {"message": f"{fields['message']}-later"} | changes
    return hospital_message(**later).replace(b"REF^I12^REF_I12", b"REF^I13^REF_I12")


def test_what_the_hospital_amends_comes_to_the_pantry_whole(network: Network) -> None:
    fields = hospital_patient(77)
    network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    sent, offer = offer_after(network, lambda: network.send(HOSPITAL, hospital_message(**fields), ".hl7"))
    network.answer(offer["referral"], "accepted")
    first = case_of(network, offer)
    assert first["client"]["household_size"] == 4
    network.wait_for_state(HOSPITAL, sent["referral"], "accepted")
    settle(network)

    said = network.send(HOSPITAL, amended(fields, size="||6||"), ".hl7")
    assert (said["referral"], said["state"]) == (sent["referral"], "amended")
    again = network.pantry_system.wait_for(
        "case", lambda one: one["referral"] == offer["referral"] and one["client"]["household_size"] == 6
    )
    assert {name: value for name, value in again["client"].items() if name != "household_size"} == {
        name: value for name, value in first["client"].items() if name != "household_size"
    }
    settle(network)
    cases = [one for one in network.pantry_system.records("case") if one["referral"] == offer["referral"]]
    assert [one["client"]["household_size"] for one in cases] == [4, 6]

    network.answer(offer["referral"], "started")
    network.wait_for_state(HOSPITAL, sent["referral"], "in-progress")
    settle(network)
    cases = [one for one in network.pantry_system.records("case") if one["referral"] == offer["referral"]]
    assert len(cases) == 2  # its own answer gives the pantry nothing again

    # Both at once: the Task's new state must not hide that what it is about has changed too.
    network.send(HOSPITAL, amended(fields, size="||8||"), ".hl7")
    network.answer(offer["referral"], "on hold", reason={"text": "Closed on Thursday."})
    network.pantry_system.wait_for(
        "case", lambda one: one["referral"] == offer["referral"] and one["client"]["household_size"] == 8
    )
    network.wait_for_state(HOSPITAL, sent["referral"], "on-hold")


def test_what_the_hospital_takes_back_is_over_at_the_pantry(network: Network) -> None:
    fields = hospital_patient(78)
    network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    sent, offer = offer_after(network, lambda: network.send(HOSPITAL, hospital_message(**fields), ".hl7"))
    settle(network)
    later = hospital_message(**fields | {"message": "ECH-20261120-later"})
    said = network.send(HOSPITAL, later.replace(b"REF^I12^REF_I12", b"REF^I14^REF_I12"), ".hl7")
    assert (said["referral"], said["state"]) == (sent["referral"], "cancelled")
    network.pantry_system.wait_for("notice", lambda one: one["referral"] == offer["referral"])


# ------------------------------------------------------------------ 2. shelter to pantry, with a release


def test_a_shelter_refers_a_client_and_stays_unseen(network: Network) -> None:
    network.consent(SHELTER, shelter_release("C-0417"))
    sent, offer = offer_after(network, lambda: network.send(SHELTER, shelter_row(), ".csv"))
    assert sent["state"] == "offered"
    network.answer(offer["referral"], "accepted")
    case = case_of(network, offer)

    assert case["client"] == {
        "alias": "Luz",
        "household_size": 3,
        "diet": "no pork, one nut allergy",
        "contact_rule": "text-only",
    }
    for record in (offer, case):
        said = json.dumps(record)
        assert not [value for value in HIDDEN_IN_THE_ROW if value in said]
        assert not [name for name in NAMES_OF_THE_SHELTER if name.lower() in said.lower()]

    task = read_task(network, ALIAS, offer["referral"])
    assert task["requester"] == {"reference": organization(ALIAS)}
    reader = partner(network, PANTRY)
    at = door(network, ALIAS)
    shown = at.get(f"Organization/{ALIAS}", at.token(reader, "system/Organization.r")).json()
    assert shown["name"] == "Maple Street Office"
    assert case["source"] == offer["source"] == "Maple Street Office"

    network.answer(offer["referral"], "completed", outcome="need met")
    network.wait_for_state(SHELTER, sent["referral"], "completed")
    lines = [file.decode() for file in answer_files(network, SHELTER, sent["referral"], 2)]
    assert all("R-2031" in line for line in lines)
    assert "accepted" in lines[0] and "completed" in lines[1] and "need met" in lines[1]


def test_a_closed_referral_of_the_shelter_answers_like_one_that_never_was(network: Network) -> None:
    network.consent(SHELTER, shelter_release("C-0500"))
    row = shelter_row(referral_ref="R-2100", client_ref="C-0500")
    sent, offer = offer_after(network, lambda: network.send(SHELTER, row, ".csv"))
    network.answer(offer["referral"], "declined", reason={"code": "no capacity"})
    network.wait_for_state(SHELTER, sent["referral"], "rejected")
    task_id = network.task_of(SHELTER, sent["referral"])

    assert_unknown(network, PANTRY, f"Task/{task_id}", "system/Task.rs")
    at = door(network, ALIAS)
    token = at.token(partner(network, PANTRY), "system/Task.rs")
    assert at.get(f"Task?_id={task_id}", token).json()["total"] == 0


def test_a_referral_to_one_partner_is_nothing_to_another(network: Network) -> None:
    """The hospital is the shelter's partner too; of what the pantry was offered it sees nothing, ever."""
    network.consent(SHELTER, shelter_release("C-0600"))
    row = shelter_row(referral_ref="R-2200", client_ref="C-0600")
    sent, offer = offer_after(network, lambda: network.send(SHELTER, row, ".csv"))
    network.answer(offer["referral"], "accepted")
    case_of(network, offer)
    task = read_task(network, ALIAS, offer["referral"])
    listed = [one["valueReference"]["reference"] for one in task["input"]]
    at, pantry = door(network, ALIAS), partner(network, PANTRY)
    for path in (f"Task/{task['id']}", task["focus"]["reference"], task["for"]["reference"], *listed):
        scope = f"system/{path.partition('/')[0]}.r"
        assert at.get(path, at.token(pantry, scope)).status_code == 200
        assert_unknown(network, HOSPITAL, path, scope)
    token = at.token(partner(network, HOSPITAL), "system/Task.rus")
    assert at.get(f"Task?_id={task['id']}", token).json()["total"] == 0
    refused = at.put(f"Task/{task['id']}", token, task | {"status": "completed"}, If_Match="*")
    assert refused.status_code == 404
    assert network.task_of(SHELTER, sent["referral"]) == task["id"]
    assert read_task(network, ALIAS, offer["referral"])["status"] == "accepted"


# ------------------------------------------------------------------ 3. shelter to hospital, no release


def held_referral(network: Network, number: int, partner_name: str) -> dict[str, object]:
    row = shelter_row(
        referral_ref=f"R-{number}",
        client_ref=f"C-{number}",
        partner=partner_name,
        first_name_or_alias="Grace",
    )
    return network.send(SHELTER, row, ".csv")


def test_without_a_release_nothing_leaves_and_the_shelter_is_told_what_is_needed(network: Network) -> None:
    before = look_into(network, HOSPITAL, lambda work: {one.id for one in inbound.all_of(work)})
    sent = held_referral(network, 3001, HOSPITAL)
    settle(network)

    assert sent["state"] == "held"
    decided, needed = " ".join(map(str, sent["decided"])), " ".join(map(str, sent["needed"]))
    assert "No" in decided and "release" in needed
    assert "Elm City Hospital" in needed
    assert look_into(network, HOSPITAL, lambda work: {one.id for one in inbound.all_of(work)}) == before
    assert [line.status for line in network.lines(SHELTER) if line.id == sent["referral"]] == ["held"]

    at, reader = door(network, ALIAS), partner(network, HOSPITAL)
    token = at.token(reader, "system/Task.rs")
    for query in ("", "?status=draft", "?status=requested", f"?owner={organization(HOSPITAL)}"):
        found = at.get(f"Task{query}", token)
        assert found.status_code == 200
        assert found.json()["total"] == 0 and "entry" not in found.json()


def test_no_address_of_a_held_referral_tells_that_it_is_there(network: Network) -> None:
    sent = held_referral(network, 3002, HOSPITAL)
    task_id = network.task_of(SHELTER, str(sent["referral"]))
    for name, found in look_into(network, SHELTER, lambda work: tasks.addresses(work, task_id)).items():
        resource_type = name.partition("/")[0]
        if resource_type in ("ServiceRequest", "Patient", "Observation", "DocumentReference"):
            assert_unknown(network, HOSPITAL, f"{resource_type}/{found}", f"system/{resource_type}.r")
    assert_unknown(network, HOSPITAL, f"Task/{task_id}", "system/Task.rs")


def test_a_release_that_comes_later_sends_the_held_referral_on(network: Network) -> None:
    sent = held_referral(network, 3003, PANTRY)
    assert sent["state"] == "held"
    settle(network)
    _consent, offer = offer_after(network, lambda: network.consent(SHELTER, shelter_release("C-3003")))
    network.wait_for_state(SHELTER, str(sent["referral"]), "requested")
    network.answer(offer["referral"], "accepted")
    assert case_of(network, offer)["client"]["alias"] == "Grace"


def test_a_release_to_someone_else_sends_nothing(network: Network) -> None:
    sent = held_referral(network, 3004, PANTRY)
    network.consent(SHELTER, shelter_release("C-3004", recipients=[HOSPITAL]))
    settle(network)
    assert [line.status for line in network.lines(SHELTER) if line.id == sent["referral"]] == ["held"]


# ------------------------------------------------------------------ 4. consent withdrawn


NEUTRAL = {"code": "no longer offered", "text": "The referral is no longer offered."}


def test_a_consent_withdrawn_before_accept_keeps_the_dossier_shut(network: Network) -> None:
    fields = hospital_patient(3)
    consent = network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    sent, offer = offer_after(network, lambda: network.send(HOSPITAL, hospital_message(**fields), ".hl7"))
    task = read_task(network, HOSPITAL, offer["referral"])

    assert network.revoke(HOSPITAL, consent) == [sent["referral"]]

    assert_unknown(network, PANTRY, str(task["for"]["reference"]), "system/Patient.r", HOSPITAL)
    notice = notice_of(network, offer)
    assert (notice["status"], notice["reason"]) == ("cancelled", NEUTRAL)
    with pytest.raises(Refusal) as refused:
        network.answer(offer["referral"], "accepted")
    assert refused.value.http_status == 409
    assert_shut(network, HOSPITAL, task, offer)

    at = door(network, HOSPITAL)
    after = at.get(f"Task/{task['id']}", at.token(partner(network, PANTRY), "system/Task.rs")).json()
    assert after["status"] == "cancelled" and after["statusReason"]["text"] == NEUTRAL["text"]
    assert "input" not in after


def test_a_release_of_the_shelter_withdrawn_before_accept_ends_without_a_word(network: Network) -> None:
    """Nothing is said about a client any more, not even that it is over; a late accept finds nothing."""
    consent = network.consent(SHELTER, shelter_release("C-4001"))
    row = shelter_row(referral_ref="R-4001", client_ref="C-4001")
    sent, offer = offer_after(network, lambda: network.send(SHELTER, row, ".csv"))
    task = read_task(network, ALIAS, offer["referral"])

    assert network.revoke(SHELTER, consent) == [sent["referral"]]

    settle(network)
    for path, scope in ((f"Task/{task['id']}", "Task.rs"), (str(task["for"]["reference"]), "Patient.r")):
        assert_unknown(network, PANTRY, path, f"system/{scope}")
    network.answer(offer["referral"], "accepted")  # the pantry's node cannot know yet
    notice = notice_of(network, offer)
    assert (notice["status"], notice["reason"]) == ("cancelled", NEUTRAL)
    assert_shut(network, ALIAS, task, offer)
    with pytest.raises(Refusal) as refused:
        network.answer(offer["referral"], "started")
    assert refused.value.http_status == 409


def notice_of(network: Network, offer: dict[str, object]) -> dict[str, object]:
    return network.pantry_system.wait_for("notice", lambda one: one["referral"] == offer["referral"])


def assert_shut(network: Network, source: str, task: dict[str, object], offer: dict[str, object]) -> None:
    """No dossier, neither for who asks at the source nor in the pantry's own system."""
    settle(network)
    assert_unknown(network, PANTRY, str(task["for"]["reference"]), "system/Patient.r", source)
    assert not [one for one in network.pantry_system.records("case") if one["referral"] == offer["referral"]]


# ------------------------------------------------------------------ what the stories share


def read_task(network: Network, source: str, inbound_id: str) -> dict[str, Any]:
    """The Task of a referral as the pantry reads it at its source."""
    known = look_into(network, PANTRY, lambda work: inbound.get(work, inbound_id))
    assert known is not None and known.source == organization(source)
    at = door(network, source)
    answer = at.get(f"Task/{known.task_id}", at.token(partner(network, PANTRY), "system/Task.rs"))
    assert answer.status_code == 200
    return dict(answer.json())


def source_referral(network: Network, source: str, task_id: str) -> str:
    def find(work: Work) -> str:
        task = tasks.get(work, task_id)
        assert task is not None
        return task.referral_id

    return look_into(network, source, find)


def assert_unknown(network: Network, asks: str, path: str, scope: str, source: str = ALIAS) -> None:
    """The answer at `path` is, byte for byte, that of an address that never was."""
    at = door(network, source)
    token = at.token(partner(network, asks), scope)
    request_id = str(uuid4())
    answers = [
        at.get(one, token, X_Request_Id=request_id) for one in (path, f"{path.partition('/')[0]}/{uuid4()}")
    ]
    assert answers[0].status_code == 404
    there, never = [
        (
            answer.status_code,
            [(name, value) for name, value in answer.headers.items() if name != "date"],
            answer.content,
        )
        for answer in answers
    ]
    assert there == never
