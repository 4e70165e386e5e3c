"""Asking a partner to be told; and a partner whose server has no subscriptions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hospital_world import make_hospital

from gateway import outbox, pull
from gateway.calling.client import Answer
from gateway.demo.agencies import PANTRY, organization
from gateway.node import Node
from gateway.outbox import Later
from gateway.sending import Stopped
from gateway.trust.directory import Entry


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Node]:
    node = make_hospital(tmp_path)
    yield node
    node.close()


class Partner:
    """A partner's server, which answers whatever it is asked in one way."""

    def __init__(self, status: int, body: Any = None) -> None:
        self.answer = Answer(status, {}, json.dumps(body).encode())

    async def request(self, _peer: Entry, _method: str, _path: str, **_how: Any) -> Answer:
        return self.answer


def subscribe(node: Node, partner: Partner) -> None:
    home = node.home.organization
    body = {"organization": home, "source": organization(PANTRY)}
    asyncio.run(pull.subscribe(node, {home: partner}, body))  # type: ignore[dict-item]


def left_to_do(node: Node) -> list[str]:
    with node.store.work() as work:
        return [entry.kind for entry in outbox.lease(work, 100)]


def test_who_takes_the_subscription_is_asked_at_once_what_is_open(hospital: Node) -> None:
    subscribe(hospital, Partner(201, {"resourceType": "Subscription", "id": "s1"}))
    assert left_to_do(hospital) == ["poll"]


def test_a_node_that_is_not_there_yet_is_asked_again(hospital: Node) -> None:
    with pytest.raises(Stopped) as stopped:
        subscribe(hospital, Partner(404))
    assert isinstance(stopped.value.outcome, Later)
    assert left_to_do(hospital) == []


def test_a_server_without_subscriptions_is_polled(hospital: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = hospital.peer(organization(PANTRY))
    assert entry is not None
    other = replace(entry, endpoints={"fhir": "https://exchange.example.org/r4"})
    monkeypatch.setattr(hospital, "peer", lambda _organization: other)
    subscribe(hospital, Partner(404))
    assert left_to_do(hospital) == ["poll"]
