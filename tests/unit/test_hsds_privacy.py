"""A place that is not public leaves no trace: however it is marked, and whatever else the record says.

The record that is tried has a public place beside the private one, and what is secret about the private one
stands in every other field too: a telephone that is also the organization's, an address in a description.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings import RecordError, load, shipped
from mappings.record import Record
from mappings.result import Mapped

HSDS = load(shipped("hsds"))
WORDS = (
    "description",
    "alert",
    "url",
    "email",
    "application_process",
    "fees_description",
    "wait_time",
    "eligibility_description",
    "interpretation_services",
    "alternate_name",
)
SECRETS = ("44 Larkspur Close", "203-555-0166", "Larkspur House", "41.312", "door@larkspur.example.org")


def private_place() -> dict[str, Any]:
    return {
        "id": "x-private",
        "location_type": "physical",
        "name": "Larkspur House",
        "description": "Larkspur House, back door",
        "latitude": 41.312,
        "longitude": -72.918,
        "phones": [{"id": "p-private", "number": "203-555-0166", "type": "voice"}],
        "contacts": [{"id": "c-private", "name": "door", "email": "door@larkspur.example.org"}],
        "addresses": [
            {
                "id": "y-private",
                "address_1": "44 Larkspur Close",
                "city": "Harbor",
                "state_province": "CT",
                "postal_code": "06001",
                "country": "US",
                "address_type": "physical",
            }
        ],
    }


PUBLIC: dict[str, Any] = {
    "id": "x-public",
    "location_type": "physical",
    "name": "Front Office",
    "addresses": [
        {"id": "y-public", "address_1": "1 Main Street", "city": "Harbor", "address_type": "physical"}
    ],
}


def set_in(place: dict[str, Any], value: Any, *path: str | int) -> None:
    target: Any = place
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value


def term(**said: str) -> list[dict[str, Any]]:
    value = said.pop("value", "on")
    return [{"id": "t", "value": value, "taxonomy_term": {"id": "t", "code": "c", "name": "n"} | said}]


MARKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "redacted type": lambda place: set_in(place, "redacted", "location_type"),
    "a type that nobody knows": lambda place: set_in(place, "hidden", "location_type"),
    "a type in capitals": lambda place: set_in(place, "PHYSICAL", "location_type"),
    "several types": lambda place: set_in(place, ["physical", "redacted"], "location_type"),
    "no type": lambda place: place.pop("location_type"),
    "an empty type": lambda place: set_in(place, " ", "location_type"),
    "isPrivate": lambda place: set_in(place, True, "isPrivate"),
    "isPrivate as text": lambda place: set_in(place, "true", "isPrivate"),
    "isPrivate as a number": lambda place: set_in(place, 1, "isPrivate"),
    "isPrivate in words": lambda place: set_in(place, "partly", "isPrivate"),
    "is_private": lambda place: set_in(place, "Yes", "is_private"),
    "redacted": lambda place: set_in(place, True, "redacted"),
    "a private address": lambda place: set_in(place, True, "addresses", 0, "isPrivate"),
    "a redacted address": lambda place: set_in(place, "redacted", "addresses", 0, "address_type"),
    "a term": lambda place: set_in(place, term(name="Redacted"), "attributes"),
    "a term's code": lambda place: set_in(place, term(code="confidential"), "attributes"),
    "a value": lambda place: set_in(place, term(value="private"), "attributes"),
    "a value behind another": lambda place: set_in(place, term() + term(value="private"), "attributes"),
}


def text() -> st.SearchStrategy[str]:
    """Words, or a secret alone or among words."""
    return st.sampled_from(["Open to all", *SECRETS, *(f"Ask for {secret}." for secret in SECRETS)])


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    phone = {"id": "p", "number": draw(text()), "type": "voice"}
    hours = {
        "id": "h",
        "byday": draw(st.sampled_from(["MO,TU", "2MO"])),
        "description": draw(text()),
        "notes": draw(text()),
    }
    return {
        "id": "s",
        "name": "Safe Nights",
        "status": draw(st.sampled_from(["active", "temporarily closed"])),
        **{field: draw(text()) for field in WORDS},
        "program": {"id": "g", "name": draw(text())},
        "phones": [phone],
        "schedules": [hours],
        "service_areas": [{"id": "a", "name": draw(text()), "description": draw(text())}],
        "languages": [{"id": "l", "name": draw(text()), "code": "en"}],
        "required_documents": [{"id": "d", "document": draw(text())}],
        "attributes": [{"id": "t", "taxonomy_term": {"id": "t", "code": "c", "name": draw(text())}}],
        "contacts": [{"id": "c", "name": draw(text())}],
        "metadata": [{"id": "m", "previous_value": draw(text())}],
    }


@st.composite
def organizations(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "id": "o",
        "name": "Open Door",
        "description": draw(text()),
        "email": draw(text()),
        "website": draw(text()),
        "phones": [{"id": "p", "number": draw(text())}],
    }


@st.composite
def records(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A record in one of the three shapes, and the place in it that may be marked."""
    place = private_place()
    service, organization = draw(services()), draw(organizations())
    at_place = {"id": "sl", "phones": [{"id": "p", "number": draw(text())}], "description": draw(text())}
    match draw(st.sampled_from(["service", "elsewhere", "at location", "organization", "nested", "mixed"])):
        case "service":
            places = draw(
                st.permutations([{**at_place, "location": place}, {"id": "s2", "location": PUBLIC}])
            )
            return service | {"organization": organization, "service_at_locations": places}, place
        case "elsewhere":
            return service | {"organization": organization | {"locations": [PUBLIC, place]}}, place
        case "at location":
            return at_place | {"service": service | {"organization": organization}, "location": place}, place
        case "organization":
            return organization | {"services": [service], "locations": [PUBLIC, place]}, place
        case "mixed":  # no shape of the specification
            return service | {"organization": organization, "location": place}, place
        case _:
            services_there = [service | {"service_at_locations": [{**at_place, "location": place}]}]
            return organization | {"services": services_there, "locations": [PUBLIC]}, place


def told(record: dict[str, Any]) -> Mapped:
    return HSDS.map(Record(record))


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
@given(made=records())
def test_nothing_of_a_private_place_is_told(
    mark: Callable[[dict[str, Any]], None], made: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    record, place = made
    mark(place)
    mapped = told(json.loads(json.dumps(record)))
    assert "Location" not in mapped.resources
    assert not [service for service in mapped.resources["HealthcareService"] if "location" in service]
    said = json.dumps([mapped.resources, mapped.key, mapped.local])
    assert [secret for secret in SECRETS if secret in said] == []
    assert "Safe Nights" in said


@given(made=records())
def test_the_same_place_without_a_mark_is_told(made: tuple[dict[str, Any], dict[str, Any]]) -> None:
    record, _ = made
    mapped = told(record)
    if "service_at_locations" not in record and "service" not in record:
        return  # a place that is not the service's own is looked at, and not told
    assert "44 Larkspur Close" in [
        line for place in mapped.resources["Location"] for line in place["address"]["line"]
    ]


def test_what_is_read_where_a_place_is_private_is_the_names_and_the_type() -> None:
    for kind in HSDS.kinds:
        if kind.name.endswith(("private-place", "private")) and kind.kind == "service":
            copied = {line.field.rpartition(".")[2] for line in kind.lineage if line.function != "when"}
            assert copied == {"id", "name", "status", "code"}


def test_a_mark_that_nobody_has_told_us_of_refuses_the_record() -> None:
    place = private_place() | {"visibility": "hidden"}
    record = {"id": "s", "name": "n", "status": "active", "organization": {"id": "o", "name": "o"}}
    with pytest.raises(RecordError) as refused:
        told(record | {"service_at_locations": [{"id": "sl", "location": place}]})
    assert [issue.field for issue in refused.value.issues] == ["service_at_locations.location"]


@pytest.mark.parametrize("marked", ["service", "organization"])
def test_a_service_that_is_private_itself_is_not_taken_in(marked: str) -> None:
    record: dict[str, Any] = {
        "id": "s",
        "name": "n",
        "status": "active",
        "organization": {"id": "o", "name": "o"},
    }
    (record if marked == "service" else record["organization"])["attributes"] = term(value="private")
    with pytest.raises(RecordError) as refused:
        told(record)
    assert [issue.code for issue in refused.value.issues] == ["business-rule"]
