"""Two worlds that differ only in what is withheld cannot be told apart by any way out that a partner has.

One node in process, called as partners call it: every address, every search, every way to be refused, every
message that it sends. The cases are in tests/cases/non-interference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from non_interference import (
    Fields,
    amended_world,
    differences,
    existence_world,
    field_world,
    fields,
    of_phase,
    read,
    shared,
    source_world,
    together,
)
from planted_leaks import LEAKS, Leak
from sample_records import HOSPITAL_PATIENTS, SHELTER_CLIENTS, hospital_message, shelter_row
from two_worlds import KINDS, PANTRY, Source, World

FIELDS = {one.name: one for one in fields()}
EXISTENCE = read("existence")
SOURCES = read("sources")

NEED = "Z59.41^Food insecurity^I10C"
ITEMS = ["need", "priority", "period", "area", "language", "alias", "household-size", "diet", "contact-rule"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Source]]:
    """The node of each kind of agency, made when it is first asked for."""
    made: dict[str, Source] = {}

    def one(kind: str) -> Source:
        if kind not in made:
            made[kind] = Source(tmp_path_factory.mktemp(kind), *KINDS[kind])
        return made[kind]

    yield one
    for each in made.values():
        each.close()


@pytest.fixture(scope="module")
def first(source: Callable[[str], Source]) -> Callable[[Fields], World]:
    """The world of each record as it stands in its file."""
    made: dict[str, World] = {}

    def one(case: Fields) -> World:
        if case.name not in made:
            made[case.name] = field_world(source(case.source), case, {})
        return made[case.name]

    return one


@pytest.fixture(scope="module")
def nobody(source: Callable[[str], Source]) -> Callable[[str, tuple[str, ...]], World]:
    """The worlds in which nothing has happened, by the kind of agency and who looks."""
    made: dict[object, World] = {}

    def one(kind: str, who: tuple[str, ...]) -> World:
        if (kind, who) not in made:
            made[kind, who] = existence_world(source(kind), EXISTENCE["record"], [], [], list(who))
        return made[kind, who]

    return one


def each_change(which: str) -> list[object]:
    return [
        pytest.param(case, path, value, id=f"{name}-{path}-{number}")
        for name, case in FIELDS.items()
        for path, values in getattr(case, which).items()
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize("number", [0, -1], ids=["changed", "changed otherwise or absent"])
@pytest.mark.parametrize("case", FIELDS.values(), ids=FIELDS)
def test_all_that_is_withheld_changes_no_byte(
    source: Callable[[str], Source], first: Callable[[Fields], World], case: Fields, number: int
) -> None:
    other = field_world(source(case.source), case, together(case, number))
    assert differences(first(case).seen, other.seen)[:3] == []
    assert shared(first(case), other) == set()


@pytest.mark.slow
@pytest.mark.parametrize(("case", "path", "value"), each_change("withheld"))
def test_a_withheld_field_changes_no_byte(
    source: Callable[[str], Source], first: Callable[[Fields], World], case: Fields, path: str, value: object
) -> None:
    reference = first(case)
    other = field_world(source(case.source), case, {path: value})
    assert differences(reference.seen, other.seen)[:3] == []
    assert shared(reference, other) == set()


@pytest.mark.parametrize(("case", "path", "value"), each_change("permitted"))
def test_a_permitted_field_shows(
    source: Callable[[str], Source], first: Callable[[Fields], World], case: Fields, path: str, value: object
) -> None:
    other = field_world(source(case.source), case, {path: value})
    assert differences(first(case).seen, other.seen) != []


@pytest.mark.parametrize("case", FIELDS.values(), ids=FIELDS)
def test_the_whole_road_was_taken(first: Callable[[Fields], World], case: Fields) -> None:
    """The comparison is about something: offers, a dossier, Procedures, notifications, refusals."""
    seen = first(case).seen
    everything = "\n".join(one.text for one in seen)
    kinds = ("Patient", "ServiceRequest", "DocumentReference", "Task", "Bundle", "OperationOutcome")
    expected = [case.sees, '"valueCode":"event-notification"', '"total":2', "location: ", "handshake"]
    expected += [f'"resourceType":"{kind}"' for kind in kinds]
    assert [one for one in expected if one not in everything] == []
    statuses = {one.text[:3] for one in seen}
    assert {"200", "201", "304", "405", "412", "422", "428", "POS"} <= statuses


@pytest.mark.parametrize("case", EXISTENCE["cases"], ids=lambda case: case["name"])
def test_somebody_who_may_not_be_seen_is_nobody(
    source: Callable[[str], Source], nobody: Callable[[str, tuple[str, ...]], World], case: Mapping[str, Any]
) -> None:
    there = existence_world(
        source(case["source"]), EXISTENCE["record"], EXISTENCE["release"], case["happens"], case["who"]
    )
    not_there = nobody(case["source"], tuple(case["who"]))
    assert len(there.seen) > 100 * len(case["who"])
    assert differences(there.seen, not_there.seen)[:3] == []
    assert shared(there, not_there) == set()


@pytest.fixture(scope="module")
def referred(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], World]]:
    """By kind of agency and end: the world in which one of that kind, under a neutral name, refers her."""
    nodes: dict[str, Source] = {}
    made: dict[object, World] = {}

    def one(kind: str, end: str) -> World:
        if kind not in nodes:
            nodes[kind] = Source(tmp_path_factory.mktemp("kind"), kind, "the-agency", "maple-street-office")
        if (kind, end) not in made:
            row, person = shelter_row(**SOURCES["record"]), {"system": SHELTER_CLIENTS, "value": "C-0417"}
            made[kind, end] = source_world(nodes[kind], row, "shelter-csv", person, SOURCES["release"], end)
        return made[kind, end]

    yield one
    for node in nodes.values():
        node.close()


PHASES = ("front door", "offer", "dossier", "closed", "withdrawn")


@pytest.mark.parametrize("end", ["closed", "withdrawn"])
@pytest.mark.parametrize("kind", SOURCES["differs"])
def test_what_kind_of_agency_refers_shows_only_where_a_law_wants_it(
    referred: Callable[[str, str], World], kind: str, end: str
) -> None:
    one, like = referred(kind, end), referred(SOURCES["like"], end)
    listed = SOURCES["differs"][kind]
    different = {phase for phase in PHASES if differences(of_phase(one, phase), of_phase(like, phase))}
    assert different == {phase for phase in listed if of_phase(like, phase)}
    assert shared(one, like) == set()


def test_an_alias_and_an_own_name_differ_at_the_front_door_alone(
    source: Callable[[str], Source], referred: Callable[[str, str], World]
) -> None:
    """A hospital under its own name with an HL7 v2 message, a shelter under an alias with its row."""
    message = hospital_message(
        patient="C-0417", nickname="Luz^", size="||3||", diet="no pork", recipient=PANTRY, need=NEED
    ).replace(b"20261116|20261216|20261116", b"||")
    row = shelter_row(
        **SOURCES["record"], diet="no pork", safe_contact_rule="text only", urgency="within two days"
    )
    hospital, shelter = (
        source_world(source(kind), record, system, {"system": of, "value": "C-0417"}, ITEMS, "closed")
        for kind, record, system, of in (
            ("hospital", message, "hl7v2-referral", HOSPITAL_PATIENTS),
            ("shelter", row, "shelter-csv", SHELTER_CLIENTS),
        )
    )
    different = {
        phase for phase in PHASES if differences(of_phase(hospital, phase), of_phase(shelter, phase))
    }
    assert different == {*SOURCES["own-name"], "closed"}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_leak_that_is_planted_is_caught(
    leak: Leak, source: Callable[[str], Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The suite can see what it is there to see: with each of these in the code a comparison fails."""
    leak.plant(monkeypatch)
    match leak.between:
        case "fields":
            case = FIELDS["fields-shelter-csv"]
            one, other, again = (
                field_world(source(case.source), case, changes)
                for changes in ({}, leak.change, {"city": "Derby"})
            )
            found = bool(differences(one.seen, other.seen)) or bool(shared(one, again))
        case "existence":
            one, other = (
                existence_world(
                    source("shelter"),
                    EXISTENCE["record"],
                    EXISTENCE["release"],
                    steps,
                    ["pantry", "stranger"],
                )
                for steps in (["hand-in"], [])
            )
            found = bool(differences(one.seen, other.seen))
        case "kinds":
            row, person = shelter_row(**SOURCES["record"]), {"system": SHELTER_CLIENTS, "value": "C-0417"}
            one, other = (
                source_world(source(kind), row, "shelter-csv", person, SOURCES["release"], "closed")
                for kind in ("hospital", "shelter")
            )
            found = bool(differences(of_phase(one, leak.phase), of_phase(other, leak.phase)))
    assert found


AMENDED = FIELDS["fields-fhir-r4"]


@pytest.mark.parametrize("path", ["Patient.name.0.family", "Observation:diet", "ServiceRequest.note"])
def test_an_amendment_of_what_is_withheld_is_not_noticed(source: Callable[[str], Source], path: str) -> None:
    """No new version, no new time, no notice: the recipient's Task is as it was."""
    amended, not_amended = (
        amended_world(source("hospital"), AMENDED, changes)
        for changes in ({path: AMENDED.withheld[path][-1]}, None)
    )
    assert differences(amended.seen, not_amended.seen)[:3] == []


def test_an_amendment_of_what_is_permitted_is_noticed(source: Callable[[str], Source]) -> None:
    amended, not_amended = (
        amended_world(source("hospital"), AMENDED, changes)
        for changes in ({"ServiceRequest.priority": "routine"}, None)
    )
    notices = [one.text for one in amended.seen if "event-notification" in one.text]
    assert len(notices) > len([one for one in not_amended.seen if "event-notification" in one.text])
    assert differences(amended.seen, not_amended.seen) != []
