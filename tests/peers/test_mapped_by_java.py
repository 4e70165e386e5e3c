"""What every shipped mapping makes of every one of its cases, asked of the HAPI validator (Java) too."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agreement import Verdict, side_by_side
from mutants import Mutant

from mappings import Record, load, shipped
from mappings.bundle import linked
from mappings.readers.source import Source

pytestmark = pytest.mark.slow

CASES = Path(__file__).parents[1] / "cases" / "mapping"
# R4 binds HealthcareService.communication to the common languages as preferred: no code outside is wrong.
PREFERRED = "is not in valueset: http://hl7.org/fhir/ValueSet/languages"
SYSTEMS = sorted(path.name for path in CASES.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def ask() -> Iterator[Callable[[str, Mutant], Verdict]]:
    with side_by_side() as both:
        yield both


def made(system: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every resource, as it is joined to the others, by the story that it is of."""
    mapping = load(shipped(system))
    for path in sorted(path for path in (CASES / system).iterdir() if path.suffix != ".yaml"):
        with Source.of_path(path) as source:
            for record in mapping.records(source):
                assert isinstance(record, Record), record
                mapped = mapping.map(record)
                for resource in linked(mapping, mapped, "2026-11-21T12:00:00Z").values():
                    yield f"{system}/{path.stem}", json.loads(json.dumps(resource, default=float))


@pytest.mark.parametrize("system", SYSTEMS)
def test_both_take_every_resource(system: str, ask: Callable[[str, Mutant], Verdict]) -> None:
    verdicts = [ask(story, Mutant("none", "", resource)) for story, resource in made(system)]
    assert verdicts
    refused = [
        each
        for each in verdicts
        if each.we_refuse or any(PREFERRED not in reason for reason in each.reasons() if each.they_refuse)
    ]
    assert [
        f"{each.seed} {each.mutant.resource['resourceType']}: {each.reasons()[:3]}" for each in refused
    ] == []
