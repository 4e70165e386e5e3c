"""The pantry's own system is away for a while, or forgets to say that it took something."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from happenings import audit_is_whole, case_of, eventually, offer_after, rows, running, settle
from sample_records import hospital_consent, hospital_message, hospital_patient

from gateway.demo.agencies import HOSPITAL, PANTRY
from gateway.demo.network import Network
from gateway.demo.pantry_system import PantrySystem

pytestmark = pytest.mark.slow


class Forgetful(PantrySystem):
    """Keeps what it is sent, and the first time breaks before it says so."""

    def _keep(self, key: str, record: dict[str, Any]) -> None:
        new = key not in self._records
        super()._keep(key, record)
        if new:
            raise ConnectionError


@pytest.fixture
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with running(tmp_path_factory.mktemp("network")) as started:
        yield started
        audit_is_whole(started)


def refer(network: Network) -> str:
    fields = hospital_patient(1)
    network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    return str(network.send(HOSPITAL, hospital_message(**fields), ".hl7")["referral"])


def waiting(network: Network) -> bool:
    return bool(rows(network, PANTRY, "select 1 from outbox where kind = 'pull' and attempts > 1"))


def replace(network: Network, kind: type[PantrySystem]) -> None:
    """Another own system at the same address."""
    port = network.pantry_system._server.server_port
    network.pantry_system.close()
    network.pantry_system = kind(port)


def test_an_offer_waits_for_the_pantrys_own_system_to_come_back(network: Network) -> None:
    network.pantry_system.close()
    port = network.pantry_system._server.server_port
    referral = refer(network)
    eventually(lambda: waiting(network), "the node has tried more than once")
    network.pantry_system = PantrySystem(port)
    offer = network.pantry_system.wait_for("offer", lambda _: True, 60)
    network.answer(offer["referral"], "accepted")
    case_of(network, offer)
    network.wait_for_state(HOSPITAL, referral, "accepted")
    assert len(network.pantry_system.records("offer")) == 1


def test_a_dossier_waits_too_and_is_read_again_when_it_is_delivered(network: Network) -> None:
    """It is not kept meanwhile: what is delivered is what the source shows at that moment."""
    referral, offer = offer_after(network, lambda: refer(network))
    port = network.pantry_system._server.server_port
    network.pantry_system.close()
    network.answer(offer["referral"], "accepted")
    network.wait_for_state(HOSPITAL, referral, "accepted")
    eventually(lambda: waiting(network), "the node has tried more than once")
    network.pantry_system = PantrySystem(port)
    assert network.pantry_system.wait_for("case", lambda _: True, 60)["referral"] == offer["referral"]
    settle(network)
    assert len(network.pantry_system.records("case")) == 1


def test_a_consent_withdrawn_meanwhile_is_heeded(network: Network) -> None:
    """Accepted, but never delivered: once the consent is gone, so is the dossier."""
    fields = hospital_patient(1)
    consent = network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    sent, offer = offer_after(network, lambda: network.send(HOSPITAL, hospital_message(**fields), ".hl7"))
    port = network.pantry_system._server.server_port
    network.pantry_system.close()
    network.answer(offer["referral"], "accepted")
    eventually(lambda: waiting(network), "the node has tried more than once")
    network.revoke(HOSPITAL, consent)
    network.pantry_system = PantrySystem(port)
    notice = network.pantry_system.wait_for("notice", lambda _: True, 60)
    assert notice["status"] == "cancelled"
    settle(network, seconds=60)
    assert network.pantry_system.records("case") == []
    assert [line.status for line in network.lines(HOSPITAL) if line.id == sent["referral"]] == ["cancelled"]


def test_what_was_taken_but_not_acknowledged_comes_again_under_the_same_key(network: Network) -> None:
    replace(network, Forgetful)
    referral = refer(network)
    offer = network.pantry_system.wait_for("offer", lambda _: True)
    network.answer(offer["referral"], "accepted")
    case_of(network, offer)
    network.wait_for_state(HOSPITAL, referral, "accepted")
    settle(network, seconds=60)
    assert network.pantry_system.deliveries == 4  # each of the two twice
    assert [len(network.pantry_system.records(kind)) for kind in ("offer", "case")] == [1, 1]


def test_a_folder_that_cannot_be_written_holds_its_answers_until_it_can(network: Network) -> None:
    """The hospital's own system is a folder; something else stands in its place."""
    folder = network.agencies[HOSPITAL].own_system
    folder.parent.mkdir(exist_ok=True)
    folder.write_text("in the way")
    referral, offer = offer_after(network, lambda: refer(network))
    network.answer(offer["referral"], "accepted")
    network.wait_for_state(HOSPITAL, referral, "accepted")
    network.answer(offer["referral"], "started")
    held = partial(rows, network, HOSPITAL, "select count(*) from outbox where kind = 'write-back'")
    eventually(lambda: held() == [(2,)], "both answers are held")
    folder.unlink()
    settle(network, seconds=60)
    assert len(list(folder.glob(f"{referral}-*"))) == 2
