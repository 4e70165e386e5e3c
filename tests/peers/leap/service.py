"""LEAP's consent decision service as a process beside us, with a feed of generated cases.

LEAP is a checkout of the public repository sdhealthconnect/leap-cds (GPL-3.0-or-later) that someone has put
beside the project: it is run, never copied or changed. Its packages must be installed there (`npm install`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Thread
from typing import Any

from leap.ask import Answered, ask_all
from leap.generator import Case
from leap.vocabulary import ACTORS, PERSONS, actor, identifier

PATH = "/cds-services/patient-consent-consult"
PRELOAD = Path(__file__).with_name("loopback.cjs")
WORDS = {"CONSENT_PERMIT": "permit", "CONSENT_DENY": "deny", "NO_CONSENT": "no-consent"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine says of one case. released: references like Observation/1; none unless it permits."""

    decision: str
    released: frozenset[str]


def missing(checkout: str | None) -> str | None:
    """Why LEAP cannot be run from this checkout; None when it can."""
    if not checkout:
        return "LEAP is not set: give the folder of a checkout of sdhealthconnect/leap-cds"
    if not (Path(checkout) / "server.js").is_file():
        return f"LEAP={checkout} is not a checkout of sdhealthconnect/leap-cds (no server.js)"
    if not (Path(checkout) / "node_modules").is_dir():
        return f"LEAP={checkout} has no node_modules: run `npm install` there first"
    return None


def commit(checkout: str) -> str:
    """The commit that is compared; "unknown" where the folder is not a git checkout."""
    command = ["git", "-C", checkout, "rev-parse", "HEAD"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    return told.stdout.strip() if told.returncode == 0 else "unknown"


@contextmanager
def running(checkout: str, cases: Iterable[Case], now: datetime | None = None) -> Iterator[int]:
    """LEAP's port, while it runs with the cases' consents; `now` pins its clock."""
    held = feed_data(cases)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "feed.json"
        data.write_text(json.dumps(held), encoding="utf-8")
        here = Path(__file__).parents[1]
        with _process([sys.executable, "-m", "leap.feed", str(data)], here, dict(os.environ)) as line:
            # All that LEAP reads from its environment is set, so that a .env in the checkout changes nothing.
            settings = {
                "PATH": os.environ["PATH"],
                "NODE_ENV": "production",
                "PORT": "0",
                "LOG_LEVEL": "error",
                "ORG_NAME": "peer",
                "ORG_URL": "https://peer.example.org",
                "CONSENT_FHIR_SERVERS": f"http://127.0.0.1:{line.strip()}/fhir",
                "CONSENT_FHIR_SERVERS_AUTH": "{}",
                "SENSITIVITY_TAGGING_RULES": "[]",
                "CONFIDENTIALITY_TAGGING_RULES": "[]",
            }
            if now is not None:
                settings["PINNED_NOW"] = str(int(now.timestamp() * 1000))
            with _process(["node", "-r", str(PRELOAD), "server.js"], Path(checkout), settings) as told:
                yield int(told.split()[-1])


@contextmanager
def _process(command: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """A process that says on its first line where it listens; ended with the block."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(environment), stdout=subprocess.PIPE, stderr=said, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.strip():
                said.seek(0)
                raise RuntimeError(f"{command[0]} did not start: {said.read()[-2000:]}")
            # LEAP prints what goes wrong; a full pipe would stop it.
            Thread(target=deque, args=(process.stdout, 0), daemon=True).start()
            yield line
        finally:
            process.kill()
            process.wait()


def feed_data(cases: Iterable[Case]) -> dict[str, Any]:
    """What the feed serves: each case's person with the consents that are theirs, and all actors."""
    held: dict[str, Any] = {"patients": {}, "consents": {}, "actors": {one: actor(one) for one in ACTORS}}
    for case in cases:
        person = {"system": PERSONS, "value": case.person}
        patient = {"resourceType": "Patient", "id": case.person, "identifier": [person]}
        held["patients"][f"{PERSONS}|{case.person}"] = patient
        theirs = [one for one in case.consents if one["patient"]["reference"] == case.patient]
        held["consents"][case.patient] = theirs
    return held


def question(case: Case) -> dict[str, Any]:
    """The case as LEAP's CDS Hooks request."""
    context: dict[str, Any] = {
        "patientId": [{"system": PERSONS, "value": case.person}],
        "actor": [identifier(one) for one in case.actors],
        "purposeOfUse": list(case.purposes),
        "content": case.content,
    }
    if case.classes:
        context["class"] = [{"system": system, "code": code} for system, code in case.classes]
    if case.categories:
        context["category"] = [{"system": system, "code": code} for system, code in case.categories]
    return {"hook": "patient-consent-consult", "hookInstance": str(case.number), "context": context}


def read(answered: Answered) -> Answer:
    """LEAP's answer in our words. Raises RuntimeError for anything but a card."""
    if answered.status != 200:
        raise RuntimeError(f"LEAP answered {answered.status}")
    told = answered.body["cards"][0]["extension"]
    decision = WORDS[told["decision"]]
    entries = (told.get("content") or {}).get("entry", []) if decision == "permit" else []
    names = (f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in entries)
    return Answer(decision, frozenset(names))


def ask(port: int, cases: Iterable[Case]) -> list[Answer]:
    """LEAP's answers to all cases, in their order."""
    bodies = [json.dumps(question(case)).encode() for case in cases]
    return [read(each) for each in ask_all(port, PATH, bodies)]
