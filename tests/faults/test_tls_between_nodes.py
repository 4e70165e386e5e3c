"""The demo's nodes with TLS of their own: a referral goes its way while certificates are renewed."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from happenings import case_of, eventually, offer_after, rows, running, settle
from sample_records import hospital_consent, hospital_message, hospital_patient
from transport_world import Authority

from gateway.demo import agencies
from gateway.demo.agencies import HOSPITAL, PANTRY
from gateway.demo.network import Network
from gateway.initialise import Name

pytestmark = pytest.mark.slow

ADDRESS = "127.0.0.1"


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def stranger() -> Authority:
    return Authority("Somebody else")


@pytest.fixture
def network(
    tmp_path: Path, authority: Authority, stranger: Authority, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Network]:
    """Each identity serves https://127.0.0.1 itself. The nodes trust the authority, not the stranger."""
    trusted = authority.write(tmp_path / "ca.pem")
    both = tmp_path / "both.pem"  # for this test, which has to see that a node is up
    both.write_bytes(trusted.read_bytes() + stranger.write(tmp_path / "stranger.pem").read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(both))

    def over_tls(organization: str, name: str, address: str, listen: str, **more: Any) -> Name:
        return Name(organization, name, address.replace("http:", "https:"), listen, **more)

    def start(network: Network, name: str) -> None:
        config = network.agencies[name].config
        text = config.read_text("utf-8")
        if "tls:" not in text:
            issue(network, name, authority)
            tls = "    tls: {certificate: tls/node.crt, key: tls/node.key}\n    key: "
            config.write_text(f"{text.replace('    key: ', tls)}authorities: {trusted}\n", "utf-8")
        network.processes[name].start(f"https://{ADDRESS}:{network.ports[name]}")

    monkeypatch.setattr(agencies, "Name", over_tls)
    monkeypatch.setattr(Network, "start", start)
    with running(tmp_path / "network") as started:
        yield started


def issue(network: Network, name: str, authority: Authority) -> None:
    """A new certificate for a node, as whoever renews it would lay it down: whole, under the old name."""
    folder = network.agencies[name].folder / "tls"
    folder.mkdir(mode=0o700, exist_ok=True)
    authority.issue(folder / "new.crt", folder / "new.key", "node.example.org")
    for kind in ("key", "crt"):
        (folder / f"new.{kind}").replace(folder / f"node.{kind}")


def refer(network: Network, number: int) -> dict[str, Any]:
    """A referral that is offered, accepted and opened; the case that the pantry gets."""
    fields = hospital_patient(number)
    network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    message = hospital_message(**fields)
    _sent, offer = offer_after(network, lambda: network.send(HOSPITAL, message, ".hl7"))
    network.answer(offer["referral"], "accepted")
    return case_of(network, offer)


def test_certificates_are_renewed_while_referrals_go_their_way(
    network: Network, authority: Authority
) -> None:
    for number in range(3):
        assert refer(network, number)["referral"]
        issue(network, HOSPITAL, authority)
        issue(network, PANTRY, authority)
    settle(network)
    for name in (HOSPITAL, PANTRY):
        eventually(lambda name=name: _shown(network, name) == _last(network, name), f"{name} shows the last")
        log = network.processes[name].log.read_text("utf-8")
        assert "the changed certificate is used" in log and "ERROR" not in log


def _shown(network: Network, name: str) -> bytes | None:
    """The certificate that a node shows to a new connection."""
    with (
        socket.create_connection((ADDRESS, network.ports[name])) as plain,
        ssl.create_default_context().wrap_socket(plain, server_hostname=ADDRESS) as connection,
    ):
        return connection.getpeercert(binary_form=True)


def _last(network: Network, name: str) -> bytes:
    """The one that was laid down for it last."""
    end = "-----END CERTIFICATE-----"
    text = (network.agencies[name].folder / "tls" / "node.crt").read_text("ascii")
    return ssl.PEM_cert_to_DER_cert(text.partition(end)[0] + end + "\n")


def test_a_node_whose_certificate_nobody_vouches_for_is_told_nothing(
    network: Network, authority: Authority, stranger: Authority
) -> None:
    network.processes[PANTRY].stop()
    issue(network, PANTRY, stranger)
    network.start(PANTRY)
    fields = hospital_patient(1)
    network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    referral = network.send(HOSPITAL, hospital_message(**fields), ".hl7")["referral"]
    tried = "select 1 from outbox where kind = 'notify' and attempts > 1 and gave_up is null"
    eventually(lambda: rows(network, HOSPITAL, tried), "the hospital's node has tried more than once", 60)
    assert not network.pantry_system.records("offer")
    issue(network, PANTRY, authority)
    network.pantry_system.wait_for("offer", lambda _: True, 60)
    settle(network)
    assert [line.status for line in network.lines(HOSPITAL) if line.id == referral] == ["requested"]
