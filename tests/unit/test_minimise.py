"""Minimising builds what a decision lets through, and nothing else can get into it."""

from __future__ import annotations

from base64 import b64decode
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from consent_world import POLICY
from hypothesis import given
from hypothesis import strategies as st

import consent
from consent import Decision, Obligation
from profiles import canonical, errors, validate

ITEM = canonical.DISCLOSURE_ITEM
GRAVITY = canonical.SDOHCC_CODES

RECORD: dict[str, Any] = {
    "Patient": {
        "resourceType": "Patient",
        "id": "CANARY-id",
        "text": {"status": "generated", "div": "<div>CANARY-narrative</div>"},
        "identifier": [
            {"system": "https://example.org/mrn", "value": "CANARY-mrn", "assigner": {"display": "CANARY"}}
        ],
        "name": [
            {
                "use": "official",
                "text": "CANARY-name",
                "family": "CANARY-family",
                "given": ["Ana", "CANARY-second"],
            },
            {"use": "old", "family": "CANARY-maiden", "given": ["CANARY-old"]},
            {"use": "nickname", "given": ["Lu", "CANARY-more"], "family": "CANARY-nick"},
        ],
        "telecom": [
            {
                "system": "phone",
                "value": "+1-555-0100",
                "use": "home",
                "extension": [{"valueString": "CANARY"}],
            },
            {"system": "email", "value": "CANARY@example.org"},
        ],
        "gender": "female",
        "birthDate": "1990-01-02",
        "address": [{"line": ["CANARY-street"], "city": "CANARY-city", "text": "CANARY-address"}],
        "contact": [{"name": {"text": "CANARY-contact"}}],
        "contained": [{"resourceType": "Patient", "id": "CANARY-contained"}],
        "extension": [{"url": "https://example.org/race", "valueString": "CANARY-race"}],
        "CANARY-element": "CANARY-unexpected",
    },
    "ServiceRequest": {
        "resourceType": "ServiceRequest",
        "id": "CANARY-sr",
        "status": "active",
        "intent": "order",
        "category": [
            {"coding": [{"system": canonical.SNOMED, "code": "410606002", "display": "CANARY-display"}]},
            {"coding": [{"system": GRAVITY, "code": "food-insecurity"}], "text": "CANARY-text"},
        ],
        "code": {"coding": [{"system": canonical.SNOMED, "code": "710925007"}], "text": "CANARY-code"},
        "priority": "urgent",
        "subject": {"reference": "Patient/CANARY", "display": "CANARY-subject"},
        "requester": {"reference": "CANARY-requester", "display": "CANARY"},
        "occurrencePeriod": {"start": "2026-06-01", "extension": [{"valueString": "CANARY"}]},
        "locationCode": [{"text": "Tolland County", "extension": [{"url": "x", "valueString": "CANARY"}]}],
        "extension": [
            {"url": canonical.PREFERRED_LANGUAGE, "valueCode": "es", "id": "CANARY"},
            {"url": canonical.ELIGIBILITY, "valueCodeableConcept": {"text": "household below 185% FPL"}},
            {"url": "https://example.org/CANARY", "valueString": "CANARY-extension"},
        ],
        "note": [{"text": "CANARY-note", "authorString": "CANARY-author"}],
        "reasonCode": [{"text": "CANARY-reason"}],
        "supportingInfo": [{"reference": "Consent/CANARY", "display": "CANARY"}],
        "identifier": [{"value": "CANARY-order"}],
    },
    "Observation": [
        {
            "resourceType": "Observation",
            "id": "CANARY-obs",
            "status": "final",
            "code": {
                "coding": [{"system": ITEM, "code": "household-size", "display": "CANARY"}],
                "text": "CANARY",
            },
            "subject": {"reference": "Patient/CANARY"},
            "performer": [{"display": "CANARY-performer"}],
            "effectiveDateTime": "2026-05-CANARY",
            "valueInteger": 4,
            "note": [{"text": "CANARY-note"}],
            "component": [{"valueString": "CANARY-component"}],
        },
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": ITEM, "code": "diet"}]},
            "valueCodeableConcept": {"text": "no pork", "coding": [{"display": "CANARY"}]},
        },
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "55758-7"}]},
            "valueString": "CANARY-other-observation",
        },
    ],
    "Condition": {"code": {"text": "CANARY-condition"}},
}
OFFER = frozenset({"need", "priority", "period", "area", "language", "eligibility"})
PERSON = frozenset({"given-name", "household-size", "diet"})
NAMES = consent.served_names(RECORD, POLICY)
IDS = {name: f"00000000-0000-4000-8000-{number:012d}" for number, name in enumerate(NAMES)}
MARKS = [
    {"system": canonical.CONFIDENTIALITY, "code": "R"},
    {"system": canonical.ACT_CODE, "code": "NORDSCLCD"},
    {"system": canonical.OBSERVATION_VALUE, "code": "SUBSETTED"},
]


def decision(view: str = "dossier", items: frozenset[str] = OFFER | PERSON, permit: bool = True) -> Decision:
    return Decision(
        permit=permit,
        view=view,  # type: ignore[arg-type]
        purpose="COC",
        items=items,
        withheld={},
        obligations=(Obligation("no-redisclosure", "…", "…"), Obligation("use-for-purpose", "…", "…")),
        reasons=(),
        basis=(),
        remedies=(),
        code="permit" if permit else "consent-missing",
        until=datetime(2026, 6, 19, 23, 59, 59, tzinfo=UTC),
    )


def bytes_of(value: Any) -> bytes:
    return msgspec.json.encode(value)


def test_the_offer_is_the_request_alone_written_out_by_hand() -> None:
    made = consent.minimise(RECORD, decision("offer", OFFER), POLICY, IDS)
    assert made.resources == {
        "ServiceRequest": {
            "resourceType": "ServiceRequest",
            "id": IDS["ServiceRequest"],
            "meta": {"profile": [canonical.OFFER_SERVICE_REQUEST], "security": MARKS},
            "status": "active",
            "intent": "order",
            "subject": {"reference": f"Patient/{IDS['Patient']}"},
            "category": [
                {"coding": [{"system": canonical.SNOMED, "code": "410606002"}]},
                {"coding": [{"system": GRAVITY, "code": "food-insecurity"}]},
            ],
            "code": {"coding": [{"system": canonical.SNOMED, "code": "710925007"}]},
            "priority": "urgent",
            "occurrencePeriod": {"start": "2026-06-01"},
            "locationCode": [{"text": "Tolland County"}],
            "extension": [
                {"url": canonical.PREFERRED_LANGUAGE, "valueCode": "es"},
                {"url": canonical.ELIGIBILITY, "valueCodeableConcept": {"text": "household below 185% FPL"}},
            ],
        }
    }


def test_the_dossier_written_out_by_hand() -> None:
    made = consent.minimise(RECORD, decision(), POLICY, IDS).resources
    assert list(made) == [
        "ServiceRequest",
        "Patient",
        "Observation/household-size",
        "Observation/diet",
        "DocumentReference/release-excerpt",
    ]
    own = made["Patient"]["identifier"][0]["value"]
    assert own.startswith("urn:uuid:")
    assert made["Patient"] == {
        "resourceType": "Patient",
        "id": IDS["Patient"],
        "meta": {"profile": [canonical.PATIENT], "security": MARKS},
        "name": [{"use": "usual", "given": ["Ana"]}],
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": own}],
        "gender": "unknown",
    }
    assert made["Observation/household-size"] == {
        "resourceType": "Observation",
        "id": IDS["Observation/household-size"],
        "meta": {"security": MARKS},
        "status": "final",
        "code": {
            "coding": [
                {"system": ITEM, "code": "household-size"},
                {"system": canonical.LOINC, "code": "63512-8"},
            ]
        },
        "subject": {"reference": f"Patient/{IDS['Patient']}"},
        "valueInteger": 4,
    }
    assert made["Observation/diet"]["valueCodeableConcept"] == {"text": "no pork"}


def test_the_release_excerpt_says_purpose_end_and_duties_and_nothing_else() -> None:
    made = consent.minimise(RECORD, decision(), POLICY, IDS).resources["DocumentReference/release-excerpt"]
    assert b64decode(made["content"][0]["attachment"]["data"]).decode() == (
        "Purpose: coordination of the person's care.\n"
        "Until: 2026-06-19.\n"
        "Use this information only for the purpose named here.\n"
        "Do not pass this information on to anyone else without the person's written permission.\n"
    )


def test_a_victim_service_providers_notices_are_everyones_in_the_same_words() -> None:
    worded = {
        tuple(sorted((rule.notice, rule.says) for rule in POLICY.regimes[name].notices))
        for name in ("vawa", "hipaa", "community-organization")
    }
    assert len(worded) == 1


def test_who_asked_for_a_duty_does_not_show_in_the_excerpt() -> None:
    one = replace(decision(), obligations=decision().obligations[::-1])
    cited = replace(
        one,
        obligations=tuple(replace(duty, text="VAWA", citation="34 USC 12291") for duty in one.obligations),
    )
    assert bytes_of(consent.minimise(RECORD, cited, POLICY, IDS).resources) == bytes_of(
        consent.minimise(RECORD, decision(), POLICY, IDS).resources
    )


def test_the_request_is_the_same_bytes_in_offer_and_dossier() -> None:
    offer = consent.minimise(RECORD, decision("offer", OFFER), POLICY, IDS).resources
    dossier = consent.minimise(RECORD, decision(), POLICY, IDS).resources
    assert bytes_of(offer["ServiceRequest"]) == bytes_of(dossier["ServiceRequest"])


@pytest.mark.parametrize("made_for", [decision(permit=False), decision("task", frozenset())])
def test_a_deny_and_a_closed_referral_serve_nothing(made_for: Decision) -> None:
    assert consent.minimise(RECORD, made_for, POLICY, IDS).resources == {}


def test_a_withheld_name_is_marked_so_that_the_patient_stays_valid() -> None:
    made = consent.minimise(RECORD, decision(items=OFFER), POLICY, IDS).resources["Patient"]
    masked = {"url": canonical.DATA_ABSENT_REASON, "valueCode": "masked"}
    assert made["name"] == [{"extension": [masked]}]


@given(st.sets(st.sampled_from(sorted(POLICY.items.entries))))
def test_whatever_is_permitted_what_is_built_is_valid(extra: set[str]) -> None:
    permitted = frozenset(extra & POLICY.items.present(RECORD)) | {"need"}
    made = consent.minimise(RECORD, decision(items=permitted), POLICY, IDS).resources
    for resource in made.values():
        assert not errors(validate(resource)), resource["resourceType"]


def test_no_value_of_the_record_is_among_the_withheld_paths() -> None:
    withheld = consent.minimise(RECORD, decision(), POLICY, IDS).withheld
    assert "Patient.birthDate" in withheld
    assert "Patient.(other)" in withheld
    assert "CANARY" not in repr(withheld)
    assert "1990" not in repr(withheld)


def test_every_served_name_needs_an_id_of_its_own() -> None:
    assert NAMES == (
        "ServiceRequest",
        "Patient",
        "Observation/household-size",
        "Observation/diet",
        "DocumentReference/release-excerpt",
    )
    with pytest.raises(KeyError):
        consent.minimise(RECORD, decision(), POLICY, {"ServiceRequest": "a"})


def test_an_item_that_may_go_and_that_the_record_lacks_makes_no_fact() -> None:
    made = consent.minimise(RECORD, decision(items=OFFER | PERSON | {"contact-rule"}), POLICY, IDS).resources
    assert "Observation/contact-rule" not in made


def test_a_code_goes_only_in_a_code_system_of_everybodys() -> None:
    """The address of an agency's own code list would name the agency."""
    own = {"system": "https://CANARY-shelter.example.org/codes", "code": "CANARY"}
    record = deepcopy(RECORD)
    request = record["ServiceRequest"]
    for concept in (*request["category"], request["code"], *request["locationCode"]):
        concept.setdefault("coding", []).insert(0, own)
    request["category"].append({"coding": [{"system": canonical.SNOMED, "code": "CANARY"}]})
    request["extension"][1]["valueCodeableConcept"]["coding"] = [own]
    record["Observation"][1]["valueCodeableConcept"]["coding"] = [own]
    for view, items in (("offer", OFFER), ("dossier", OFFER | PERSON)):
        made = consent.minimise(record, decision(view, items), POLICY, IDS).resources
        assert bytes_of(made) == bytes_of(
            consent.minimise(RECORD, decision(view, items), POLICY, IDS).resources
        )


PROGRAM = {"line": ["PO Box 150470"], "city": "Hartford", "state": "CT", "postalCode": "06115"}


@pytest.mark.parametrize("own", [RECORD["Patient"]["address"], [], [{"use": "home", "city": "CANARY"}] * 3])
def test_a_substitute_is_served_in_place_of_whatever_the_record_has(own: list[Any]) -> None:
    record = deepcopy(RECORD)
    record["Patient"]["address"] = own
    given = {"address": {**PROGRAM, "text": "CANARY", "period": {"start": "2026"}}}
    instead = replace(decision(items=OFFER | PERSON | {"address", "phone"}), substitutes=given)
    made = consent.minimise(record, instead, POLICY, IDS)
    patient = made.resources["Patient"]
    assert patient["address"] == [PROGRAM]
    assert patient["telecom"] == [{"system": "phone", "value": "+1-555-0100"}]
    assert b"CANARY" not in bytes_of(made.resources)
    assert any(path.startswith("Patient.address") for path in made.withheld) == any(
        "city" in one for one in own
    )
    assert not any(path.startswith("Patient.telecom[system=phone") for path in made.withheld)


def test_a_substitute_that_says_nothing_leaves_nothing_and_never_the_records_own() -> None:
    for empty in ({}, {"x": "y"}):
        given = {"address": empty, "diet": empty}
        instead = replace(decision(items=OFFER | PERSON | {"address"}), substitutes=given)
        made = consent.minimise(RECORD, instead, POLICY, IDS).resources
        assert "address" not in made["Patient"]
        assert "Observation/diet" not in made


def test_a_fact_too_can_have_a_substitute_and_only_if_it_may_go() -> None:
    given = {
        "diet": {"valueCodeableConcept": {"text": "ask"}, "note": [{"text": "CANARY"}]},
        "phone": {"value": "0"},
    }
    instead = replace(decision(), substitutes=given)
    made = consent.minimise(RECORD, instead, POLICY, IDS).resources
    assert made["Observation/diet"]["valueCodeableConcept"] == {"text": "ask"}
    assert "telecom" not in made["Patient"]
    assert b"CANARY" not in bytes_of(made)


def test_what_was_theirs_once_does_not_go() -> None:
    """Whoever answers an old number, or lives at an old address, may be whom they fled from."""
    record = deepcopy(RECORD)
    person = record["Patient"]
    for list_name in ("telecom", "address"):
        person[list_name] = [one | {"use": "old"} for one in person[list_name]]
    held = consent.present(record, POLICY)
    assert {"phone", "email", "address"}.isdisjoint(held)
    assert {"phone", "email", "address"} <= consent.present(RECORD, POLICY)


def test_an_observation_with_a_modifier_states_nothing() -> None:
    record = deepcopy(RECORD)
    record["Observation"][0]["modifierExtension"] = [{"url": "https://example.org/not", "valueBoolean": True}]
    assert "household-size" not in consent.present(record, POLICY)


def test_an_observation_entered_in_error_states_nothing() -> None:
    record = deepcopy(RECORD)
    record["Observation"][0]["status"] = "entered-in-error"
    assert "household-size" not in consent.present(record, POLICY)


def test_no_canary_of_the_record_is_in_any_view() -> None:
    for view, items in (("offer", OFFER), ("dossier", OFFER | PERSON)):
        made = consent.minimise(RECORD, decision(view, items), POLICY, IDS)
        assert b"CANARY" not in bytes_of(made.resources)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to every plain value in a record."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [leaf for number, inner in enumerate(value) for leaf in _leaves(inner, (*path, number))]
    return [path]


def _at(record: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        record = record[step]
    return record


def _with(record: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = deepcopy(record)
    _at(changed, path[:-1])[path[-1]] = value
    return changed


# The values that a dossier of OFFER | PERSON rests on, by hand: changing any other value must change nothing.
SHOWN = {
    ("Patient", "name", 0, "given", 0),
    ("ServiceRequest", "category", 1, "coding", 0, "code"),
    ("ServiceRequest", "code", "coding", 0, "code"),
    ("ServiceRequest", "priority"),
    ("ServiceRequest", "occurrencePeriod", "start"),
    ("ServiceRequest", "locationCode", 0, "text"),
    ("ServiceRequest", "extension", 0, "valueCode"),
    ("ServiceRequest", "extension", 1, "valueCodeableConcept", "text"),
    ("Observation", 0, "valueInteger"),
    ("Observation", 1, "valueCodeableConcept", "text"),
}
# What says which entry a value belongs to: changing it can make the value disappear, never show another.
CHOOSING = {
    ("Patient", "name", 0, "use"),
    ("ServiceRequest", "category", 0, "coding", 0, "system"),
    ("ServiceRequest", "category", 0, "coding", 0, "code"),
    ("ServiceRequest", "category", 1, "coding", 0, "system"),
    ("ServiceRequest", "code", "coding", 0, "system"),
    ("ServiceRequest", "extension", 0, "url"),
    ("ServiceRequest", "extension", 1, "url"),
    ("Observation", 0, "status"),
    ("Observation", 1, "status"),
    *(("Observation", number, "code", "coding", 0, key) for number in (0, 1) for key in ("system", "code")),
}
HIDDEN = [path for path in _leaves(RECORD) if path not in SHOWN | CHOOSING]


@pytest.mark.parametrize("path", HIDDEN, ids=lambda path: ".".join(map(str, path)))
def test_worlds_that_differ_in_one_withheld_value_give_the_same_bytes(path: tuple[Any, ...]) -> None:
    before = bytes_of(consent.minimise(RECORD, decision(), POLICY, IDS).resources)
    for value in ("OTHER", "", None, 7, {"text": "OTHER"}, ["OTHER"]):
        other = consent.minimise(_with(RECORD, path, value), decision(), POLICY, IDS)
        assert bytes_of(other.resources) == before
        assert "OTHER" not in repr(other.withheld)


@pytest.mark.parametrize("path", sorted(SHOWN, key=str), ids=lambda path: ".".join(map(str, path)))
def test_every_value_listed_as_shown_is_shown(path: tuple[Any, ...]) -> None:
    value = 99 if path[-1] == "valueInteger" else "OTHER"
    made = consent.minimise(_with(RECORD, path, value), decision(), POLICY, IDS).resources
    assert (b"99" if value == 99 else b"OTHER") in bytes_of(made)


junk = st.recursive(
    st.sampled_from(["CANARY", 7, True, None, 2.5]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["CANARY", "extension", "text", "display", "coding", "reference", "use", "url"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(HIDDEN), junk, st.dictionaries(st.text(min_size=1, max_size=12), junk, max_size=3))
def test_junk_in_withheld_places_neither_shows_nor_changes_anything(
    path: tuple[Any, ...], value: Any, unexpected: dict[str, Any]
) -> None:
    before = bytes_of(consent.minimise(RECORD, decision(), POLICY, IDS).resources)
    record = _with(RECORD, path, value)
    known = POLICY.items.elements("Patient") | POLICY.items.elements("ServiceRequest")
    for name in ("Patient", "ServiceRequest"):
        record[name] |= {key: inner for key, inner in unexpected.items() if key not in known}
    made = consent.minimise(record, decision(), POLICY, IDS)
    assert bytes_of(made.resources) == before
    assert "CANARY" not in repr(made.withheld)


@given(st.dictionaries(st.sampled_from(["Patient", "ServiceRequest", "Observation"]), junk))
def test_a_record_of_any_shape_is_minimised_without_an_error(record: dict[str, Any]) -> None:
    held = consent.present(record, POLICY)
    ids = {name: name for name in (*NAMES, *consent.served_names(record, POLICY))}
    consent.minimise(record, decision(items=held), POLICY, ids)
