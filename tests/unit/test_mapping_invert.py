"""A status record read backwards: what is written of a Task is read as the same Task again."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings import LocalMapping, RecordError, load, shipped
from mappings.invert import not_invertible
from mappings.render_inverse import Inverses
from profiles import canonical
from profiles.document import DocumentError

SHIPPED = {
    path.parent.name: load(path)
    for path in sorted(shipped("case-json").parent.parent.glob("*/mapping.yaml"))
    if yaml.safe_load(path.read_text("utf-8"))["format"]["type"] in ("csv", "json")
}
STATUSES = ["accepted", "rejected", "in-progress", "on-hold", "completed", "failed", "cancelled"]
STATUS_SYSTEM = "http://hl7.org/fhir/task-status"
OUTCOME = {"coding": [{"system": canonical.TASK_OUTPUT, "code": "outcome"}]}

words = st.text("abcdefghijklm =+-@'\",;é", min_size=1, max_size=9).filter(
    lambda word: word == " ".join(word.split())
)
plain = words.filter(lambda word: not word.startswith(tuple("=+-@'")))  # else the spreadsheet guard is in it


def concept_map(system: str, codes: dict[str, str]) -> dict[str, Any]:
    elements = [
        {"code": local, "target": [{"code": code, "equivalence": "equal"}]} for local, code in codes.items()
    ]
    group = {"target": system, "element": elements}
    return {"resourceType": "ConceptMap", "status": "active", "group": [group]}


def write(folder: Path, mapping: dict[str, Any], **tables: dict[str, Any]) -> Path:
    for name, table in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(table), encoding="utf-8")
    path = folder / "mapping.yaml"
    path.write_text(yaml.safe_dump(mapping, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def tiny(form: dict[str, Any], task: dict[str, Any], fields: list[str], **more: Any) -> dict[str, Any]:
    kind = {
        "kind": "status",
        "fields": ["ref", "status", *fields],
        "key": [{"constant": "tiny"}, "ref", "status"],
        "resources": {
            "Task": {
                "id": {"from": "ref", "required": True},
                "status": {"from": "status", "code": "status", "required": True},
                **task,
            }
        },
    }
    return {
        "system": "tiny",
        "version": "1",
        "title": "A tiny system",
        "format": form,
        "codes": {"status": {"map": "status.json", "unmapped": "reject"}},
        "records": {"told": kind | more},
    }


STATUS_TABLE = concept_map(STATUS_SYSTEM, {f"is {status}": status for status in STATUSES})


def facts(task: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "referral": "9f1c2a7e",
        "task": {"resourceType": "Task", "status": "accepted", **task},
        "local": {},
        "now": "2026-11-18T15:40:00.123Z",
        "message": "MSG-1",
        **more,
    }


def written(mapping: LocalMapping, task: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What is written of a Task, as one JSON object or the cells of one row."""
    body = mapping.render("task", facts(task, **more)).body.decode()
    if mapping.format == "json":
        return json.loads(body)
    header, row = csv.reader(io.StringIO(body, newline=""))
    return {name: cell for name, cell in zip(header, row, strict=True) if cell}


def read_again(mapping: LocalMapping, body: bytes) -> dict[str, Any]:
    (record,) = mapping.read(body)
    return mapping.map(record).resources["Task"]


def codings(table: dict[str, Any]) -> list[dict[str, str]]:
    """The Coding that each code of a table becomes."""
    found = []
    for group in table["group"]:
        for element in group["element"]:
            target = element["target"][0]
            display = {"display": target["display"]} if "display" in target else {}
            found.append({"system": group["target"], "code": target["code"], **display})
    return found


def tasks(mapping: LocalMapping, reason_text: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Every status, reason and outcome that the tables of these names know, in all combinations that a Task
    may have: our profile wants a reason of some."""
    maps = mapping.concept_maps
    reason = st.fixed_dictionaries(
        {"coding": st.sampled_from(codings(maps["reason"])).map(lambda coding: [coding]), "text": reason_text}
    )
    outcome = st.sampled_from(codings(maps["outcome"])).map(
        lambda coding: [{"type": OUTCOME, "valueCodeableConcept": {"coding": [coding]}}]
    )
    made = st.fixed_dictionaries(
        {"status": st.sampled_from([coding["code"] for coding in codings(maps["status"])])},
        optional={"statusReason": reason, "output": outcome},
    )
    return made.filter(lambda task: "statusReason" in task or task["status"] not in NEEDS_REASON)


def backwards(mapping: LocalMapping) -> Any:
    """The body of a mapping's first status kind read backwards; None where none can be."""
    found = Inverses(mapping.document, mapping.kinds, mapping.tables).first()
    return found and found[2]


NEEDS_REASON = ("rejected", "cancelled", "on-hold", "failed")  # the invariant waymeet-task-1

INVERTIBLE = [name for name, mapping in SHIPPED.items() if backwards(mapping) is not None]


def test_a_shipped_mapping_can_be_read_backwards() -> None:
    assert "case-json" in INVERTIBLE


@pytest.mark.parametrize("system", INVERTIBLE)
@given(data=st.data())
def test_a_task_of_a_shipped_mapping_comes_back_from_what_is_written(
    system: str, data: st.DataObject
) -> None:
    mapping = SHIPPED[system]
    task = data.draw(tasks(mapping, plain))
    problems: list[Any] = []
    body = backwards(mapping)(facts(task), problems)
    assert problems == []
    made = read_again(mapping, body)
    assert made == {"resourceType": "Task", "id": "9f1c2a7e", **task}


def kept_of(mapping: LocalMapping, sample: str) -> Any:
    """What a referral among the mapping's own samples keeps for write-back."""
    record, *_ = mapping.read((shipped(mapping.system).parent / "sample" / sample).read_bytes())
    return mapping.map(record).local


HL7, CLOSED_LOOP = load(shipped("hl7v2-referral")), load(shipped("360x"))
ORDER, REQUEST = kept_of(HL7, "ORM-O01.hl7"), kept_of(CLOSED_LOOP, "1-OMG-O19-request.hl7")


@given(status=st.sampled_from(STATUSES), data=st.data())
def test_a_task_comes_back_from_the_hl7_message_that_the_mapping_writes(
    status: str, data: st.DataObject
) -> None:
    reason = data.draw(st.sampled_from(codings(HL7.concept_maps["reason"])))
    outcome = data.draw(st.sampled_from(codings(HL7.concept_maps["outcome"])))
    told = {
        "status": status,
        "statusReason": {"coding": [reason], "text": data.draw(words)},
        "output": [{"type": OUTCOME, "valueCodeableConcept": {"coding": [outcome]}}],
    }
    made = read_again(HL7, HL7.render("task", facts(told, local=ORDER)).body)
    assert {key: made.get(key) for key in told} == told


# `in-progress` comes back as accepted: the message has one word for both.
@pytest.mark.parametrize("status", [status for status in STATUSES if status != "in-progress"])
def test_a_status_comes_back_from_the_360x_message_that_the_mapping_writes(status: str) -> None:
    made = read_again(CLOSED_LOOP, CLOSED_LOOP.render("task", facts({"status": status}, local=REQUEST)).body)
    assert made["status"] == status


def code_tables(system: str, codes: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """One-to-one tables: other words of an agency for the same codes."""
    locals_ = st.lists(plain, min_size=len(codes), max_size=len(codes), unique=True)
    return locals_.map(lambda found: concept_map(system, dict(zip(found, codes, strict=True))))


forms = st.one_of(
    st.fixed_dictionaries({"type": st.just("csv"), "delimiter": st.sampled_from([",", ";", "\t"])}),
    st.just({"type": "json"}),
)
dates = st.dates().map(str)
moments = st.datetimes(min_value=datetime(1950, 1, 1)).map(  # noqa: DTZ001 - its offset is written below
    lambda moment: f"{moment.replace(microsecond=0).isoformat()}+05:30"
)
formats = st.permutations(["YYYY", "MM", "DD"]).map("/".join)


@settings(max_examples=40, deadline=None)
@given(
    form=forms,
    status=code_tables(STATUS_SYSTEM, STATUSES),
    reason=code_tables(canonical.STATUS_REASON, ["no-capacity", "other"]),
    outcome=code_tables(canonical.REFERRAL_OUTCOME, ["met", "partly-met", "not-met"]),
    unmapped=st.sampled_from(["reject", "text", "drop"]),
    day=formats,
    data=st.data(),
)
def test_a_task_of_any_small_mapping_comes_back_from_what_is_written(
    form: dict[str, Any],
    status: dict[str, Any],
    reason: dict[str, Any],
    outcome: dict[str, Any],
    unmapped: str,
    day: str,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    output = [
        {
            "type": {"coding": [{"system": canonical.TASK_OUTPUT, "code": {"constant": name}}]},
            f"value{kind}": {"from": name, **way},
        }
        for name, kind, way in (
            ("times", "Integer", {"integer": {"min": 0, "max": 99}}),
            ("outcome", "CodeableConcept", {"concept": "outcome"}),
            ("last", "Date", {"date": day}),
            ("met", "Boolean", {"boolean": {"yes": "ja", "no": "nein"}}),
        )
    ]
    task = {
        "statusReason": {"coding": [{"from": "reason", "coding": "reason"}], "text": {"from": "why"}},
        "output": output,
        "lastModified": {"from": "at", "datetime": {"formats": f"{day} hh:mm:ss", "zone": "Asia/Kolkata"}},
    }
    fields = ["times", "outcome", "last", "met", "reason", "why", "at"]
    made = tiny(form, task, fields)
    for name in ("reason", "outcome"):
        made["codes"][name] = {"map": f"{name}.json", "unmapped": unmapped}
    folder = tmp_path_factory.getbasetemp()
    mapping = load(write(folder, made, status=status, reason=reason, outcome=outcome))

    known = data.draw(tasks(mapping, plain))
    more = data.draw(
        st.fixed_dictionaries(
            {}, optional={"Integer": st.integers(0, 99), "Date": dates, "Boolean": st.booleans()}
        )
    )
    names = {"Integer": "times", "Date": "last", "Boolean": "met"}
    items = [
        {"type": {"coding": [{"system": canonical.TASK_OUTPUT, "code": names[kind]}]}, f"value{kind}": value}
        for kind, value in more.items()
    ]
    known["output"] = [*known.get("output", []), *items]
    order = ["times", "outcome", "last", "met"]
    known["output"].sort(key=lambda item: order.index(item["type"]["coding"][0]["code"]))
    if not known["output"]:
        del known["output"]
    if data.draw(st.booleans()):
        known["lastModified"] = data.draw(moments)
    body = mapping.render("task", facts(known)).body
    assert read_again(mapping, body) == {"resourceType": "Task", "id": "9f1c2a7e", **known}


CSV = {"type": "csv"}
JSON = {"type": "json"}


def small(
    folder: Path, task: dict[str, Any], fields: list[str], form: Any = JSON, **more: Any
) -> LocalMapping:
    """A mapping whose status kind has these entries beside id and status; `more` are its other sections."""
    made = tiny(
        form, task, fields, **{key: more.pop(key) for key in ("when", "key", "ignored") if key in more}
    )
    tables = {"many": MANY, "several": SEVERAL}
    made["codes"] |= {name: {"map": f"{name}.json", "unmapped": "reject"} for name in tables}
    return load(write(folder, made | more, status=STATUS_TABLE, **tables))


MANY = concept_map(canonical.STATUS_REASON, {"full": "no-capacity", "no beds": "no-capacity"})
SEVERAL = concept_map(STATUS_SYSTEM, {"x": "accepted"})
SEVERAL["group"][0]["element"][0]["target"].append({"code": "rejected", "equivalence": "equal"})


@pytest.mark.parametrize(
    ("element", "entry", "fields", "reason"),
    [
        ("description", {"from": "x", "phone": "US"}, ["x"], "'phone' has no way back"),
        (
            "description",
            {"join": ["x", "y"], "with": " "},
            ["x", "y"],
            "is made from several fields, or in s",
        ),
        ("description", {"from": {"first": ["x", "y"]}}, ["x", "y"], "is made from several fields, or in s"),
        ("description", {"from": "x", "when": {"from": "y", "is": "1"}}, ["x", "y"], "has a condition"),
        ("description", {"from": "status"}, [], "'status' is written from another entry"),
        (
            "description",
            {"from": "x[kind=a].text"},
            ["x.kind", "x.text"],
            "reads a path that picks from a list",
        ),
        (
            "note",
            [{"each": "x", "make": {"text": {"from": ".y"}}}],
            ["x.y"],
            "is made for each item of a group",
        ),
        (
            "note",
            [{"text": {"from": "x"}}, {"text": {"from": "y"}}],
            ["x", "y"],
            "nothing tells it from the o",
        ),
        ("authoredOn", {"from": "x", "date": ["ISO", "HL7"]}, ["x"], "'date' reads several formats"),
        (
            "authoredOn",
            {"from": "x", "date": {"formats": "YYYY-MM-DD", "precision": "year"}},
            ["x"],
            "'date' reads several formats, or less than the date",
        ),
        ("authoredOn", {"from": "x", "date": "YYYY-MM-DD hh:mm"}, ["x"], "'date' reads a time of day"),
        (
            "businessStatus",
            {"from": "x", "concept": "many"},
            ["x"],
            "several codes become no-capacity in the table",
        ),
        ("description", {"from": "x", "uncode": "several"}, ["x"], "a code becomes several in the table"),
    ],
)
def test_an_entry_that_cannot_be_read_backwards_is_named_and_not_written(
    element: str, entry: Any, fields: list[str], reason: str, tmp_path: Path
) -> None:
    mapping = small(tmp_path, {element: entry}, fields)
    (line, why), *_ = not_invertible(mapping, mapping.kinds[0])[-1:]
    assert line.element.startswith(f"Task.{element}")
    assert why.startswith(reason)
    assert "private" not in str(
        written(mapping, {element: "private", "note": [{"text": "private"}]}).get("y")
    )


def test_what_other_resources_hold_is_left_out(tmp_path: Path) -> None:
    made = tiny(JSON, {}, ["x"])
    made["records"]["told"]["resources"]["Procedure"] = {
        "status": "completed",
        "note": [{"text": {"from": "x"}}],
    }
    mapping = load(write(tmp_path, made, status=STATUS_TABLE))
    assert [why for _, why in not_invertible(mapping, mapping.kinds[0])] == [
        "write-back knows the Task alone"
    ]
    assert written(mapping, {}) == {"ref": "9f1c2a7e", "status": "is accepted"}


def test_a_mapping_that_says_what_it_writes_is_not_read_backwards(tmp_path: Path) -> None:
    said = [{"name": "mine", "json": {"mine": {"from": "task.status"}}}]
    mapping = small(tmp_path, {}, [], render={"task": said})
    assert written(mapping, {}) == {"mine": "accepted"}


def test_a_message_may_be_a_status_record_read_backwards_in_some_cases_only(tmp_path: Path) -> None:
    messages = [
        {"name": "end", "when": {"from": "task.status", "is": "completed"}, "json": {"end": True}},
        {"name": "told", "inverse_of": "told", "method": "PATCH"},
    ]
    mapping = small(tmp_path, {}, [], render={"task": messages})
    assert written(mapping, {"status": "completed"}) == {"end": True}
    made = mapping.render("task", facts({}))
    assert (made.name, made.method, made.content_type) == ("told", "PATCH", "application/merge-patch+json")
    assert json.loads(made.body) == {"ref": "9f1c2a7e", "status": "is accepted"}


def test_a_row_has_every_column_and_is_written_as_the_export_is(tmp_path: Path) -> None:
    form = {"type": "csv", "delimiter": ";", "encoding": "windows-1252"}
    mapping = small(
        tmp_path, {"description": {"from": "x"}}, ["x", "y"], form, ignored={"y": "nobody needs it"}
    )
    made = mapping.render("task", facts({"description": "é; €"}))
    assert made.content_type == "text/csv; charset=windows-1252"
    assert made.body.decode("windows-1252") == 'ref;status;x;y\r\n9f1c2a7e;is accepted;"é; €";\r\n'
    with pytest.raises(RecordError, match="x: has a character that windows-1252 does not have"):
        mapping.render("task", facts({"description": "ł"}))


def test_what_a_record_is_known_by_is_written(tmp_path: Path) -> None:
    when = {"all": [{"from": "type", "is": "status"}, {"from": "status", "present": True}]}
    mapping = small(tmp_path, {}, ["type"], when=when)
    assert written(mapping, {})["type"] == "status"


REFERRAL = {
    "kind": "referral",
    "when": {"from": "person", "present": True},
    "fields": ["number", "person"],
    "key": [{"constant": "tiny"}, {"from": "number", "text": True}, {"constant": "referral"}],
    "subject": {"system": {"constant": "urn:tiny"}, "value": "person"},
    "local": {"their_number": {"from": "number", "text": True}},
    "resources": {
        "Patient": {"identifier": [{"system": "urn:tiny", "value": {"from": "person"}}]},
        "ServiceRequest": {"status": "active", "intent": "order"},
    },
}


def test_the_key_that_a_record_answers_to_is_written_from_what_the_referral_kept(tmp_path: Path) -> None:
    made = tiny(JSON, {}, ["number"], when={"from": "status", "present": True})
    told = made["records"]["told"]
    told["of"] = [{"constant": "tiny"}, {"from": "number", "text": True}, {"constant": "referral"}]
    del told["resources"]["Task"]["id"]
    told["key"] = [{"constant": "tiny"}, {"from": "number", "text": True}, "status"]
    told["fields"] = ["number", "status"]
    made["records"]["asked"] = REFERRAL
    mapping = load(write(tmp_path, made, status=STATUS_TABLE))
    body = mapping.render("task", facts({}, local={"their_number": "7"})).body
    assert json.loads(body) == {"number": "7", "status": "is accepted"}
    (record,) = mapping.read(body)
    assert mapping.map(record).of == "tiny|7|referral"
    with pytest.raises(RecordError, match=r"local\.their_number: is empty, and number needs it"):
        mapping.render("task", facts({}))


@pytest.mark.parametrize(
    ("task", "fields", "more", "fault"),
    [
        (
            {"businessStatus": {"from": "x", "concept": "many", "required": True}},
            ["x"],
            {},
            "businessStatus: cannot be read backwards: several codes become no-capacity",
        ),
        ({}, ["at"], {"key": [{"constant": "tiny"}, "ref", "at"]}, "nothing says what to write into 'at'"),
        ({}, ["x"], {"when": {"from": "x", "is": ["a", "b"]}}, "does not say which value to write"),
        ({}, ["x"], {"when": {"any": [{"from": "x", "is": "a"}]}}, "does not say which value to write"),
    ],
)
def test_what_is_needed_and_cannot_be_read_backwards_is_a_fault_of_the_mapping(
    task: dict[str, Any], fields: list[str], more: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    with pytest.raises(DocumentError, match=fault):
        small(tmp_path, task, fields, **more, render={"task": [{"name": "told", "inverse_of": "told"}]})


@pytest.mark.parametrize(
    ("message", "form", "fault"),
    [
        ({"inverse_of": "other"}, JSON, "inverse_of: names no status record of this mapping"),
        ({"inverse_of": "told", "json": {"x": 1}}, JSON, "needs exactly one of json, csv, hl7v2, inverse_of"),
        (
            {"inverse_of": "told", "method": "PATCH"},
            CSV,
            "method: PATCH changes a JSON record, and this is none",
        ),
        (
            {"csv": {"x": "1"}, "method": "PATCH"},
            JSON,
            "method: PATCH changes a JSON record, and this is none",
        ),
        (
            {"inverse_of": "told"},
            {"type": "json", "record": "told", "tables": {"told": {}}},
            "inverse_of: needs a format that write-back can write",
        ),
    ],
)
def test_a_message_that_cannot_be_made_is_a_fault_of_the_mapping(
    message: dict[str, Any], form: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    with pytest.raises(DocumentError, match=fault):
        small(tmp_path, {}, [], form, render={"task": [{"name": "told", **message}]})


def test_without_all_that_is_needed_a_mapping_writes_nothing_of_itself(tmp_path: Path) -> None:
    mapping = small(tmp_path, {}, ["at"], key=[{"constant": "tiny"}, "ref", "at"])
    assert mapping.events == frozenset()
