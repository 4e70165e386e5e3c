"""The cases of non-interference read from their files, and the world that each one makes."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import partner_ways as ways
import yaml
from sample_records import SHELTER_CLIENTS, shelter_row
from two_worlds import PANTRY, START, STRANGER, Seen, Source, Visitor, World

from gateway import permission
from gateway.errors import Refused
from gateway.offering import Receipt

CASES = Path(__file__).parents[1] / "cases" / "non-interference"


@dataclass(frozen=True)
class Fields:
    """A record, what its release names, and what of it is withheld."""

    name: str
    source: str
    system: str
    release: tuple[str, ...]
    subject: Mapping[str, str]
    sees: str
    record: Any
    beside: Mapping[str, Any]
    withheld: Mapping[str, list[Any]]
    permitted: Mapping[str, list[Any]]


def read(name: str) -> Any:
    """A file of cases."""
    return yaml.safe_load((CASES / f"{name}.yaml").read_text("utf-8"))


def fields() -> Iterator[Fields]:
    for file in sorted(CASES.glob("fields-*.yaml")):
        yield Fields(file.stem, **read(file.stem))


def changed(record: Any, changes: Mapping[str, Any]) -> Any:
    """A record with the values at some paths replaced; None takes one out."""
    made = copy.deepcopy(record)
    for path, value in changes.items():
        *way, last = path.split(".")
        at = made
        for step in way:
            at = _step(at, step)
        key = _key(at, last)
        if value is not None:
            at[key] = value
        elif isinstance(at, list):
            del at[key]
        else:
            at.pop(key)
    return made


def together(case: Fields, number: int) -> dict[str, Any]:
    """For each withheld field one of its changes, all at once; of one within another only the outer."""
    outer = [path for path in case.withheld if not any(path.startswith(f"{one}.") for one in case.withheld)]
    # What is taken out of a list must go last, so that the places of the others hold.
    wanted = {path: case.withheld[path][number] for path in outer}
    return dict(sorted(wanted.items(), key=lambda one: (one[1] is None, [-ord(c) for c in one[0]])))


def value_at(record: Any, path: str) -> Any:
    for step in path.split("."):
        record = record[_key(record, step)]
    return record


def _step(at: Any, step: str) -> Any:
    return at[_key(at, step)]


def _key(at: Any, step: str) -> Any:
    if not isinstance(at, list):
        return step
    if step.isdigit():
        return int(step)
    kind, _, named = step.partition(":")
    return next(n for n, one in enumerate(at) if one["resourceType"] == kind and named in ("", one["id"]))


def encoded(system: str, record: Any) -> bytes:
    """A record as its system sends it."""
    if system == "shelter-csv":
        return row(**record)
    if system == "fhir-r4":
        return json.dumps(
            {"resourceType": "Bundle", "type": "collection", "entry": [_entry(one) for one in record]}
        ).encode()
    return json.dumps(record).encode()


def row(**columns: str) -> bytes:
    """A shelter's row, with the columns too that its export has only where they are needed."""
    more = {name: columns.pop(name) for name in ("never_to", "never_people") if name in columns}
    head, _, values = shelter_row(**columns).decode().strip().partition("\r\n")
    return "\r\n".join([",".join([head, *more]), ",".join([values, *more.values()]), ""]).encode()


def _entry(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "fullUrl": f"https://ehr.example.org/fhir/{resource['resourceType']}/{resource['id']}",
        "resource": resource,
    }


def refer(world: World, case: Fields, changes: Mapping[str, Any], **release: Any) -> Receipt:
    """One referral and its release; it must be offered."""
    record = changed(case.record, changes)
    person = {"system": case.subject["system"], "value": value_at(record, case.subject["value"])}
    world.consent(world.release(patient=person, items=list(case.release), **release))
    done = world.hand_in(case.system, encoded(case.system, record))
    assert not isinstance(done, Refused), done.outcome()
    return done


def field_world(source: Source, case: Fields, changes: Mapping[str, Any]) -> World:
    """Two referrals, the first with these changes, and all that the recipient does with them."""
    world = source.world()

    async def happens() -> None:
        pantry = Visitor(world, PANTRY)
        await pantry.come()
        await ways.subscribe(pantry)
        receipt = await asyncio.to_thread(refer, world, case, changes)
        assert receipt.state == "offered", receipt
        receipt = await asyncio.to_thread(refer, world, case, case.beside)
        assert receipt.state == "offered", receipt
        await ways.road(pantry)

    asyncio.run(happens())
    return world


async def all_ways(world: World, ids: Mapping[str, str], *names: str) -> None:
    """These partners look for one Task by every way there is."""
    for name in names or (PANTRY, STRANGER):
        who = Visitor(world, name)
        await who.come()
        await ways.front_door(who)
        await ways.subscribe(who)
        await ways.look(who, ids)


def differences(one: list[Seen], other: list[Seen]) -> list[str]:
    """Every message of one world that has no equal in the other, and any that comes in another order."""
    first, second = ([f"{seen.way}\n{seen.text}" for seen in world] for world in (one, other))
    found = [
        f"in world {name}: {text}"
        for name, more, less in (("1", first, second), ("2", second, first))
        for text in (Counter(more) - Counter(less)).elements()
    ]
    return found or (["the same messages in another order"] if first != second else [])


def shared(one: World, other: World) -> set[str]:
    """Ids and tags that two worlds have in common: they were not random."""
    return one.alike.random & other.alike.random


# ------------------------------------------------------------------ somebody, or nobody


WHO = {"pantry": PANTRY, "stranger": STRANGER}
LATER, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def existence_world(
    source: Source, record: Mapping[str, str], items: list[str], steps: list[Any], who: list[str]
) -> World:
    """These steps happen; an hour later these partners look for what came of them by every way."""
    world = source.world()
    person = {"system": SHELTER_CLIENTS, "value": record["client_ref"]}
    at: dict[str, str] = {}
    consents: list[str] = []

    def step(name: str, said: Mapping[str, Any]) -> None:
        match name:
            case "release":
                consents.append(world.consent(world.release(**{"patient": person, "items": items, **said})))
            case "hand-in" | "refused":
                done = world.hand_in("shelter-csv", row(**{**record, **said}))
                assert isinstance(done, Refused) == (name == "refused"), done
                at.update({} if isinstance(done, Refused) else world.addresses(done.referral))
            case "withdraw":
                permission.withdraw_consent(world.node, world.operator, consents[-1])
            case "erase":
                assert world.exchange.erase_closed() == 1

    async def happens() -> None:
        for one in (PANTRY, STRANGER):
            visitor = Visitor(world, one)
            await visitor.come()
            await ways.subscribe(visitor)
        for one in steps:
            name, said = next(iter(one.items())) if isinstance(one, dict) else (one, {})
            if name in STATES:
                visitor = Visitor(world, PANTRY)
                await visitor.come()
                (task,) = (await visitor.get("Task")).resource["entry"]
                assert (await ways.answer(visitor, task["resource"], *STATES[name])) == 200
            else:
                await asyncio.to_thread(step, name, said)
            await world.settle()
        for name in ways.NAMES:
            at.setdefault(name, str(uuid4()))
        world.look_from_now(START + LATER)
        await all_ways(world, at, *(WHO[one] for one in who))
        await world.settle()

    asyncio.run(happens())
    return world


STATES: Mapping[str, tuple[Any, ...]] = {
    "accept": ("accepted",),
    "complete": ("completed",),
    "decline": ("rejected", ways.REASON),
}


# ------------------------------------------------------------------ one kind of agency, or another


def source_world(
    source: Source, encoded_record: bytes, system: str, person: Mapping[str, str], items: list[str], end: str
) -> World:
    """One referral from the agency's first word to its end: `closed` by the recipient, or `withdrawn`."""
    world = source.world()

    async def happens() -> None:
        pantry, stranger = Visitor(world, PANTRY), Visitor(world, STRANGER)
        world.phase = "front door"
        await world.start()
        for who in (pantry, stranger):
            await who.come()
            await ways.front_door(who)
            await ways.subscribe(who)
        world.phase = "offer"
        release = world.release(patient=person, items=items)
        consent = await asyncio.to_thread(world.consent, release)
        done = await asyncio.to_thread(world.hand_in, system, encoded_record)
        assert isinstance(done, Receipt) and done.state == "offered", done
        at = world.addresses(done.referral)
        await world.settle()
        for who in (pantry, stranger):
            await ways.look(who, at)
        if end == "withdrawn":
            world.phase = end
            await world.settle()  # what has been read is out to its last byte, which a withdrawal waits for
            await asyncio.to_thread(permission.withdraw_consent, world.node, world.operator, consent)
            await world.settle()
        else:
            await ways.road(pantry)
        for who in (pantry, stranger):
            await ways.look(who, at)

    asyncio.run(happens())
    return world


def of_phase(world: World, phase: str) -> list[Seen]:
    return [one for one in world.seen if one.phase == phase]


def amended_world(source: Source, case: Fields, changes: Mapping[str, Any] | None) -> World:
    """A referral is offered and accepted; before and after, its record is amended so, or not at all."""
    world = source.world()

    def amend(number: int) -> None:
        if changes is not None:
            new = {
                "ServiceRequest.id": f"sr-90{number}",
                "Task.focus.reference": f"ServiceRequest/sr-90{number}",
                "ServiceRequest.replaces": [{"reference": "ServiceRequest/sr-900"}],
                **changes,
            }
            done = world.hand_in(case.system, encoded(case.system, changed(case.record, new)))
            assert isinstance(done, Receipt) and done.state == "amended", done

    async def happens() -> None:
        pantry = Visitor(world, PANTRY)
        await pantry.come()
        await ways.subscribe(pantry)
        await asyncio.to_thread(refer, world, case, {})
        await world.settle()
        (task,) = await ways.read_all(pantry)
        world.clock.now = START + MINUTE
        await asyncio.to_thread(amend, 8)
        world.clock.now = START + 2 * MINUTE
        await world.settle()
        await ways.read_all(pantry)
        await ways.answer(pantry, task, "accepted")
        await asyncio.to_thread(amend, 9)
        world.clock.now = START + 3 * MINUTE
        await world.settle()
        await ways.read_all(pantry)

    asyncio.run(happens())
    return world
