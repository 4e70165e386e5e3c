"""The three nodes, running; and what their people do: hand in a record, record a consent, withdraw it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from gateway import own_system, permission, settings, status
from gateway.calling import client
from gateway.demo.agencies import (
    ALIAS,
    HOSPITAL,
    PANTRY,
    SHELTER,
    SYSTEMS,
    Agency,
    found,
    free_ports,
    organization,
)
from gateway.demo.pantry_system import PantrySystem
from gateway.demo.processes import NodeProcess
from gateway.node import opened
from gateway.recording import Ask
from gateway.release_answers import build
from gateway.store import tasks


class Refusal(Exception):  # noqa: N818 - an answer
    """A node did not take what it was given: status and answer."""

    def __init__(self, http_status: int, answer: Mapping[str, Any]) -> None:
        super().__init__(f"the node answered {http_status}")
        self.http_status = http_status
        self.answer = answer


class Network:
    """Three nodes as processes of their own, each with its folder, keys and store. A context manager."""

    def __init__(self, folder: Path, between: Callable[[str, int], int] | None = None) -> None:
        """between: given a name and its port, the port that partners are told instead (a recorder)."""
        self.folder = folder
        self.pantry_system = PantrySystem()
        names = (HOSPITAL, PANTRY, SHELTER, ALIAS)
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        public = {name: between(name, port) for name, port in self.ports.items()} if between else None
        self.agencies: dict[str, Agency] = found(folder, self.ports, self.pantry_system.address, public)
        self.processes = {
            name: NodeProcess(agency.config, folder / name / "node.log")
            for name, agency in self.agencies.items()
        }

    def __enter__(self) -> Self:
        try:
            with ThreadPoolExecutor() as side_by_side:
                list(side_by_side.map(self.start, self.processes))
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _fault: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self, name: str) -> None:
        """Start one node and wait until it is ready."""
        self.processes[name].start(f"http://127.0.0.1:{self.ports[name]}")

    def stop(self) -> None:
        """Stop everything."""
        for process in self.processes.values():
            process.stop()
        self.pantry_system.close()

    def send(self, name: str, body: bytes, suffix: str) -> dict[str, Any]:
        """Hand one record to a node as its own system would; its result. Raises Refusal."""
        found_settings = settings.read(self.agencies[name].config)
        sent = own_system.send_record(found_settings, SYSTEMS[name], body, suffix)
        result = self._taken(asyncio.run(sent))["results"][0]
        if "outcome" in result:
            raise Refusal(result["status"], result["outcome"])
        return dict(result)

    def answer(self, referral: str, status_word: str, **said: Any) -> dict[str, Any]:
        """What the pantry's own system says to a referral, handed to the pantry's node."""
        body = json.dumps({"referral": referral, "status": status_word, **said}).encode()
        return self.send(PANTRY, body, ".json")

    def consent(self, name: str, answers: Mapping[str, Any]) -> str:
        """Record a person's consent at a node; its id."""
        found_settings = settings.read(self.agencies[name].config)
        resource = build(found_settings, dict(answers))
        return str(self._taken(asyncio.run(own_system.send_consent(found_settings, resource)))["consent"])

    def revoke(self, name: str, consent: str) -> list[str]:
        """Withdraw a consent, as `waymeet revoke` does; the referrals that it cancelled."""
        with opened(self.agencies[name].config) as node:
            return permission.withdraw_consent(node, Ask("operator", node.home, str(uuid4())), consent)

    def events(self, name: str, referral: str) -> list[status.Event]:
        """What the audit of a node says of one referral it sent."""
        with opened(self.agencies[name].config) as node:
            return status.events(node, referral)

    def task_of(self, name: str, referral: str) -> str:
        """The id of a referral's Task at its source."""
        with opened(self.agencies[name].config) as node, node.store.work() as work:
            return tasks.of_referral(work, referral)[-1].id

    def read_as(self, reader: str, source: str, path: str, scope: str) -> client.Answer:
        """What one node gets when it asks another, with its own key and a token for it."""
        with opened(self.agencies[reader].config) as node:
            entry = node.directory.entry(organization(source))
            asking = node.client(node.home)
        assert entry is not None

        async def ask() -> client.Answer:
            try:
                return await asking.request(entry, "GET", f"/fhir/{path}", scope=f"system/{scope}")
            finally:
                await asking.close()

        return asyncio.run(ask())

    def lines(self, name: str) -> list[status.Line]:
        """Where a node's referrals stand."""
        with opened(self.agencies[name].config) as node:
            return status.lines(node)

    def wait_for_state(self, name: str, referral: str, wanted: str, seconds: float = 15.0) -> None:
        """Return when a referral stands at `wanted`. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while wanted not in (line.status for line in self.lines(name) if line.id == referral):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name}: the referral did not become {wanted} in {seconds:.0f} s")
            time.sleep(0.05)

    def answers_in(self, name: str, count: int, seconds: float = 15.0) -> list[bytes]:
        """The files that a node wrote for its agency's own system, once there are `count`, oldest first."""
        folder = self.agencies[name].own_system
        deadline = time.monotonic() + seconds
        while len(files := sorted(folder.glob("[!.]*"), key=lambda file: file.stat().st_mtime_ns)) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name}: {len(files)} of {count} answers in {seconds:.0f} s")
            time.sleep(0.05)
        return [file.read_bytes() for file in files]

    def _taken(self, answer: client.Answer) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(answer.body)
        if "issue" in said:
            raise Refusal(answer.status, said)
        return said
