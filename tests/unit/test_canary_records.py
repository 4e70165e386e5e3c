"""Records with something of their own in every primitive: only what a hand-written table permits comes out.

Twenty records; tests/faults/test_a_thousand_records.py takes a thousand by the same ways.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from canary_records import Canaries, template
from canary_world import Crowd, Search, permitted
from two_worlds import KINDS, Source

from gateway import exchange, receive
from gateway.errors import refuse
from gateway.view import View, view

CROWDS: Mapping[str, range] = {"fhir-r4": range(8), "case-json": range(8, 17), "shelter-csv": range(17, 25)}
SEARCHED = (
    "refusal", "receipt", "log", "file", "write-back", "status", "row of audit", "row of content", "decide",
    "disclosures",
    "explain to the person", "explain to the steward", "explain to the engineer", "offer, what is sent",
    "offer, harbor-food-pantry: GET ServiceRequest", "offer, harbor-food-pantry: GET Patient",
    "dossier, harbor-food-pantry: GET Patient", "dossier, harbor-food-pantry: GET Observation",
    "dossier, harbor-food-pantry: GET DocumentReference", "dossier, harbor-food-pantry: POST other",
    "dossier, harbor-food-pantry: PUT other", "closed, harbor-food-pantry: GET Task",
    "closed, river-street-clinic: GET other", "at the end, harbor-food-pantry: GET other",
)  # fmt: skip


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Source]]:
    made: dict[str, Source] = {}

    def one(kind: str) -> Source:
        if kind not in made:
            made[kind] = Source(tmp_path_factory.mktemp(kind), *KINDS[kind])
        return made[kind]

    yield one
    for each in made.values():
        each.close()


def run(sources: Callable[[str], Source], crowds: Mapping[str, range]) -> Search:
    search = Search()
    for name, numbers in crowds.items():
        Crowd(search, template(name), sources(template(name).source).world()).run(numbers)
    return search


@pytest.fixture(scope="module")
def search(sources: Callable[[str], Source]) -> Search:
    return run(sources, CROWDS)


def test_nothing_comes_out_but_what_is_permitted_where_it_is(search: Search) -> None:
    assert search.leaks == []


@pytest.mark.parametrize("name", CROWDS)
def test_all_that_is_permitted_does_come_out(search: Search, name: str) -> None:
    """The search can find, and the table lists no more than is needed."""
    wanted = permitted(search, template(name), CROWDS[name])
    assert {search.canaries.of[one] for one in wanted - search.seen} == set()


def test_every_way_was_searched(search: Search) -> None:
    assert [one for one in SEARCHED if one not in search.places] == []
    assert search.size > 10_000_000


@pytest.mark.parametrize(
    "coding",
    [
        str.encode,
        lambda word: word.upper().encode(),
        lambda word: base64.b64encode(f"a{word}".encode()),
        lambda word: base64.urlsafe_b64encode(f"ab{word}".encode()),
        lambda word: word.encode().hex().encode(),
        lambda word: word.encode("utf-16"),
        lambda word: word[::-1].encode(),
        lambda word: hashlib.sha256(word.encode()).hexdigest().encode(),
        lambda word: hashlib.md5(word.encode()).hexdigest().encode(),
    ],
)
def test_a_word_is_found_as_it_is_and_coded(coding: Callable[[str], bytes]) -> None:
    canaries = Canaries()
    word = canaries.word(1, "somewhere")
    assert canaries.found_in(b'{"text":"' + coding(word) + b'"}')
    assert not canaries.found_in(b'{"text":"nothing"}')


def test_days_and_telephone_numbers_are_found() -> None:
    canaries = Canaries()
    made = canaries.record(template("case-json"), 1)
    born, phone = made["client"]["birth_date"], made["client"]["phone"]
    assert canaries.found_in(f"born {born}".encode()) == {born}
    digits = "".join(one for one in phone if one.isdigit())
    for spelling in (phone, digits, f"+1{digits}", f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"):
        assert canaries.found_in(f"call {spelling}.".encode()) == {digits}, spelling


def _in_patient(path: str) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        def leaking(node: Any, work: Any, found: Any, task: Any, judged: Any) -> View:
            shown = view(node, work, found, task, judged)
            held = shown.resources
            if "Patient" not in held:
                return shown
            patient = {**held["Patient"], path: judged.resources["Patient"][path]}
            return replace(shown, resources={**held, "Patient": patient})

        patch.setattr(exchange, "view", leaking)

    return plant


def _in_refusals(patch: pytest.MonkeyPatch) -> None:
    mapped = receive.mapped_records

    def records(node: Any, system: str, body: bytes) -> Any:
        return [
            refuse(422, "value", f"cannot be read: {body[-3000:]!r}") if isinstance(one, Exception) else one
            for one in mapped(node, system, body)
        ]

    patch.setattr(receive, "mapped_records", records)


def _in_the_log(patch: pytest.MonkeyPatch) -> None:

    mapped = receive.referral_resources

    def resources(one: Any, held: Any) -> Any:
        made = mapped(one, held)
        logging.getLogger("waymeet.receive").debug("taken: %s", made["Patient"]["name"])
        return made

    patch.setattr(receive, "referral_resources", resources)


@pytest.mark.parametrize(
    ("plant", "place"),
    [
        (_in_patient("birthDate"), "dossier, harbor-food-pantry: GET Patient"),
        (_in_patient("identifier"), "dossier, harbor-food-pantry: GET Patient"),
        (_in_refusals, "refusal"),
        (_in_the_log, "log"),
    ],
    ids=["a birth date", "the agency's own number", "a value in a refusal", "a name in the log"],
)
def test_a_leak_that_is_planted_is_found(
    sources: Callable[[str], Source],
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    place: str,
) -> None:
    plant(monkeypatch)
    found = run(sources, {"case-json": range(1)})
    assert found.leaks
    assert [one for one in found.leaks if not one.startswith(f"{place}: ")] == []


def test_the_templates_say_what_they_permit() -> None:
    for file in sorted((Path(__file__).parents[1] / "cases" / "canaries").glob("*.yaml")):
        made_of = template(file.stem)
        assert {*made_of.offer.values(), *made_of.dossier.values()} <= {*made_of.release, "period"}
