"""Our ER7 reader and writer beside python-hl7, an independent implementation."""

from __future__ import annotations

from pathlib import Path

import hl7
import pytest

from mappings import load, shipped
from mappings.readers.hl7v2 import Hl7v2Reader
from mappings.readers.source import Source
from mappings.record import Record

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
READER = Hl7v2Reader()
FILES = [
    *sorted((ROOT.parent / "shared" / "samples" / "hl7v2").glob("*.hl7")),
    *sorted((ROOT / "tests" / "cases" / "mapping" / "hl7v2-referral").glob("*.hl7")),
    shipped("hl7v2-referral").parent / "sample" / "REF-I12.hl7",
]


def peer(body: bytes) -> hl7.Message:
    text = body.decode("utf-8-sig").replace("\r\n", "\r").replace("\n", "\r").strip("\r")
    return hl7.parse(text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_component_of_every_field_reads_the_same(path: Path) -> None:
    body = path.read_bytes()
    (record,) = READER.records(Source.of_bytes(body))
    assert isinstance(record, Record)
    compared = 0
    theirs_by_name: dict[str, list[hl7.Segment]] = {}
    for segment in peer(body):
        theirs_by_name.setdefault(str(segment[0]), []).append(segment)
    assert {name: len(found) for name, found in theirs_by_name.items()} == {
        name: len(found) for name, found in record.values.segments.items()
    }
    for name, found in theirs_by_name.items():
        for number in range(3 if name == "MSH" else 1, 41):
            for component in range(1, 13):
                for sub in range(1, 4):
                    ours = READER.getter(f"{name}-{number}.{component}.{sub}")(record.values)
                    assert ours == theirs(found[0], number, component, sub), (
                        f"{name}-{number}.{component}.{sub}"
                    )
                    compared += ours is not None
    assert compared > 5


def theirs(segment: hl7.Segment, number: int, component: int, sub: int) -> str | None:
    try:
        text = segment.extract_field(1, number, 1, component, sub)
    except (LookupError, ValueError):
        return None
    # Of the line break \\.br\\ the peer makes a carriage return, we a line feed, as FHIR text has it.
    return text.replace("\r", "\n").strip() or None if text != '""' else None


@pytest.mark.parametrize(
    "status", ["accepted", "rejected", "in-progress", "on-hold", "completed", "failed", "cancelled"]
)
def test_what_we_write_is_read_back_by_the_peer(status: str) -> None:
    mapping = load(shipped("hl7v2-referral"))
    (record,) = mapping.read(FILES[-1].read_bytes())
    reason = "No slots | until ^ & ~ \\ December"
    made = mapping.render(
        "task",
        {
            "referral": "9f1c2a7e",
            "task": {"status": status, "statusReason": {"text": reason}},
            "local": mapping.map(record).local,
            "now": "2026-11-18T15:40:00Z",
            "message": "MSG-1",
        },
    )
    message = peer(made.body)
    assert message.extract_field("MSH", 1, 9, 1, 1) == made.name.partition("^")[0]
    assert message.extract_field("PID", 1, 3, 1, 1) == "EC-480213"
    told = ("NTE", 3, 1) if made.name == "RRI^I12" else ("ORC", 16, 2)
    assert message.extract_field(told[0], 1, told[1], 1, told[2]) == reason
