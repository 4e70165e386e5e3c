"""Resources with one thing changed, most of them for the worse; for one resource always the same ones.

    for mutant in mutants("a name", resource, each=4): mutant.kind, mutant.path, mutant.resource

All changes of a kind are listed, and `each` of them taken with a random generator seeded by the name. A
change may also leave the resource valid: verdicts are compared, not expected.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from changes import CONTENT, FORM, GONE, Change, Path


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed copy, what was done, and where (`Task.input[0].type`)."""

    kind: str
    path: str
    resource: Any


def mutants(name: str, resource: dict[str, Any], each: int) -> Iterator[Mutant]:
    """At most `each` mutants of every kind of content, and half as many of every kind of form."""
    places = list(_places((), resource))
    for kind, changes in (CONTENT | FORM).items():
        possible = list(changes(resource, places))
        most = min(each if kind in CONTENT else each // 2, len(possible))
        chosen = random.Random(f"{name}:{kind}").sample(possible, most)
        for path, value in chosen:
            yield Mutant(kind, _written(resource, path), _changed(resource, path, value))


def _places(path: Path, value: Any) -> Iterator[Change]:
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != "resourceType":
                yield from _places((*path, key), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places((*path, index), inner)


def _changed(resource: Any, path: Path, value: Any) -> Any:
    whole = copy.deepcopy(resource)
    target = whole
    for step in path[:-1]:
        target = target[step]
    if value is GONE:
        del target[path[-1]]
    else:
        target[path[-1]] = copy.deepcopy(value)
    return whole


def _written(resource: dict[str, Any], path: Path) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return str(resource.get("resourceType")) + "".join(steps)
