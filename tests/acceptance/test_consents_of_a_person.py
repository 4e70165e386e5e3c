"""A person's consent over a running node: handed in, acted on, taken back, and told of years later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from happenings import audit_is_whole, case_of, eventually, offer_after, running, settle
from partner_calls import door, own_system, partner
from sample_records import (
    HOSPITAL_PATIENTS,
    OFFER_ITEMS,
    RELEASED_ITEMS,
    hospital_message,
    hospital_patient,
)
from typer.testing import CliRunner

from gateway.cli import main as cli
from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY
from gateway.demo.network import Network

SCOPE = "system/Consent.c"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running(tmp_path_factory.mktemp("network")) as started:
        yield started
        audit_is_whole(started)


def answers(patient: str, **changes: Any) -> dict[str, Any]:
    return {
        "patient": {"system": HOSPITAL_PATIENTS, "value": patient},
        "recipients": [PANTRY],
        "items": [*OFFER_ITEMS, *RELEASED_ITEMS],
        "end": (datetime.now(UTC) + timedelta(days=40)).date().isoformat(),
        "signed": "Paper form in the locked cabinet",
    } | changes


def hand_in(network: Network, said: Any, **headers: str) -> httpx2.Response:
    hospital = door(network, HOSPITAL)
    token = hospital.token(own_system(network, HOSPITAL), SCOPE)
    return hospital.post("/records/consent", token, said, **headers)


def told(network: Network, *args: str) -> Any:
    """What the command line says beside the running node, as JSON."""
    config = str(network.agencies[HOSPITAL].config)
    result = CliRunner().invoke(cli.app, [*args, "--json", "--config", config])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_a_consent_from_its_recording_to_its_withdrawal(network: Network) -> None:
    fields = hospital_patient(71)
    sent = network.send(HOSPITAL, hospital_message(**fields), ".hl7")
    assert sent["state"] == "held", "nobody is told before the person has consented"

    taken, offer = offer_after(network, lambda: hand_in(network, answers(fields["patient"])))
    assert taken.status_code == 201, taken.text
    recorded = taken.json()
    assert recorded["state"] == "active" and recorded["cancelled"] == []
    assert [(one["referral"], one["state"]) for one in recorded["results"]] == [(sent["referral"], "offered")]
    again = hand_in(network, answers(fields["patient"]))
    assert (again.status_code, again.json()) == (201, recorded)

    network.answer(offer["referral"], "accepted")
    assert case_of(network, offer)["client"]["household_size"] == 4

    withdrawn = hand_in(network, {"withdraw": recorded["consent"]})
    assert withdrawn.status_code == 200, withdrawn.text
    assert withdrawn.json()["cancelled"] == [sent["referral"]]
    network.wait_for_state(HOSPITAL, sent["referral"], "cancelled")
    settle(network)
    assert hand_in(network, {"withdraw": recorded["consent"]}).json() == withdrawn.json()

    story = told(network, "consent", "show", recorded["consent"])
    assert story["status"] == "inactive" and story["kept_until"] > story["modified"]
    shown = {item for one in story["disclosures"] for item in one["items"]}
    assert shown >= {"need", "language", "household-size", "diet", "alias"}
    assert not shown & {"family-name", "birth-date", "address"}
    assert {one["recipient"] for one in story["disclosures"]} == {"Harbor Food Pantry"}
    of_person = told(network, "disclosures", "--identifier", HOSPITAL_PATIENTS, fields["patient"])
    assert of_person["disclosures"] == story["disclosures"]
    events = network.events(HOSPITAL, sent["referral"])
    epochs = [event.all("consent-epoch") for event in events if event.act == "read"]
    assert set(epochs) <= {("1",), ("2",)} and ("1",) in epochs


def test_the_accounting_is_there_when_the_referral_is_gone(network: Network) -> None:
    """The demo's nodes erase a closed referral without grace."""
    fields = hospital_patient(72)
    recorded = hand_in(network, answers(fields["patient"])).json()
    sent, offer = offer_after(network, lambda: network.send(HOSPITAL, hospital_message(**fields), ".hl7"))
    network.answer(offer["referral"], "declined", reason={"code": "no capacity", "text": "Full."})
    network.wait_for_state(HOSPITAL, sent["referral"], "rejected")

    def erased() -> bool:
        return any(event.act == "erase" for event in network.events(HOSPITAL, sent["referral"]))

    eventually(erased, "the referral's content is not erased", 30)
    story = told(network, "consent", "show", recorded["consent"])
    assert story["status"] == "active"
    assert {one["referral"] for one in story["disclosures"]} == {sent["referral"]}
    assert {item for one in story["disclosures"] for item in one["items"]} >= {"need", "language"}


def test_a_consent_that_replaces_another_narrows_what_may_be_read(network: Network) -> None:
    fields = hospital_patient(73)
    first = hand_in(network, answers(fields["patient"])).json()["consent"]
    network.send(HOSPITAL, hospital_message(**fields), ".hl7")
    second = hand_in(network, answers(fields["patient"], replaces=first, items=list(OFFER_ITEMS)))
    assert second.status_code == 201, second.text
    story = told(network, "consent", "show", first)
    assert story["replaced_by"] == [second.json()["consent"]]
    assert told(network, "consent", "show", second.json()["consent"])["replaces"] == [first]


@pytest.mark.parametrize(
    ("said", "status", "place"),
    [
        ({"itmes": []}, 422, "itmes"),
        ({"withdraw": "no-such-consent"}, 404, "withdraw"),
        ({"resourceType": "Consent", "status": "active"}, 422, "Consent.patient"),
        ([], 400, "one JSON object"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(network: Network, said: Any, status: int, place: str) -> None:
    answer = hand_in(network, said)
    assert answer.status_code == status and answer.json()["resourceType"] == "OperationOutcome"
    assert place in answer.text


def test_only_the_agencys_own_systems_may_hand_one_in(network: Network) -> None:
    hospital = door(network, HOSPITAL)
    said = answers("EC-600074")
    as_partner = hospital.token(partner(network, PANTRY), "system/Task.r")
    assert hospital.post("/records/consent", as_partner, said).status_code == 404
    without_scope = hospital.token(own_system(network, HOSPITAL), "system/Task.u")
    refused = hospital.post("/records/consent", without_scope, said)
    assert refused.status_code == 403 and SCOPE in refused.headers["www-authenticate"]
    assert hospital.request("POST", "/records/consent", content=b"{}").status_code == 401
    alias = door(network, ALIAS)
    as_partner = alias.token(partner(network, PANTRY), "system/Task.r")
    assert alias.post("/records/consent", as_partner, said).status_code == 404
    used = hand_in(network, said, Idempotency_Key="the-same-key-1")
    assert used.status_code == 201
    other = hand_in(network, said | {"items": ["need"]}, Idempotency_Key="the-same-key-1")
    assert other.status_code == 409
