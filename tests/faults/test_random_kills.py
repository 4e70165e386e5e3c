"""Nodes are killed at random moments: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from happenings import audit_is_whole, eventually, rows, running, settle
from sample_records import hospital_consent, hospital_message, hospital_patient

from gateway.calling.transport import PeerError
from gateway.demo.agencies import HOSPITAL, PANTRY
from gateway.demo.network import Network, Refusal

pytestmark = pytest.mark.slow

REFERRALS = 30
KILLS = 20
PATIENCE = 300.0


class People:
    """Those at the hospital and at the pantry: they try again until they are acknowledged."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.acknowledged: dict[int, set[str]] = {}
        self.done = threading.Event()
        self.faults: list[str] = []

    def refer(self) -> None:
        """Hand in every referral, and now and then one twice."""
        for number in range(REFERRALS):
            message = hospital_message(**hospital_patient(number))
            for _ in range(random.choice((1, 1, 2))):
                sent = self._insist(lambda message=message: self.network.send(HOSPITAL, message, ".hl7"))
                self.acknowledged.setdefault(number, set()).add(str(sent["referral"]))
            time.sleep(random.uniform(0, 0.5))

    def serve(self) -> None:
        """Accept each offer, complete each case."""
        answered: set[tuple[str, str]] = set()
        while not self.done.is_set():
            for kind, word in (("offer", "accepted"), ("case", "completed")):
                for record in self.network.pantry_system.records(kind):
                    if (record["referral"], word) not in answered:
                        answered.add((record["referral"], word))
                        self._insist(
                            lambda record=record, word=word: self.network.answer(record["referral"], word)
                        )
            time.sleep(0.05)

    def _insist(self, act: object) -> dict[str, object]:
        while not self.done.is_set():
            try:
                return dict(act())  # type: ignore[operator]
            except PeerError:
                time.sleep(0.2)
            except Refusal as refusal:
                if refusal.http_status < 500:
                    self.faults.append(f"{refusal.http_status}: {refusal.answer}")
                    raise
                time.sleep(0.2)
        raise AssertionError("not acknowledged before the end")


def test_twenty_kills_at_random_moments(tmp_path: Path) -> None:
    with running(tmp_path) as network:
        for number in range(REFERRALS):
            network.consent(HOSPITAL, hospital_consent(hospital_patient(number)["patient"]))
        people = People(network)
        threads = [threading.Thread(target=act, daemon=True) for act in (people.refer, people.serve)]
        for thread in threads:
            thread.start()
        killed: Counter[str] = Counter()
        while killed.total() < KILLS:
            time.sleep(random.uniform(0.1, 1.5))
            name = random.choice((HOSPITAL, PANTRY))
            network.processes[name].kill()
            time.sleep(random.uniform(0, 0.3))
            network.start(name)
            killed[name] += 1
        threads[0].join(PATIENCE)

        def completed() -> int:
            ((count,),) = rows(network, HOSPITAL, "select count(*) from task where status = 'completed'")
            return int(count)

        eventually(lambda: completed() >= REFERRALS, f"all {REFERRALS} completed", PATIENCE)
        settle(network, seconds=PATIENCE)
        people.done.set()

        assert people.faults == []
        assert all(len(ids) == 1 for ids in people.acknowledged.values())
        known = {found for ids in people.acknowledged.values() for found in ids}
        assert {found for (found,) in rows(network, HOSPITAL, "select id from referral")} == known
        assert len(known) == REFERRALS
        for kind in ("offer", "case"):
            seen = Counter(record["referral"] for record in network.pantry_system.records(kind))
            assert len(seen) == REFERRALS and set(seen.values()) == {1}
        assert network.pantry_system.records("notice") == []
        for name in (HOSPITAL, PANTRY):
            assert rows(network, name, "select kind, gave_up from outbox where gave_up is not null") == []
        told = Counter(file.name[:36] for file in network.agencies[HOSPITAL].own_system.glob("[!.]*"))
        assert set(told) == known and set(told.values()) == {2}  # accepted, completed
        audit_is_whole(network)
