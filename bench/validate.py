"""What checking one resource costs: ours, fhir.resources, jsonschema and the HAPI validator in one run.

    python bench/validate.py

Microseconds are medians of interleaved rounds in one thread; quote the ratios, absolute times differ from
machine to machine. `HAPI` is asked for its own median, warm, over the same text, where Java and Maven are
there (tests/peers); it reads the text too, so the row to hold it against is `read and check`. Then come the
start, the memory, and what grows.
"""

from __future__ import annotations

import importlib
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema

from profiles import canonical, errors, strict_json, structure, validate
from profiles.document import load
from profiles.registry import Definitions, Package
from profiles.schema import resource_schema

ROOT = Path(__file__).parents[1]
CASES = ROOT / "tests" / "cases" / "profiles"
PROFILED = {
    "ServiceRequest": ("service-request", canonical.SERVICE_REQUEST),
    "Task": ("referral-task", canonical.REFERRAL_TASK),
    "Consent": ("consent", canonical.CONSENT),
    "Patient": ("patient", canonical.PATIENT),
}
ROUNDS = 9
SLICE = 0.02  # seconds that one subject runs in one round
HAPI_TIMES = 100
Run = Callable[[], object]

OURS = "ours: read and check"
CHECK = "ours: R4 and profile"
STRUCTURE = "ours: structure only"
MODELS = "fhir.resources.R4B"
SCHEMA = "jsonschema (structure)"
HAPI = "HAPI validator (Java)"

FRESH = """
import json, sys, time
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20
before, started = resident() if sys.platform == "linux" else 0, time.perf_counter()
from profiles import validate
from profiles.registry import shipped
imported = time.perf_counter()
held = shipped()
for one in held.all("StructureDefinition"):
    validate({"resourceType": one.resource["type"]}, one.url)
compiled = time.perf_counter()
for resource in json.load(sys.stdin):
    validate(resource)
used = time.perf_counter()
after = resident() if sys.platform == "linux" else 0
print(json.dumps([imported - started, compiled - imported, used - compiled, before, after]))
"""


def resources() -> dict[str, dict[str, Any]]:
    """A good resource of each of our profiles, and a Bundle of eight of them."""
    found: dict[str, dict[str, Any]] = {}
    for name, (file, url) in PROFILED.items():
        good = deepcopy(load(CASES / f"{file}.yaml", {}).data["good"])
        found[name] = {**good, "meta": {"profile": [url]}}
    eight = [{**one, "id": f"{one.get('id', 'x')}-{turn}"} for turn in (1, 2) for one in found.values()]
    entries = [
        {"fullUrl": f"https://example.org/fhir/{one['resourceType']}/{one['id']}", "resource": one}
        for one in eight
    ]
    found["Bundle of 8"] = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return found


def subjects(resource: dict[str, Any]) -> dict[str, Run]:
    """Who checks `resource`, and how it is asked."""
    name = resource["resourceType"]
    model = getattr(importlib.import_module(f"fhir.resources.R4B.{name.lower()}"), name)
    inner = [entry["resource"] for entry in resource.get("entry", ())]
    schemas = [
        (jsonschema.Draft202012Validator(resource_schema(one["resourceType"])), one)
        for one in (resource, *inner)
    ]
    text = json.dumps(resource).encode()
    return {
        STRUCTURE: lambda: structure.check(resource),
        CHECK: lambda: validate(resource),
        OURS: lambda: validate(strict_json.read(text)),
        MODELS: lambda: model.model_validate(resource),
        SCHEMA: lambda: all(schema.is_valid(one) for schema, one in schemas),
    }


def microseconds(runs: dict[str, Run]) -> dict[str, float]:
    """The median time of each, all of them taking turns."""
    times: dict[str, int] = {}
    for name, run in runs.items():
        run()
        started = time.perf_counter()
        run()
        times[name] = max(1, int(SLICE / (time.perf_counter() - started)))
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            started = time.perf_counter()
            for _ in range(times[name]):
                run()
            taken[name].append((time.perf_counter() - started) / times[name])
    return {name: statistics.median(seconds) * 1e6 for name, seconds in taken.items()}


def java(told: dict[str, dict[str, Any]]) -> dict[str, float]:
    """HAPI's own medians; empty, with the reason, where it cannot be asked."""
    if not (shutil.which("java") and shutil.which("mvn")):
        print(f"{HAPI}: not measured, there is no Java with Maven here")
        return {}
    sys.path.insert(0, str(ROOT / "tests" / "peers"))
    peer, stand_ins = importlib.import_module("java_validator"), importlib.import_module("stand_ins")
    folders = [folder for folder in (peer.OURS, peer.SDOH_CC, peer.US_CORE) if folder.is_dir()]
    with peer.start(folders, stand_ins.stand_ins()) as validator:
        return {name: validator.bench(json.dumps(one), HAPI_TIMES) for name, one in told.items()}


def table() -> None:
    """Who takes how long for what, and how many times what ours takes."""
    told = resources()
    for name, resource in told.items():
        assert not errors(validate(resource)), (name, errors(validate(resource)))
    measured = {name: microseconds(subjects(resource)) for name, resource in told.items()}
    for name, taken in java(told).items():
        measured[name][HAPI] = taken
    print(f"{'µs (times ours)':24}" + "".join(f"{name:>21}" for name in measured))
    for subject in (STRUCTURE, CHECK, OURS, MODELS, SCHEMA, HAPI):
        line = f"{subject:24}"
        for each in measured.values():
            ours = each[OURS if subject == HAPI else CHECK]
            found = each.get(subject)
            line += f"{found:12.1f} ({found / ours:6.1f})" if found else f"{'-':>21}"
        print(line)
    for subject in (MODELS, SCHEMA):
        ratios = (f"{name} {each[subject] / each[STRUCTURE]:.0f}" for name, each in measured.items())
        print(f"{subject}, which checks structure only, times our structure only: {', '.join(ratios)}")


def start() -> None:
    """A process that has done nothing yet compiles every profile that ships."""
    asked = json.dumps(list(resources().values()))
    command = [sys.executable, "-c", FRESH]
    runs = [
        json.loads(subprocess.run(command, input=asked, text=True, check=True, capture_output=True).stdout)
        for _ in range(3)
    ]
    imported, compiled, used, before, after = map(statistics.median, zip(*runs, strict=True))
    print(
        f"start: import {imported * 1e3:.0f} ms, all shipped profiles compiled {compiled * 1e3:.0f} ms, "
        f"first resource of each kind {used * 1e3:.0f} ms"
    )
    if after:
        print(
            f"memory: {before:.0f} MiB before the import, {after:.0f} MiB with all of them compiled and used"
        )


def other(number: int) -> dict[str, Any]:
    """A stranger's profile of a ServiceRequest."""
    elements = [
        {"id": "ServiceRequest", "path": "ServiceRequest", "min": 0, "max": "*"},
        {"id": "ServiceRequest.note", "path": "ServiceRequest.note", "min": 0, "max": str(number + 1)},
    ]
    return {
        "resourceType": "StructureDefinition",
        "url": f"urn:example:StructureDefinition/{number}",
        "name": f"Example{number}",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "ServiceRequest",
        "baseDefinition": f"{canonical.FHIR}/ServiceRequest",
        "derivation": "constraint",
        "snapshot": {"element": elements},
        "differential": {"element": elements},
    }


def growth() -> None:
    """What 500 further profiles cost a resource that claims none of them; what a larger resource costs."""
    told = resources()
    held = Definitions([Package("example", "1", resources=tuple(other(number) for number in range(500)))])
    started = time.perf_counter()
    for number in range(500):
        validate(told["ServiceRequest"], f"urn:example:StructureDefinition/{number}", held)
    took = (time.perf_counter() - started) * 1e3
    print(f"500 further profiles: {took:.0f} ms to compile them and use each once")
    request = told["ServiceRequest"]
    taken = microseconds({"none": lambda: validate(request), "500": lambda: validate(request, None, held)})
    print(f"a ServiceRequest beside them: {taken['500']:.1f} µs, without them {taken['none']:.1f} µs")
    base = {key: value for key, value in told["Task"].items() if key != "output"}
    output = {
        "type": {"coding": [{"system": canonical.TASK_OUTPUT, "code": "x"}], "text": "x"},
        "valueString": "x",
    }
    sizes = {str(size): {**base, "output": [output] * size} for size in (50, 500, 5_000)}
    runs: dict[str, Run] = {size: lambda one=one: validate(one) for size, one in sizes.items()}  # type: ignore[misc]
    for size, each in microseconds(runs).items():
        print(f"a Task with {size:>5} outputs: {each:9.0f} µs, {each / int(size):6.2f} µs an output")


def main() -> None:
    """Print the table, then the start, then what grows."""
    table()
    start()
    growth()


if __name__ == "__main__":
    main()
