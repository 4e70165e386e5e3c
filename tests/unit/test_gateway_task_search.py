"""Searching Tasks: which parameters there are, what each means, and pages that tell nothing else."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway import task_search
from gateway.errors import Refused

PANTRY = "https://directory.example.org/Organization/harbor-food-pantry"
TASK: dict[str, Any] = {
    "resourceType": "Task",
    "id": "t-1",
    "meta": {"lastUpdated": "2026-11-20T12:00:00.000000Z"},
    "status": "requested",
    "code": {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]},
    "focus": {"reference": "ServiceRequest/s-1"},
    "for": {"reference": "Patient/p-1"},
    "requester": {"reference": "https://directory.example.org/Organization/clinic"},
    "owner": {"reference": PANTRY},
}
BASE = "https://clinic.example.org/fhir"


def matches(query: str) -> bool:
    return task_search.parse(parse_qsl(query, keep_blank_values=True)).matches(TASK)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "_id=t-1",
        "status=requested",
        "status=accepted,requested",
        "code=fulfill",
        "code=http://hl7.org/fhir/CodeSystem/task-code|fulfill",
        "focus=ServiceRequest/s-1",
        "focus=s-1",
        "patient=Patient/p-1",
        "patient=p-1",
        f"owner={PANTRY}",
        "requester=https://directory.example.org/Organization/clinic",
        "_lastUpdated=ge2026-11-20T12:00:00Z",
        "_lastUpdated=le2026-11-20T07:00:00-05:00",
        "_lastUpdated=gt2026-11-20T11:59:59.999Z",
        "_lastUpdated=2026-11-20T12:00:00Z",
        "_lastUpdated=gt2026-11-20T11:00:00Z&_lastUpdated=lt2026-11-20T13:00:00Z",
        "status=requested&code=fulfill&_count=5&_format=json",
    ],
)
def test_what_finds_it(query: str) -> None:
    assert matches(query)


@pytest.mark.parametrize(
    "query",
    [
        "_id=t-2",
        "status=accepted",
        "status=requested&status=accepted",
        "code=approve",
        "code=http://other.example|fulfill",
        "focus=ServiceRequest/s-2",
        "focus=Patient/p-1",
        "patient=s-1",
        "owner=harbor-food-pantry-2",
        "_lastUpdated=gt2026-11-20T12:00:00Z",
        "_lastUpdated=lt2026-11-20T12:00:00Z",
    ],
)
def test_what_does_not(query: str) -> None:
    assert not matches(query)


@pytest.mark.parametrize(
    "query",
    [
        "name=x",
        "_include=Task:patient",
        "_revinclude=x",
        "status:not=x",
        "_has:x=y",
        "_sort=status",
        "Status=x",
        "=x",
    ],
)
def test_a_parameter_that_is_not_known_is_an_error(query: str) -> None:
    with pytest.raises(Refused) as refused:
        matches(query)
    assert refused.value.status == 400 and "Known: " in refused.value.issues[0].message


@pytest.mark.parametrize(
    "query",
    ["_count=-1", "_count=x", "_count=1&_count=2", "_count=9999999999", "_offset=1.5",
     "_lastUpdated=yesterday", "_lastUpdated=ne2026-11-20T12:00:00Z", "_lastUpdated=2026-11-20T12:00:00",
     "_lastUpdated="],
)  # fmt: skip
def test_a_value_that_cannot_be_read_is_an_error_that_does_not_repeat_it(query: str) -> None:
    with pytest.raises(Refused) as refused:
        matches(query)
    assert refused.value.status == 400
    assert "yesterday" not in str(refused.value.outcome())


def test_pages_hold_each_task_once_and_end() -> None:
    tasks = [TASK | {"id": f"t-{number}"} for number in range(7)]
    seen: list[str] = []
    query = "status=requested,accepted&_count=3"
    for _ in range(10):
        search = task_search.parse(parse_qsl(query))
        bundle = search.bundle(tasks, BASE)
        assert bundle["type"] == "searchset" and bundle["total"] == 7
        seen += [entry["resource"]["id"] for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert links["self"].startswith(f"{BASE}/Task?")
        if "next" not in links:
            break
        query = urlsplit(links["next"]).query
    assert seen == [f"t-{number}" for number in range(7)]


def test_nothing_found_is_a_bundle_without_entries() -> None:
    bundle = task_search.parse([]).bundle([], BASE)
    assert bundle["total"] == 0 and "entry" not in bundle and len(bundle["link"]) == 1


def test_a_page_is_never_longer_than_the_most() -> None:
    assert task_search.parse([("_count", "100000")]).count == task_search.MOST
