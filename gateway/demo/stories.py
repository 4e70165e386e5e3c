"""The demo: four referrals between three agencies, each with its own end, checked as it is told."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from gateway.calling.transport import PeerError
from gateway.demo import telling
from gateway.demo.agencies import ALIAS, HOSPITAL, NAMES, PANTRY, SHELTER
from gateway.demo.network import Network, Refusal
from gateway.demo.telling import Told

RECORDS = Path(__file__).parent / "records"


class Unexpected(Exception):  # noqa: N818 - says what was seen
    """A story did not go as it should."""


def run(out: Console, *, keep: bool) -> int:
    """Tell all four; the exit status: 0 only if each ended as it should."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="waymeet-demo-") as folder:
        try:
            with progress(out, "Starting three nodes, each with its own folder, keys and store."):
                network = Network(Path(folder)).__enter__()
        except (RuntimeError, OSError) as fault:
            out.print(f"The nodes did not start: {fault}", markup=False)
            return 1
        try:
            told = [_tell(out, network, number, story) for number, story in enumerate(STORIES, start=1)]
            good = [one for one in told if one is not None]
            if keep:
                telling.leave_up(out, network)
                _wait_for_ctrl_c()
        except KeyboardInterrupt:
            out.print("Stopping the nodes.")
            return 130
        finally:
            network.stop()
    completed = sum(one.ended == "completed" for one in good)
    withheld = sum(one.ended == "withheld" for one in good)
    out.print(f"\nTook {time.monotonic() - started:.1f} s.")
    out.print(f"{len(told)} exchanges, {completed} completed, {withheld} withheld", highlight=False)
    return 0 if (completed, withheld) == (2, 2) else 1


def progress(out: Console, doing: str) -> AbstractContextManager[object]:
    """Show what is being done: a line that moves at a terminal, a plain line elsewhere."""
    if out.is_terminal:
        return out.status(doing)
    out.print(doing)
    return nullcontext()


def _tell(out: Console, network: Network, number: int, story: Callable[[Network], Told]) -> Told | None:
    try:
        with progress(out, f"{number} of {len(STORIES)}: {story.__doc__}"):
            told = story(network)
    except Refusal as refusal:
        telling.failed(out, number, [issue["diagnostics"] for issue in refusal.answer["issue"]])
        return None
    except (Unexpected, TimeoutError, PeerError) as fault:
        telling.failed(out, number, [str(fault)])
        return None
    telling.panel(out, number, told)
    return told


def hospital_to_pantry(network: Network) -> Told:
    """Elm City Hospital refers a patient to Harbor Food Pantry, with her consent."""
    network.consent(HOSPITAL, _answers("1-consent.json"))
    sent = network.send(HOSPITAL, _record("1-hospital.hl7"), ".hl7")
    case = _accepted(network, sent["referral"], HOSPITAL)
    network.answer(case["referral"], "started")
    network.answer(case["referral"], "completed", outcome="need met", service="food")
    network.wait_for_state(HOSPITAL, sent["referral"], "completed")
    answers = network.answers_in(HOSPITAL, 3)
    kinds = [answer.split(b"\r", 1)[0].split(b"|")[8].decode() for answer in answers]
    _expect([kind[:7] for kind in kinds] == ["RRI^I12", "OSU^O51", "OSU^O51"], f"the hospital got {kinds}")
    return telling.told(
        network,
        HOSPITAL,
        sent,
        title="Hospital to pantry, with consent",
        asked="A social worker at Elm City Hospital, with an HL7 v2 message (REF^I12), asks for food.",
        then=[
            "Harbor Food Pantry accepted, opened a case in its own system, and reported back.",
            "The hospital's own system got RRI^I12 (accepted), OSU^O51 (in progress), OSU^O51 (completed).",
        ],
        case=case,
        ended="completed",
    )


def shelter_to_pantry(network: Network) -> Told:
    """A shelter refers a client to Harbor Food Pantry, with her written release."""
    network.consent(SHELTER, _answers("2-consent.json"))
    sent = network.send(SHELTER, _record("2-shelter.csv"), ".csv")
    case = _accepted(network, sent["referral"], SHELTER)
    network.answer(case["referral"], "completed", outcome="need met", service="food")
    network.wait_for_state(SHELTER, sent["referral"], "completed")
    network.answers_in(SHELTER, 2)
    seen = msgspec.json.encode([*network.pantry_system.records("offer"), case]).decode()
    for secret in (
        "Marrero",
        "Orchard",
        "Safe Haven",
        "safe-haven",
        "helter",
        "iolence",
        "Site B",
        "5550142",
    ):
        _expect(secret not in seen, "the pantry saw what the release does not name")
    return telling.told(
        network,
        SHELTER,
        sent,
        title="Shelter to pantry, with a written release",
        asked="An advocate at Safe Haven, with a row of the shelter's CSV export, asks for food.",
        then=[
            f"To the pantry the source is {NAMES[ALIAS]}: own name, key and address, nothing that leads to "
            "the shelter.",
            "Once closed, the referral answers the pantry with nothing at all.",
        ],
        case=case,
        ended="completed",
    )


def shelter_to_hospital(network: Network) -> Told:
    """A shelter refers a client to Elm City Hospital, without a release."""
    sent = network.send(SHELTER, _record("3-shelter.csv"), ".csv")
    _expect(sent["state"] == "held" and bool(sent["needed"]), "the referral was not held")
    found = network.read_as(HOSPITAL, ALIAS, "Task?status=requested,draft,accepted", "Task.rus")
    _expect(found.status == 200 and msgspec.json.decode(found.body)["total"] == 0, "the hospital sees a Task")
    _expect(
        not network.lines(HOSPITAL) or all(line.direction == "sent" for line in network.lines(HOSPITAL)),
        "the hospital was told",
    )
    held = network.task_of(SHELTER, sent["referral"])
    answers = {
        network.read_as(HOSPITAL, ALIAS, f"Task/{one}", "Task.rus").body
        for one in (held, "00000000-0000-4000-8000-000000000000")
    }
    _expect(len(answers) == 1, "a held referral answers otherwise than one that never was")
    return telling.told(
        network,
        SHELTER,
        sent,
        title="Shelter to hospital, without a release",
        asked="An advocate at Safe Haven, with a row of the shelter's CSV export, asks for food"
        " from the hospital's kitchen.",
        then=[
            "The referral waits at the shelter; a release will send it on.",
            "The hospital asked for its referrals and got none; the address of this one answers like an "
            "address that never was.",
        ],
        case=None,
        ended="withheld",
    )


def consent_withdrawn(network: Network) -> Told:
    """A patient withdraws her consent after the offer and before the pantry accepts."""
    consent = network.consent(HOSPITAL, _answers("4-consent.json"))
    before = {offer["referral"] for offer in network.pantry_system.records("offer")}
    sent = network.send(HOSPITAL, _record("4-hospital.hl7"), ".hl7")
    offer = network.pantry_system.wait_for("offer", lambda one: one["referral"] not in before)
    _expect(network.revoke(HOSPITAL, consent) == [sent["referral"]], "the referral was not cancelled")
    notice = network.pantry_system.wait_for("notice", lambda one: one["referral"] == offer["referral"])
    _expect(notice["status"] == "cancelled", "the pantry was told something else")
    try:
        network.answer(offer["referral"], "accepted")
    except Refusal as refusal:
        _expect(refusal.http_status == 409, f"accepting too late was answered with {refusal.http_status}")
    else:
        raise Unexpected("the pantry could accept a withdrawn referral")
    task_id = network.task_of(HOSPITAL, sent["referral"])
    task = msgspec.json.decode(network.read_as(PANTRY, HOSPITAL, f"Task/{task_id}", "Task.rus").body)
    person = network.read_as(PANTRY, HOSPITAL, task["for"]["reference"], "Patient.r")
    _expect(person.status == 404 and "input" not in task, "the dossier is open")
    return telling.told(
        network,
        HOSPITAL,
        sent,
        title="Consent withdrawn between offer and accept",
        asked="A social worker at Elm City Hospital asks for food; the patient then changes her mind "
        "(waymeet revoke).",
        then=[
            f"The Task ended cancelled, with a neutral reason: “{task['statusReason']['text']}”",
            "The pantry's late accept was refused; the dossier never opened.",
        ],
        case=None,
        ended="withheld",
    )


STORIES: tuple[Callable[[Network], Told], ...] = (
    hospital_to_pantry,
    shelter_to_pantry,
    shelter_to_hospital,
    consent_withdrawn,
)


def _accepted(network: Network, referral: str, source: str) -> dict[str, Any]:
    """The pantry accepts the newest offer; the case that opens in its own system."""
    taken = {case["referral"] for case in network.pantry_system.records("case")}
    offer = network.pantry_system.wait_for("offer", lambda one: one["referral"] not in taken)
    network.answer(offer["referral"], "accepted")
    case = network.pantry_system.wait_for("case", lambda one: one["referral"] == offer["referral"])
    network.wait_for_state(source, referral, "accepted")
    return case


def _expect(true: bool, otherwise: str) -> None:
    if not true:
        raise Unexpected(otherwise)


def _record(name: str) -> bytes:
    return (RECORDS / name).read_bytes()


def _answers(name: str) -> dict[str, Any]:
    answers: dict[str, Any] = msgspec.json.decode((RECORDS / name).read_bytes())
    return answers


def _wait_for_ctrl_c() -> None:
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    stop.wait()


__all__ = ["STORIES", "run"]
