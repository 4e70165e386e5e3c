"""The HAPI FHIR validator (Java) as a process beside us: one request, one answer.

Needs Java 17 and Maven; the jars are installed once, as hapi/pom.xml says. Nothing is asked over a network.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "hapi"
JARS = HERE / "target" / "lib"
OURS = Path(__file__).parents[2] / "profiles" / "definitions"
REFERENCES = Path(__file__).parents[3] / "shared" / "refs"
SDOH_CC = REFERENCES / "sdoh-clinicalcare-3.0.0" / "definitions"
US_CORE = REFERENCES / "us-core-7.0.0"


@dataclass(frozen=True, slots=True)
class JavaValidator:
    """A running validator. Its first answers are slow: it makes snapshots and caches on the way."""

    process: subprocess.Popen[str]

    def validate(self, text: str) -> dict[str, Any]:
        """{"valid", "us", "messages": [{severity, location, id, message}]} of a resource's JSON text."""
        return self._ask({"op": "validate", "resource": text})

    def bench(self, text: str, iterations: int) -> float:
        """The median time of one validation in microseconds, once warm."""
        return float(self._ask({"op": "bench", "resource": text, "iterations": iterations})["median_us"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@contextmanager
def start(folders: Iterable[Path], more: Iterable[dict[str, Any]] = ()) -> Iterator[JavaValidator]:
    """The validator, holding R4, the definitions in the JSON files of `folders`, and `more`."""
    install()
    with tempfile.TemporaryDirectory() as made:
        for number, definition in enumerate(more):
            (Path(made) / f"{number:04}.json").write_text(json.dumps(definition), encoding="utf-8")
        command = ["java", "-cp", f"{JARS}/*", str(HERE / "Validate.java"), *map(str, folders), made]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        try:
            yield JavaValidator(process)
        finally:
            process.kill()
            process.communicate()


def install() -> None:
    """Puts the jars into hapi/target when they are not there or hapi/pom.xml is newer."""
    pom = HERE / "pom.xml"
    if JARS.is_dir() and JARS.stat().st_mtime >= pom.stat().st_mtime:
        return
    shutil.rmtree(JARS, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-C", "dependency:copy-dependencies"]
    subprocess.run(command, cwd=HERE, check=True, timeout=600)
