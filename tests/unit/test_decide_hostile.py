"""Whatever stands where in a request: an answer or a RequestError, never another fault.

One good request of each case file is damaged at random places. An odd value in a consent releases nothing
that the consent did not release before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from decide_world import request
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.question import RequestError
from consent.request import answer
from profiles.document import parse

CASES = Path(__file__).parent.parent / "cases" / "decide"
GOOD = [
    request(parse(path.read_text("utf-8"), {}, path.name).data["request"])
    for path in sorted(CASES.glob("*.yaml"))
]
ODD: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        10**30,
        "",
        " ",
        "qzx",
        "#",
        "|",
        "urn:x",
        "Patient/",
        "2026-13-45",
        "9999-12-31T23:59:59Z",
    ),
    *(
        "0001-01-01T00:00:00+14:00",
        [],
        {},
        [[]],
        [{}],
        ["qzx"],
        [None],
        {"qzx": 1},
        {"reference": 7},
        {"coding": 7},
    ),
    *({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}]}, {"reference": "#x"}),
    {"start": "2026", "end": 7},
]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every part of a value."""
    if way:
        yield way
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in parts:
        yield from places(part, (*way, step))


WAYS = [list(places(one)) for one in GOOD]


def damaged(which: int, damage: list[tuple[int, int]]) -> dict[str, Any]:
    """A good request with odd values in some places."""
    made = json.loads(json.dumps(GOOD[which]))
    for place, odd in damage:
        *way, last = WAYS[which][place % len(WAYS[which])]
        target = made
        try:
            for step in way:
                target = target[step]
            target[last] = json.loads(json.dumps(ODD[odd]))
        except (KeyError, IndexError, TypeError):
            continue  # an earlier damage has taken the place away
    return made


DAMAGE = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, len(ODD) - 1)), min_size=1, max_size=3)


@given(which=st.integers(0, len(GOOD) - 1), damage=DAMAGE)
@settings(max_examples=300, deadline=None)
def test_a_damaged_request_is_answered_or_refused(which: int, damage: list[tuple[int, int]]) -> None:
    made = damaged(which, damage)
    try:
        told = answer(made)
    except RequestError as fault:
        assert fault.issues and all(issue.expression and issue.message for issue in fault.issues)
        assert "qzx" not in str(fault)
        return
    json.dumps(told)
    assert told["decision"] in ("permit", "deny", "no-consent")
    assert told["released"] == [] or told["decision"] == "permit"
    assert not set(told["released"]) & set(told["withheld"])


# Removing a limit, or naming another, is another consent.
_ANOTHER = ("reference", "period", "class", "code", "system", "data", "purpose", "actor")


@pytest.mark.parametrize("which", range(len(GOOD)))
def test_every_single_odd_value_in_a_consent(which: int) -> None:
    """One odd value in a consent never releases what was not released before."""
    before = set(answer(GOOD[which])["released"])
    ways = [way for way in WAYS[which] if way[0] == "consents" and len(way) > 2]
    for place, way in enumerate(WAYS[which]):
        if way not in ways or way[-1] in _ANOTHER:
            continue
        for odd in range(len(ODD)):
            try:
                told = answer(damaged(which, [(place, odd)]))
            except RequestError:
                continue
            assert set(told["released"]) <= before, (way, ODD[odd])
