"""What one step of the road costs at its source, beside a floor of the same run: one durable commit.

In process, one thread, no network: a record handed in (read, map, validate, open, route, decide, seal,
commit), and a Task read (decide, minimise, audit, commit). Figures are medians of several rounds; quote the
ratios, absolute times differ from machine to machine.

    python bench/road.py
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gateway import permission, settings
from gateway.cli import consent as cli_consent
from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY, SHELTER, found, organization
from gateway.demo.stories import RECORDS
from gateway.exchange import Exchange
from gateway.node import Node
from gateway.recording import Ask
from gateway.store import referrals, tasks

ROUNDS = 5
EACH = 60


def main() -> None:
    """Print one line a step."""
    with tempfile.TemporaryDirectory() as folder:
        listens = {name: 40000 + number for number, name in enumerate((HOSPITAL, PANTRY, SHELTER, ALIAS))}
        agencies = found(Path(folder), listens, "http://127.0.0.1:1/none")
        told = settings.read(agencies[HOSPITAL].config)
        node = Node(told)
        exchange = Exchange(node)
        ours = Ask("bench", node.home, "bench")
        answers = json.loads((RECORDS / "1-consent.json").read_bytes())
        permission.record_consent(node, ours, cli_consent.build(told, answers))
        record = (RECORDS / "1-hospital.hl7").read_bytes()
        numbers = iter(range(10_000, 99_999))

        def hand_in() -> None:
            body = record.replace(b"RF-88231", b"RF-%05d" % next(numbers))
            receipt = exchange.hand_in(ours, "hl7v2-referral", body)[0]
            assert getattr(receipt, "state", "") == "offered", receipt

        partner = Ask(organization(PANTRY), node.home, "bench")
        hand_in()
        with node.store.work() as work:
            task_id = tasks.of_referral(work, referrals.all_of(work)[0].id)[0].id

        floor = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        floor.execute("PRAGMA journal_mode=WAL")
        floor.execute("PRAGMA synchronous=FULL")
        floor.execute("CREATE TABLE one (at INTEGER PRIMARY KEY, body TEXT)")

        def commit() -> None:
            floor.execute("INSERT INTO one (body) VALUES (?)", ("x" * 1000,))

        steps: dict[str, Callable[[], object]] = {
            "one durable commit (floor)": commit,
            "hand in a REF^I12 record": hand_in,
            "read a Task": lambda: exchange.read(partner, "Task", task_id),
        }
        taken: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(ROUNDS):
            for name, step in steps.items():
                started = time.perf_counter()
                for _ in range(EACH):
                    step()
                taken[name].append((time.perf_counter() - started) / EACH)
        least = statistics.median(taken["one durable commit (floor)"])
        for name, seconds in taken.items():
            middle = statistics.median(seconds)
            print(
                f"{name:30} {middle * 1e6:8.0f} µs {1 / middle:8.0f} /s {middle / least:7.1f} times the floor"
            )
        floor.close()
        node.close()


if __name__ == "__main__":
    main()
