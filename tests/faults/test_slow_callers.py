"""Hundreds of callers who never come to an end, while a referral goes its way through the same node."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from happenings import case_of, offer_after, running, settle
from sample_records import hospital_consent, hospital_message, hospital_patient

from gateway.demo.agencies import HOSPITAL
from gateway.demo.network import Network
from gateway.entrance.listening import MOST_OF_ONE

pytestmark = pytest.mark.slow

BEGINNINGS = {
    "a head": b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
    "a body": b"POST /oauth/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n",
    "nothing at all": b"",
}


class Slow:
    """Callers at 127.0.0.x who send a byte now and then; each one that is cut off comes back."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._waiting = selectors.DefaultSelector()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.cut_off = dict.fromkeys(BEGINNINGS, 0)

    def __enter__(self) -> Slow:
        for number, beginning in enumerate(BEGINNINGS, 100):
            for _ in range(MOST_OF_ONE):
                self._begin(f"127.0.0.{number}", beginning)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for key in list(self._waiting.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()

    def _begin(self, address: str, beginning: str) -> None:
        connection = socket.create_connection(("127.0.0.1", self._port), 5, (address, 0))
        with contextlib.suppress(OSError):
            connection.sendall(BEGINNINGS[beginning])
        self._waiting.register(connection, selectors.EVENT_READ, (address, beginning))

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            ended = self._waiting.select(0)
            for key, _ in ended:
                assert isinstance(key.fileobj, socket.socket)
                self._waiting.unregister(key.fileobj)
                key.fileobj.close()
                address, beginning = key.data
                self.cut_off[beginning] += 1
                self._begin(address, beginning)
            for key in list(self._waiting.get_map().values()):
                if BEGINNINGS[key.data[1]]:
                    assert isinstance(key.fileobj, socket.socket)
                    with contextlib.suppress(OSError):
                        key.fileobj.sendall(b"q")


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    start = Network.start

    def hurried(network: Network, name: str) -> None:
        config = network.agencies[name].config
        limits = "limits: {headers_seconds: 2, body_seconds: 2, answer_seconds: 2}\n"
        config.write_text(config.read_text("utf-8") + limits, "utf-8")
        start(network, name)

    monkeypatch.setattr(Network, "start", hurried)
    with running(tmp_path) as started:
        yield started


def test_a_referral_goes_its_way_among_those_who_never_end(network: Network) -> None:
    with Slow(network.ports[HOSPITAL]) as slow:
        for number in range(3):
            fields = hospital_patient(number)
            network.consent(HOSPITAL, hospital_consent(fields["patient"]))
            message = hospital_message(**fields)
            sent, offer = offer_after(
                network, lambda message=message: network.send(HOSPITAL, message, ".hl7")
            )
            network.answer(offer["referral"], "accepted")
            assert case_of(network, offer)["referral"] == offer["referral"]
        settle(network)
        threading.Event().wait(3)  # longer than the node waits for any of them
    assert sent["referral"]
    assert all(cut_off >= MOST_OF_ONE for cut_off in slow.cut_off.values()), slow.cut_off
    log = network.processes[HOSPITAL].log.read_text("utf-8")
    assert "Traceback" not in log and "ERROR" not in log
