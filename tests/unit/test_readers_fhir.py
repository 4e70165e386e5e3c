"""FHIR: which resources make a record, how references are resolved, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.readers.fhir import FhirReader
from mappings.readers.source import Source
from mappings.record import PathError, Record, RecordError, Rejected

READER = FhirReader()
SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "synthea"
Json = dict[str, Any]

PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p",
    "name": [{"use": "official", "family": "Souza", "given": ["Ana", "Maria"]}, {"given": ["Nan"]}],
    "active": False,
    "maritalStatus": {},
    "telecom": [],
    "birthDate": " ",
}
REQUEST: Json = {
    "resourceType": "ServiceRequest",
    "id": "s",
    "contained": [{"resourceType": "Organization", "id": "o", "name": "County hospital"}],
    "subject": {"reference": "Patient/p"},
    "requester": {"reference": "#o"},
    "performer": [{"reference": "urn:uuid:11111111-1111-4111-8111-111111111111"}],
    "supportingInfo": [{"reference": "Observation/size"}, {"reference": "Consent/elsewhere"}],
    "quantityQuantity": {"value": "PLACE"},
}
SIZE: Json = {"resourceType": "Observation", "id": "size", "subject": {"reference": "Patient/p"}}
DIET: Json = {**SIZE, "id": "diet", "basedOn": [{"reference": "ServiceRequest/s"}]}
OTHER: Json = {**SIZE, "id": "other"}
TASK: Json = {
    "resourceType": "Task",
    "id": "t",
    "focus": {"reference": "ServiceRequest/s"},
    "for": {"reference": "Patient/p"},
    "owner": {"reference": "Organization/pantry"},
}
ROLE: Json = {
    "resourceType": "PractitionerRole",
    "id": "r",
    "practitioner": {"reference": "http://ehr.example.org/fhir/Practitioner/doc/_history/2"},
}
DOCTOR: Json = {"resourceType": "Practitioner", "id": "doc"}
PANTRY: Json = {"resourceType": "Organization", "id": "pantry", "name": "Pantry"}
CONSENT: Json = {
    "resourceType": "Consent",
    "id": "c",
    "patient": {"reference": "Patient/p"},
    "provision": {"data": [{"meaning": "related", "reference": {"reference": "ServiceRequest/s"}}]},
}


def entry(resource: Json, url: str = "") -> Json:
    return {"fullUrl": url, "resource": resource} if url else {"resource": resource}


def bundle(*entries: Json, **more: Any) -> Json:
    return {"resourceType": "Bundle", "type": "collection", "entry": list(entries), **more}


EVERYTHING = bundle(
    entry(PATIENT),
    entry(REQUEST),
    *map(entry, (SIZE, DIET, OTHER, TASK, PANTRY, CONSENT)),
    entry(ROLE, "urn:uuid:11111111-1111-4111-8111-111111111111"),
    entry(DOCTOR, "http://ehr.example.org/fhir/Practitioner/doc"),
    {"request": {"method": "DELETE", "url": "Patient/x"}},
)


def read(value: Any, name: str = "bundle.json") -> list[Record | RecordError]:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return list(READER.records(Source.of_bytes(body, name)))


def only(value: Any) -> Json:
    (record,) = read(value)
    assert isinstance(record, Record), record
    values: Json = record.values
    return values


def told(value: Any) -> str:
    try:
        (found,) = read(value)
    except RecordError as raised:
        found = raised
    assert isinstance(found, RecordError)
    (issue,) = found.issues
    return issue.diagnostics()


def test_a_record_is_a_request_and_what_it_refers_to_and_what_is_based_on_it() -> None:
    assert only(EVERYTHING) == {
        "ServiceRequest": REQUEST,
        "Patient": PATIENT,
        "Observation": [SIZE, DIET],
        "Task": [TASK],
        "Consent": [CONSENT],
        "Organization": [REQUEST["contained"][0], PANTRY],
        "PractitionerRole": [ROLE],
        "Practitioner": [DOCTOR],
        "requester": [REQUEST["contained"][0]],
        "performer": [ROLE],
        "owner": [PANTRY],
        "Bundle": {"resourceType": "Bundle", "type": "collection"},
    }


@pytest.mark.parametrize("kind", ["transaction", "message", "document", "searchset", "batch"])
def test_a_bundle_of_any_type_is_taken(kind: str) -> None:
    header = {"resourceType": "MessageHeader", "focus": [{"reference": "ServiceRequest/s"}]}
    values = only(bundle(entry(header), entry(REQUEST), entry(PATIENT), type=kind))
    assert values["Patient"] == PATIENT
    assert values["Bundle"]["type"] == kind
    assert "MessageHeader" not in values


def test_requests_are_records_of_their_own_that_share_what_they_share() -> None:
    second = {**REQUEST, "id": "s2", "basedOn": [{"reference": "ServiceRequest/s"}]}
    records = read(
        bundle(entry(REQUEST), entry(second), entry(PATIENT), entry(TASK), entry(DIET), entry(SIZE))
    )
    first, other = (record.values for record in records if isinstance(record, Record))
    assert (first["ServiceRequest"]["id"], other["ServiceRequest"]["id"]) == ("s", "s2")
    assert first["Patient"] is other["Patient"]
    assert first["Task"] == [TASK]
    assert "Task" not in other
    assert first["Observation"] == [SIZE, DIET]
    assert other["Observation"] == [SIZE]


def test_a_task_about_no_request_that_came_is_a_record() -> None:
    lone = {**TASK, "id": "t2", "focus": {"reference": "ServiceRequest/elsewhere"}}
    output = {"resourceType": "Procedure", "id": "done", "subject": {"reference": "Patient/p"}}
    lone["output"] = [{"valueReference": {"reference": "Procedure/done"}}]
    records = read(
        bundle(entry(REQUEST), entry(PATIENT), entry(TASK), entry(lone), entry(PANTRY), entry(output))
    )
    request, task = (record.values for record in records if isinstance(record, Record))
    assert request["Task"] == [TASK]
    assert task["Task"] == lone
    assert task["Patient"] == PATIENT
    assert task["Procedure"] == [output]
    assert task["owner"] == [PANTRY]
    assert "ServiceRequest" not in task


def test_a_contained_request_belongs_to_its_task() -> None:
    request = {"resourceType": "ServiceRequest", "id": "inside", "subject": {"reference": "#who"}}
    person = {"resourceType": "Patient", "id": "who"}
    task = {
        **TASK,
        "contained": [request, person],
        "focus": {"reference": "#inside"},
        "for": {"reference": "#who"},
    }
    values = only(task)
    assert (values["Task"], values["ServiceRequest"], values["Patient"]) == (task, [request], person)


def test_where_there_is_neither_request_nor_task_each_resource_is_a_record() -> None:
    service = {
        "resourceType": "HealthcareService",
        "id": "h",
        "providedBy": {"reference": "Organization/pantry"},
        "location": [{"reference": "Location/l"}],
    }
    place = {"resourceType": "Location", "id": "l"}
    first, second, third = read([service, PANTRY, place])
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert isinstance(third, Record)
    assert first.values == {"HealthcareService": service, "Organization": [PANTRY], "Location": [place]}
    assert second.values == {"Organization": PANTRY}
    assert third.values == {"Location": place}
    assert only(PATIENT) == {"Patient": PATIENT}


def test_lines_are_sets_of_their_own_and_a_bad_one_does_not_stop_the_rest() -> None:
    lines = [json.dumps(one) for one in (EVERYTHING, [REQUEST, PATIENT], [], bundle(), REQUEST, 7)]
    lines.insert(2, '{"resourceType": "Patient", "na')
    found = read("\n".join(["", *lines]).encode(), "export.ndjson")
    assert [each.line if isinstance(each, Record) else str(each) for each in found] == [
        2,
        3,
        "line 4: the text is not JSON: it is cut off",
        "line 5: there is no resource",
        "line 6: there is no resource",
        7,
        "line 8: is not a resource of FHIR R4",
    ]
    assert isinstance(found[5], Record)
    assert "Patient" not in found[5].values  # that of another line is another system's
    assert found[5].name == "export.ndjson"


def test_bundles_in_a_list_are_sets_of_their_own() -> None:
    other = {**PATIENT, "gender": "other"}
    broken = bundle(entry(PATIENT), entry(PATIENT))
    first, fault, second = read(
        [bundle(entry(REQUEST), entry(PATIENT)), broken, bundle(entry(REQUEST), entry(other))]
    )
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert isinstance(fault, RecordError)
    assert (first.values["Patient"], second.values["Patient"]) == (PATIENT, other)


def subject_of(reference: Any, *entries: Json, url: str = "") -> str | None:
    """The id of the Patient that a request's subject is resolved to."""
    request = {"resourceType": "ServiceRequest", "subject": {"reference": reference}}
    patient = only(bundle(entry(request, url), *entries)).get("Patient")
    return patient["id"] if patient else None


def person(name: str) -> Json:
    return {"resourceType": "Patient", "id": name}


def test_references_are_resolved_among_what_came_and_never_guessed() -> None:
    here = "http://here.example.org/fhir"
    assert subject_of("Patient/a", entry(person("b")), entry(person("a"))) == "a"
    assert subject_of("urn:uuid:1", entry(person("b")), entry(person("a"), "urn:uuid:1")) == "a"
    assert subject_of(f"{here}/Patient/a", entry(person("a"), f"{here}/Patient/a")) == "a"
    assert (
        subject_of("Patient/a", entry(person("a"), f"{here}/Patient/a"), url=f"{here}/ServiceRequest/s")
        == "a"
    )
    for missing in (
        "Patient/b",
        "Patient/",
        "Patient",
        "",
        "#a",
        "#",
        "a",
        "urn:uuid:2",
        "Patient?identifier=a",
        "http://there.example.org/fhir/Patient/a",
        7,
        None,
        ["Patient/a"],
    ):
        assert subject_of(missing, entry(person("a"), "urn:uuid:1")) is None
    assert subject_of("Patient/", entry({"resourceType": "Patient"})) is None


def test_circles_end() -> None:
    first = {"resourceType": "HealthcareService", "id": "1", "location": [{"reference": "Location/1"}]}
    role = {
        "resourceType": "PractitionerRole",
        "id": "1",
        "healthcareService": [{"reference": "HealthcareService/1"}, {"reference": "PractitionerRole/1"}],
    }
    first["endpoint"] = [{"reference": "PractitionerRole/1"}, {"reference": "ServiceRequest/s"}]
    request = {**REQUEST, "performer": [{"reference": "PractitionerRole/1"}, {"reference": "#"}]}
    values = only(bundle(*map(entry, (request, role, first))))
    assert (values["PractitionerRole"], values["HealthcareService"]) == ([role], [first])


def test_what_is_about_somebody_else_refuses_the_record() -> None:
    theirs = {**SIZE, "subject": {"reference": "Patient/other"}}
    records = bundle(*map(entry, (REQUEST, PATIENT, person("other"), theirs)))
    assert told(records) == "Observation: is about another patient than the record"
    task = {**TASK, "for": {"reference": "Patient/other"}}
    assert told(bundle(*map(entry, (REQUEST, PATIENT, person("other"), task)))) == (
        "Task: is about another patient than the record"
    )


@pytest.mark.parametrize("member", [{"modifierExtension": [{"url": "u"}]}, {"implicitRules": "http://rules"}])
@pytest.mark.parametrize("kind", ["ServiceRequest", "Patient", "Observation", "Practitioner"])
def test_what_changes_the_meaning_of_a_resource_refuses_its_record(kind: str, member: Json) -> None:
    changed = json.loads(json.dumps(EVERYTHING))
    for each in changed["entry"]:
        if each.get("resource", {}).get("resourceType") == kind:
            each["resource"]["deep"] = [[{"inside": [member]}]]
    assert told(changed) == f"{kind}: has a modifierExtension or implicitRules, which change what it means"
    unrelated = bundle(entry(REQUEST), entry(PATIENT), entry({**OTHER, **member}))
    assert only(unrelated)["Patient"] == PATIENT


def test_one_bad_request_of_a_bundle_does_not_stop_the_others() -> None:
    bad = {**REQUEST, "id": "bad", "implicitRules": "http://rules"}
    refused, taken = read(bundle(entry(bad), entry(REQUEST)))
    assert isinstance(refused, RecordError)
    assert isinstance(taken, Record)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"", "the record is empty"),
        (b'{"resourceType": "Patient",', "line 1: the text is not JSON: it is cut off"),
        (
            b'{"resourceType": "Patient",\n"id": "1", "id": "2"}',
            "line 2: the text has the key twice in one object",
        ),
        ("x", "is not a resource of FHIR R4"),
        (None, "is not a resource of FHIR R4"),
        ({}, "is not a resource of FHIR R4"),
        ({"resourceType": "Pateint"}, "is not a resource of FHIR R4"),
        ({"resourceType": ["Patient"]}, "is not a resource of FHIR R4"),
        ([], "there is no resource"),
        ([PATIENT, 7], "[1]: is not a resource of FHIR R4"),
        (bundle(), "there is no resource"),
        ({"resourceType": "Bundle"}, "there is no resource"),
        (bundle({"request": {"method": "DELETE"}}), "there is no resource"),
        (
            bundle(entry(PATIENT), entry({"resourceType": "X"})),
            "Bundle.entry[1]: is not a resource of FHIR R4",
        ),
        (bundle({"resource": None}), "Bundle.entry[0]: is not a resource of FHIR R4"),
        (
            {"resourceType": "Bundle", "entry": {"resource": 7}},
            "Bundle.entry[0]: is not a resource of FHIR R4",
        ),
        ({"resourceType": "Bundle", "entry": [7]}, "Bundle.entry[0]: is not an entry of a Bundle"),
        (bundle({"fullUrl": 7, "resource": PATIENT}), "Bundle.entry[0]: is not an entry of a Bundle"),
        (bundle({"modifierExtension": [], "resource": PATIENT}), "Bundle.entry[0]: has a modifierExtension"),
        (bundle(entry(PATIENT), implicitRules="http://rules"), "Bundle: has implicitRules"),
        ({"resourceType": "Patient", "contained": 7}, "is not a resource of FHIR R4"),
        ({"resourceType": "Patient", "contained": [7]}, "is not a resource of FHIR R4"),
        ({"resourceType": "Patient", "id": 7}, "has an id that is none"),
        ({"resourceType": "Patient", "id": ""}, "has an id that is none"),
        (bundle(entry(PATIENT), entry(PATIENT)), "two resources have the same id or full URL"),
        (bundle(entry(PATIENT, "u"), entry(DOCTOR, "u")), "two resources have the same id or full URL"),
        ({**PATIENT, "contained": [PANTRY, PANTRY]}, "contains two resources with the same id"),
    ],
)
def test_what_is_not_a_set_of_resources_is_refused(value: Any, message: str) -> None:
    assert told(value).startswith(message)


def test_nesting_has_an_end() -> None:
    body = b'{"resourceType": "Patient", "extension": ' + b'{"extension": ' * 120 + b"1" + b"}" * 121
    assert told(body) == "line 1: the text is nested too deeply"


GETTERS = {
    "Patient.name": PATIENT["name"],
    "Patient.name[use=official]": PATIENT["name"][0],
    "Patient.name.family": "Souza",
    "Patient.name.given": ["Ana", "Maria"],
    "Patient.name[*].given": ["Ana", "Maria", "Nan"],
    "Patient.name.given[1]": "Maria",
    "Patient.active": False,
    "Patient.birthDate": None,
    "Patient.maritalStatus": None,
    "Patient.telecom": None,
    "Patient.gender": None,
    "Observation[id=diet].basedOn.reference": "ServiceRequest/s",
    "Observation.id": "size",
    "Observation[*].id": ["size", "diet"],
    "owner.name": "Pantry",
    "performer.practitioner.reference": "http://ehr.example.org/fhir/Practitioner/doc/_history/2",
    "Encounter.id": None,
    "Bundle.type": "collection",
}


@pytest.mark.parametrize(("path", "expected"), GETTERS.items())
def test_a_path_finds_a_value_or_a_whole_element(path: str, expected: object) -> None:
    assert READER.getter(path)(only(EVERYTHING)) == expected


def test_digits_are_kept() -> None:
    body = json.dumps(REQUEST).replace('"PLACE"', "2.00").encode()
    value = READER.getter("ServiceRequest.quantityQuantity.value")(only(body))
    assert isinstance(value, Decimal)
    assert str(value) == "2.00"


def test_a_list_of_lists_is_nothing_fhir_has() -> None:
    with pytest.raises(Rejected):
        READER.getter("Patient.name")({"Patient": {"name": [[["Ana"]]]}})


def test_a_group_is_of_the_items_at_its_path() -> None:
    values = only(EVERYTHING)
    names = READER.group("Patient.name")
    found = names.items(values)
    assert [names.getter(".family")(each) for each in found] == ["Souza", None]
    assert [names.getter(".")(each) for each in found] == PATIENT["name"]
    given_names = names.group(".given")
    assert [given_names.getter(".")(each) for each in given_names.items(found[0])] == ["Ana", "Maria"]
    assert READER.group("Encounter").items(values) == []


def test_fields_list_paths_without_their_picks_and_what_these_look_at() -> None:
    assert READER.names("Patient.name[use=official].given[0]") == ["Patient.name.use", "Patient.name.given"]
    assert READER.group("Patient.name").names(".given") == ["Patient.name.given"]


@pytest.mark.parametrize(
    "path", ["", "patient.name", "Pateint.name", "Patient..name", "Patient.name[", ".name", "Ω"]
)
def test_what_is_not_a_path_is_refused_when_the_mapping_loads(path: str) -> None:
    with pytest.raises(PathError):
        READER.getter(path)
    with pytest.raises(PathError):
        READER.group(path)


KEYS = st.sampled_from(
    [
        "resourceType",
        "id",
        "entry",
        "resource",
        "fullUrl",
        "contained",
        "subject",
        "focus",
        "reference",
        "for",
    ]
)
WORDS = st.sampled_from(
    [
        "Bundle",
        "ServiceRequest",
        "Task",
        "Patient",
        "Observation",
        "a",
        "#a",
        "Patient/a",
        "Task/a",
        "ServiceRequest/a",
    ]
)
ANYTHING = st.recursive(
    WORDS | st.none() | st.integers(0, 2),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=25,
)
RESOURCES = st.lists(
    st.builds(lambda kind, more: {**more, "resourceType": kind}, WORDS, st.dictionaries(KEYS, ANYTHING)),
    max_size=5,
)
BODIES = (
    st.builds(lambda value: json.dumps(value).encode(), ANYTHING)
    | st.builds(lambda resources: json.dumps(bundle(*map(entry, resources))).encode(), RESOURCES)
    | st.builds(lambda resources: "\n".join(map(json.dumps, resources)).encode(), RESOURCES)
)
WHOLE = json.dumps(EVERYTHING).encode()
DAMAGED = st.builds(
    lambda place, length, new: WHOLE[:place] + new + WHOLE[place + length :],
    st.integers(0, len(WHOLE)),
    st.integers(0, 40),
    st.binary(max_size=4),
)


@given(st.binary() | BODIES | DAMAGED)
def test_no_bytes_make_anything_but_records_and_record_errors(body: bytes) -> None:
    try:
        records = read(body)
    except RecordError as fault:
        records = [fault]
    for record in records:
        if isinstance(record, RecordError):
            assert "Souza" not in str(record)
        else:
            for path in GETTERS:
                with suppress(Rejected):
                    assert READER.getter(path)(record.values) not in ("", [], {})


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the Synthea samples are not beside this checkout")
def test_published_patients_are_read() -> None:
    records = read((SAMPLES / "Patient.ndjson").read_bytes(), "Patient.ndjson")
    assert len(records) > 10
    assert all(
        READER.getter("Patient.name.family")(each.values) for each in records if isinstance(each, Record)
    )
