"""Our verdict beside the Java validator's on every seed and mutant, and what the differences come from.

python tests/peers/agreement.py    prints the table of docs/reference/validation.md
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from changes import CONTENT, FORM
from java_validator import OURS, SDOH_CC, US_CORE, start
from mutants import Mutant, mutants
from seeds import seeds
from stand_ins import stand_ins

from profiles import packages, validate
from profiles.outcome import Issue, errors
from profiles.registry import Definitions, Package

EACH = 4  # mutants of a kind from one seed
CLASSES = Path(__file__).with_name("validator_disagreements.yaml")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What both said of one resource."""

    seed: str
    mutant: Mutant
    ours: list[Issue]
    theirs: dict[str, Any]

    @property
    def we_refuse(self) -> bool:
        return bool(errors(self.ours))

    @property
    def they_refuse(self) -> bool:
        """An exception on their side is a refusal: the resource cannot be taken."""
        return not self.theirs.get("valid", False)

    @property
    def agreed(self) -> bool:
        return self.we_refuse == self.they_refuse

    def reasons(self) -> list[str]:
        """Each error of the one that refuses where they differ: `code location message`."""
        if self.we_refuse:
            return [f"{issue.code} {issue.expression} {issue.message}" for issue in errors(self.ours)]
        if "error" in self.theirs:
            return [f"exception {self.theirs['error']}"]
        return [f"{m['id']} {m['location']} {m['message']}" for m in refusals(self.theirs)]


@dataclass(frozen=True, slots=True)
class Class:
    """A kind of difference: who refuses, for what reason (a pattern), and a resource that shows it."""

    id: str
    refuses: str
    pattern: re.Pattern[str]
    example: dict[str, Any]


def refusals(theirs: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of the Java validator that make a resource invalid."""
    return [message for message in theirs.get("messages", []) if message["severity"] in ("error", "fatal")]


def classes() -> list[Class]:
    told = yaml.safe_load(CLASSES.read_text("utf-8"))
    return [Class(each["id"], each["refuses"], re.compile(each["says"]), each["example"]) for each in told]


def classify(verdict: Verdict, known: Iterable[Class]) -> set[str] | None:
    """The classes that explain a difference: one for each reason given. None when a reason is in none."""
    side = "we" if verdict.we_refuse else "they"
    found = set()
    for reason in verdict.reasons():
        fitting = [each.id for each in known if each.refuses == side and each.pattern.search(reason)]
        if not fitting:
            return None
        found.add(fitting[0])
    return found


@contextmanager
def side_by_side() -> Iterator[Callable[[str, Mutant], Verdict]]:
    """Asks both, who hold the same definitions."""
    folders = [folder for folder in (SDOH_CC, US_CORE) if folder.is_dir()]
    needed = Package("stand-ins", "0", resources=tuple(stand_ins()))
    held = Definitions([*map(packages.read, folders), needed])
    with start([OURS, *folders], stand_ins()) as java:

        def ask(seed: str, mutant: Mutant) -> Verdict:
            theirs = java.validate(json.dumps(mutant.resource))
            return Verdict(seed, mutant, validate(mutant.resource, held=held), theirs)

        yield ask


def verdicts(ask: Callable[[str, Mutant], Verdict]) -> Iterator[Verdict]:
    """Of every seed, as it is and changed. Takes a minute or two."""
    for name, resource in seeds():
        for mutant in (Mutant("none", "", resource), *mutants(name, resource, EACH)):
            yield ask(name, mutant)


def table(found: list[Verdict]) -> Iterator[str]:
    """Agreement by kind of change, as Markdown."""
    total = Counter(each.mutant.kind for each in found)
    agreed = Counter(each.mutant.kind for each in found if each.agreed)
    invalid = Counter(each.mutant.kind for each in found if each.they_refuse)
    yield "| change | resources | invalid for the Java validator | same verdict | |"
    yield "|---|---:|---:|---:|---:|"
    for kind in ("none", *CONTENT, *FORM):
        count = total[kind]
        yield f"| {kind} | {count} | {invalid[kind]} | {agreed[kind]} | {agreed[kind] / count:.1%} |"
    count, same = total.total(), agreed.total()
    yield f"| **all** | **{count}** | **{invalid.total()}** | **{same}** | **{same / count:.2%}** |"


if __name__ == "__main__":
    with side_by_side() as both:
        every = list(verdicts(both))
    print("\n".join(table(every)))
    listed = classes()
    seen = Counter(each for v in every if not v.agreed for each in (classify(v, listed) or {"not listed"}))
    print("\n".join(f"{count:5} {name}" for name, count in seen.most_common()))
