"""The hospital refers to an office that is a shelter's alias, and cannot learn whether anybody is helped.

Three worlds, over real sockets between running nodes, that differ in what the shelter's people do: they help,
they decline, they never answer. Every byte between the two nodes, and everything that the hospital's node has
written down, is the same. In a fourth a release lets them tell, and only that shows.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import worlds as normal
from happenings import audit_is_whole, eventually, look_into, running, settle
from recorder import _JWT, Connection, Recorder, jwt_parts
from sample_records import hospital_consent, hospital_message
from shelter_receives import ADULT, ANSWERS, answer, let_the_shelter_receive, release_back
from sqlalchemy import select

from gateway import audit, own_system, settings
from gateway.demo import network as demo_network
from gateway.demo.agencies import ALIAS, HOSPITAL, SHELTER, Agency
from gateway.demo.agencies import found as found_agencies
from gateway.demo.network import Network, Refusal
from gateway.store import tasks
from gateway.store.schema import metadata
from gateway.store.work import Work

PATIENT = "EC-480213"
CLIENT = {"client": {"id": "S-31", "birth_date": ADULT}}
NAMES = ("safe haven", "safe-haven", "shelter", "violence", "victim", "vawa")
WORDS = "Our house on Orchard Lane"

HELPED: list[tuple[str, dict[str, Any]]] = [
    ("accepted", {}),
    ("started", {"service": "food"}),
    ("completed", {"outcome": "need met"}),
]
PLANS: Mapping[str, list[tuple[str, dict[str, Any]]]] = {
    "helped": HELPED,
    "declined": [("declined", {"reason": {"code": "no capacity", "text": f"{WORDS} is full."}})],
    "never answered": [],
    "released": HELPED,
}


@dataclass(frozen=True)
class Seen:
    """What one world left behind: the wire, what the hospital has, and what the shelter's people got."""

    sent: normal.Sent
    hospital: Mapping[str, Any]
    cases: list[dict[str, Any]]
    receipts: list[dict[str, Any]]
    shelter_sent: bytes


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Seen]:
    return {name: run(tmp_path_factory.mktemp("vsp"), name) for name in PLANS}


def run(folder: Path, name: str) -> Seen:
    recorder = Recorder()
    cases = folder / "cases"
    began = datetime.now(UTC)

    def prepared(*args: Any) -> dict[str, Agency]:
        agencies = found_agencies(*args)
        let_the_shelter_receive(agencies, cases)
        config = agencies[HOSPITAL].config
        text = config.read_text("utf-8")
        config.write_text(text.replace("close_grace_minutes: 0", "close_grace_minutes: 60"), "utf-8")
        return agencies

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_network, "found", prepared)
        try:
            with running(folder, recorder.between) as network:
                receipts = story(network, cases, name)
                hospital = written_down(network)
                audit_is_whole(network)
        finally:
            recorder.close()
    wire = list(between_the_two(recorder))
    ended = datetime.now(UTC)
    return Seen(
        normal._normalised(recorder, wire, began, ended),
        {key: _in_order(normal._alike(text, recorder, began, ended)) for key, text in hospital.items()},
        records(cases),
        receipts,
        b"".join(bytes(one.asked) for one in wire if one.at == HOSPITAL)
        + b"".join(bytes(one.answered) for one in wire if one.at == ALIAS),
    )


def story(network: Network, cases: Path, name: str) -> list[dict[str, Any]]:
    """Referred, taken, answered or not, amended, and in the end taken back; what the people were told."""
    if name == "released":
        network.consent(SHELTER, release_back("S-31", items=["referral-status", "referral-outcome"]))
    network.consent(HOSPITAL, hospital_consent(PATIENT, recipients=[ALIAS]))
    message = hospital_message(recipient=ALIAS)
    sent = network.send(HOSPITAL, message, ".hl7")
    assert sent["state"] == "offered"
    eventually(lambda: len(records(cases)) == 2, "the shelter's people have offer and case")
    settle(network)
    referral = records(cases)[0]["referral"]
    told = []
    for status, said in PLANS[name]:
        told.append(answered(network, answer(referral, status, **said, **CLIENT)))
        settle(network)
    for event, control in (("I13", "ECH-20261117-0001"), ("I14", "ECH-20261118-0001")):
        later = message.replace(b"REF^I12^REF_I12", f"REF^{event}^REF_I12".encode())
        later = later.replace(b"ECH-20261116-0042", control.encode())
        try:
            network.send(HOSPITAL, later.replace(b"||4||", b"||8||"), ".hl7")
        except Refusal:
            assert name == "released", "only there is it over at the hospital before it is taken back"
        settle(network)
    return told


def answered(network: Network, body: bytes) -> dict[str, Any]:
    found = settings.read(network.agencies[SHELTER].config)
    said = json.loads(asyncio.run(own_system.send_record(found, ANSWERS, body, ".json")).body)
    assert "results" in said, said
    (result,) = said["results"]
    assert "outcome" not in result, result
    return dict(result)


def records(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("[!.]*"), key=lambda file: file.stat().st_mtime_ns)
    return [json.loads(file.read_bytes()) for file in files]


def written_down(network: Network) -> dict[str, str]:
    """All that the hospital has of it: the Task and what it says, audit, its own system's files, rows.

    Its content is kept for an hour, so that whether it is erased yet does not depend on the moment.
    """

    def look(work: Work) -> dict[str, str]:
        (task_id,) = [row.id for row in work.tx.execute(select(metadata.tables["task"]))]
        task = tasks.get(work, task_id)
        assert task is not None
        counts = {
            table.name: len(work.tx.execute(select(table)).all())
            for table in metadata.sorted_tables
            if table.name not in ("assertion", "disclosure")
        }
        return {
            "task": repr((task.owner, task.status, task.version, dict(task.detail))),
            "audit": "\n".join(_entry(one) for one in audit.of_referral(work, task.referral_id)),
            "rows": repr(counts),
        }

    own = network.agencies[HOSPITAL].own_system
    files = sorted(own.glob("[!.]*"), key=lambda file: file.stat().st_mtime_ns)
    told = "\n".join(file.read_text("utf-8").replace("\r", "\n") for file in files)
    return look_into(network, HOSPITAL, look) | {"own system": _without_times(told)}


def _in_order(text: str) -> list[str]:
    """Its lines, sorted: a notice and a read that follow each other at once may be noted in either order."""
    return sorted(text.split("\n"))


def _entry(event: dict[str, Any]) -> str:
    """An audit entry without the person's pseudonym, which is random for every referral."""
    for entity in event["entity"]:
        if entity.get("type", {}).get("code") == "1":
            entity["what"] = "<pseudonym>"
    return json.dumps(event)


def _without_times(text: str) -> str:
    """HL7 v2 times are digits only; those of this run are the message's own (MSH-7) and the answer's."""
    lines = [line.split("|") for line in text.split("\n")]
    for fields in lines:
        for number, field in enumerate(fields):
            if field.startswith(datetime.now(UTC).strftime("%Y%m")):
                fields[number] = "<time>"
    return "\n".join("|".join(fields) for fields in lines)


def between_the_two(recorder: Recorder) -> list[Connection]:
    """Both directions of every connection between the hospital's node and the shelter's."""
    halves = []
    for one in recorder.connections:
        both = {one.at, one.caller}
        if both in ({HOSPITAL, ALIAS}, {HOSPITAL, SHELTER}):
            halves.append(Connection(one.at, asked=one.asked))
            halves.append(Connection(one.at, answered=one.answered))
    return halves


# ------------------------------------------------------------------ what may be seen


@pytest.mark.parametrize("other", ["declined", "never answered"])
def test_no_byte_between_the_two_nodes_tells_what_its_people_did(
    seen: Mapping[str, Seen], other: str
) -> None:
    assert normal.differences(seen["helped"].sent, seen[other].sent) == []


@pytest.mark.parametrize("other", ["declined", "never answered"])
def test_the_hospital_has_written_down_the_same(seen: Mapping[str, Seen], other: str) -> None:
    assert seen["helped"].hospital == seen[other].hospital


def test_the_whole_road_was_recorded(seen: Mapping[str, Seen]) -> None:
    """The comparison is about something: receipt, dossier and amendment were all on this wire."""
    asked = "\n".join(text for _, text in seen["helped"].sent["asks", HOSPITAL])
    answers = "\n".join(text for _, text in seen["helped"].sent["answers", HOSPITAL])
    assert asked.count("PUT /fhir/Task/") == 1 and "POST /fhir/Procedure" not in asked
    assert '"resourceType":"Patient"' in answers and '"status":"accepted"' in answers
    assert "'cancelled'" in "".join(seen["helped"].hospital["task"])


def test_nothing_that_the_shelters_node_sends_names_it(seen: Mapping[str, Seen]) -> None:
    for name, world in seen.items():
        # Of tokens what they say; a signature and a jti are random and spell any four letters now and then.
        sent = _JWT.sub(_said, world.shelter_sent.decode("utf-8", "replace")).lower()
        assert not [one for one in (*NAMES, WORDS.lower(), "s-31") if one in sent], name


def _said(token: re.Match[str]) -> str:
    header, claims = jwt_parts(token[0])
    return f"{header} { {name: value for name, value in claims.items() if name != 'jti'} }"


def test_with_a_release_the_hospital_learns_it_and_that_can_be_seen(seen: Mapping[str, Seen]) -> None:
    """The comparison can fail: it does where her release says that the hospital may be told."""
    found = normal.differences(seen["helped"].sent, seen["released"].sent)
    assert any("POST /fhir/Procedure" in one for one in found)
    task = "".join(seen["released"].hospital["task"])
    assert "'completed'" in task and "'met'" in task


# ------------------------------------------------------------------ what its people see


def test_its_people_are_told_what_stays(seen: Mapping[str, Seen]) -> None:
    for name in ("helped", "declined"):
        assert {one["state"] for one in seen[name].receipts} == {"kept"}
        assert all(one["needed"] for one in seen[name].receipts)
    assert [one["state"] for one in seen["released"].receipts] == ["accepted", "in-progress", "completed"]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("never answered", ["offer", "case", "case", "notice"]),
        ("declined", ["offer", "case", "notice"]),  # closed here: read again all the same, but not handed on
        ("helped", ["offer", "case", "notice"]),
    ],
)
def test_its_people_get_what_is_theirs(seen: Mapping[str, Seen], name: str, kinds: list[str]) -> None:
    assert [one["type"] for one in seen[name].cases] == kinds
    assert seen[name].cases[-1]["status"] == "cancelled"
