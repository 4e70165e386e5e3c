"""What mapping one record costs, beside a hand-written function and two general languages, in one run.

    python bench/map.py

Microseconds are medians of interleaved rounds in one thread; quote the ratios, absolute times differ from
machine to machine. The others do less: neither checks a date or a telephone number, leaves out what is
empty, or names the field when it refuses. The same resources come out of all four, which is checked first.
Then come HL7 version 2 messages, read and mapped, and an HMIS export of 100,000 rows as a process of its own.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonata
from liquid import Environment
from mapping import by_hand, hmis_export

from mappings import load, shipped
from mappings.readers.source import Source

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent / "mapping"
CASES = ROOT / "tests" / "cases" / "mapping"
ROUNDS = 9
SLICE = 0.1  # seconds that one subject runs in one round
MESSAGES = 2000
EVENTS = 100_000
Run = Callable[[], Any]

OURS = "mapping, compiled"
HAND = "hand-written Python"
JSONATA = "jsonata-python, parsed once"
LIQUID = "python-liquid, parsed once, and json.loads"

STREAM = """
import sys, time
from pathlib import Path
from mappings import RecordError, load, shipped
from mappings.readers.source import Source
mapping = load(shipped("hmis-csv"))
started, made, refused = time.perf_counter(), 0, 0
with Source.of_path(Path(sys.argv[1])) as source:
    for record in mapping.records(source):
        try:
            if isinstance(record, RecordError):
                raise record
            mapping.map(record)
            made += 1
        except RecordError:
            refused += 1
print(made, refused, time.perf_counter() - started)
"""


def main() -> None:
    subjects = same_work()
    measured = microseconds(subjects)
    for name, median in measured.items():
        ratio = median / measured[HAND]
        print(f"{name:<44} {median:8.1f} µs a row   {ratio:6.1f} times hand-written")
    for other in (JSONATA, LIQUID):
        print(f"{other}: {measured[other] / measured[OURS]:.0f} times the mapping")
    print(f"HL7 v2, read and mapped: {messages_per_second():,.0f} messages a second on one core")
    print(hmis())


def same_work() -> dict[str, Run]:
    """The subjects, each over one row; raises AssertionError unless all make the same resources."""
    mapping = load(shipped("shelter-csv"))
    (record,) = mapping.read((CASES / "shelter-csv" / "whole-row.csv").read_bytes())
    row: dict[str, str] = dict(record.values)
    tables = {
        "need": by_hand.NEED,
        "service": by_hand.SERVICE,
        "urgency": by_hand.URGENCY,
        "language": by_hand.SPOKEN,
        "rule": by_hand.RULE,
    }
    expression = jsonata.Jsonata((HERE / "shelter.jsonata").read_text("utf-8"))
    expression.assign("tables", tables)
    liquid = Environment()
    liquid.filters["json"] = json.dumps
    template = liquid.from_string((HERE / "shelter.liquid").read_text("utf-8"))
    subjects: dict[str, Run] = {
        HAND: lambda: by_hand.by_hand(row),
        OURS: lambda: mapping.map(record),
        JSONATA: lambda: expression.evaluate(row),
        LIQUID: lambda: json.loads(template.render(**row, tables=tables)),
    }
    wanted = mapping.map(record).resources
    assert subjects[HAND]()["resources"] == wanted
    assert subjects[JSONATA]() == wanted
    assert subjects[LIQUID]() == wanted
    return subjects


def microseconds(subjects: dict[str, Run]) -> dict[str, float]:
    """The median over rounds in which every subject has its turn."""
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, run in subjects.items():
            times, started = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - started) < SLICE:
                run()
                times += 1
            taken[name].append(elapsed / times * 1e6)
    return {name: statistics.median(each) for name, each in taken.items()}


def messages_per_second() -> float:
    """REF^I12 messages of a file of many, read and mapped, on one core."""
    mapping = load(shipped("hl7v2-referral"))
    one = (CASES / "hl7v2-referral" / "food-insecurity.hl7").read_bytes().rstrip() + b"\r"
    rates = []
    for _ in range(3):
        started = time.perf_counter()
        with Source.of_bytes(one * MESSAGES) as source:
            made = sum(1 for record in mapping.records(source) if mapping.map(record))
        rates.append(made / (time.perf_counter() - started))
        assert made == MESSAGES
    return statistics.median(rates)


def hmis() -> str:
    """An HMIS export of 100,000 events, joined and mapped in a process of its own: rows a second, memory."""
    with tempfile.TemporaryDirectory() as folder:
        hmis_export.write(Path(folder), EVENTS)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        told = subprocess.run(
            [sys.executable, "-c", STREAM, folder], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout.split()
        peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024
    made, refused, seconds = int(told[0]), int(told[1]), float(told[2])
    rate = (made + refused) / seconds
    return (
        f"HMIS export: {made + refused:,} events ({refused} refused), {rate:,.0f} rows a second, "
        f"at most {peak:.0f} MB resident"
    )


if __name__ == "__main__":
    main()
