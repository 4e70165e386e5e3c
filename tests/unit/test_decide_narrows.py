"""Ways by which more could go, or be told, than the stated profile allows: each of them is shut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from consent_world import POLICY, facts, release

import consent
from consent import Facts
from consent.agreement import Prohibition
from consent.answer_step import answer_matter, decide_answer
from consent.describe import describe
from consent.minimum import Entry, MinimumSet
from consent.provisions import Query
from consent.regimes import NoticeRule, Substitution
from consent.sensitivity import label_named
from profiles.canonical import ACT_CODE, ACT_REASON, DISCLOSURE_ITEM

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HIV = label_named("HIV")
CELEBRITY = label_named("CEL")  # of which no law that is shipped speaks
assert HIV is not None and CELEBRITY is not None
WORLD: Mapping[str, Any] = {
    "now": "2026-06-01T12:00:00+00:00",
    "source": {"organization": "bay-hospital", "kinds": ["covered-entity"]},
    "recipient": {"organization": "harbor-food-pantry", "kinds": ["community-organization"]},
    "purpose": "COC",
    "referral-type": "food-insecurity",
    "state": "accepted",
    "items": ["need", "given-name", "diet"],
    "person": {"minor": False},
    "agreement": {
        "parties": ["bay-hospital", "harbor-food-pantry"],
        "period": {"start": "2026-01-01", "end": "2026-12-31"},
        "purposes": ["COC"],
        "referral-type": "food-insecurity",
        "offer": ["need"],
        "dossier": ["given-name", "diet"],
        "consent-required": False,
    },
    "consents": [],
}
RELEASE: Mapping[str, Any] = {
    "source": "bay-hospital",
    "recipients": ["harbor-food-pantry"],
    "purpose": "COC",
    "items": ["given-name"],
    "start": "2026-05-20",
    "end": "2026-06-19",
}


def _with_regime(given: Facts, name: str, **changes: Any) -> Facts:
    regimes = {**given.policy.regimes, name: replace(given.policy.regimes[name], **changes)}
    return replace(given, policy=replace(given.policy, regimes=regimes))


def test_a_notice_about_a_label_does_not_tell_that_something_withheld_carries_it() -> None:
    words = next(iter(POLICY.notices))
    notice = NoticeRule("about-hiv", "", "", False, words, "These words are about HIV.", frozenset({HIV}))
    made = {}
    for label in ("HIV", "R"):
        given, now = facts({**WORLD, "labels": {"diet": [label]}})
        decision = consent.decide(_with_regime(given, "hipaa", notices=(notice,)), now)
        assert "diet" not in decision.items or label == "R"
        made[label] = [duty.text for duty in decision.obligations if duty.text == notice.says]
    assert made == {"HIV": [], "R": []}


def test_a_notice_about_a_label_goes_with_what_carries_it() -> None:
    notice = NoticeRule("about", "", "", False, next(iter(POLICY.notices)), "Words.", frozenset({HIV}))
    given, now = facts({**WORLD, "labels": {"diet": ["HIV"]}})
    regimes = {"hipaa": replace(POLICY.regimes["hipaa"], notices=(notice,))}
    decision = consent.decide(replace(given, policy=replace(given.policy, regimes=regimes)), now)
    assert "diet" in decision.items
    assert "Words." in [duty.text for duty in decision.obligations]


def test_what_stands_in_for_an_item_needs_the_consent_that_the_source_needs() -> None:
    """A law about all that a source holds is about the substitute too: that there is one tells something."""
    instead = Substitution(
        "instead",
        "",
        "",
        False,
        frozenset({"diet"}),
        frozenset({CELEBRITY}),
        {"valueCodeableConcept": {"text": "-"}},
    )
    world = {**WORLD, "source": {"organization": "bay-hospital", "kinds": ["victim-service-provider"]}}
    given, now = facts({**world, "labels": {"diet": ["CEL"]}})
    law = {"vawa": replace(POLICY.regimes["vawa"], substitutions=(instead,))}
    given = replace(given, policy=replace(given.policy, regimes=law))
    decision = consent.decide(replace(given, consents=(consent.compile_consent(release(RELEASE)),)), now)
    assert decision.permit and "given-name" in decision.items
    assert "diet" not in decision.items and not decision.substitutes


def test_an_item_that_goes_only_with_another_stays_where_that_one_is_not_needed() -> None:
    chain = MinimumSet(
        ("food-insecurity",),
        "Food",
        (),
        (
            Entry("alias", ""),
            Entry("given-name", "", unless="alias"),
            Entry("diet", "", only_with="given-name"),
            Entry("phone", "", only_with="diet"),
        ),
    )
    everything = frozenset({"alias", "given-name", "diet", "phone"})
    assert chain.needed("dossier", everything, everything) == {"alias"}
    assert chain.needed("dossier", everything - {"alias"}, everything) == everything
    assert chain.needed("dossier", everything - {"alias"}, everything - {"given-name"}) == {
        "alias",
        "given-name",
    }


def _observation(**more: Any) -> dict[str, Any]:
    code = {"coding": [{"system": DISCLOSURE_ITEM, "code": "diet"}]}
    fact = {
        "resourceType": "Observation",
        "id": "d",
        "status": "final",
        "code": code,
        "valueCodeableConcept": {"text": "none"},
    }
    return {"Observation": [{**fact, **more}], "ServiceRequest": {}, "Patient": {}}


@pytest.mark.parametrize(
    ("more", "provision"),
    [
        (
            {
                "effectivePeriod": {"start": "2010-01-01", "end": "2010-12-31"},
                "issued": "2024-01-01T00:00:00Z",
            },
            "date",
        ),
        ({"effectiveDateTime": "some day", "issued": "2024-01-01T00:00:00Z"}, "date"),
        ({"effectiveInstant": "2010-06-01T00:00:00Z", "issued": "2024-01-01T00:00:00Z"}, "date"),
        ({"meta": {"security": [{"system": ACT_CODE, "code": "HIV"}]}}, "label"),
        ({"category": [{"coding": [{"system": ACT_CODE, "code": "HIV"}]}]}, "label"),
        ({"performer": [{"reference": "https://ehr.example/Practitioner/7"}]}, "author"),
        ({"hasMember": [{"reference": "Observation/secret"}]}, "refers"),
    ],
)
def test_what_a_record_says_of_a_fact_counts_where_the_person_refused_by_it(
    more: Mapping[str, Any], provision: str
) -> None:
    refused: Mapping[str, Mapping[str, Any]] = {
        "date": {"dataPeriod": {"start": "2010-01-01", "end": "2010-12-31"}},
        "label": {"securityLabel": [{"system": ACT_CODE, "code": "HIV"}]},
        "author": {"data": [{"meaning": "authoredby", "reference": {"reference": "Practitioner/7"}}]},
        "refers": {"data": [{"meaning": "dependents", "reference": {"reference": "Observation/secret"}}]},
    }
    written = release(
        {
            "source": "bay-hospital",
            "recipients": ["harbor-food-pantry"],
            "purpose": "COC",
            "items": ["diet"],
            "start": "2026-05-20",
            "fhir": {"provision.provision": [{"type": "deny", **refused[provision]}]},
        }
    )
    compiled = consent.compile_consent({**written, "provision": {**written["provision"], "type": "permit"}})
    assert compiled.usable
    matter = describe(_observation(**more), POLICY, frozenset({"covered-entity"}))
    assert matter.keys == ("diet",)
    named = next(iter(compiled.gate.actors or ()))
    query = Query(frozenset(), frozenset({named}), (ACT_REASON, "COC"), NOW)
    assert matter.named(compiled.says(matter, query).denied) == {"diet"}


def test_a_fact_of_another_time_is_not_refused_by_date() -> None:
    matter = describe(_observation(effectiveDateTime="2024-01-01"), POLICY, frozenset({"covered-entity"}))
    assert matter.data[0].date == (
        datetime(2024, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 1, 23, 59, 59, 999999, UTC),
    )


def test_a_patients_marks_are_those_of_every_item_in_it() -> None:
    held = {
        "Patient": {
            "resourceType": "Patient",
            "meta": {"security": [{"system": ACT_CODE, "code": "HIV"}]},
            "name": [{"given": ["Ana"], "family": "Ortiz"}],
        }
    }
    matter = describe(held, POLICY, frozenset({"covered-entity"}))
    assert {datum.key for datum in matter.data} == {"given-name", "family-name"}
    assert all(HIV in datum.labels for datum in matter.data)


def test_an_answer_lasts_no_longer_than_the_agreement_that_a_newer_one_replaces() -> None:
    world = {
        **WORLD,
        "source": {"organization": "safe-harbor", "kinds": ["victim-service-provider"]},
        "recipient": {"organization": "bay-hospital", "kinds": ["covered-entity"]},
        "agreement": {**WORLD["agreement"], "parties": ["bay-hospital", "safe-harbor"]},
        "consents": [
            {
                "source": "safe-harbor",
                "recipients": ["bay-hospital"],
                "purpose": "COC",
                "items": ["referral-status"],
                "start": "2026-05-20",
                "end": "2026-08-31",
            }
        ],
    }
    given, now = facts(world)
    given = replace(given, record=answer_matter(given.source.kinds, POLICY))
    decision = decide_answer(given, now)
    assert decision.permit and decision.until == datetime(2026, 8, 31, 23, 59, 59, 999999, UTC)
    outcome = {**world["consents"][0], "items": ["referral-outcome"]}
    alone = replace(given, consents=(consent.compile_consent(release(outcome)),))
    assert not decide_answer(alone, now).permit  # what came of it says where it stands
    wish = replace(given.agreements[0], consent_required=True, status="suspended")
    both = replace(given, agreements=(given.agreements[0], wish), consents=())
    plain = replace(both, source=replace(both.source, kinds=frozenset({"covered-entity"})))
    assert decide_answer(plain, now).code == "consent-missing"
    assert decide_answer(replace(plain, agreements=plain.agreements[:1]), now).permit
    over = replace(given.agreements[0], superseded=datetime(2026, 6, 1, tzinfo=UTC))
    assert decide_answer(replace(given, agreements=(over,)), now).code == "agreement-not-active"
    replaced = replace(given.agreements[0], superseded=datetime(2026, 7, 1, tzinfo=UTC))
    decision = decide_answer(replace(given, agreements=(replaced,)), now)
    assert decision.permit and decision.until == datetime(2026, 6, 30, 23, 59, 59, 999999, UTC)


def test_where_the_law_lets_people_opt_out_no_consent_is_asked_and_a_refusal_counts() -> None:
    given, now = facts(WORLD)
    rules = tuple(replace(rule, consent="opt-out") for rule in POLICY.regimes["hipaa"].rules)
    given = _with_regime(given, "hipaa", rules=rules)
    decision = consent.decide(given, now)
    assert decision.permit and "diet" in decision.items
    assert "consent-opt-out" in [reason.code for reason in decision.reasons]
    refusal = {**RELEASE, "items": ["diet"], "fhir": {"provision.provision": None}}
    refused = replace(given, consents=(consent.compile_consent(release(refusal)),))
    assert consent.decide(refused, now).code == "consent-denied"


def test_no_remedy_is_told_for_what_could_not_go_anyway() -> None:
    agreed = {**WORLD["agreement"], "dossier": ["given-name"]}
    for covered, remedies in ((WORLD["agreement"], 1), (agreed, 0)):
        given, now = facts({**WORLD, "labels": {"diet": ["HIV"]}, "agreement": covered})
        decision = consent.decide(given, now)
        assert decision.permit and "diet" in decision.withheld
        assert len(decision.remedies) == remedies


def test_of_what_a_law_about_all_has_no_rule_for_only_that_stays() -> None:
    treatment = next(one for one in POLICY.regimes["hipaa"].rules if one.id == "treatment")
    rules = (replace(treatment, labels=frozenset({CELEBRITY})),)
    given, now = facts({**WORLD, "labels": {"need": ["CEL"], "given-name": ["CEL"]}})
    decision = consent.decide(_with_regime(given, "hipaa", rules=rules), now)
    assert decision.items == {"need", "given-name"}
    assert decision.withheld == {"diet": "law-unlisted"}


def test_only_the_items_that_a_substitution_names_have_a_substitute() -> None:
    value = {"valueCodeableConcept": {"text": "-"}}
    labels = frozenset({CELEBRITY})
    instead = Substitution("instead", "", "", False, frozenset({"diet"}), labels, value)
    given, now = facts({**WORLD, "labels": {"diet": ["CEL"], "given-name": ["CEL"]}})
    decision = consent.decide(_with_regime(given, "hipaa", substitutions=(instead,)), now)
    assert decision.items == {"need", "given-name", "diet"}
    assert decision.substitutes == {"diet": value}


def test_what_the_parties_promise_each_other_nobody_has_to_carry_out_here() -> None:
    given, now = facts(WORLD)
    promise = Prohibition("no-photographs", "No photographs are taken.")
    agreed = replace(given.agreements[0], prohibitions=(promise,))
    decision = consent.decide(replace(given, agreements=(agreed,)), now)
    assert decision.permit and "no-photographs" in [duty.code for duty in decision.obligations]
