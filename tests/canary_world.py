"""Records full of canaries go their whole road through a node; all that comes out of it is searched."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import partner_ways as ways
from canary_records import Canaries, Template
from rich.console import Console
from sample_records import shelter_row
from sqlalchemy import select
from two_worlds import PANTRY, STRANGER, Visitor, World, organization

from consent.question import RequestError
from consent.request import answer
from gateway import disclosed
from gateway.cli import explain as cli_explain
from gateway.cli import show
from gateway.cli.explain import Audience
from gateway.clock import stamp
from gateway.errors import Refused
from gateway.offering import Receipt
from gateway.store.schema import metadata
from profiles.canonical import ACT_REASON

SEES = {"alias": "Patient", "phone": "Patient", "diet": "Observation", "contact-rule": "Observation"}


@dataclass
class Search:
    """What was searched, and what was found where it must not be."""

    canaries: Canaries = field(default_factory=Canaries)
    leaks: list[str] = field(default_factory=list)
    places: Counter[str] = field(default_factory=Counter)
    size: int = 0
    seen: set[str] = field(default_factory=set)

    def look(self, place: str, data: bytes | str, may: set[str] | frozenset[str] = frozenset()) -> None:
        """Search one thing that came out; may: what is permitted there."""
        raw = data.encode() if isinstance(data, str) else data
        self.places[place] += 1
        self.size += len(raw)
        found = self.canaries.found_in(raw)
        self.seen |= found & may
        for value in sorted(found - may):
            number, at = self.canaries.of.get(value, (-1, value))
            self.leaks.append(f"{place}: {at} of record {number}")


class Logged(logging.Handler):
    """Everything that any logger says, with its arguments and any traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{self.format(record)} {record.args!r}")


@contextmanager
def everything_logged() -> Iterator[Logged]:
    root, handler = logging.getLogger(), Logged()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def encoded(system: str, record: Any) -> bytes:
    """A record as its system sends it."""
    if system == "shelter-csv":
        return shelter_row(**record)
    if system == "fhir-r4":
        entries = [
            {"fullUrl": f"https://ehr.example.org/fhir/{one['resourceType']}/{one['id']}", "resource": one}
            for one in record
        ]
        return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()
    return json.dumps(record).encode()


def at(record: Any, path: str) -> tuple[Any, Any]:
    """Where a path of a template leads: the part of the record, and the key in it."""
    *way, last = path.split(".")
    for number, step in enumerate(way):
        if number == 0 and isinstance(record, list):
            record = next(one for one in record if one["resourceType"] == step)
        else:
            record = record[int(step) if isinstance(record, list) else step]
    return record, int(last) if isinstance(record, list) else last


def joined(record: Any) -> Any:
    """A FHIR record whose references lead to each other, as they must for it to be one referral."""
    if isinstance(record, list):
        ids = {one["resourceType"]: one["id"] for one in reversed(record)}
        observed = [one["id"] for one in record if one["resourceType"] == "Observation"]
        for one in record:
            if one["resourceType"] == "Task":
                one["focus"]["reference"] = f"ServiceRequest/{ids['ServiceRequest']}"
            if one["resourceType"] in ("ServiceRequest", "Observation", "Condition"):
                one.setdefault("subject", {})["reference"] = f"Patient/{ids['Patient']}"
            for reference, wanted in zip(one.get("supportingInfo", ()), observed, strict=False):
                reference["reference"] = f"Observation/{wanted}"
    return record


@dataclass
class Crowd:
    """Some records of one kind in one world of a source."""

    search: Search
    made_of: Template
    world: World
    decided: int = 0

    def run(self, numbers: range) -> None:
        """Take these records through, and search what comes out."""
        self.search.canaries.forget_hashes()
        with everything_logged() as logged:
            asyncio.run(self._run(numbers))
        own = self._own(numbers)
        self.search.look("log", "\n".join(logged.lines))
        for file in self.world.source.folder.rglob("*"):
            # Of the stores only this world's: the others have been searched.
            elsewhere = {"own-system", *(f"world-{n}" for n in range(self.world.number))}
            if file.is_file() and not elsewhere & set(file.parts):
                self.search.look("file", file.read_bytes())
        for file in (self.world.source.folder / "own-system").glob("*"):
            self.search.look("write-back", file.read_bytes(), own)
            file.unlink()

    async def _run(self, numbers: range) -> None:
        pantry, stranger = Visitor(self.world, PANTRY), Visitor(self.world, STRANGER)
        for who in (pantry, stranger):
            await who.come()
            await ways.subscribe(who)
        for number in numbers:
            await self._one(number, pantry, stranger)
        for path in (
            "/health",
            "/ready",
            "/metrics",
            "/fhir/metadata",
            "/fhir/.well-known/smart-configuration",
        ):
            await pantry.ask("GET", path)
        await pantry.get("Task")
        self._seen("at the end", {})
        await asyncio.to_thread(self._store)

    async def _one(self, number: int, pantry: Visitor, stranger: Visitor) -> None:
        world, made_of, search = self.world, self.made_of, self.search
        record = joined(search.canaries.record(made_of, number))
        await asyncio.to_thread(self._refused, number, record)
        receipt = await asyncio.to_thread(self._taken, number, record)
        await world.settle()
        known = world.addresses(receipt.referral)
        offer = {"ServiceRequest": search.canaries.at(number, *made_of.offer)}
        (task,) = (await pantry.get(f"Task?_id={known['Task']}")).resource["entry"]
        await self._ask(pantry, known)
        await self._ask(stranger, known)
        self._seen("offer", offer)
        await ways.answer(pantry, task["resource"], "accepted")
        await self._ask(pantry, known)
        await self._tricks(pantry, known, search.canaries.word(number, "a search"))
        dossier = dict(offer)
        for path, item in made_of.dossier.items():
            dossier[SEES[item]] = dossier.get(SEES[item], set()) | search.canaries.at(number, path)
        self._seen("dossier", dossier)
        await self._ask(stranger, known)
        await asyncio.to_thread(self._told, receipt.referral, record)
        await ways.answer(pantry, task["resource"], "completed")
        await self._ask(pantry, known)
        self._seen("closed", {})

    def _refused(self, number: int, record: Any) -> None:
        """The same record with one field spoiled."""
        spoiled = json.loads(json.dumps(record))
        paths = self.made_of.spoil
        part, key = at(spoiled, paths[number % len(paths)])
        part[key] = self.search.canaries.word(number, "a spoiled field")
        done = self.world.hand_in(self.made_of.system, encoded(self.made_of.system, spoiled))
        assert isinstance(done, Refused), (paths[number % len(paths)], done)
        self.search.look("refusal", json.dumps(done.outcome()) + repr(done) + repr(done.args))

    def _taken(self, number: int, record: Any) -> Receipt:
        """The record and its release; it must be offered."""
        subject = self.made_of.subject
        part, key = at(record, subject["value"])
        release = self.world.release(
            patient={"system": subject["system"], "value": part[key]},
            items=list(self.made_of.release),
            signed=f"In the cabinet of {self.search.canaries.word(number, 'the release')}",
        )
        self.world.consent(release)
        if isinstance(record, list):
            self._decided(number, record, release)
        done = self.world.hand_in(self.made_of.system, encoded(self.made_of.system, record))
        assert isinstance(done, Receipt) and done.state == "offered", _why(done)
        self.search.look("receipt", repr(done))
        return done

    def _decided(self, number: int, record: Any, release: Mapping[str, Any]) -> None:
        """`waymeet decide` and the consent service, about the whole record: they answer in references."""
        subject = release["patient"]["identifier"]
        asked = {
            "now": stamp(self.world.clock.now),
            "consents": [{**release, "id": "one"}],
            "query": {
                "patient": [{"identifier": subject}, {"reference": f"Patient/{_id(record, 'Patient')}"}],
                "actor": [{"reference": organization(PANTRY)}],
                "purpose": [{"system": ACT_REASON, "code": "COC"}],
            },
            "content": {
                "resourceType": "Bundle",
                "type": "collection",
                "entry": [{"resource": one} for one in record],
            },
        }
        references = {one["id"] for one in record}
        word = self.search.canaries.word(number, "a question")
        wrong: tuple[dict[str, Any], ...] = (
            {**asked, "query": {**asked["query"], "purpose": word}},
            {**asked, "query": {**asked["query"], "actor": [{"identifier": {"value": word}}]}},
            {**asked, "query": {**asked["query"], word: [word]}},
            {**asked, "now": word},
        )
        for question in (asked, wrong[number % len(wrong)]):
            try:
                told = json.dumps(answer(question, self.world.node.policy))
                self.decided += question is asked
            except RequestError as fault:
                told = f"{fault} {fault.issues}"
            self.search.look("decide", told, references)

    async def _ask(self, who: Visitor, known: Mapping[str, str]) -> None:
        for name, address in known.items():
            await who.get(f"{name.partition('/')[0]}/{address}")

    async def _tricks(self, who: Visitor, known: Mapping[str, str], word: str) -> None:
        """What this node does not offer, and what is wrong: nothing of what was sent comes back."""
        person = known["Patient"]
        for query in (
            f"_include=Task:{word}",
            f"patient.name={word}",
            f"{word}=1",
            f"_lastUpdated={word}",
            f"_count={word}",
        ):
            await who.get(f"Task?{query}")
        await who.get(f"Patient?name={word}")
        await who.get(f"Patient/{person}/${word}")
        form = "application/x-www-form-urlencoded"
        for kind in ("Task", "Patient"):
            await who.ask("POST", f"/fhir/{kind}/_search", raw=f"name={word}".encode(), content_type=form)
        asked = {"request": {"method": "GET", "url": f"Patient/{person}?name={word}"}}
        await who.ask("POST", "/fhir", body={"resourceType": "Bundle", "type": "batch", "entry": [asked]})
        await who.ask(
            "PUT", f"/fhir/Task/{known['Task']}", body={"resourceType": "Task", "status": word}, If_Match=word
        )
        await who.ask("PUT", f"/fhir/Task/{known['Task']}", raw=f'{{"{word}": {word}'.encode(), If_Match=word)
        await who.ask(
            "POST", "/fhir/Procedure", body={"resourceType": "Procedure", "status": word, "note": word}
        )
        await who.ask("POST", "/fhir/Subscription", body={"resourceType": "Subscription", "criteria": word})
        wrong = {
            "resourceType": "Patient",
            "gender": word,
            "birthDate": word,
            "name": [word],
            "contact": [{"gender": word}],
        }
        await who.ask("POST", "/fhir/Patient/$validate", body=wrong)
        await who.ask("POST", f"/fhir/Patient/$validate?profile=https://{word}.example/p", body=wrong)

    def _seen(self, phase: str, may: Mapping[str, set[str]]) -> None:
        """Search what partners got since the last look; only the pantry may see, each thing in its place."""
        for one in self.world.seen:
            kind = (
                one.way.partition("/fhir/")[2].partition("?")[0].partition("/")[0]
                if one.way.startswith(f"{PANTRY}: GET ")
                else ""
            )
            place = (
                "what is sent"
                if one.way == "what it sends"
                else one.way.partition("/")[0] + (kind or "other")
            )
            self.search.look(f"{phase}, {place}", one.text, may.get(kind, frozenset()))
        self.world.seen.clear()

    def _told(self, referral: str, record: Any) -> None:
        """What people of the agency are told of a referral: explanations, where it stands, who saw what."""
        for audience in Audience:
            changes = ["purpose=HPAYMT"] if audience is Audience.ENGINEER else []
            for facts, now, undecided, names in cli_explain._questions(self.world.node, referral, ""):
                made = cli_explain._explained(facts, now, undecided, names, audience, changes)
                self.search.look(f"explain to the {audience.lower()}", json.dumps(made))
        out = io.StringIO()
        assert show.referral(Console(file=out, width=200), self.world.node, referral)
        self.search.look("status", out.getvalue())
        part, key = at(record, self.made_of.subject["value"])
        person = self.made_of.subject["system"], part[key]
        told = disclosed.of_person(self.world.node, person, None)
        assert told
        self.search.look("disclosures", repr(told))

    def _store(self) -> None:
        """Every row of the store, the audit among them; the list of referrals."""
        with self.world.node.store.work() as work:
            for table in metadata.sorted_tables:
                for row in work.tx.execute(select(table)):
                    self.search.look(f"row of {table.name}", repr(list(row)))
        out = io.StringIO()
        show.referrals(Console(file=out, width=200), self.world.node)
        self.search.look("status", out.getvalue())

    def _own(self, numbers: range) -> set[str]:
        return {one for number in numbers for one in self.search.canaries.at(number, *self.made_of.own)}


def _id(record: Any, kind: str) -> str:
    return str(next(one["id"] for one in record if one["resourceType"] == kind))


def _why(done: Receipt | Refused) -> object:
    return done.outcome() if isinstance(done, Refused) else done


def permitted(search: Search, made_of: Template, numbers: range) -> set[str]:
    """All that may be seen of these records, by the hand-written table."""
    paths = (*made_of.offer, *made_of.dossier, *made_of.own)
    return {one for number in numbers for one in search.canaries.at(number, *paths)}
