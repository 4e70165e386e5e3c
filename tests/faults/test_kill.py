"""kill -9 at the places that matter: after the restart the story completes, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from happenings import audit_is_whole, eventually, offer_after, rows, running, settle
from sample_records import hospital_consent, hospital_message, hospital_patient

from gateway.demo.agencies import HOSPITAL, PANTRY
from gateway.demo.network import Network

pytestmark = pytest.mark.slow

# A lease that a killed node held ends by itself; only then is its entry sent again.
PATIENCE = 150.0


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running(tmp_path_factory.mktemp("network")) as started:
        yield started


def restart(network: Network, name: str) -> None:
    network.processes[name].kill()
    network.start(name)


def new_patient(network: Network, number: int) -> bytes:
    fields = hospital_patient(number)
    network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    return hospital_message(**fields)


def state(network: Network, referral: str) -> str:
    ((status,),) = rows(network, HOSPITAL, f"select status from task where referral_id = '{referral}'")
    return str(status)


def completes(network: Network, referral: str, inbound: str) -> None:
    """The rest of the story, and that there was one of everything."""
    records = network.pantry_system.records
    network.pantry_system.wait_for("case", lambda one: one["referral"] == inbound, PATIENCE)
    network.answer(inbound, "started")
    network.answer(inbound, "completed", outcome="need met", service="food")
    eventually(lambda: state(network, referral) == "completed", "the referral is completed", PATIENCE)
    settle(network, seconds=PATIENCE)
    for kind in ("offer", "case"):
        assert len([one for one in records(kind) if one["referral"] == inbound]) == 1
    assert not [one for one in records("notice") if one["referral"] == inbound]
    answers = network.agencies[HOSPITAL].own_system.glob(f"{referral}-*")
    assert len(list(answers)) == 3  # accepted, in progress, completed
    for name in (HOSPITAL, PANTRY):
        assert rows(network, name, "select kind, gave_up from outbox where gave_up is not null") == []
    assert rows(network, PANTRY, f"select count(*) from inbound where id = '{inbound}'") == [(1,)]
    audit_is_whole(network)


WHEN = pytest.mark.parametrize("when", ["at once", "once all is noted"])


@WHEN
def test_the_pantrys_node_is_killed_between_offer_and_accept(network: Network, when: str) -> None:
    message = new_patient(network, 1 if when == "at once" else 11)
    sent, offer = offer_after(network, lambda: network.send(HOSPITAL, message, ".hl7"))
    if when != "at once":
        settle(network)
    restart(network, PANTRY)
    network.answer(offer["referral"], "accepted")
    completes(network, sent["referral"], offer["referral"])


def test_the_hospitals_node_is_killed_right_after_it_acknowledged_a_record(network: Network) -> None:
    message = new_patient(network, 2)

    def send_and_kill() -> dict[str, object]:
        sent = network.send(HOSPITAL, message, ".hl7")
        network.processes[HOSPITAL].kill()
        return sent

    before = {one["referral"] for one in network.pantry_system.records("offer")}
    sent = send_and_kill()
    network.start(HOSPITAL)
    offer = network.pantry_system.wait_for("offer", lambda one: one["referral"] not in before, PATIENCE)
    assert network.send(HOSPITAL, message, ".hl7")["referral"] == sent["referral"]  # sent again: the same one
    network.answer(offer["referral"], "accepted")
    completes(network, str(sent["referral"]), offer["referral"])


def test_the_pantrys_node_is_killed_right_after_it_acknowledged_an_accept(network: Network) -> None:
    message = new_patient(network, 3)
    sent, offer = offer_after(network, lambda: network.send(HOSPITAL, message, ".hl7"))
    network.answer(offer["referral"], "accepted")
    restart(network, PANTRY)
    completes(network, sent["referral"], offer["referral"])


@pytest.mark.parametrize("when", ["at once", "when it says accepted"])
def test_the_source_is_killed_between_accept_and_dossier(network: Network, when: str) -> None:
    message = new_patient(network, 4 if when == "at once" else 5)
    sent, offer = offer_after(network, lambda: network.send(HOSPITAL, message, ".hl7"))
    network.answer(offer["referral"], "accepted")
    if when != "at once":
        eventually(lambda: state(network, sent["referral"]) == "accepted", "the accept has arrived")
    restart(network, HOSPITAL)
    completes(network, sent["referral"], offer["referral"])


@WHEN
def test_a_consent_withdrawn_while_the_pantrys_node_is_down_reaches_it_later(
    network: Network, when: str
) -> None:
    fields = hospital_patient(6 if when == "at once" else 16)
    consent = network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    message = hospital_message(**fields)
    sent, offer = offer_after(network, lambda: network.send(HOSPITAL, message, ".hl7"))
    if when != "at once":
        settle(network)
    network.processes[PANTRY].kill()
    assert network.revoke(HOSPITAL, consent) == [sent["referral"]]
    restart(network, HOSPITAL)
    network.start(PANTRY)
    inbound = offer["referral"]
    notice = network.pantry_system.wait_for("notice", lambda one: one["referral"] == inbound, PATIENCE)
    assert notice["status"] == "cancelled"
    assert not [one for one in network.pantry_system.records("case") if one["referral"] == inbound]
