"""The convening body is away, or shuts somebody out: what three running nodes go on doing, and what not.

They fetch the directory from a web server that can be switched off. Times are real; what is signed lasts for
seconds because it says that it was signed earlier.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from happenings import NODES, audit_is_whole, case_of, eventually, offer_after, rows, settle
from joserfc.jwk import ECKey
from partner_calls import door, partner
from sample_records import hospital_consent, hospital_message, hospital_patient

from gateway.demo.agencies import ALIAS, HOSPITAL, ISSUER, PANTRY, organization
from gateway.demo.network import Network, Refusal
from gateway.signing import keys
from gateway.trust import suspensions
from gateway.trust.directory import Directory
from gateway.trust.directory_files import SUSPENSIONS, replace
from gateway.trust.directory_signing import publish

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
HEEDED = 60.0  # seconds that a suspension, or a directory, may take to be heeded everywhere


class _Shows(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class Body:
    """The convening body, and the web server that nodes fetch the directory from while it is on."""

    def __init__(self, network: Network, name: str = "site") -> None:
        self.folder = network.folder / name
        first = network.agencies[HOSPITAL].folder / "directory"
        shutil.copytree(first, self.folder)
        self._anchor = keys.load(network.folder / "convener" / "anchor.pem")
        self._suspender = keys.generate()
        public = ECKey.import_key(keys.public_jwk(self._anchor))
        known = Directory.read(first, [public], datetime.now(UTC))
        self._entries = [one for text in known.texts().values() for one in json.loads(text)]
        self._digests = [known.digest]
        self.sequence, self.lists = known.sequence, 0
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.on()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def on(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), partial(_Shows, directory=self.folder))
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def off(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def publish(self, lasts: timedelta = 7 * DAY, *, suspender: bool = False) -> datetime:
        """The next directory, in force for so long from now; when it ends."""
        self.sequence += 1
        found = publish(
            self.folder,
            ISSUER,
            self._entries,
            self._anchor,
            sequence=self.sequence,
            now=datetime.now(UTC) - 7 * DAY + lasts,
            days=7,
            previous=self._digests[:32],
            suspender=keys.public_jwk(self._suspender) if suspender else None,
        )
        self._digests.insert(0, found.digest)
        return found.expires

    def suspend(self, *names: str, lasts: timedelta = DAY) -> datetime:
        """The next suspension list, in force for so long from now; when it ends."""
        self.lists += 1
        signed_at = datetime.now(UTC) - DAY + lasts
        text = suspensions.sign(
            ISSUER, map(organization, names), self._suspender, sequence=self.lists, now=signed_at
        )
        replace(self.folder / SUSPENSIONS, text.encode())
        return signed_at + DAY


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """Three nodes, not yet started."""
    made = Network(tmp_path)
    with ThreadPoolExecutor(len(NODES)) as pool:
        try:
            yield made
        finally:
            list(pool.map(lambda name: made.processes[name].stop(), NODES))
            made.stop()


@pytest.fixture
def body(network: Network) -> Iterator[Body]:
    made = Body(network)
    yield made
    made.off()


def start(
    network: Network, body: Body, *, grace_days: int = 14, others: Mapping[str, Body] | None = None
) -> None:
    """Start all nodes and let them settle; each fetches every second, from `body` or its own of `others`."""
    for name in NODES:
        config = network.agencies[name].config
        text = config.read_text(encoding="utf-8")
        assert text.count("  folder: directory\n") == 1
        url = (others or {}).get(name, body).url
        more = f"  url: {url}\n  poll_seconds: 1\n  grace_days: {grace_days}\n"
        config.write_text(
            text.replace("  folder: directory\n", f"  folder: directory\n{more}"), encoding="utf-8"
        )
    with ThreadPoolExecutor(len(NODES)) as pool:
        list(pool.map(network.start, NODES))
    go_by(network, body.sequence)
    settle(network)


def go_by(network: Network, number: int, what: str = "directory") -> None:
    """Return when every node uses the directory, or the `suspensions`, of this number."""
    query = f"select value from mark where name like '{what}-sequence%'"
    for name in NODES:
        eventually(lambda name=name: rows(network, name, query) == [(number,)], f"{name} uses it", HEEDED)


def away(network: Network, body: Body) -> None:
    """The body is away until the last directory that it signed has expired at every node."""
    ends = body.publish(timedelta(seconds=10))
    go_by(network, body.sequence)
    body.off()
    wait_until(ends)


def wait_until(moment: datetime) -> None:
    """Return once this moment is past."""
    eventually(lambda: datetime.now(UTC) > moment, "time goes by", 90.0)


def says(network: Network, name: str, words: str) -> None:
    """Return once a node's log holds these words."""
    log = network.folder / name / "node.log"
    eventually(lambda: words in log.read_text(encoding="utf-8"), f"{name} logs: {words}", HEEDED)


def ready(network: Network, name: str) -> bool:
    return door(network, name).request("GET", "/ready").status_code == 200


def refer(network: Network, number: int) -> tuple[str, str]:
    """A new referral of the hospital's: its id there, and at the pantry once it is offered."""
    fields = hospital_patient(number)
    network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    sent, offer = offer_after(network, lambda: network.send(HOSPITAL, hospital_message(**fields), ".hl7"))
    return str(sent["referral"]), str(offer["referral"])


def opened(network: Network, number: int) -> tuple[str, str]:
    """A new referral that the pantry has accepted and read."""
    there, here = refer(network, number)
    network.answer(here, "accepted")
    case_of(network, {"referral": here})
    settle(network)
    return there, here


def complete(network: Network, there: str, here: str) -> None:
    network.answer(here, "started")
    network.answer(here, "completed", outcome="need met", service="food")
    network.wait_for_state(HOSPITAL, there, "completed", HEEDED)


def refused(network: Network, name: str, token: str) -> bool:
    """Whether a node no longer takes a token that it gave."""
    return door(network, name).get("Task", token).status_code == 401


def token_of_the_pantry(network: Network, at: str) -> httpx2.Response:
    """What the pantry's node is answered when it asks for a token."""
    asked = door(network, at)
    return asked.ask_token(asked.assertion(partner(network, PANTRY)), "system/Task.rs")


# --- the body is away ----------------------------------------------------------------------------


def test_partners_go_on_in_grace_and_a_restart_changes_nothing(network: Network, body: Body) -> None:
    start(network, body)
    before = opened(network, 1)
    away(network, body)
    for name in NODES:
        says(network, name, "alarm: the directory has expired: nobody new is trusted, and partners until")
    assert all(ready(network, name) for name in NODES)

    complete(network, *before)
    complete(network, *opened(network, 2))
    network.processes[PANTRY].kill()
    network.start(PANTRY)
    complete(network, *opened(network, 3))

    body.on()
    body.publish()
    go_by(network, body.sequence)
    for name in NODES:
        says(network, name, "over: the directory has expired")
    settle(network)
    audit_is_whole(network)


def test_when_the_grace_is_over_nobody_is_trusted_until_there_is_a_directory_again(
    network: Network, body: Body
) -> None:
    start(network, body, grace_days=0)
    there, here = opened(network, 1)
    at = door(network, HOSPITAL)
    token = at.token(partner(network, PANTRY), "system/Task.rs")
    task = f"Task/{network.task_of(HOSPITAL, there)}"
    assert at.get(task, token).status_code == 200
    away(network, body)
    assert not any(ready(network, name) for name in NODES)
    assert at.get(task, token).status_code == 401
    assert token_of_the_pantry(network, HOSPITAL).json()["error"] == "invalid_client"

    network.answer(here, "started")
    eventually(lambda: tried(network, "answer"), "the pantry's node has tried to pass it on", HEEDED)
    assert state(network, there) == "accepted"
    body.on()
    body.publish()
    network.wait_for_state(HOSPITAL, there, "in-progress", HEEDED)
    eventually(lambda: all(ready(network, name) for name in NODES), "all are ready again", HEEDED)
    settle(network, seconds=HEEDED)
    audit_is_whole(network)


def tried(network: Network, kind: str) -> bool:
    """Whether the pantry's node has tried to send something of this kind, and will again."""
    waiting = "attempts > 0 and leased_until is null and gave_up is null"
    return bool(rows(network, PANTRY, f"select 1 from outbox where kind = '{kind}' and {waiting}"))


def state(network: Network, referral: str) -> str:
    ((status,),) = rows(network, HOSPITAL, f"select status from task where referral_id = '{referral}'")
    return str(status)


# --- somebody must go ----------------------------------------------------------------------------


def test_who_is_suspended_is_refused_everywhere_within_a_minute(network: Network, body: Body) -> None:
    body.publish(suspender=True)
    body.suspend()
    start(network, body)
    there, here = opened(network, 1)
    places = (HOSPITAL, ALIAS)
    held = {name: door(network, name).token(partner(network, PANTRY), "system/Task.rs") for name in places}
    assert [door(network, name).get("Task", held[name]).status_code for name in places] == [200, 200]

    body.suspend(PANTRY)
    since = time.monotonic()
    for name in places:
        left = HEEDED - (time.monotonic() - since)
        eventually(partial(refused, network, name, held[name]), f"{name} refuses its own token", left)
        assert token_of_the_pantry(network, name).json()["error"] == "invalid_client"

    # What it knows already it may still say to its own node; nobody hears it, and nobody tells it anything.
    offers = len(network.pantry_system.records("offer"))
    fields = hospital_patient(2)
    network.consent(HOSPITAL, hospital_consent(fields["patient"]))
    with contextlib.suppress(Refusal):
        network.send(HOSPITAL, hospital_message(**fields), ".hl7")
    network.answer(here, "started")
    eventually(lambda: tried(network, "answer"), "the pantry's node has tried to pass it on", HEEDED)
    assert state(network, there) == "accepted"
    assert len(network.pantry_system.records("offer")) == offers

    body.suspend()
    network.wait_for_state(HOSPITAL, there, "in-progress", 2 * HEEDED)
    again = partial(token_of_the_pantry, network, ALIAS)
    eventually(lambda: again().status_code == 200, "the alias gives it tokens again", HEEDED)


def test_without_a_suspension_list_in_force_nothing_new_opens_and_the_rest_goes_on(
    network: Network, body: Body
) -> None:
    body.publish(suspender=True)
    body.suspend()
    start(network, body)
    before = opened(network, 1)
    there, here = refer(network, 2)
    settle(network)
    ends = body.suspend(lasts=timedelta(seconds=10))
    go_by(network, body.lists, "suspensions")
    body.off()
    wait_until(ends)

    network.answer(here, "accepted")
    eventually(lambda: tried(network, "answer"), "the pantry's node has tried to accept", HEEDED)
    complete(network, *before)
    assert state(network, there) == "requested"
    cases = network.pantry_system.records("case")
    assert [one for one in cases if one["referral"] == here] == []
    says(network, HOSPITAL, "alarm: there is no suspension list in force: no new dossier is opened")

    body.on()
    body.suspend()
    network.wait_for_state(HOSPITAL, there, "accepted", 2 * HEEDED)
    network.pantry_system.wait_for("case", lambda one: one["referral"] == here, HEEDED)
    complete(network, there, here)
    audit_is_whole(network)


# --- two directories -----------------------------------------------------------------------------


def test_two_agencies_that_are_shown_two_directories_find_out(network: Network, body: Body) -> None:
    other = Body(network, "other-site")
    try:
        body.publish()
        other.publish(6 * DAY)
        start(network, body, others={PANTRY: other})
        complete(network, *opened(network, 1))
        says(network, HOSPITAL, f"{PANTRY} holds another directory than this node under the same number 2")
        says(network, PANTRY, f"{HOSPITAL} holds another directory than this node under the same number 2")
    finally:
        other.off()
