"""Every key changes while the nodes are at work: nobody is refused, nothing is lost.

Three nodes as processes of their own. Eight clients ask and hand in without a pause. Meanwhile the
operational keys of all four names change, by the clock and urgently, the directory is signed anew under the
next number every few seconds, and one agency changes its federation key, from the first file to the last
directory.

A day is thirteen seconds here: another process on the same folders, at a faster pace, does what the nodes'
own would do. No key is published for less than that before its time, but for the urgent ones.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from happenings import audit_is_whole, rows, running, settle
from joserfc.jwk import ECKey
from partner_calls import HOMES, door, partner
from sample_records import hospital_consent, hospital_message, hospital_patient
from typer.testing import CliRunner

from gateway import clock, settings
from gateway.calling.client import PeerClient
from gateway.cli import directory as cli_directory
from gateway.cli import keys as cli_keys
from gateway.demo.agencies import ALIAS, HOSPITAL, ISSUER, PANTRY, SHELTER, organization
from gateway.demo.network import Network
from gateway.node import Node
from gateway.signing import keys
from gateway.signing.operational import KeyRing, Pace
from gateway.trust.directory import Directory
from gateway.trust.directory_signing import publish

pytestmark = pytest.mark.slow

EXCHANGES = 2_000
DAY = timedelta(seconds=13)
PACE = Pace(ahead=DAY, used=DAY, spread=timedelta(0))
NAMES = (HOSPITAL, PANTRY, SHELTER, ALIAS)
# At each turn of a name: its day is over, or somebody says `waymeet keys rotate --now` before it is. Never
# two within ten seconds: so often partners ask again for the sake of a key that they do not know.
TURNS = ("day", "urgent", "day", "day", "urgent", "day")
WAIT = {"day": DAY.total_seconds() + 1, "urgent": DAY.total_seconds() - 0.5}
REFERRALS = 10
LIMIT = 170.0


class Clients:
    """What they asked for, and what was not as it should be."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.exchanges: Counter[str] = Counter()
        self.failures: list[str] = []

    async def keep_on(self, what: str, act: Callable[[], Awaitable[bool]], pause: float = 0.05) -> None:
        """Do `act` again and again; it says whether the answer was the right one."""
        while not self.done.is_set() or self.exchanges.total() < EXCHANGES:
            try:
                good = await act()
            except Exception as fault:
                good, what_failed = False, f"{what}: {type(fault).__name__}: {fault}"
            else:
                what_failed = f"{what}: another answer"
            self.exchanges[what] += 1
            if not good:
                self.failures.append(what_failed)
            await asyncio.sleep(pause)


class Reader:
    """A partner's node that asks another for Tasks, and for a new token each few times."""

    def __init__(self, node: Node, at: str, path: str, scope: str) -> None:
        entry = node.directory.entry(organization(at))
        assert entry is not None
        self._node, self._entry, self._path, self._scope = node, entry, path, scope
        self._client: PeerClient | None = None
        self._asked = 0

    async def __call__(self) -> bool:
        if self._asked % 4 == 0:
            await self.close()
            self._client = self._node.client(self._node.home)
        self._asked += 1
        assert self._client is not None
        answer = await self._client.request(self._entry, "GET", self._path, scope=self._scope)
        return answer.status == 200

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


class Convener:
    """Signs the directory of the network anew, with what participants have changed."""

    def __init__(self, network: Network) -> None:
        self._folders = [agency.folder / "directory" for agency in network.agencies.values()]
        self._anchor = keys.load(network.folder / "convener" / "anchor.pem")
        shards = sorted((self._folders[0] / "shards").glob("*.json"))
        self.entries = {
            entry["organization"]: entry for shard in shards for entry in json.loads(shard.read_bytes())
        }
        public = ECKey.import_key(keys.public_jwk(self._anchor))
        first = Directory.read(self._folders[0], [public], clock.now())
        self.sequence, self._previous = first.sequence, (first.digest,)

    def sign(self) -> None:
        self.sequence += 1
        now, entries = clock.now(), list(self.entries.values())
        for folder in self._folders:
            signed = publish(
                folder,
                ISSUER,
                entries,
                self._anchor,
                sequence=self.sequence,
                now=now,
                previous=self._previous,
            )
        self._previous = (signed.digest, *self._previous)[:32]

    async def every_few_seconds(self, done: asyncio.Event) -> None:
        while not done.is_set():
            await asyncio.to_thread(self.sign)
            await asyncio.sleep(5)


class Keys:
    """The keys of one name, at the pace of this test."""

    def __init__(self, network: Network, name: str) -> None:
        folder = network.agencies[HOMES[name]].folder / "keys"
        self.ring = KeyRing(
            organization(name), folder / f"{name}.operational", folder / f"{name}.pem", pace=PACE
        )
        self.used: Counter[str] = Counter()

    async def take_turns(self, first: float) -> None:
        # The node's own first run may be an hour away, where it has two names.
        await asyncio.to_thread(self.ring.rotate_if_due, clock.now())
        await asyncio.sleep(first)
        for turn in TURNS:
            await asyncio.sleep(WAIT[turn])
            run = self.ring.rotation(clock.now()).run
            steps = await asyncio.to_thread(lambda run=run, turn=turn: run(urgent=turn == "urgent"))
            used = [step for step in steps if step.what == "used"]
            assert len(used) == 1, f"a {turn} in which {len(used)} keys were taken into use"
            self.used[turn] += 1


def command(app: Any, *arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output
    return result.output


async def change_federation_key(network: Network, convener: Convener) -> str:
    """The pantry's, as docs/how-to/rotate-keys.md says; its new name."""
    folder = network.agencies[PANTRY].folder
    config, entry, key = folder / "node.yaml", folder / "entry.json", folder / "keys" / f"{PANTRY}.pem"
    entry.write_text(json.dumps(convener.entries[organization(PANTRY)]))

    def step(app: Any, *arguments: str | Path) -> str:
        said = command(app, *arguments)
        convener.entries[organization(PANTRY)] = json.loads(entry.read_text())
        return said

    rotate = ("rotate", "--config", config, "--federation")
    await asyncio.sleep(20)
    await asyncio.to_thread(step, cli_keys.app, *rotate, "--entry", entry)
    await asyncio.sleep(12)
    await asyncio.to_thread(step, cli_keys.app, *rotate, "--finish", "--now")
    await asyncio.sleep(20)
    await asyncio.to_thread(
        step, cli_directory.app, "entry", entry, "--key", key, "--old-key", key, "--to", folder / "entry.jws"
    )
    await asyncio.sleep(8)
    return keys.load(key).thumbprint()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with running(tmp_path) as started:
        yield started


def refer(network: Network, number: int) -> str:
    """Hand in a referral of the hospital; its id."""
    message = hospital_message(**hospital_patient(number))
    return str(network.send(HOSPITAL, message, ".hl7")["referral"])


async def play(network: Network) -> tuple[Clients, Convener, list[Keys], str, list[str]]:
    """Clients at work while everything changes."""
    clients, convener = Clients(), Convener(network)
    changing = [Keys(network, name) for name in NAMES]
    with ExitStack() as stack:
        node = {name: Node(settings.read(network.agencies[name].config)) for name in (HOSPITAL, PANTRY)}
        for one in node.values():
            stack.callback(one.close)
        referred = [await asyncio.to_thread(refer, network, 0)]
        task = await asyncio.to_thread(network.task_of, HOSPITAL, referred[0])
        readers = [
            Reader(node[PANTRY], HOSPITAL, f"/fhir/Task/{task}", "system/Task.r"),
            Reader(node[PANTRY], HOSPITAL, "/fhir/Task", "system/Task.s"),
            Reader(node[HOSPITAL], PANTRY, "/fhir/Task", "system/Task.s"),
            Reader(node[PANTRY], ALIAS, "/fhir/Task", "system/Task.s"),
            Reader(node[HOSPITAL], ALIAS, "/fhir/Task", "system/Task.s"),
        ]
        # A token from before the first change, shown until long after the key that signed it is out of use.
        old_token = door(network, PANTRY).token(partner(network, HOSPITAL), "system/Task.s")

        async def shows_an_old_token() -> bool:
            answer = await asyncio.to_thread(door(network, PANTRY).get, "Task", old_token)
            return answer.status_code == 200

        async def hands_in_again() -> bool:
            return await asyncio.to_thread(refer, network, 0) == referred[0]

        async def hands_in_another() -> bool:
            if len(referred) < REFERRALS:
                referred.append(await asyncio.to_thread(refer, network, len(referred)))
                return len(set(referred)) == len(referred)
            return await hands_in_again()

        working = [
            *(clients.keep_on("a partner asks with its node's keys", reader) for reader in readers),
            clients.keep_on("a partner shows a token from the beginning", shows_an_old_token),
            clients.keep_on("a system hands in the same again", hands_in_again),
            clients.keep_on("a system hands in another", hands_in_another, pause=2.0),
        ]
        at_work = asyncio.gather(*working, convener.every_few_seconds(clients.done))
        try:
            changes = (keys_of.take_turns(number * 1.5) for number, keys_of in enumerate(changing))
            new, *_ = await asyncio.gather(change_federation_key(network, convener), *changes)
        finally:
            clients.done.set()
        await at_work
        for reader in readers:
            await reader.close()
    return clients, convener, changing, new, referred


def log_lines(network: Network) -> Iterator[tuple[str, str]]:
    for name, process in network.processes.items():
        for line in process.log.read_text(encoding="utf-8").splitlines():
            yield name, line


def test_two_thousand_exchanges_while_every_key_changes(
    network: Network, capsys: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    for number in range(REFERRALS):
        network.consent(HOSPITAL, hospital_consent(hospital_patient(number)["patient"]))
    clients, convener, changing, new, referred = asyncio.run(play(network))
    settle(network)
    took = time.monotonic() - began

    tokens = Counter(
        match[1]
        for _name, line in log_lines(network)
        if (match := re.search(r"POST /oauth/token (\d+)", line))
    )
    turns = sum((one.used for one in changing), Counter[str]())
    with capsys.disabled():
        print(
            f"\n{clients.exchanges.total()} exchanges and {tokens['200']} tokens in {took:.0f} s, while "
            f"{turns['day']} keys followed by the clock, {turns['urgent']} urgently, the directory was "
            f"signed {convener.sequence} times and one federation key changed. "
            f"Failures: {len(clients.failures)}."
        )

    assert clients.failures == []
    assert clients.exchanges.total() >= EXCHANGES and len(clients.exchanges) == 4
    assert took < LIMIT
    assert set(tokens) == {"200"}, "no token was refused to anybody"
    assert turns == {"day": 4 * len(NAMES), "urgent": 2 * len(NAMES)}
    assert convener.sequence >= 10
    assert [line for _name, line in log_lines(network) if " ERROR " in line or "Traceback" in line] == []

    # What was handed in meanwhile has arrived, and the changed key is what partners go by.
    assert len(set(referred)) == REFERRALS
    assert len(network.pantry_system.records("offer")) == REFERRALS
    for name in (HOSPITAL, PANTRY, SHELTER):
        assert rows(network, name, "select kind, gave_up from outbox where gave_up is not null") == []
    for name in (HOSPITAL, SHELTER):
        node = Node(settings.read(network.agencies[name].config))
        entry = node.peer(organization(PANTRY))
        assert entry is not None and entry.thumbprints == {new}
        assert node.alarms() == ()
        node.close()
    audit_is_whole(network)
