"""What each kind of service is really sent, written out by hand: `tests/cases/minimum/`.

Every case begins with the same record, which holds far more than any service needs. The views that are
expected are complete: what is not in them must not be served, what is in them must be.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from consent_world import put

import consent
from consent import Decision
from consent.excerpt import NAME as EXCERPT
from consent.minimum import MinimumSet
from gateway.route import referral_type
from profiles import errors, validate
from profiles.canonical import DISCLOSURE_ITEM
from profiles.document import load

CASES = Path(__file__).parents[1] / "cases" / "minimum"
SCHEMA = {
    "type": "object",
    "required": ["story", "referral-type", "offer", "dossier"],
    "additionalProperties": False,
    "properties": {
        "story": {"type": "string"},
        "referral-type": {"type": "string"},
        "changes": {"type": "object"},
        "offer": {
            "type": "object",
            "required": ["ServiceRequest"],
            "additionalProperties": {"type": "object"},
        },
        "dossier": {"type": "object", "required": ["Patient"], "additionalProperties": {"type": "object"}},
    },
}
POLICY = consent.load_policy()
SETS = {code: one for one in POLICY.minimum.values() for code in one.referral_types}
BASE = load(CASES / "_record.yaml", {}).data
STORIES = {path.stem: load(path, SCHEMA).data for path in sorted(CASES.glob("[!_]*.yaml"))}
PERSON = ("Ana", "Ortiz", "Lu", "555", "lu@", "1990", "female", "Oak Street", "Harbor", "06001")
each_story = pytest.mark.parametrize("story", STORIES)


def record(story: Mapping[str, Any]) -> dict[str, Any]:
    """The case's record, as a mapping would have made it."""
    told = deepcopy(BASE["record"])
    for path, value in story.get("changes", {}).items():
        put(told, path.split("."), deepcopy(value))
    facts = [*told["void"].items(), *told["facts"].items()]
    return {
        "Patient": told["Patient"],
        "ServiceRequest": told["ServiceRequest"],
        "Observation": [
            {
                "resourceType": "Observation",
                "id": f"TRAP-{code}",
                "status": "final",
                "code": {
                    "coding": [{"system": DISCLOSURE_ITEM, "code": code, "display": "TRAP"}],
                    "text": "TRAP",
                },
                "subject": {"reference": "Patient/TRAP", "display": "TRAP"},
                **value,
            }
            for code, value in facts
        ]
        + [one for one in told["other"] if one["resourceType"] == "Observation"],
        "Condition": [one for one in told["other"] if one["resourceType"] == "Condition"],
    }


def served(
    story: Mapping[str, Any], view: str, held: Mapping[str, Any], refused: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """What goes when nothing but the minimum set, and what is refused, holds anything back."""
    present = consent.present(held, POLICY)
    items = SETS[story["referral-type"]].needed(view, present, present - refused) - refused  # type: ignore[arg-type]
    decision = Decision(True, view, "COC", items, {}, (), (), (), (), "permit")  # type: ignore[arg-type]
    ids = {name: name for name in consent.served_names(held, POLICY)}
    made = dict(consent.minimise(held, decision, POLICY, ids).resources)
    if "Patient" in made:
        own = made["Patient"]["identifier"][0]
        assert own["value"].startswith("urn:uuid:")
        own["value"] = "random"
    return made


def expected(resources: Mapping[str, Any]) -> dict[str, Any]:
    """The resources of a case with what is the same on everything."""
    full = {}
    for name, own in resources.items():
        always = deepcopy(BASE["everywhere"][name.partition("/")[0]])
        full[name] = {"id": name} | always | own
    return full


@each_story
def test_before_it_is_accepted_exactly_this_is_served(story: str) -> None:
    case = STORIES[story]
    assert served(case, "offer", record(case)) == expected(case["offer"])


@each_story
def test_once_it_is_accepted_exactly_this_is_served(story: str) -> None:
    case = STORIES[story]
    made = served(case, "dossier", record(case))
    del made[EXCERPT]  # written out in test_minimise
    assert made == expected(case["offer"] | case["dossier"])


@each_story
@pytest.mark.parametrize("view", ["offer", "dossier"])
def test_what_is_served_is_valid_and_holds_no_trap(story: str, view: str) -> None:
    case = STORIES[story]
    made = served(case, view, record(case))
    assert b"TRAP" not in msgspec.json.encode(made)
    for name, resource in made.items():
        # An id is made of letters, digits and hyphens; here it is the name, to be read.
        addressed = resource | {"id": name.replace("/", "-")}
        assert not errors(validate(addressed)), name


@each_story
def test_an_offer_names_nobody_and_tells_what_it_is_for(story: str) -> None:
    case = STORIES[story]
    held = record(case)
    made = served(case, "offer", held)
    assert list(made) == ["ServiceRequest"]
    text = msgspec.json.encode(made).decode()
    assert [word for word in PERSON if word in text] == []
    assert referral_type(made["ServiceRequest"]) == referral_type(held["ServiceRequest"])
    assert referral_type(made["ServiceRequest"]) == case["referral-type"]


@each_story
def test_what_the_service_does_not_need_could_as_well_not_be_in_the_record(story: str) -> None:
    """Two records that differ only in what is not needed make the same bytes."""
    case = STORIES[story]
    held = record(case)
    before = msgspec.json.encode(served(case, "dossier", held))
    needed = SETS[case["referral-type"]].needed("dossier", consent.present(held, POLICY), frozenset())
    poorer = deepcopy(held)
    poorer["Observation"] = [
        one for one in held["Observation"] if one["code"]["coding"][0]["code"] in needed | {"contact-rule"}
    ]
    for element in ("identifier", "gender", "birthDate", "address"):
        if not any(path[0].name == element for item in needed for path in POLICY.items.entries[item].paths):
            poorer["Patient"].pop(element, None)
    assert len(poorer["Observation"]) < len(held["Observation"])
    assert msgspec.json.encode(served(case, "dossier", poorer)) == before


@each_story
def test_refusing_an_item_takes_it_away_and_brings_nothing_out(story: str) -> None:
    case = STORIES[story]
    held = record(case)
    whole = served(case, "dossier", held)
    for item in sorted(consent.present(held, POLICY) - {"need"}):
        left = served(case, "dossier", held, frozenset({item}))
        assert left.keys() <= whole.keys()
        for name, resource in left.items():
            assert resource.keys() <= whole[name].keys() or name == "Patient"
        assert f"Observation/{item}" not in left
        assert len(msgspec.json.encode(left)) <= len(msgspec.json.encode(whole)) + len(MASKED)


# A withheld name leaves a mark behind, so that the Patient stays a valid one.
MASKED = '{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}'


def test_every_set_has_a_story_and_every_item_of_it_is_shown_in_one() -> None:
    assert {id(SETS[case["referral-type"]]) for case in STORIES.values()} == {
        id(one) for one in SETS.values()
    }
    assert {case["referral-type"] for case in STORIES.values()} == SETS.keys()
    for one in SETS.values():
        shown = {item for case in _stories_of(one) for item in _items_shown(case)}
        # Of two that stand in for each other, one story shows one.
        other = {item for entry in one.dossier if entry.unless for item in (entry.item, entry.unless)}
        assert {entry.item for entry in one.entries("dossier")} - other - shown == set(), one.title
        assert not other or other & shown


def _stories_of(one: MinimumSet) -> list[Mapping[str, Any]]:
    return [case for case in STORIES.values() if SETS[case["referral-type"]] is one]


def _items_shown(case: Mapping[str, Any]) -> frozenset[str]:
    """Which items can be read in the views that are written out by hand."""
    resources = expected(case["offer"] | case["dossier"])
    facts = [one for name, one in resources.items() if name.startswith("Observation/")]
    return consent.present({**resources, "Observation": facts}, POLICY)
