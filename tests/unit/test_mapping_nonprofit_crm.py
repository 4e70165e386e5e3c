"""Nonprofit case management: stages there and back, and a real PMM data set where there is one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mappings import RecordError, load, shipped
from mappings.bundle import linked
from mappings.readers.source import Source
from mappings.record import Record
from mappings.result import Mapped
from profiles import errors, validate

CASES = Path(__file__).parents[1] / "cases" / "mapping" / "nonprofit-crm"
PMM = Path(__file__).parents[3] / "shared" / "samples" / "salesforce-pmm" / "pmm-export.json"
CRM = load(shipped("nonprofit-crm"))


def mapped(path: Path) -> list[Mapped | RecordError]:
    """Each engagement of an export, or its refusal."""
    made: list[Mapped | RecordError] = []
    with Source.of_path(path) as source:
        for record in CRM.records(source):
            assert isinstance(record, Record)
            try:
                made.append(CRM.map(record))
            except RecordError as refused:
                made.append(refused)
    return made


@pytest.mark.skipif(not PMM.exists(), reason="needs the samples in ../shared beside the checkout")
def test_every_engagement_of_a_real_export_is_a_referral_or_is_passed_over() -> None:
    roles = Counter(each["Role__c"] for each in json.loads(PMM.read_bytes())["ProgramEngagement__c"])
    made = mapped(PMM)
    assert [each for each in made if isinstance(each, RecordError)] == []
    records = [each for each in made if isinstance(each, Mapped)]
    assert Counter(each.kind for each in records) == {"referral": roles["Client"], "skip": roles["Volunteer"]}
    assert len({each.key for each in records if each.kind == "referral"}) == roles["Client"]
    for each in records:
        for resource in linked(CRM, each, "2026-11-21T12:00:00Z").values():
            assert errors(validate(resource)) == []


def test_each_stage_goes_out_and_comes_back() -> None:
    path = CASES / "every-stage-person-not-exported.json"
    stages = [each["Stage__c"] for each in json.loads(path.read_bytes())["ProgramEngagement__c"]]
    records = [each for each in mapped(path) if isinstance(each, Mapped)]
    back: list[Any] = [
        json.loads(
            CRM.render(
                "task",
                {
                    "referral": "9f1c2a7e",
                    "task": each.resources["Task"],
                    "local": each.local,
                    "now": "2026-11-18T15:40:00Z",
                    "message": "M-1",
                },
            ).body
        )
        for each in records
    ]
    assert back == [{"id": str(number), "Stage__c": stage} for number, stage in enumerate(stages, 1)]


@pytest.mark.parametrize("status", ["failed", "entered-in-error", "draft"])
def test_a_status_that_no_stage_means_is_refused(status: str) -> None:
    facts = {"task": {"status": status}, "local": {"id": "a11"}, "now": "2026-11-18T15:40:00Z"}
    with pytest.raises(RecordError, match=r"task\.status"):
        CRM.render("task", facts)
