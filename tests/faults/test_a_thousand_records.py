"""A thousand records with something of their own in every primitive, by every way out of a node.

What may come out, and to whom, is the hand-written table of each kind of record in tests/cases/canaries. How
the search itself is tested: tests/unit/test_canary_records.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from canary_records import template
from canary_world import Crowd, Search, permitted
from two_worlds import KINDS, Source

CROWDS = {"fhir-r4": 600, "case-json": 200, "shelter-csv": 200}
AT_ONCE = 40  # records in one store, so that lists stay short

pytestmark = pytest.mark.slow


def test_a_thousand_records_leak_nothing(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    search, began, cpu, first = Search(), time.monotonic(), time.process_time(), 0
    for name, count in CROWDS.items():
        made_of = template(name)
        source = Source(tmp_path / name, *KINDS[made_of.source])
        for at in range(first, first + count, AT_ONCE):
            numbers = range(at, min(at + AT_ONCE, first + count))
            Crowd(search, made_of, source.world()).run(numbers)
            assert search.leaks == []
            missing = permitted(search, made_of, numbers) - search.seen
            assert {search.canaries.of[one] for one in missing} == set()
        first += count
        source.close()
    assert first >= 1000
    figures = {
        "records": first,
        "unique values": len(search.canaries.of),
        "things searched": search.places.total(),
        "bytes searched": search.size,
        "permitted values seen": len(search.seen),
        "seconds": round(time.monotonic() - began),
        "processor seconds": round(time.process_time() - cpu),
    }
    for name, value in figures.items():
        record_property(name, value)
    print(figures)
