"""Facts that a case file has no room for: several agreements, other zones, a remedy that is followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from consent_world import agreement, facts, org, release

import consent
from consent import Agreement, Facts, Party
from consent.actors import Actors
from consent.agreement import Clause
from consent.describe import person
from consent.elements import ADULT
from consent.matter import Matter
from consent.provisions import Query
from profiles.canonical import ACT_REASON, CONSENT_ACTION

INSTANT = timedelta(microseconds=1)
AGREED: Mapping[str, Any] = {
    "parties": ["bay-hospital", "harbor-food-pantry"],
    "period": {"start": "2026-01-01", "end": "2026-12-31"},
    "purposes": ["COC"],
    "referral-type": "food-insecurity",
    "offer": ["need"],
    "dossier": ["given-name", "diet"],
    "consent-required": False,
}
WORLD: Mapping[str, Any] = {
    "now": "2026-06-01T12:00:00+00:00",
    "source": {"organization": "bay-hospital", "kinds": ["covered-entity"]},
    "recipient": {"organization": "harbor-food-pantry", "kinds": ["community-organization"]},
    "purpose": "COC",
    "referral-type": "food-insecurity",
    "state": "accepted",
    "items": ["need", "given-name", "diet"],
    "person": {"minor": False},
    "agreement": AGREED,
    "consents": [],
}
RELEASE: Mapping[str, Any] = {
    "source": "bay-hospital",
    "recipients": ["harbor-food-pantry"],
    "purpose": "COC",
    "items": ["given-name", "diet"],
    "start": "2026-05-20",
    "end": "2026-06-19",
}


def _with(*agreements: Agreement, **changes: Any) -> tuple[Facts, datetime]:
    given, now = facts({**WORLD, **changes})
    return replace(given, agreements=agreements), now


def _clauses(*clauses: tuple[str, Any, set[str]]) -> tuple[Clause, ...]:
    return tuple(
        Clause(number, kind, view, frozenset(items)) for number, (kind, view, items) in enumerate(clauses)
    )


@pytest.mark.parametrize("order", [1, -1])
def test_two_agreements_do_not_allow_together_what_neither_does(order: int) -> None:
    """One lacks the item; the others list it for another purpose, type, time or view."""
    one = agreement({**AGREED, "dossier": ["given-name"]})
    assert one.sharing_model != "aggregate-only"
    others = (
        agreement({**AGREED, "purposes": ["HPAYMT"]}),
        agreement({**AGREED, "period": {"start": "2025-01-01", "end": "2025-12-31"}}),
        agreement({**AGREED, "parties": ["harbor-food-pantry", "bay-hospital"]}),
        replace(agreement(AGREED), status="suspended"),
        replace(agreement(AGREED), signed=False),
        replace(agreement(AGREED), superseded=datetime(2026, 6, 1, tzinfo=UTC)),
        replace(agreement(AGREED), sharing_model="aggregate-only"),
        replace(one, clauses=_clauses(("housing-instability", "dossier", {"diet"}))),
        replace(one, clauses=_clauses(("food-insecurity", "offer", {"need", "diet"}))),
    )
    decision = consent.decide(*_with(*(one, *others)[::order]))
    assert decision.items == {"need", "given-name"}
    assert decision.withheld["diet"] == "agreement"
    widened = consent.decide(*_with(one, agreement(AGREED)))
    assert widened.items == {"need", "given-name", "diet"}


def test_an_agreement_ends_when_a_newer_one_takes_its_place() -> None:
    replaced = replace(agreement(AGREED), superseded=datetime(2026, 7, 1, tzinfo=UTC))
    given, now = _with(replaced)
    decision = consent.decide(given, now)
    assert decision.permit and decision.until == datetime(2026, 7, 1, tzinfo=UTC) - INSTANT
    assert consent.decide(given, datetime(2026, 7, 1, tzinfo=UTC) - INSTANT).permit
    assert consent.decide(given, datetime(2026, 7, 1, tzinfo=UTC)).code == "agreement-superseded"


def test_a_suspended_agreements_wish_for_a_consent_counts() -> None:
    wish = agreement({**AGREED, "consent-required": True})
    lax = agreement(AGREED)
    assert consent.decide(*_with(lax)).permit
    for status in ("active", "suspended"):
        assert consent.decide(*_with(lax, replace(wish, status=status))).code == "consent-missing"
    for status in ("draft", "terminated"):
        assert consent.decide(*_with(lax, replace(wish, status=status))).permit
    gone = replace(wish, superseded=datetime(2026, 6, 1, tzinfo=UTC))
    assert consent.decide(*_with(lax, gone)).permit


def _directory(**what: Any) -> Callable[[Facts], Facts]:
    return lambda given: replace(given, recipient=replace(given.recipient, **what))


def _consents(*written: Mapping[str, Any]) -> Callable[[Facts], Facts]:
    compiled = tuple(consent.compile_consent(release(one)) for one in written)
    return lambda given: replace(given, consents=compiled)


VSP = {"source": {"organization": "bay-hospital", "kinds": ["victim-service-provider"]}}
REMEDIES: list[tuple[str, dict[str, Any], Callable[[Facts], Facts], str]] = [
    ("recipient-unknown", {"recipient.known": False}, _directory(known=True), "entered in the directory"),
    (
        "recipient-key",
        {"recipient.key-matches": False},
        _directory(key_matches=True),
        "use its registered key",
    ),
    (
        "agreement-missing",
        {"agreement": None},
        lambda one: replace(one, agreements=(agreement(AGREED),)),
        "An agreement that lets",
    ),
    (
        "agreement-unsigned",
        {"agreement": {**AGREED, "signed": False}},
        lambda one: replace(one, agreements=(agreement(AGREED),)),
        "Signatures under agreement food v1",
    ),
    (
        "agreement-purpose",
        {"agreement": {**AGREED, "purposes": ["HPAYMT"]}},
        lambda one: replace(one, agreements=(agreement(AGREED),)),
        "An agreement in force that covers this purpose",
    ),
    (
        "law-purpose",
        {"purpose": "HRESCH", "agreement": {**AGREED, "purposes": ["HRESCH", "COC"]}},
        lambda one: replace(one, purpose="COC"),
        "Another purpose",
    ),
    ("consent-missing", VSP, _consents(RELEASE), "A release signed by the person that names"),
    (
        "consent-revoked",
        {**VSP, "consents": [{**RELEASE, "fhir": {"status": "inactive"}}]},
        _consents(RELEASE),
        "A release signed by the person",
    ),
    (
        "consent-recipient",
        {**VSP, "consents": [{**RELEASE, "recipients": ["hope-kitchen"]}]},
        _consents(RELEASE),
        "A release signed by the person",
    ),
    (
        "consent-insufficient",
        {**VSP, "consents": [{**RELEASE, "fhir": {"sourceAttachment": None}}]},
        _consents(RELEASE),
        "A release that also says how and where",
    ),
    (
        "consent-unusable",
        {"consents": [{**RELEASE, "fhir": {"implicitRules": "urn:x"}}]},
        _consents({**RELEASE, "fhir": {"implicitRules": "urn:x", "status": "inactive"}}),
        "or make it inactive",
    ),
]


@pytest.mark.parametrize(("code", "change", "follow", "says"), REMEDIES, ids=[one[0] for one in REMEDIES])
def test_following_a_remedy_changes_the_answer(
    code: str, change: dict[str, Any], follow: Callable[[Facts], Facts], says: str
) -> None:
    world: dict[str, Any] = {
        name: dict(one) if isinstance(one, Mapping) else one for name, one in WORLD.items()
    }
    for name, value in change.items():
        part, _, what = name.partition(".")
        if what:
            world[part][what] = value
        else:
            world[part] = value
    given, now = facts(world)
    decision = consent.decide(given, now)
    assert decision.code == code
    assert any(says in one for one in decision.remedies), decision.remedies
    after = consent.decide(follow(given), now)
    assert after.permit, after.reasons


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", "2026-11-01", 25),
        ("America/New_York", "2026-03-08", 23),
        ("America/Havana", "2026-03-08", 23),  # the clock goes from midnight to one
        ("America/Havana", "2026-11-01", 25),
        ("Pacific/Kiritimati", "2026-06-01", 24),
    ],
)
def test_a_last_day_is_whole_where_the_clock_changes(zone: str, day: str, hours: int) -> None:
    there = ZoneInfo(zone)
    compiled = consent.compile_consent(release({**RELEASE, "start": day, "end": day}), zone=there)
    first, last = compiled.gate.starts, compiled.gate.ends
    assert first is not None and last is not None
    assert last.astimezone(UTC) - first.astimezone(UTC) == timedelta(hours=hours) - INSTANT
    matter = Matter.of_items(["diet"])

    def permits(moment: datetime) -> bool:
        query = Query(frozenset(), frozenset({org("harbor-food-pantry")}), (ACT_REASON, "COC"), moment)
        return bool(matter.named(compiled.says(matter, query).permitted))

    assert permits(first) and permits(last)
    assert not permits(first - INSTANT) and not permits(last.astimezone(UTC) + INSTANT)


def test_a_refusal_given_to_another_agency_counts() -> None:
    elsewhere = {**RELEASE, "source": "hope-shelter"}
    given, now = facts({**WORLD, "consents": [elsewhere]})
    assert consent.decide(given, now).permit
    refusal = {**elsewhere, "fhir": {"provision.type": "permit", "provision.provision.0.type": "deny"}}
    given, now = facts({**WORLD, "consents": [refusal]})
    decision = consent.decide(given, now)
    assert decision.items <= {"need"} and decision.withheld["diet"] == "consent-denied"


def test_a_source_may_not_refer_with_another_key_or_without_being_known() -> None:
    given, now = facts(WORLD)
    for what in ({"known": False}, {"active": False}, {"key_matches": False}, {"suspended": True}):
        party: Party = replace(given.source, **what)  # type: ignore[arg-type]
        assert consent.decide(replace(given, source=party), now).code == "source-not-active"


def test_a_provision_about_something_else_than_reading_neither_permits_nor_refuses() -> None:
    collect = [{"coding": [{"system": CONSENT_ACTION, "code": "collect"}]}]
    for kind in ("permit", "deny"):
        written = release({**RELEASE, "fhir": {"provision": {"type": kind, "action": collect}}})
        compiled = consent.compile_consent(written)
        assert compiled.usable
        given, now = facts(WORLD)
        query = Query(frozenset(), frozenset({given.recipient.organization}), (ACT_REASON, "COC"), now)
        said = compiled.says(given.record, query)
        assert not said.permitted and not said.denied


@pytest.mark.parametrize("widely", [frozenset(), frozenset({"Organization/hospital"})])
def test_one_consent_never_both_permits_and_refuses_a_thing(widely: frozenset[str]) -> None:
    matter = Matter.of_items(["diet", "given-name"])
    diet = release({**RELEASE, "items": ["diet"]})["provision"]["provision"][0]
    named = [
        {**release(RELEASE)["provision"]["actor"][0], "reference": {"reference": "Organization/hospital"}}
    ]
    refusal = {"type": "deny", "code": diet["code"], **({"actor": named} if widely else {})}
    within = [refusal, {"type": "permit", "code": diet["code"]}]
    written = release({**RELEASE, "fhir": {"provision": {"type": "permit", "provision": within}}})
    compiled = consent.compile_consent(written, actors=Actors(literal=True))
    assert compiled.usable
    asking = frozenset({org("harbor-food-pantry")})
    query = Query(frozenset(), asking, (ACT_REASON, "COC"), datetime(2026, 6, 1, tzinfo=UTC), asking | widely)
    said = compiled.says(matter, query)
    assert matter.named(said.denied) == {"diet"}
    assert matter.named(said.permitted) == {"given-name"}


@pytest.mark.parametrize(
    ("born", "status", "minor"),
    [
        ("2009-01-01", "active", True),
        ("2008-06-01", "active", False),
        ("2008-06-02", "active", True),
        ("2008-05", "active", False),
        ("2008", "draft", None),  # a year alone leaves it open
        ("2008", "active", False),
        ("2008", "inactive", None),  # what was taken back says nothing
        ("", "active", False),
        ("", "entered-in-error", None),
    ],
)
def test_of_age_by_the_record_and_else_by_what_the_person_has_signed(
    born: str, status: str, minor: bool | None
) -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    compiled = consent.compile_consent(release({**RELEASE, "fhir": {"status": status}}))
    signed = replace(compiled, contains=compiled.contains | {ADULT})
    held = {"Patient": {"birthDate": born} if born else {}}
    assert person(held, [signed], now).minor is minor
