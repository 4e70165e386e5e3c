"""What must never happen, whatever the facts: hypothesis looks for the facts that would make it happen."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from consent_world import POLICY, agreement, org, properties, release
from hypothesis import given
from hypothesis import strategies as st

import consent
from consent import Facts, Matter, Party, Person
from consent.matter import RESOURCE_TYPES
from consent.sensitivity import settled
from profiles.canonical import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    CONSENT_LOCATION,
    DISCLOSURE_ITEM,
    PARTICIPATION_TYPE,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ITEMS = sorted(POLICY.items.entries)
ORGANIZATIONS = [org("bay-hospital"), org("harbor-food-pantry"), org("north-pantry")]
PURPOSES = ["TREAT", "COC", "HPAYMT", "ETREAT"]
LABELS = [
    *((CONFIDENTIALITY, code) for code in "NRV"),
    *((ACT_CODE, code) for code in ("HIV", "SDV", "SUD", "ETHUD", "PSY", "LOCIS", "42CFRPart2")),
]
DAYS = ["2026-01-01", "2026-05-31", "2026-06-01", "2026-06-02", "2026-12-31"]
KINDS = ["covered-entity", "victim-service-provider", "community-organization", "school"]
STATES = ["draft", "requested", "accepted", "in-progress", "on-hold", "completed", "cancelled", "ready", ""]

AGREEMENT = agreement(
    {
        "parties": ["bay-hospital", "harbor-food-pantry"],
        "period": {"start": "2026-01-01", "end": "2026-12-31"},
        "purposes": ["TREAT"],
        "referral-type": "food-insecurity",
        "offer": ["need", "priority", "period", "area", "language", "eligibility"],
        "dossier": [code for code, item in POLICY.items.entries.items() if item.group == "person"],
        "consent-required": False,
    }
)


def _coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _provision(children: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"type": st.sampled_from(["permit", "deny"])},
        optional={
            "period": st.sampled_from(
                [{"start": DAYS[0]}, {"end": DAYS[1]}, {"end": DAYS[2]}, {"start": DAYS[3]}]
            ),
            "purpose": st.lists(
                st.sampled_from(PURPOSES).map(lambda code: {"system": ACT_REASON, "code": code}),
                min_size=1,
                max_size=2,
            ),
            "actor": st.lists(
                st.sampled_from(ORGANIZATIONS).map(
                    lambda url: {"role": _coded(PARTICIPATION_TYPE, "IRCP"), "reference": {"reference": url}}
                ),
                min_size=1,
                max_size=2,
            ),
            "code": st.lists(
                st.sampled_from(ITEMS).map(lambda code: _coded(DISCLOSURE_ITEM, code))
                | st.just(_coded("http://loinc.org", "63512-8")),
                min_size=1,
                max_size=3,
            ),
            "class": st.lists(
                st.sampled_from(["Patient", "Observation", "ServiceRequest"]).map(
                    lambda code: {"system": RESOURCE_TYPES, "code": code}
                ),
                min_size=1,
                max_size=2,
            ),
            "securityLabel": st.lists(
                st.sampled_from(LABELS).map(lambda label: {"system": label[0], "code": label[1]}),
                min_size=1,
                max_size=2,
            ),
            "dataPeriod": st.sampled_from([{"start": DAYS[0]}, {"end": DAYS[1]}, {"start": DAYS[3]}]),
            "data": st.sampled_from(["instance", "related", "dependents", "authoredby"]).map(
                lambda meaning: [{"meaning": meaning, "reference": {"reference": "Observation/1"}}]
            ),
            "extension": st.just(
                [{"url": CONSENT_LOCATION, "valueReference": {"reference": "Location/here"}}]
            ),
            "provision": st.lists(children, min_size=1, max_size=3),
        },
    )


provisions = st.recursive(_provision(st.nothing()), _provision, max_leaves=6)
statuses = st.sampled_from(["active", "active", "active", "inactive", "draft", "entered-in-error"])
BASE = release(
    {
        "source": "bay-hospital",
        "recipients": ["harbor-food-pantry"],
        "purpose": "COC",
        "items": ["alias"],
        "start": "2026-01-01",
        "end": "2026-12-31",
    }
)


@st.composite
def consents(draw: st.DrawFn, usable: bool = False) -> dict[str, Any]:
    """A Consent: of good form, or (unless it must be usable) with one element out of order."""
    made = {**deepcopy(BASE), "status": draw(statuses), "provision": draw(provisions)}
    made["id"] = draw(st.sampled_from("abcdef"))
    if draw(st.booleans()):
        del made["organization"]
    if draw(st.booleans()):
        del made["sourceAttachment"]
    if not usable and draw(st.booleans()):
        made[draw(st.sampled_from(sorted(made)))] = draw(anything)
    return made


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@st.composite
def records(draw: st.DrawFn) -> Matter:
    """What a record holds: some items, some of which carry labels of their own."""
    items = draw(st.lists(st.sampled_from([*ITEMS, "need", "need", "shoe-size"]), max_size=12, unique=True))
    labels = {
        item: settled([(CONFIDENTIALITY, "R"), *draw(st.lists(st.sampled_from(LABELS), max_size=2))])
        for item in items
        if draw(st.booleans())
    }
    return Matter.of_items(items, labels)


@st.composite
def all_facts(draw: st.DrawFn, usable: bool = False) -> Facts:
    """Facts of every kind, most of them near those that would permit."""
    flag = st.sampled_from([True, True, True, True, True, True, True, False])
    return Facts(
        source=Party(ORGANIZATIONS[0], frozenset(draw(st.lists(st.sampled_from(KINDS), max_size=2)))),
        recipient=Party(
            draw(st.sampled_from(ORGANIZATIONS[1:])),
            known=draw(flag),
            active=draw(flag),
            suspended=not draw(flag),
            key_matches=draw(flag),
            purposes=draw(st.sampled_from([None, None, frozenset(PURPOSES), frozenset(PURPOSES[:1])])),
        ),
        purpose=draw(st.sampled_from([*PURPOSES, "NONSENSE", ""])),
        referral_type=draw(st.sampled_from(["food-insecurity", "food-insecurity", "homelessness"])),
        state=draw(st.sampled_from(STATES)),
        record=draw(records()),
        person=Person(draw(st.sampled_from([True, False, None]))),
        agreements=tuple(
            replace(AGREEMENT, consent_required=draw(st.booleans())) for _ in range(draw(st.integers(0, 2)))
        ),
        consents=tuple(
            consent.compile_consent(one) for one in draw(st.lists(consents(usable=usable), max_size=3))
        ),
        policy=POLICY,
    )


def in_force(**changed: Any) -> Facts:
    """Facts that permit a dossier, but for the consents; some of them changed."""
    facts = Facts(
        source=Party(ORGANIZATIONS[0], frozenset({"covered-entity"})),
        recipient=Party(ORGANIZATIONS[1]),
        purpose="COC",
        referral_type="food-insecurity",
        state="accepted",
        record=Matter.of_items(ITEMS),
        agreements=(AGREEMENT,),
        consents=(),
        policy=POLICY,
    )
    return replace(facts, **changed)


usable_consents = st.lists(consents(usable=True).map(consent.compile_consent), max_size=3).map(tuple)


@properties
@given(all_facts())
def test_deciding_never_raises_and_a_deny_carries_nothing(facts: Facts) -> None:
    decision = consent.decide(facts, NOW)
    assert decision.items <= facts.items
    assert decision.items.isdisjoint(decision.withheld)
    assert decision.items | decision.withheld.keys() == facts.items
    assert decision.permit or not decision.items
    assert consent.sentences(decision, {})


@properties
@given(anything | st.dictionaries(st.text(max_size=8), anything))
def test_compiling_never_raises_and_nonsense_is_never_usable(written: Any) -> None:
    assert not consent.compile_consent(written).usable


@properties
@given(consents(usable=True))
def test_an_issue_never_repeats_a_value(written: dict[str, Any]) -> None:
    written["provision"] = {**written["provision"], "CANARY": "CANARY", "period": {"start": "CANARY"}}
    written["scope"] = "CANARY"
    compiled = consent.compile_consent(written)
    assert compiled.issues
    assert "CANARY" not in repr(compiled.issues)


@properties
@given(all_facts())
def test_without_a_consent_where_one_is_required_nothing_is_shown(facts: Facts) -> None:
    facts = replace(facts, consents=(), agreements=(replace(AGREEMENT, consent_required=True),))
    decision = consent.decide(facts, NOW)
    assert not decision.permit or (decision.view == "task" and not decision.items)


@properties
@given(all_facts(usable=True))
def test_a_victim_service_provider_shows_only_what_a_full_release_covers(facts: Facts) -> None:
    facts = replace(facts, source=Party(ORGANIZATIONS[0], frozenset({"victim-service-provider"})))
    decision = consent.decide(facts, NOW)
    if decision.permit:
        wanted = {"discloser", "recipient", "items", "purpose", "end", "evidence"}
        full = [
            one
            for one in facts.consents
            if one.usable
            and one.status == "active"
            and wanted <= one.contains
            and one.gate.actors != frozenset()
        ]
        assert full
        assert decision.until is not None
        assert decision.until >= NOW


@properties
@given(usable_consents, st.lists(st.sampled_from(ITEMS), min_size=1, max_size=4))
def test_adding_a_deny_never_shows_more(held: Any, refused: list[str]) -> None:
    refusal = deepcopy(BASE)
    refusal["provision"] = {"type": "deny", "code": [_coded(DISCLOSURE_ITEM, code) for code in refused]}
    for required in (True, False):
        facts = in_force(consents=held, agreements=(replace(AGREEMENT, consent_required=required),))
        before = consent.decide(facts, NOW)
        after = consent.decide(replace(facts, consents=(*held, consent.compile_consent(refusal))), NOW)
        assert after.items <= before.items
        assert after.items.isdisjoint(refused)


def _provisions_in(provision: dict[str, Any]) -> list[dict[str, Any]]:
    return [provision, *(one for inner in provision.get("provision", []) for one in _provisions_in(inner))]


@properties
@given(consents(usable=True), st.data())
def test_adding_a_deny_anywhere_inside_a_consent_never_shows_more(written: Any, data: st.DataObject) -> None:
    more = deepcopy(written)
    place = data.draw(st.sampled_from(_provisions_in(more["provision"])))
    place["provision"] = [
        *place.get("provision", []),
        {"type": "deny", "code": [_coded(DISCLOSURE_ITEM, "alias")]},
    ]
    _never_more(written, more)


def _narrowed(permit: dict[str, Any], what: str) -> None:
    """Make one permit narrower in one respect."""
    if what == "period":
        permit["period"] = {**permit.get("period", {}), "end": "2026-01-02"}
        permit["period"].pop("start", None)
    elif what == "purpose":
        listed = permit.get("purpose", [])
        permit["purpose"] = listed[1:] or [{"system": ACT_REASON, "code": "ETREAT"}]
    elif what == "actor":
        listed = permit.get("actor", [])
        permit["actor"] = listed[1:] or [
            {"role": _coded(PARTICIPATION_TYPE, "IRCP"), "reference": {"reference": org("nobody-here")}}
        ]
    elif what == "label":
        permit["securityLabel"] = [{"system": CONFIDENTIALITY, "code": "U"}]
    else:
        permit["dataPeriod"] = {"start": "2030-01-01"}


@properties
@given(
    consents(usable=True),
    st.sampled_from(["period", "purpose", "actor", "label", "data"]),
    st.data(),
)
def test_narrowing_a_permit_never_shows_more(written: Any, what: str, data: st.DataObject) -> None:
    """A shorter period, one purpose or one of several actors fewer, lower labels, later data."""
    less = deepcopy(written)
    permits = [
        one for one in _provisions_in(less["provision"]) if one["type"] == "permit" and "provision" not in one
    ]
    if permits:
        _narrowed(data.draw(st.sampled_from(permits)), what)
        before, after = consent.compile_consent(written), consent.compile_consent(less)
        # Saying a purpose or an end where none was said can complete a form that a law found wanting.
        if after.contains <= before.contains:
            _never_more(written, less)


UNKNOWN = {
    "purpose": [{"system": ACT_REASON, "code": "WHATEVER"}],
    "actor": [{"role": _coded(PARTICIPATION_TYPE, "IRCP"), "reference": {"reference": "Group/unknown"}}],
    "action": [_coded("http://terminology.hl7.org/CodeSystem/consentaction", "sell")],
    "code": [_coded(DISCLOSURE_ITEM, "shoe-size")],
    "class": [{"code": "Observation"}],
    "securityLabel": [{"system": ACT_CODE, "code": "WHATEVER"}],
    "data": [{"meaning": "similar", "reference": {"reference": "Observation/1"}}],
    "dataPeriod": {"start": "long ago"},
    "period": {"end": "next summer"},
    "extension": [{"url": "https://example.org/unknown"}],
    "modifierExtension": [{"url": "https://example.org/unknown"}],
    "type": "maybe",
    "newElement": "CANARY",
}


@properties
@given(usable_consents, consents(usable=True), st.sampled_from(sorted(UNKNOWN)), st.data())
def test_an_unknown_anything_in_a_consent_never_shows_more(
    others: Any, written: Any, element: str, data: st.DataObject
) -> None:
    """Whatever stands in one provision of an active consent, and is not understood: nothing goes."""
    spoilt = deepcopy(written) | {"status": "active"}
    data.draw(st.sampled_from(_provisions_in(spoilt["provision"])))[element] = UNKNOWN[element]
    compiled = consent.compile_consent(spoilt)
    assert not compiled.usable
    for required in (True, False):
        facts = in_force(
            consents=(*others, compiled), agreements=(replace(AGREEMENT, consent_required=required),)
        )
        assert not consent.decide(facts, NOW).items


@properties
@given(all_facts(usable=True), st.sampled_from(["purpose", "referral_type", "state", "source", "recipient"]))
def test_an_unknown_anything_in_the_question_never_shows_anything(facts: Facts, what: str) -> None:
    unknown: dict[str, Any] = {
        "purpose": "WHATEVER",
        "referral_type": "shoes",
        "state": "ready",
        "source": replace(facts.source, kinds=frozenset({"circus"})),
        "recipient": replace(facts.recipient, known=False),
    }
    assert not consent.decide(replace(facts, **{what: unknown[what]}), NOW).items


@properties
@given(all_facts(usable=True))
def test_a_duty_that_nobody_can_carry_out_shows_nothing(facts: Facts) -> None:
    decision = consent.decide(replace(facts, enforces=frozenset()), NOW)
    assert not decision.items or not any(not duty.promised for duty in decision.obligations)
    if any(not duty.promised for duty in consent.decide(facts, NOW).obligations):
        assert not decision.permit


@properties
@given(all_facts(usable=True), st.sampled_from(LABELS), st.data())
def test_one_more_label_never_shows_more(facts: Facts, label: Any, data: st.DataObject) -> None:
    """Of an item that had one before: what is not labelled at all is withheld by every deny of a label."""
    if not facts.items:
        return
    item = data.draw(st.sampled_from(sorted(facts.items)))
    more = [
        replace(one, labels=settled((*one.labels, label))) if one.key == item else one
        for one in facts.record.data
    ]
    before = consent.decide(facts, NOW)
    after = consent.decide(replace(facts, record=Matter(more, abstract=())), NOW)
    # A consent may permit by label: then the label is what was asked for.
    by_label = any(map(_permits_by_label, facts.consents))
    assert by_label or after.items <= before.items


def _permits_by_label(compiled: Any) -> bool:
    return compiled.limits.labels is not None or any(_rule_by_label(rule) for rule in compiled.rules)


def _rule_by_label(rule: Any) -> bool:
    return rule.limits.labels is not None or any(_rule_by_label(inner) for inner in rule.rules)


@properties
@given(usable_consents)
def test_a_consent_that_was_replaced_never_shows_more_again(held: Any) -> None:
    """Withdrawing the narrower consent that replaced a wider one does not bring back the wider one."""
    wide = deepcopy(BASE) | {"id": "wide", "dateTime": "2026-01-01", "provision": {"type": "permit"}}
    later = deepcopy(BASE) | {"id": "narrow", "dateTime": "2026-02-01"}
    later["extension"] = [
        {
            "url": "https://waymeet.example/fhir/StructureDefinition/consent-replaces",
            "valueReference": {"reference": "Consent/wide"},
        }
    ]
    others = tuple(one for one in held if one.id not in ("wide", "narrow"))
    strict = (replace(AGREEMENT, consent_required=True),)

    def shown(*consents: Any) -> frozenset[str]:
        made = tuple(consent.compile_consent(one) for one in consents)
        return consent.decide(in_force(consents=(*others, *made), agreements=strict), NOW).items

    in_its_place = shown(wide, later)
    assert shown(wide, later | {"status": "inactive"}) <= in_its_place | shown()
    assert in_its_place <= shown(later) | shown()


def _never_more(before: Any, after: Any) -> None:
    for required in (True, False):
        facts = in_force(agreements=(replace(AGREEMENT, consent_required=required),))
        wide = consent.decide(replace(facts, consents=(consent.compile_consent(before),)), NOW)
        narrow = consent.decide(replace(facts, consents=(consent.compile_consent(after),)), NOW)
        assert narrow.items <= wide.items


@properties
@given(all_facts(), st.randoms())
def test_the_order_of_consents_does_not_matter(facts: Facts, random: Any) -> None:
    shuffled = list(facts.consents)
    random.shuffle(shuffled)
    one, other = consent.decide(facts, NOW), consent.decide(replace(facts, consents=tuple(shuffled)), NOW)
    assert (one.code, one.items, one.withheld, one.until) == (
        other.code,
        other.items,
        other.withheld,
        other.until,
    )


@properties
@given(all_facts())
def test_a_withdrawn_or_expired_consent_permits_no_more_than_none(facts: Facts) -> None:
    gone = tuple(
        consent.compile_consent({**deepcopy(BASE), "id": "x", "status": "inactive"}) for _ in facts.consents
    )
    with_gone = consent.decide(replace(facts, consents=gone), NOW)
    without = consent.decide(replace(facts, consents=()), NOW)
    assert (with_gone.permit, with_gone.items) == (without.permit, without.items)


@properties
@given(all_facts())
def test_excluding_or_suspending_shows_nothing(facts: Facts) -> None:
    excluded = replace(facts, excluded=frozenset({facts.recipient.organization}))
    suspended = replace(facts, recipient=replace(facts.recipient, suspended=True))
    unknown = replace(facts, recipient=replace(facts.recipient, known=False))
    assert not any(consent.decide(one, NOW).permit for one in (excluded, suspended, unknown))


@properties
@given(all_facts(), st.sampled_from(["draft", "suspended", "terminated"]))
def test_suspending_the_only_agreement_shows_nothing_about_a_person(facts: Facts, status: Any) -> None:
    gone = tuple(replace(one, status=status) for one in facts.agreements)
    decision = consent.decide(replace(facts, agreements=gone), NOW)
    assert not decision.items


@properties
@given(all_facts(usable=True), st.integers(0, 1))
def test_suspending_one_of_several_agreements_never_shows_more(facts: Facts, number: int) -> None:
    both = (AGREEMENT, replace(AGREEMENT, id="strict", consent_required=True))
    fewer = tuple(replace(one, status="suspended") if one is both[number] else one for one in both)
    before = consent.decide(replace(facts, agreements=both), NOW)
    after = consent.decide(replace(facts, agreements=fewer), NOW)
    assert after.items <= before.items


@properties
@given(all_facts())
def test_after_the_named_moment_the_answer_is_another_one(facts: Facts) -> None:
    decision = consent.decide(facts, NOW)
    if decision.until is not None:
        after = consent.decide(facts, decision.until + timedelta(microseconds=1))
        assert after.items != decision.items or not after.permit or after.until != decision.until


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        consent.decide(in_force(), datetime(2026, 6, 1, 12))  # noqa: DTZ001


def test_the_property_world_can_permit_a_dossier() -> None:
    decision = consent.decide(in_force(), NOW)
    assert decision.permit
    assert {"need", "alias", "household-size"} <= decision.items


@pytest.mark.parametrize("depth", [31, 32, 5000])
def test_nesting_is_read_to_a_stated_depth_and_refused_beyond(depth: int) -> None:
    provision: dict[str, Any] = {"type": "deny"}
    for _ in range(depth - 1):
        provision = {"type": "permit", "provision": [provision]}
    compiled = consent.compile_consent({**BASE, "provision": provision})
    assert compiled.usable == (depth <= 32)
