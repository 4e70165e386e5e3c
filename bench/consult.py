"""Consent decisions a second: our engine in process and over HTTP, beside LEAP's service in the same run.

    python bench/consult.py                      ours alone
    LEAP=<checkout of sdhealthconnect/leap-cds> python bench/consult.py

All get the same generated cases (tests/peers/leap/generator.py). LEAP reads the consents from a FHIR server
beside it and writes an AuditEvent there for each decision, as it is made to; to ours the consents come with
the request. Rounds are interleaved; quote the ratios, absolute figures drift. All of it stays on loopback.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY, SHELTER, found, free_ports
from gateway.demo.processes import NodeProcess
from gateway.signing import keys

ROOT = Path(__file__).resolve().parents[1]
CASES = 600
ROUNDS = 5

Round = Callable[[], tuple[float, list[float]]]
"""Answers all cases once: seconds in all, and of each."""


def main() -> None:
    """Print one line a way of asking."""
    sys.path[:0] = [str(ROOT / "tests" / "peers"), str(ROOT / "tests")]
    generator, service = importlib.import_module("leap.generator"), importlib.import_module("leap.service")
    ours, http = importlib.import_module("leap.ours"), importlib.import_module("leap.ask")
    now = datetime.now(UTC).replace(microsecond=0)
    cases = list(generator.cases(CASES, now=now))
    with ExitStack() as running:
        ways: dict[str, Round] = {"ours, in process": in_process(ours, cases)}
        our_port, token = running.enter_context(our_service())
        asked = [json.dumps(hook(ours.request(case))).encode() for case in cases]
        for clients in (1, 8):
            given = {"authorization": f"Bearer {token}"}
            ways[f"ours, {clients} at once"] = over_http(http, our_port, service.PATH, asked, clients, given)
        checkout = os.environ.get("LEAP")
        if reason := service.missing(checkout):
            print(f"LEAP: skipped. {reason}")
        else:
            port = running.enter_context(service.running(checkout, cases))
            bodies = [json.dumps(service.question(case)).encode() for case in cases]
            for clients in (1, 8):
                ways[f"LEAP, {clients} at once"] = over_http(http, port, service.PATH, bodies, clients)
        measure(ways, "LEAP, 8 at once")


def in_process(ours: Any, cases: list[Any]) -> Round:
    """Ours on one core, from the request's JSON to the answer's."""
    engine = importlib.import_module("consent.request")
    bodies = [json.dumps(ours.request(case)).encode() for case in cases]

    def once() -> tuple[float, list[float]]:
        each = []
        begun = time.perf_counter()
        for body in bodies:
            started = time.perf_counter()
            msgspec.json.encode(engine.answer(msgspec.json.decode(body)))
            each.append(time.perf_counter() - started)
        return time.perf_counter() - begun, each

    return once


@contextmanager
def our_service() -> Iterator[tuple[int, str]]:
    """The port of a node of ours, as a process of its own, and a token for its CDS Hooks service."""
    calls = importlib.import_module("partner_calls")
    with tempfile.TemporaryDirectory() as folder:
        names = (HOSPITAL, PANTRY, SHELTER, ALIAS)
        listens = dict(zip(names, free_ports(len(names)), strict=True))
        agency = found(Path(folder), listens, "http://127.0.0.1:1/none")[HOSPITAL]
        with agency.config.open("a", encoding="utf-8") as file:  # one caller stands for all of a network
            file.write("limits: {requests_per_second: 100000}\n")
        address = f"http://127.0.0.1:{listens[HOSPITAL]}"
        process = NodeProcess(agency.config, Path(folder) / "node.log")
        process.start(address)
        try:
            key = keys.load(agency.folder / "keys" / f"{calls.OWN_SYSTEM}.pem")
            yield (
                listens[HOSPITAL],
                calls.Door(address).token(calls.Who(calls.OWN_SYSTEM, key), "system/Consent.c"),
            )
        finally:
            process.stop()


def hook(request: dict[str, Any]) -> dict[str, Any]:
    """A request of ours as the call of the CDS Hooks service, consents and directory in it."""
    query = request["query"]
    context = {
        "patientId": [{"value": query["patient"]}],
        "actor": [{"value": one} if isinstance(one, str) else one for one in query["actor"]],
        "purposeOfUse": query["purpose"],
        **{part: query[part] for part in ("class", "category") if part in query},
        "content": request["content"],
        "consent": request["consents"],
        "directory": request["directory"],
    }
    return {"hook": "patient-consent-consult", "hookInstance": "1", "context": context}


def over_http(
    http: Any, port: int, path: str, bodies: list[bytes], clients: int, headers: dict[str, str] | None = None
) -> Round:
    """A service on loopback, kept-alive connections."""

    def once() -> tuple[float, list[float]]:
        begun = time.perf_counter()
        answers = http.ask_all(port, path, bodies, clients, headers)
        taken = time.perf_counter() - begun
        assert all(each.status == 200 for each in answers)
        return taken, [each.seconds for each in answers]

    return once


def measure(ways: dict[str, Round], base: str) -> None:
    """Interleaved rounds of all ways, after one that is not counted; ratios to `base` where it ran."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    every: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, once in ways.items():
            seconds, each = once()
            if number:
                taken[name].append(CASES / seconds)
                every[name].extend(each)
    rates = {name: statistics.median(found) for name, found in taken.items()}
    for name, rate in rates.items():
        cuts = statistics.quantiles(every[name], n=100)
        ratio = f"{rate / rates[base]:6.1f} times LEAP" if base in rates else ""
        half, worst = cuts[49] * 1e3, cuts[98] * 1e3
        print(f"{name:22} {rate:8.0f} /s   p50 {half:7.2f} ms   p99 {worst:7.2f} ms {ratio}")


if __name__ == "__main__":
    main()
