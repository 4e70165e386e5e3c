"""A hundred thousand resources spoilt at random: each is answered with issues, none crashes, none takes long.

Good resources are changed in one to four places: values of the wrong kind, parts of other resources, repeats,
removals, renamed keys, texts aimed at patterns. A tenth is spoilt as text instead, and read back. Everything
follows from the number of the round, which a failure names. Then every list of every good resource is blown
up to what a node lets in.
"""

import json
import time
from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

import profiles
from profiles import Issue, canonical, validate
from profiles.document import load
from profiles.strict_json import JsonError, read

ROUNDS, EACH = 50, 2_100
SECONDS = 1.0
CANARY = "Zq7Canary"  # no message may repeat it
NODE_LIMIT = 1024 * 1024  # bytes of a body that a node reads, unless it is told otherwise

CASES = Path(__file__).parents[1] / "cases"
PROFILES = {
    "ServiceRequest": canonical.SERVICE_REQUEST,
    "Task": canonical.REFERRAL_TASK,
    "Consent": canonical.CONSENT,
    "Patient": canonical.PATIENT,
}


def seeds() -> Iterator[dict[str, Any]]:
    """The good resources of our cases, alone, in a Bundle, in one another and in Parameters."""
    found = [load(path, {}).data["good"] for path in sorted((CASES / "profiles").glob("*.yaml"))]
    found += load(CASES / "validation" / "known-holes.yaml", {}).data["good"].values()
    found += map(read, (CASES / "validation" / "fidelity.ndjson").read_bytes().splitlines())
    definitions = (Path(profiles.__file__).parent / "definitions").glob("*.json")
    found += (
        read(path.read_bytes()) for path in sorted(definitions, key=lambda path: path.stat().st_size)[:4]
    )
    yield from found
    entries = [{"fullUrl": f"urn:uuid:{n}", "resource": one} for n, one in enumerate(found[:8])]
    yield {"resourceType": "Bundle", "type": "collection", "entry": entries}
    yield {
        "resourceType": "Parameters",
        "parameter": [{"name": "x", "part": [{"name": "y", "resource": found[0]}]}],
    }
    yield {
        "resourceType": "Basic",
        "code": {"text": "x"},
        "contained": [{**found[0], "id": "c"}],
        "subject": {"reference": "#c"},
    }


SEEDS = list(seeds())
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**64, 10**30, 1.5, 1e308, -0.0, float("nan"), float("inf")),
    *(Decimal("1.0"), Decimal("1E+400"), Decimal("NaN")),
    *(Decimal("sNaN"), Decimal("-Infinity"), Decimal("1E-999")),
    *("", " ", CANARY, f" {CANARY}", "\x00", "\ud800"),
    *("\u202e", "x" * 5_000, "1" * 400, "true", "1.0", "null"),
    *("2026", "2026-02-30", "2026-11-20"),
    *("2026-11-20T10:00:00Z", "2026-11-20T10:00:00.5+14:00", "10:00:00", "0000"),
    *("#", "#org", "#c", "#nobody", "urn:uuid:0"),
    *("urn:uuid:1", "Patient/1", "Patient/1/_history/2", "Task/", "/", "//"),
    *("https://example.org/fhir/Patient/1", "http://snomed.info/sct", "http://loinc.org"),
    *("urn:ietf:bcp:47", "|", "a|b|c"),
    *(canonical.CONSENT, canonical.PATIENT + "|0"),
    *(canonical.REFERRAL_TASK, "http://hl7.org/fhir/StructureDefinition/Task"),
    *("<div>", '<div xmlns="http://www.w3.org/1999/xhtml">x</div>', "%", "$this"),
    *("\\", "'", "ServiceRequest", "Resource"),
    *([], {}, [[]], [{}]),
    *([None], {"": ""}, {"extension": []}, {"resourceType": "Patient"}, {"resourceType": 1}),
    {"url": "urn:x", "valueString": CANARY},
    {"extension": [{"url": "urn:x", "valueBoolean": True}]},
    {"reference": "#c", "type": "Patient", "identifier": {"assigner": {"reference": "#c"}}},
    {"coding": [{"system": "http://loinc.org", "code": CANARY}, {}], "text": ""},
    {"start": "2026-12-01", "end": "2026"},
    {"value": Decimal("1.00"), "comparator": "<", "system": "http://unitsofmeasure.org", "code": CANARY},
    {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": {"resourceType": "Patient"}}]},
]  # fmt: skip
KEYS = [
    *("id", "_id", "extension", "_extension"),
    *("modifierExtension", "contained", "resourceType", "meta", "text"),
    *("value", "valueString", "valueCode", "_valueCode"),
    *("valueReference", "coding", "reference", "type", "status"),
    *("_status", "entry", "resource", "fullUrl", "part", "url"),
    *("", CANARY, "a" * 300, "__class__", "\ud800", "$ref"),
]  # fmt: skip


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every (owner, key) inside a resource."""
    found: list[tuple[Any, Any]] = []
    waiting = [node]
    while waiting:
        owner = waiting.pop()
        pairs = owner.items() if isinstance(owner, dict) else enumerate(owner)
        for key, value in pairs:
            found.append((owner, key))
            if isinstance(value, dict | list):
                waiting.append(value)
    return found


def spoil(resource: dict[str, Any], random: Random) -> None:
    """Change one place of `resource`."""
    around = places(resource)
    if not around:
        resource["x"] = random.choice(ODD)
        return
    owner, key = random.choice(around)
    match random.randrange(8):
        case 0:
            del owner[key]
        case 1 | 2:
            owner[key] = deepcopy(random.choice(ODD))
        case 3:
            other, part = random.choice(places(random.choice(SEEDS)))
            owner[key] = deepcopy(other[part])
        case 4:
            owner[key] = [deepcopy(owner[key])] * random.choice([1, 2, 60])
        case 5 if isinstance(owner, dict):
            owner[random.choice(KEYS)] = owner.pop(key)
        case 6 if isinstance(owner, dict):
            owner[random.choice(KEYS)] = deepcopy(random.choice(ODD))
        case 7 if isinstance(owner, dict):
            owner[f"_{key}"] = deepcopy(random.choice([*ODD, [None, None], {"id": "x"}]))
        case _:
            owner[key] = {random.choice(KEYS): deepcopy(owner[key])}


def spoilt_text(resource: dict[str, Any], random: Random) -> Any:
    """`resource` written, changed in some bytes and read back; None where the reader refuses it."""
    body = bytearray(json.dumps(resource, default=str).encode())
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(body))
        match random.randrange(4):
            case 0:
                body[at] = random.randrange(256)
            case 1:
                del body[at : at + random.randint(1, 30)]
            case 2:
                body[at:at] = random.choice(
                    [b"null", b"1e400", b"\\ud800", b'"', b"{}", b"[", b",", b"0.10", b"\\"]
                )
            case 3:
                body[at:at] = body[at : at + random.randint(1, 200)]
        body = body or bytearray(b"{")
    try:
        return read(bytes(body))
    except JsonError as fault:
        assert CANARY not in str(fault)
        return None


def changed(random: Random) -> Any:
    resource = deepcopy(random.choice(SEEDS))
    if random.random() < 0.1:
        return spoilt_text(resource, random)
    for _ in range(random.choice([1, 1, 1, 2, 2, 3, 4])):
        spoil(resource, random)
    return resource


def judged(resource: Any, profile: str | None) -> float:
    """The seconds that the judgement took."""
    started = time.process_time()
    issues = validate(resource, profile)
    taken = time.process_time() - started
    assert isinstance(issues, list)
    assert all(type(issue) is Issue and issue.message and issue.code for issue in issues)
    assert CANARY not in repr(issues)
    return taken


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    """What is compiled once, at the first resource of a type, is not the cost of a resource."""
    for resource in SEEDS:
        validate(resource)
        validate(resource, PROFILES.get(resource["resourceType"], canonical.PATIENT))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(ROUNDS))
def test_whatever_is_spoilt_is_answered_in_time(number: int) -> None:
    for one in range(EACH):
        random = Random(number * EACH + one)
        resource = changed(random)
        name = resource.get("resourceType") if isinstance(resource, dict) else None
        claimed = PROFILES.get(name, canonical.PATIENT) if isinstance(name, str) else canonical.PATIENT
        profile = random.choice([None, claimed])
        try:
            taken = judged(resource, profile)
        except Exception as fault:
            raise AssertionError(f"Random({number * EACH + one}), profile {profile}") from fault
        assert taken < SECONDS, f"Random({number * EACH + one}), profile {profile}: {taken:.1f} s"


def grown(seed: dict[str, Any], place: int) -> bytes | None:
    """The text of `seed` with the list at that place repeated, each item a little other; None for no list."""
    resource = deepcopy(seed)
    owner, key = places(resource)[place]
    items = owner[key]
    if not isinstance(items, list) or not items:
        return None
    copies = NODE_LIMIT // len(json.dumps(items, default=str)) or 1
    owner[key] = [told_apart(item, number) for number in range(copies) for item in items]
    return json.dumps(resource, default=str).encode()


def told_apart(item: Any, number: int) -> Any:
    if not isinstance(item, dict):
        return item
    told = {key: told_apart(value, number) if key == "resource" else value for key, value in item.items()}
    names = told.keys() & {"id", "fullUrl", "url", "reference", "value", "code"}
    return told | {name: f"{told[name]}{number}" for name in names if isinstance(told[name], str)}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_a_list_as_long_as_a_node_lets_in_is_answered_in_time(number: int) -> None:
    texts = [grown(SEEDS[number], place) for place in range(len(places(SEEDS[number])))]
    assert any(texts)
    for text in filter(None, texts):
        resource = read(text)
        for profile in {None, PROFILES.get(resource["resourceType"])}:
            assert judged(resource, profile) < SECONDS, (len(text), profile)


def test_the_rounds_are_a_hundred_thousand_and_differ() -> None:
    assert ROUNDS * EACH >= 100_000
    assert len({repr(changed(Random(number))) for number in range(200)}) > 150
