"""A signed directory of 100,000 participants: what it costs to sign, to read, to keep and to look up.

    python bench/directory.py [participants]

Beside each stands a floor of the same run: the same bytes through `json.loads` into a dict, which verifies
nothing. What is read is read in a process of its own, so that memory is its own too. Seconds are of
processor time, so that a busy machine does not count; only signing, which waits for the disk, is timed by
the clock. Quote the ratios; absolute figures drift with the machine.
"""

from __future__ import annotations

import base64
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc.jwk import ECKey

from gateway import exclusion
from gateway.signing import keys
from gateway.trust.directory import Directory
from gateway.trust.directory_form import EcKey
from gateway.trust.directory_jws import signed, verified
from gateway.trust.directory_rules import thumbprint
from gateway.trust.directory_signing import publish

ISSUER = "https://directory.example.org"
ROUNDS = 3
NOW = datetime.now(UTC).replace(microsecond=0)


def main(participants: int) -> None:
    """Sign once a round, then read in a process of its own, ours and the floor's in turn."""
    entries = [entry(number) for number in range(participants)]
    anchor = keys.generate()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "directory"
        (Path(made) / "anchor.json").write_text(json.dumps(keys.public_jwk(anchor)))
        took = []
        for number in range(1, ROUNDS + 1):
            target = folder if number == ROUNDS else Path(made) / f"round-{number}"
            begun = time.perf_counter()
            publish(target, ISSUER, entries, anchor, sequence=number, now=NOW)
            took.append(time.perf_counter() - begun)
        size = sum(path.stat().st_size for path in (folder / "shards").iterdir())
        shards = len(list((folder / "shards").iterdir()))
        print(f"{participants:,} participants, {size / 1e6:.0f} MB in {shards} shards; medians of {ROUNDS}")
        changed = Path(made) / "changed"
        changed.mkdir()
        rounds = []
        for _ in range(ROUNDS):
            ours, floor = (in_a_process(way, folder, changed, participants) for way in ("ours", "floor"))
            rounds.append((ours, floor))
        report(statistics.median(took), rounds, one_signature(anchor), participants)


def report(
    sign_took: float, rounds: Sequence[tuple[dict[str, float], dict[str, float]]], each: float, count: int
) -> None:
    """Print one line a figure."""

    def of(name: str, who: int) -> float:
        return statistics.median(one[who][name] for one in rounds)

    def line(what: str, figure: str, beside: str = "") -> None:
        print(f"  {what:<34} {figure:>10}   {beside}".rstrip())

    read, floor = of("read", 0), of("read", 1)
    line("sign: check, shard, write durably", f"{sign_took:.2f} s")
    line("read: verify and check everything", f"{read:.2f} s", f"{read / floor:.2f} x json.loads into a dict")
    line("  a signature for each entry would", f"{each * count:.0f} s", "only to verify them")
    changed = of("changed", 0)
    line("read again, one shard changed", f"{changed * 1e3:.0f} ms", f"{changed / read:.3f} x all of it")
    line("read again, nothing changed", f"{of('same', 0) * 1e3:.0f} ms")
    line("look up, the first time", f"{of('first', 0) * 1e6:.1f} us")
    again, look = of("again", 0), of("again", 1)
    line("look up, again", f"{again * 1e6:.2f} us", f"{again / look:.1f} x a dict's")
    line("find where somebody works, by name", f"{of('person', 0):.2f} s", "a pass through all contacts")
    line("memory", f"{of('memory', 0):.0f} MB", f"{of('memory', 0) / of('memory', 1):.2f} x that of the dict")
    line("  at most, while reading", f"{of('peak', 0):.0f} MB", f"the dict: {of('peak', 1):.0f} MB")
    line("  after every entry was looked up", f"{of('full', 0):.0f} MB")


def in_a_process(way: str, folder: Path, changed: Path, participants: int) -> dict[str, float]:
    """What a fresh process measures, reading in one of the two ways."""
    command = [sys.executable, __file__, way, str(folder), str(changed), str(participants)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def ours(folder: Path, changed: Path, participants: int) -> dict[str, float]:
    """Our directory: seconds and MB."""
    anchors = [ECKey.import_key(json.loads((folder.parent / "anchor.json").read_text()))]
    before = resident()
    read, found = timed(lambda: Directory.read(folder, anchors, NOW))
    held = resident() - before
    peak = peak_memory() - before
    names = [f"{ISSUER}/Organization/agency-{number}" for number in range(participants)]
    same = seconds(lambda: Directory.read(folder, anchors, NOW, known=found))
    first = seconds(lambda: [found.entry(name) for name in names]) / participants
    again = seconds(lambda: [found.entry(name) for name in names[-1000:]]) / 1000
    full = resident() - before
    node: Any = SimpleNamespace(directory=found)
    person = seconds(lambda: exclusion.people(node, ["Duty Manager's husband", "+1-555-0000007"]))
    key = keys.generate()
    later = [json.loads(text) for text in found.texts().values()]
    later[0][0]["name"] = "Another Name"
    publish(changed, ISSUER, [one for shard in later for one in shard], key, sequence=9, now=NOW)
    del later
    own = [ECKey.import_key(keys.public_jwk(key))]
    one = seconds(lambda: Directory.read(changed, own, NOW, known=found))
    return {
        "read": read,
        "memory": held,
        "peak": peak,
        "same": same,
        "first": first,
        "again": again,
        "full": full,
        "person": person,
        "changed": one,
    }


def floor(folder: Path, participants: int) -> dict[str, float]:
    """The same bytes into a dict, nothing verified."""

    def load() -> dict[str, Any]:
        texts = (path.read_bytes() for path in (folder / "shards").iterdir())
        return {one["organization"]: one for text in texts for one in json.loads(text)}

    before = resident()
    read, found = timed(load)
    names = [f"{ISSUER}/Organization/agency-{number}" for number in range(participants)]
    held, peak = resident() - before, peak_memory() - before
    for _ in range(2):  # the first time the names are hashed, in both
        again = seconds(lambda: [found.get(name) for name in names[-1000:]]) / 1000
    return {"read": read, "memory": held, "peak": peak, "again": again}


def one_signature(anchor: ECKey) -> float:
    """Seconds that one ES384 verification takes."""
    text = signed(b'{"organization":"https://directory.example.org"}', "floor", anchor, "floor").encode()
    public = [ECKey.import_key(keys.public_jwk(anchor))]
    return seconds(lambda: [verified(text, "floor", public, "floor", "") for _ in range(200)]) / 200


def entry(number: int) -> dict[str, Any]:
    """A participant of its own, with one key and one service."""
    point = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()
    x, y = (base64.urlsafe_b64encode(part.to_bytes(48, "big")).decode() for part in (point.x, point.y))
    kid = thumbprint(EcKey("P-384", x, y, "ES384", "", "sig"))
    return {
        "organization": f"{ISSUER}/Organization/agency-{number}",
        "name": f"Agency {number}",
        "address": f"https://agency-{number}.example.org",
        "jwks": {
            "keys": [{"kty": "EC", "crv": "P-384", "x": x, "y": y, "kid": kid, "alg": "ES384", "use": "sig"}]
        },
        "purposes": ["COC"],
        "services": [
            {"referral_type": "food-insecurity", "area": f"County {number % 3000}", "languages": ["en", "es"]}
        ],
        "contacts": {
            "primary": {"name": "Intake desk", "telecom": f"tel:+1-555-{number:07}"},
            "backup": {"name": "Duty manager", "telecom": f"mailto:duty@agency-{number}.example.org"},
        },
        "status": "active",
    }


def seconds(work: Callable[[], object]) -> float:
    """How much of the processor's time it takes once."""
    return timed(work)[0]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """How much of the processor's time it takes once, and what came of it."""
    begun = time.process_time()
    found = work()
    return time.process_time() - begun, found


def resident() -> float:
    """The memory of this process in MB."""
    return _status("VmRSS")


def peak_memory() -> float:
    """The most that it was so far, in MB."""
    return _status("VmHWM")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["ours", folder, changed, count]:
            print(json.dumps(ours(Path(folder), Path(changed), int(count))))
        case ["floor", folder, _, count]:
            print(json.dumps(floor(Path(folder), int(count))))
        case rest:
            main(int(rest[0]) if rest else 100_000)
