"""A partner that hangs holds up its own lane, and nobody else's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hospital_world import make_hospital

from gateway import outbox
from gateway.node import Node
from gateway.outbox import Posted
from gateway.worker import Worker


class Recording(Worker):
    """A worker whose sending is a lane's name: `hangs` never ends, everything else is at once."""

    def __init__(self, node: Node) -> None:
        super().__init__(node, {})
        self.sent: list[tuple[str, int]] = []
        self.all_sent = asyncio.Event()

    async def _send(self, entry: Posted) -> None:
        if entry.lane.startswith("hangs"):
            await asyncio.sleep(3600)
        if entry.lane.startswith("test"):
            self.sent.append((entry.lane, entry.body["number"]))
            if len(self.sent) == 20:
                self.all_sent.set()


@pytest.fixture
def hospital(tmp_path: Path) -> Node:
    return make_hospital(tmp_path)


def test_what_hangs_holds_up_only_its_own_lane(hospital: Node) -> None:
    worker = Recording(hospital)
    with hospital.store.work() as work:
        for number in range(10):
            outbox.post(work, "notify", f"hangs/{number}", {"number": number})
        for number in range(20):
            outbox.post(work, "notify", f"test/{number % 4}", {"number": number})

    async def run() -> None:
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(10):
            await worker.all_sent.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())

    assert sorted(number for _, number in worker.sent) == list(range(20))
    for lane in range(4):
        mine = [number for name, number in worker.sent if name == f"test/{lane}"]
        assert mine == sorted(mine)
