"""Not permitted, not existing, and about somebody unknown: the same bytes, and the same work done.

Work is counted: statements to the store, openings of sealed content, decisions. Time is only reported.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import pytest
from hospital_world import make_hospital, offered
from sqlalchemy import event

import consent
from gateway import permission
from gateway.demo.agencies import PANTRY, SHELTER, organization
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.node import Node
from gateway.recording import Ask
from gateway.store import tasks
from gateway.store.vault import Vault


@dataclass
class Work:
    """What one request cost."""

    statements: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    decisions: int = 0


@contextmanager
def counted(node: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    """Count what is done inside."""
    work = Work()
    opening, deciding = Vault.open, consent.decide
    engine = node.store.database._engine

    def statement(_c: Any, _k: Any, text: str, *_: Any) -> None:
        work.statements[text] += 1

    def opened(*arguments: Any) -> bytes:
        work.opened += 1
        return opening(*arguments)

    def decided(*arguments: Any) -> Any:
        work.decisions += 1
        return deciding(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Vault, "open", opened)
        patched.setattr(consent, "decide", decided)
        event.listen(engine, "before_cursor_execute", statement)
        try:
            yield work
        finally:
            event.remove(engine, "before_cursor_execute", statement)


@dataclass(frozen=True)
class World:
    """A hospital with one offer to the pantry, and who asks about it."""

    node: Node
    exchange: Exchange
    pantry: Ask
    task: str
    request: str
    referral: str


@pytest.fixture
def world(tmp_path: Path) -> World:
    node = make_hospital(tmp_path)
    _, referral_id, task_id = offered(node)
    pantry = Ask(organization(PANTRY), node.home, str(uuid4()))
    with node.store.work() as work:
        request = tasks.addresses(work, task_id)["ServiceRequest"]
    return World(node, Exchange(node), pantry, task_id, request, referral_id)


def refused(call: Callable[[], Any]) -> bytes:
    with pytest.raises(Refused) as caught:
        call()
    return repr((caught.value.status, caught.value.outcome(), caught.value.headers)).encode()


def ways(world: World) -> dict[str, Callable[[Ask, str, str], Any]]:
    """Every way a partner has to ask about one Task: who asks, the Task's id, its ServiceRequest's."""
    exchange = world.exchange
    wanted = {"resourceType": "Task", "status": "accepted"}
    procedure = {
        "resourceType": "Procedure",
        "status": "completed",
        "subject": {"reference": "Patient/x"},
    }
    return {
        "read the Task": lambda ask, task, _: exchange.read(ask, "Task", task),
        "read the request": lambda ask, _, request: exchange.read(ask, "ServiceRequest", request),
        "read as another type": lambda ask, _, request: exchange.read(ask, "Patient", request),
        "update": lambda ask, task, _: exchange.update_task(ask, task, wanted, 'W/"x"', None),
        "update with a key": lambda ask, task, _: exchange.update_task(
            ask, task, wanted, 'W/"x"', str(uuid4())
        ),
        "add a Procedure": lambda ask, _, request: exchange.add_procedure(
            ask, {**procedure, "basedOn": [{"reference": f"ServiceRequest/{request}"}]}, None
        ),
    }


WAYS = (
    "read the Task",
    "read the request",
    "read as another type",
    "update",
    "update with a key",
    "add a Procedure",
)


@pytest.mark.parametrize("way", WAYS)
def test_a_denial_is_in_the_same_bytes_and_costs_the_same(
    world: World, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ways(world)[way]
    stranger = Ask(organization(SHELTER), world.node.home, str(uuid4()))
    _withdraw(world)  # from now on the pantry's own Task is closed and the read of the request denied
    denied = (world.pantry, world.task, world.request)
    cases = {
        "not existing": (world.pantry, str(uuid4()), str(uuid4())),
        "another's": (stranger, world.task, world.request),
        "unknown to all": (stranger, str(uuid4()), str(uuid4())),
    }
    if way in ("read the request", "read as another type"):
        cases["not permitted"] = denied
    answers, costs = {}, {}
    for name, (ask, task, request) in cases.items():
        call_it = lambda ask=ask, task=task, request=request: call(ask, task, request)  # noqa: E731
        refused(call_it)  # once before: what is kept in memory is kept for all alike
        with counted(world.node, monkeypatch) as work:
            answers[name] = refused(call_it)
        costs[name] = work
    first = answers["not existing"]
    assert set(answers.values()) == {first}
    reference = costs["not existing"]
    assert reference.opened == 1
    assert reference.decisions == 1
    for name, work in costs.items():
        assert sum(work.statements.values()) == sum(reference.statements.values()), name
        assert work.statements == reference.statements, name
        assert (work.opened, work.decisions) == (reference.opened, reference.decisions), name


def _withdraw(world: World) -> None:
    from gateway.store import schema

    with world.node.store.work() as work:
        consent_id = str(work.tx.execute(schema.consent.select()).one().id)
    permission.withdraw_consent(world.node, world.pantry, consent_id)


def test_the_count_would_notice_one_query_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with counted(world.node, monkeypatch) as work:
        refused(lambda: world.exchange.read(world.pantry, "Task", str(uuid4())))
    before = sum(work.statements.values())
    with counted(world.node, monkeypatch) as more:
        refused(lambda: world.exchange.read(world.pantry, "Task", str(uuid4())))
        with world.node.store.work() as extra:
            tasks.get(extra, world.task)
    assert sum(more.statements.values()) > before


def test_the_time_is_reported(world: World, record_property: Callable[[str, object], None]) -> None:
    """Not a limit: other work on the machine would make it one about the machine."""
    stranger = Ask(organization(SHELTER), world.node.home, str(uuid4()))
    cases = {
        "not existing": lambda: world.exchange.read(world.pantry, "Task", str(uuid4())),
        "another's": lambda: world.exchange.read(stranger, "Task", world.task),
    }
    for name, call in cases.items():
        taken = []
        for _ in range(30):
            began = time.perf_counter()
            refused(call)
            taken.append(time.perf_counter() - began)
        record_property(f"median ms, {name}", round(median(taken) * 1000, 2))
