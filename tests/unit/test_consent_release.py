"""Writing a release, finding what one lacks, and when its days begin and end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from consent_world import NAMES, POLICY, org

import consent
from consent.when import first_moment, last_moment
from profiles import canonical, errors, validate

ANSWERS: dict[str, Any] = {
    "patient": ("https://example.org/ids", "42"),
    "source": org("safe-harbor"),
    "recipients": [org("harbor-food-pantry")],
    "purpose": "COC",
    "items": ["alias", "household-size"],
    "start": "2026-06-01",
    "end": "2026-06-19",
    "signed": "paper form, in the locked cabinet",
    "recorded": datetime(2026, 6, 1, 9, tzinfo=UTC),
    "regime": "vawa",
}


def test_a_new_release_is_valid_usable_and_complete_for_every_regime() -> None:
    for signers, minor in ((["patient"], False), (["patient", "guardian"], True)):
        written = consent.new_consent(**ANSWERS, signers=signers)
        assert not errors(validate(written, canonical.CONSENT))
        assert consent.compile_consent(written).usable
        for regime in POLICY.regimes.values():
            assert consent.missing_elements(written, regime, minor=minor) == (), regime.id


def test_what_a_form_of_ones_own_does_not_say_is_not_claimed() -> None:
    written = consent.new_consent(**ANSWERS, statements=["voluntary"], signers=["guardian"])
    assert [one["valueCode"] for one in written["extension"]] == ["voluntary"]
    assert consent.missing_elements(written, POLICY.regimes["vawa"], minor=True) == ("signed-by-patient",)
    assert "extension" not in consent.new_consent(**ANSWERS, statements=[])


def test_no_end_is_said_outright_and_is_enough_only_where_the_law_has_it_so() -> None:
    written = consent.new_consent(**ANSWERS | {"end": None})
    assert not errors(validate(written)) and consent.compile_consent(written).usable
    assert written["provision"]["period"] == {"start": "2026-06-01"}
    program = POLICY.regimes["42-cfr-part-2"]
    assert consent.missing_elements(written, program, kinds=["health-care-provider"], minor=False) == ()
    assert consent.missing_elements(written, program, kinds=["community-organization"], minor=False) == (
        "end",
    )


def test_a_release_can_take_the_place_of_another_and_name_the_day_and_language_of_its_form() -> None:
    written = consent.new_consent(**ANSWERS, replaces="earlier", signed_on="2026-05-30", language="es")
    assert not errors(validate(written, canonical.CONSENT))
    assert consent.compile_consent(written).replaces == {"earlier"}
    assert written["dateTime"] == "2026-05-30"
    assert written["sourceAttachment"]["language"] == "es"


def test_a_new_release_lists_what_was_asked_and_nothing_else() -> None:
    permit = consent.new_consent(**ANSWERS)["provision"]["provision"][0]
    assert [one["coding"][0]["code"] for one in permit["code"]] == ["alias", "household-size"]


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("items", []),
        ("items", ["shoe-size"]),
        ("recipients", []),
        ("recorded", datetime(2026, 6, 1)),  # noqa: DTZ001
        ("statements", ["it is fine"]),
        ("signers", []),
        ("signers", ["neighbour"]),
    ],
)
def test_an_answer_that_cannot_be_in_a_release_is_refused(answer: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"item|recipient|time zone|statement|sign"):
        consent.new_consent(**ANSWERS | {answer: value})


def test_what_is_missing_is_named_in_the_order_of_the_form() -> None:
    written = consent.new_consent(**ANSWERS)
    del written["sourceAttachment"], written["provision"]["period"], written["provision"]["actor"]
    assert consent.missing_elements(written, POLICY.regimes["vawa"], minor=False) == (
        "recipient",
        "end",
        "evidence",
    )
    assert consent.missing_elements(written, POLICY.regimes["hipaa"]) == ("recipient",)


def test_the_last_day_ends_where_the_agency_is() -> None:
    written = consent.new_consent(**ANSWERS)
    here = consent.compile_consent(written, zone=ZoneInfo("America/New_York")).gate
    assert here.ends is not None
    assert here.ends.isoformat() == "2026-06-19T23:59:59.999999-04:00"
    assert not here.ended(datetime(2026, 6, 20, 3, 59, tzinfo=UTC))
    assert here.ended(datetime(2026, 6, 20, 4, 0, tzinfo=UTC))
    assert not here.begun(datetime(2026, 6, 1, 3, 59, tzinfo=UTC))
    assert here.begun(datetime(2026, 6, 1, 4, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026", "2026-01-01T00:00:00+00:00", "2026-12-31T23:59:59.999999+00:00"),
        ("2026-02", "2026-02-01T00:00:00+00:00", "2026-02-28T23:59:59.999999+00:00"),
        ("2024-02-29", "2024-02-29T00:00:00+00:00", "2024-02-29T23:59:59.999999+00:00"),
        ("2026-12-31", "2026-12-31T00:00:00+00:00", "2026-12-31T23:59:59.999999+00:00"),
        ("2026-06-01T10:00:00-04:00", "2026-06-01T10:00:00-04:00", "2026-06-01T10:00:00-04:00"),
    ],
)
def test_what_a_partial_date_covers(text: str, first: str, last: str) -> None:
    assert first_moment(text, UTC).isoformat() == first
    assert last_moment(text, UTC).isoformat() == last


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "2026-13",
        "2026-02-30",
        "2026-06-01T10:00:00",
        "2026-06-01T10:00Z",
        "0000",
        "9999",
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_what_is_no_fhir_date_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        last_moment(text, timezone(timedelta(hours=14)))


def test_the_sentences_name_organizations_and_never_show_an_address() -> None:
    from consent_world import facts

    world = {
        "now": "2026-06-01T12:00:00+00:00",
        "source": {"organization": "safe-harbor", "kinds": ["victim-service-provider"]},
        "recipient": {"organization": "harbor-food-pantry"},
        "purpose": "COC",
        "referral-type": "food-insecurity",
        "state": "draft",
        "items": ["need"],
    }
    given, now = facts(world)
    told = consent.sentences(consent.decide(given, now), NAMES)
    assert told == [
        "No: nothing may be shared.",
        "Harbor Food Pantry is in the directory and active.",
        "No agreement lets Safe Harbor refer to Harbor Food Pantry.",
        "What would change this: An agreement that lets Safe Harbor refer people to Harbor Food Pantry.",
    ]
