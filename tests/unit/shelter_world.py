"""A hospital's node and a shelter's in one process: the shelter reads and answers at the hospital, and every
request is kept.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hospital_world import Clock
from sample_records import hospital_consent, hospital_message, hospital_patient
from shelter_receives import ANSWERS, answer, let_the_shelter_receive, release_back
from unserved import agencies_in

from gateway import answering, fhir_json, outbox, permission, pull, settings
from gateway.calling.client import Answer
from gateway.demo.agencies import ALIAS, HOSPITAL, SHELTER, organization
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.node import Node
from gateway.offering import Receipt
from gateway.outbox import Posted
from gateway.recording import Ask
from gateway.release_answers import build
from gateway.store import consents, inbound, kept, tasks
from gateway.store.inbound import Inbound
from gateway.trust.directory import Entry


@dataclass
class Source:
    """The hospital, as the shelter's client reaches it. asked: (method, path, what was sent)."""

    hospital: Node
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    async def request(
        self,
        _peer: Entry,
        method: str,
        path: str,
        *,
        scope: str,
        purpose: str | None,
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> Answer:
        """One request to the hospital's node, as its web face would pass it on."""
        self.asked.append((method, path, json.loads(content) if content else None))
        exchange, ask = Exchange(self.hospital), Ask(organization(ALIAS), self.hospital.home, "r")
        _, _, kind, *rest = path.split("/")
        body = fhir_json.resource(content, kind) if content else {}
        try:
            if method == "GET":
                done = exchange.read(ask, kind, rest[0])
            elif method == "PUT":
                done = exchange.update_task(
                    ask, rest[0], body, headers.get("If-Match"), headers.get("Idempotency-Key")
                )
            else:
                done = exchange.add_procedure(ask, body, headers.get("Idempotency-Key"))
        except Refused as refusal:
            return Answer(refusal.status, {}, b"{}")
        return Answer(done.status, {"etag": done.etag}, fhir_json.encode(done.resource))

    def changes(self) -> list[Any]:
        """What was written there, in order."""
        return [sent for method, _, sent in self.asked if method != "GET"]


@dataclass
class World:
    """Both nodes, the folder of the shelter's own system, and what the shelter asked at the hospital."""

    hospital: Node
    shelter: Node
    folder: Path
    source: Source

    @property
    def operator(self) -> Ask:
        return Ask("operator", self.shelter.home, "00000000-0000-4000-8000-000000000005")

    def refer(self, number: int = 1) -> Inbound:
        """The hospital refers a patient of its own to the alias; the shelter's node learns of it."""
        fields = hospital_patient(number)
        ask = Ask("operator", self.hospital.home, "00000000-0000-4000-8000-000000000006")
        told = hospital_consent(fields["patient"], recipients=[ALIAS])
        permission.record_consent(self.hospital, ask, build(self.hospital.settings, told))
        message = hospital_message(**fields, recipient=ALIAS)
        (sent,) = Exchange(self.hospital).hand_in(ask, "hl7v2-referral", message)
        assert isinstance(sent, Receipt) and sent.state == "offered", sent
        task = self.task(sent.referral)
        with self.shelter.store.work() as work:
            return inbound.learn_of(work, organization(ALIAS), organization(HOSPITAL), task.id)

    def task(self, referral_id: str) -> tasks.Task:
        with self.hospital.store.work() as work:
            (task,) = tasks.of_referral(work, referral_id)
        return task

    def at_source(self, known: Inbound) -> tasks.Task:
        """The Task as the hospital has it."""
        with self.hospital.store.work() as work:
            task = tasks.get(work, known.task_id)
        assert task is not None
        return task

    def pull(self, known: Inbound) -> None:
        asyncio.run(pull.pull(self.shelter, self.clients, {"inbound": known.id}))

    @property
    def clients(self) -> Any:
        return {organization(ALIAS): self.source}

    def answer(self, known: Inbound, status: str, **said: Any) -> Receipt:
        """What the shelter's people answer; it must be taken."""
        (done,) = Exchange(self.shelter).hand_in(self.operator, ANSWERS, answer(known.id, status, **said))
        assert isinstance(done, Receipt), done
        return done

    def release(self, client: str = "S-1", **answers: Any) -> tuple[str, list[Receipt]]:
        """Her release to the hospital is recorded at the shelter."""
        resource = build(self.shelter.settings, release_back(client, **answers))
        return permission.record_consent(self.shelter, self.operator, resource)

    def send(self) -> int:
        """Do what the shelter's node has still to do there, one attempt each; how many answers that were."""
        answers = 0
        while entries := self._due():
            for entry in entries:
                if entry.kind == "answer":
                    answers += 1
                    asyncio.run(answering.answer(self.shelter, self.clients, entry.body))
                elif entry.kind == "pull":
                    asyncio.run(pull.pull(self.shelter, self.clients, entry.body))
                with self.shelter.store.work() as work:
                    outbox.settle(work, entry, outbox.Done())
        return answers

    def _due(self) -> list[Posted]:
        with self.shelter.store.work() as work:
            return outbox.lease(work, 50)

    def kept(self, known: Inbound) -> int:
        with self.shelter.store.work() as work:
            return len(kept.of_inbound(work, known.id))

    def own_view(self, known: Inbound) -> Inbound:
        with self.shelter.store.work() as work:
            now = inbound.get(work, known.id)
        assert now is not None
        return now

    def records(self) -> list[dict[str, Any]]:
        """What the shelter's own system was handed."""
        files = sorted(self.folder.glob("[!.]*"), key=lambda file: file.stat().st_mtime_ns)
        return [json.loads(file.read_bytes()) for file in files]

    def subject(self, client: str) -> str:
        with self.shelter.store.work() as work:
            return consents.subject_digest(work, "https://waymeet.example/fhir/sid/case-json-client", client)


def make_world(tmp_path: Path) -> World:
    """Both nodes, with the road from hospital to shelter."""
    agencies = agencies_in(tmp_path)
    folder = tmp_path / "shelter-cases"
    let_the_shelter_receive(agencies, folder)
    clock = Clock()
    hospital, shelter = (Node(settings.read(agencies[one].config), clock) for one in (HOSPITAL, SHELTER))
    return World(hospital, shelter, folder, Source(hospital))
