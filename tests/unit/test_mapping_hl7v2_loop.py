"""HL7 v2 there and back: later messages name the first by its key, and the answers carry its numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mappings import LocalMapping, RecordError, load, shipped
from mappings.readers.source import Source
from mappings.result import Mapped

CASES = Path(__file__).parent.parent / "cases" / "mapping"
MAPPINGS = {system: load(shipped(system)) for system in ("hl7v2-referral", "360x")}


def mapped(mapping: LocalMapping, body: bytes) -> Mapped:
    with Source.of_bytes(body) as source:
        (record,) = mapping.records(source)
    assert not isinstance(record, RecordError)
    return mapping.map(record)


def case(system: str, name: str) -> bytes:
    return (CASES / system / f"{name}.hl7").read_bytes()


def written(system: str, name: str, status: str, **task: Any) -> bytes:
    """What goes back to the sender of a case when its Task has this status."""
    mapping = MAPPINGS[system]
    facts = {
        "referral": "9f1c2a7e",
        "task": {"status": status, **task},
        "local": mapped(mapping, case(system, name)).local,
        "now": "2026-11-24T15:40:00Z",
        "message": "MSG-1",
    }
    return mapping.render("task", facts).body


def fields(body: bytes, segment: str) -> list[str]:
    return next(line for line in body.decode().split("\r") if line.startswith(segment)).split("|")


@pytest.mark.parametrize(
    ("system", "first", "later"),
    [
        ("hl7v2-referral", "food-insecurity", ["changed-referral", "cancelled-referral"]),
        ("hl7v2-referral", "order-for-housing", ["cancelled-order", "order-on-hold"]),
        (
            "360x",
            "request",
            [
                *("accepted", "declined", "cancelled", "cancellation-confirmed"),
                *("interim-note", "outcome", "appointment", "no-show"),
            ],
        ),
    ],
)
def test_later_messages_name_the_first_by_its_key(system: str, first: str, later: list[str]) -> None:
    mapping = MAPPINGS[system]
    key = mapped(mapping, case(system, first)).key
    assert {name: mapped(mapping, case(system, name)).of for name in later} == dict.fromkeys(later, key)


@pytest.mark.parametrize("path", sorted(CASES.glob("hl7v2-referral/*.hl7")), ids=lambda path: path.stem)
def test_a_message_sent_again_under_another_id_is_the_same_record(path: Path) -> None:
    """But for a status without a time: taken twice, it does no harm."""
    body = path.read_bytes()
    again = re.sub(rb"(MSH(.)(?:[^\r\n]*?\2){8})[^|*\r\n]+", rb"\1ANOTHER-ID", body, count=1)
    assert b"ANOTHER-ID" in again
    first, second = (mapped(MAPPINGS["hl7v2-referral"], each) for each in (body, again))
    assert (first.of, first.resources) == (second.of, second.resources)
    assert first.key == second.key or first.kind == "status"


def test_two_changes_of_one_referral_are_two_records() -> None:
    body = case("hl7v2-referral", "changed-referral")
    later = body.replace(b"20261118085900", b"20261119085900")
    first, second = (mapped(MAPPINGS["hl7v2-referral"], each) for each in (body, later))
    assert (first.key != second.key, first.of) == (True, second.of)


@pytest.mark.parametrize(
    ("status", "control", "state"),
    [
        ("accepted", "OK", "IP"),
        ("rejected", "UA", "CA"),
        ("in-progress", "SC", "IP"),
        ("on-hold", "SC", "HD"),
        ("completed", "SC", "CM"),
        ("failed", "SC", "DC"),
        ("cancelled", "SC", "CA"),
    ],
)
def test_an_order_is_answered_as_an_order_with_its_number_as_it_came(
    status: str, control: str, state: str
) -> None:
    body = written("hl7v2-referral", "order-for-housing", status)
    assert fields(body, "MSH")[8] == "OSU^O51^OSU_O51"
    order = fields(body, "ORC")
    assert (order[1], order[5]) == (control, state)
    assert order[2] == "OR-4471^ELMEHR^2.16.840.1.113883.19.4.6.9^ISO"


def test_a_sender_without_a_name_gets_its_answer_all_the_same() -> None:
    order = fields(written("hl7v2-referral", "sender-without-a-name", "accepted"), "ORC")
    assert order[2] == "1000"


# in-progress comes back as accepted: HL7 has one word, IP, for both.
@pytest.mark.parametrize("status", ["accepted", "rejected", "on-hold", "completed", "failed", "cancelled"])
def test_360x_reads_what_it_writes(status: str) -> None:
    reason = {"text": "No room | until ^ & ~ \\ December"}
    body = written("360x", "request", status, statusReason=reason)
    back = mapped(MAPPINGS["360x"], body)
    assert back.kind == "status"
    assert back.resources["Task"]["status"] == status
    assert back.resources["Task"]["statusReason"]["text"] == reason["text"]
    assert back.of == mapped(MAPPINGS["360x"], case("360x", "request")).key


def test_360x_writes_no_pid_for_a_request_that_named_nobody() -> None:
    body = written("360x", "request-without-a-person", "accepted")
    assert b"\rPID|" not in body
    assert fields(body, "ORC")[2] == "RQ-1001"
