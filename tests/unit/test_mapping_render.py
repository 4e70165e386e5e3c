"""Write-back and hand-over: what each system is told, in its own form."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from mappings import RecordError, load, shipped
from mappings.writers import write_csv, write_hl7v2
from profiles import canonical

CASES = Path(__file__).parent.parent / "cases" / "mapping"
HL7, SHELTER, PANTRY = (load(shipped(name)) for name in ("hl7v2-referral", "shelter-csv", "case-json"))
REASON = {
    "coding": [{"system": canonical.STATUS_REASON, "code": "provider-no-capacity"}],
    "text": "No slots | until\nDecember ^",
}
OUTCOME = {
    "type": {"coding": [{"system": canonical.TASK_OUTPUT, "code": "outcome"}]},
    "valueCodeableConcept": {
        "coding": [{"system": canonical.REFERRAL_OUTCOME, "code": "partly-met", "display": "Need partly met"}]
    },
}


def facts(status: str, local: Any = None, **task: Any) -> dict[str, Any]:
    return {
        "referral": "9f1c2a7e",
        "task": {"resourceType": "Task", "status": status, **task},
        "resources": {},
        "local": local or {},
        "now": "2026-11-18T15:40:00.123Z",
        "message": "MSG-1",
    }


def hospital(status: str, **task: Any) -> tuple[str, dict[str, list[str]]]:
    record = HL7.read((CASES / "hl7v2-referral" / "food-insecurity.hl7").read_bytes())[0]
    made = HL7.render("task", facts(status, HL7.map(record).local, **task))
    assert (made.suffix, made.body[-1:]) == (".hl7", b"\r")
    segments = [line.split("|") for line in made.body.decode().split("\r")[:-1]]
    return made.name, {fields[0]: fields for fields in segments}


def test_an_acceptance_goes_back_as_rri_in_the_order_that_the_standard_gives() -> None:
    name, segments = hospital("accepted")
    assert name == "RRI^I12"
    assert list(segments) == ["MSH", "MSA", "RF1", "PRD", "PID"]
    assert segments["MSH"][2:9] == [
        "WAYMEET",
        "ECH-NODE",
        "ELMEHR",
        "ECH",
        "20261118154000+0000",
        "",
        "RRI^I12^RRI_I12",
    ]
    assert segments["MSA"] == ["MSA", "AA", "ECH-20261116-0042"]
    assert segments["RF1"][1] == "A^Accepted^HL70283"
    assert (segments["RF1"][6], segments["RF1"][11]) == ("RF-88231^ELMEHR", "9f1c2a7e^WAYMEET")
    assert segments["PID"][3] == "EC-480213^^^ECH^MR"


def test_a_refusal_says_why_with_its_separators_escaped() -> None:
    name, segments = hospital("rejected", statusReason=REASON)
    assert name == "RRI^I12"
    assert segments["RF1"][1] == "R^Rejected^HL70283"
    assert segments["NTE"] == ["NTE", "1", "", r"No slots \F\ until\.br\December \S" + "\\"]


@pytest.mark.parametrize(
    ("status", "code"),
    [("in-progress", "IP"), ("on-hold", "HD"), ("completed", "CM"), ("failed", "DC"), ("cancelled", "CA")],
)
def test_later_states_go_back_as_order_status_updates(status: str, code: str) -> None:
    name, segments = hospital(status)
    assert name == "OSU^O51"
    assert list(segments) == ["MSH", "PID", "ORC"]
    assert segments["ORC"][:6] == ["ORC", "SC", "RF-88231^ELMEHR", "9f1c2a7e^WAYMEET", "", code]


@pytest.mark.parametrize("status", ["accepted", "in-progress"])
def test_fields_with_nothing_in_them_are_not_written_at_the_end_of_a_segment(status: str) -> None:
    _, segments = hospital(status)
    assert all(fields[-1] for fields in segments.values())


def test_completed_carries_whether_the_need_was_met() -> None:
    _, segments = hospital("completed", output=[OUTCOME])
    assert segments["ORC"][25] == "partly-met^Need partly met"


def test_on_hold_carries_its_reason() -> None:
    _, segments = hospital("on-hold", statusReason=REASON)
    assert segments["ORC"][16].startswith("provider-no-capacity^No slots")


def test_nothing_but_the_local_ids_of_the_person_goes_back_to_the_hospital() -> None:
    record = HL7.read((CASES / "hl7v2-referral" / "food-insecurity.hl7").read_bytes())[0]
    made = HL7.render("task", facts("accepted", HL7.map(record).local)).body.decode()
    for value in ("Alvarado", "Marisol", "19890412", "Quinnipiac", "Z59.41"):
        assert value not in made


def test_a_state_that_no_message_tells_is_refused() -> None:
    with pytest.raises(RecordError, match="has no message"):
        hospital("draft")
    with pytest.raises(RecordError, match="has no message"):
        SHELTER.render("dossier", facts("accepted"))


def test_a_fact_that_is_missing_is_named() -> None:
    with pytest.raises(RecordError, match=r"local\.control_id: is empty, and MSA-2 needs it"):
        HL7.render("task", facts("accepted"))


def test_the_shelter_gets_one_line_with_a_header() -> None:
    made = SHELTER.render("task", facts("rejected", {"referral_ref": "R-2031"}, statusReason=REASON))
    header, row = csv.reader(io.StringIO(made.body.decode(), newline=""))
    assert dict(zip(header, row, strict=True)) == {
        "referral_ref": "R-2031",
        "status": "declined",
        "reason": "no capacity",
        "reason_text": "No slots | until\nDecember ^",
        "outcome": "",
        "changed_at": "2026-11-18T15:40:00.123Z",
    }


FORMULAS = ["=1+1", "+1+1", "-1-x", "@x", "\tx", "\r=x", "\nx", "  =x", "\xa0-x", "'=x", "＝1", "-1\n=x"]  # noqa: RUF001


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_that_a_spreadsheet_would_run_is_made_text(text: str) -> None:
    _, (cell,) = csv.reader(io.StringIO(write_csv(["a"], {"a": text}).decode(), newline=""))
    assert cell == f"'{text}"


@pytest.mark.parametrize("text", ["-1", "+12035550142", "-3.50", "a=b", "'tis", "no - not now", ""])
def test_a_cell_that_is_no_formula_stays_as_it_is(text: str) -> None:
    _, cells = csv.reader(io.StringIO(write_csv(["a", "b"], {"a": text, "b": 1}).decode(), newline=""))
    assert cells == [text, "1"]


def test_hl7_text_cannot_break_out_of_its_field() -> None:
    made = write_hl7v2([("NTE", {1: "a|b^c&d~e\\f\r\ng\rh\x0bi"})])
    assert made == b"NTE|a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f\\.br\\g\\X0D\\h\\X0B\\i\r"


def test_the_pantry_is_offered_a_need_and_then_given_a_case() -> None:
    record = SHELTER.read((CASES / "shelter-csv" / "whole-row.csv").read_bytes())[0]
    resources = dict(SHELTER.map(record).resources)
    offer = json.loads(PANTRY.render("offer", facts("requested") | {"resources": resources}).body)
    assert offer == {
        "type": "offer",
        "referral": "9f1c2a7e",
        "status": "offered",
        "need": "food",
        "service": "Provision of food",
        "priority": "urgent",
        "county": "New Haven County",
        "language": "es",
        "offered_at": "2026-11-18T15:40:00.123Z",
    }
    case = json.loads(PANTRY.render("dossier", facts("accepted") | {"resources": resources}).body)
    assert case["client"] == {
        "alias": "Luz",
        "name": {"last": "Marrero"},
        "birth_date": "1991-03-08",
        "phone": "+12035550142",
        "address": {"street": "12 Orchard Lane", "city": "New Haven", "zip": "06511"},
        "contact_rule": "Text messages only",
        "household_size": 3,
        "diet": "no pork, one nut allergy",
    }


def test_a_case_of_which_almost_all_was_withheld_still_opens() -> None:
    resources = {"ServiceRequest": {"category": []}, "Patient": {"gender": "unknown"}}
    case = json.loads(PANTRY.render("dossier", facts("accepted") | {"resources": resources}).body)
    assert case == {
        "type": "case",
        "referral": "9f1c2a7e",
        "status": "accepted",
        "opened_at": "2026-11-18T15:40:00.123Z",
    }


@pytest.mark.parametrize(
    "status", ["accepted", "rejected", "in-progress", "on-hold", "completed", "failed", "cancelled"]
)
def test_a_status_written_for_a_json_system_reads_back_as_the_same_status(status: str) -> None:
    told = json.loads(PANTRY.render("task", facts(status, statusReason=REASON, output=[OUTCOME])).body)
    answer = {key: told[key] for key in ("referral", "status", "reason", "outcome")}
    task = PANTRY.map(PANTRY.read(json.dumps(answer).encode())[0]).resources["Task"]
    assert (task["id"], task["status"]) == ("9f1c2a7e", status)
    assert task["statusReason"]["coding"][0]["code"] == "provider-no-capacity"
    assert task["output"] == [OUTCOME]
