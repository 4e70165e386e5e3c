"""Law as data: every rule of every regime lets something go in one case and stops it in another.

Which rules a case exercised is read from the decision's basis, so a rule without a case fails here, whatever
the case files say of themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from consent_world import NAMES, POLICY, changed, facts
from stories import CASES, schema

import consent
from consent import Decision
from consent.regimes import ConsentRule, Regime
from consent.release import FORM_SAYS, SIGNERS
from profiles.document import load

REGIMES = CASES / "consent" / "regimes"
_RULE = re.compile(r"[a-z0-9-]+#[a-z0-9-]+(?= \()")
_WORDS = {"type": "array", "items": {"type": "string"}}
EXPECT = {
    "type": "object",
    "required": ["code"],
    "additionalProperties": False,
    "properties": {
        "code": {"type": "string"},
        "view": {"enum": ["task", "offer", "dossier"]},
        "items": _WORDS,
        "withheld": {"type": "object"},
        "obligations": _WORDS,
        "rests-on": _WORDS,
        "substitutes": {"type": "object"},
        "remedies": _WORDS,
    },
}


@dataclass(frozen=True)
class Case:
    """One case: its facts, the same for the purpose that its story has, and what came of it."""

    name: str
    world: Mapping[str, Any]
    usual: Mapping[str, Any]
    expect: Mapping[str, Any]
    decision: Decision

    @property
    def rules(self) -> frozenset[str]:
        """The rules it rests on, as `regime#rule`."""
        said = [*self.decision.basis, *(reason.basis for reason in self.decision.reasons)]
        return frozenset(name for text in said for name in _RULE.findall(text))


def _cases() -> Iterator[Case]:
    for path in sorted(REGIMES.glob("*.yaml")):
        story = load(path, schema(EXPECT)).data
        good = story["facts"]
        yield _case(f"{path.stem}: {story['story']}", good, good, story["expect"])
        for one in story["cases"]:
            world = changed(good, one["change"])
            yield _case(f"{path.stem}: {one['name']}", world, _as_usual(world, good), one["expect"])


def _case(name: str, world: Mapping[str, Any], usual: Mapping[str, Any], expect: Mapping[str, Any]) -> Case:
    given, now = facts(world)
    return Case(name, world, usual, expect, consent.decide(given, now))


def _as_usual(world: Mapping[str, Any], good: Mapping[str, Any]) -> dict[str, Any]:
    """A case for the purpose that its story has."""
    purpose = good["purpose"]
    releases = {f"consents.{number}.purpose": purpose for number, _ in enumerate(world["consents"])}
    return changed(world, {"purpose": purpose, "agreement.purposes": [purpose], **releases})


ALL = list(_cases())
RULES = [(regime, rule) for regime in POLICY.regimes.values() for rule in regime.rules]


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    decision, expect = case.decision, case.expect
    assert decision.code == expect["code"], decision.reasons
    assert decision.permit == (expect["code"] == "permit")
    stated = {
        "view": decision.view,
        "items": sorted(decision.items),
        "withheld": dict(decision.withheld),
        "obligations": sorted(duty.code for duty in decision.obligations),
        "substitutes": dict(decision.substitutes),
    }
    wanted = dict(expect)
    wanted["substitutes"] = {
        item: _substitute(name) for item, name in expect.get("substitutes", stated["substitutes"]).items()
    }
    for name in stated.keys() & expect.keys():
        listed = sorted(wanted[name]) if isinstance(wanted[name], list) else wanted[name]
        assert stated[name] == listed, name
    assert case.rules >= set(expect.get("rests-on", ())), case.rules
    told = consent.sentences(decision, NAMES)
    for words in expect.get("remedies", ()):
        assert any(words in line for line in told if line.startswith("What would change this")), told


def _substitute(name: str) -> Mapping[str, Any]:
    """The element that a substitution of a regime serves, by `regime#substitution`."""
    regime, _, substitution = name.partition("#")
    return next(one.value for one in POLICY.regimes[regime].substitutions if one.id == substitution)


def unproven(cases: Iterable[Case]) -> list[str]:
    """The rules that these cases do not show from both sides, and what of them is missing."""
    found = list(cases)
    missing = []
    for regime, rule in RULES:
        name = f"{regime.id}#{rule.id}"
        mine = [case for case in found if name in case.rules]
        if rule.consent == "refused":
            withheld = [case for case in mine if "law-refused" in case.decision.withheld.values()]
            if not withheld:
                missing.append(f"{name}: nothing is refused")
            if not any(map(_neighbour_goes, withheld)):
                missing.append(f"{name}: nothing beside it goes")
        else:
            if not any(case.decision.items for case in mine):
                missing.append(f"{name}: nothing goes")
            if not any(not case.decision.permit for case in mine):
                missing.append(f"{name}: nothing is stopped")
    return missing


def _neighbour_goes(case: Case) -> bool:
    """Whether another item goes in the same breath, or the same items for the purpose of the story."""
    return bool(case.decision.items) or bool(consent.decide(*facts(case.usual)).items)


def test_every_rule_of_every_regime_is_shown_from_both_sides() -> None:
    assert unproven(ALL) == []


@pytest.mark.parametrize(("regime", "rule"), RULES, ids=lambda one: one.id)
def test_a_rule_without_cases_would_be_found(regime: Regime, rule: ConsentRule) -> None:
    name = f"{regime.id}#{rule.id}"
    left = unproven(case for case in ALL if name not in case.rules)
    assert sum(line.startswith(f"{name}:") for line in left) == 2


def test_every_regime_has_a_closed_referral_and_every_notice_a_dossier_that_carries_it() -> None:
    seen = frozenset().union(*(case.rules for case in ALL))
    for regime in POLICY.regimes.values():
        if regime.closed:
            assert f"{regime.id}#{regime.closed.id}" in seen
        mine = [case for case in ALL if any(rule.startswith(f"{regime.id}#") for rule in case.rules)]
        carried = {duty.code for case in mine for duty in case.decision.obligations}
        assert {notice.notice for notice in regime.notices} <= carried
        for substitution in regime.substitutions:
            assert f"{regime.id}#{substitution.id}" in seen


GENERAL = {"use-for-purpose", "no-redisclosure", "limited-time", "delete-on-request"}


def test_every_source_attaches_the_same_general_notices() -> None:
    """A notice that one kind of source used alone would tell the recipient who the person turned to."""
    for regime in POLICY.regimes.values():
        carried = {notice.notice for notice in regime.notices}
        if regime.whole:
            assert carried >= GENERAL, regime.id
    assert POLICY.notices.keys() > GENERAL


def test_what_is_served_is_the_programs_address_and_no_part_of_the_persons() -> None:
    given, now = facts(load(REGIMES / "ct-address-confidentiality.yaml", schema(EXPECT)).data["facts"])
    home = {"use": "home", "line": ["7 CANARY Lane"], "city": "CANARY", "postalCode": "CANARY"}
    resources = {
        "Patient": {"resourceType": "Patient", "name": [{"given": ["Ana"]}], "address": [home]},
        "ServiceRequest": {"resourceType": "ServiceRequest", "priority": "urgent"},
    }
    ids = {name: f"id-{number}" for number, name in enumerate(consent.served_names(resources, POLICY))}
    served = consent.minimise(resources, consent.decide(given, now), POLICY, ids).resources
    (address,) = served["Patient"]["address"]
    assert {**address} == dict(_substitute("ct-address-confidentiality#program-address"))
    assert "CANARY" not in str(served)


# How each element disappears from a Consent; what the form says and who signed it is left out of the release.
_WITHOUT: Mapping[str, Mapping[str, Any]] = {
    "patient": {"patient": None},
    "discloser": {"organization": None},
    "recipient": {"provision.actor": None},
    "items": {"provision.provision.0.code": None},
    "purpose": {"provision.purpose": None},
    "end": {"provision.period.end": None},
    "expiry": {"provision.period.end": None},
    "date": {"dateTime": None},
    "evidence": {"sourceAttachment": None},
}


def _element_cases() -> list[Any]:
    return [
        pytest.param(regime, rule, element, id=f"{regime.id}#{rule.id} {element}")
        for regime, rule in RULES
        for element in sorted(rule.must_contain)
        if rule.consent == "required"
    ]


@pytest.mark.parametrize(("regime", "rule", "element"), _element_cases())
def test_whatever_a_rule_demands_of_a_consent_is_missed(
    regime: Regime, rule: ConsentRule, element: str
) -> None:
    name = f"{regime.id}#{rule.id}"
    shown = False
    for case in ALL:
        releases = _releases(case.world)
        ends = element not in ("end", "expiry") or all("end" in one for one in releases)
        if name in case.rules and case.decision.items and releases and ends:
            less = {**case.world, "consents": [_without(element, one) for one in releases]}
            shown |= _alone(less, regime).items < _alone(case.world, regime).items
    assert shown


def _alone(world: Mapping[str, Any], regime: Regime) -> Decision:
    """The decision by one regime alone; one that is about labels stands beside those of the source."""
    given, now = facts(world)
    beside = [one for one in POLICY.regimes.values() if one.whole and one.covers(given.source.kinds)]
    regimes = {one.id: one for one in ([regime] if regime.whole else [regime, *beside])}
    kinds = given.source.kinds & (regime.kinds or given.source.kinds)
    alone = replace(given.source, kinds=kinds)
    return consent.decide(replace(given, source=alone, policy=replace(POLICY, regimes=regimes)), now)


def _releases(world: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(world["consents"])


def _without(element: str, release: Mapping[str, Any]) -> Mapping[str, Any]:
    """The release with one element taken out of it."""
    if element in FORM_SAYS:
        return {**release, "statements": [one for one in FORM_SAYS if one != element]}
    if element.startswith("signed-by-"):
        other = next(one for one in SIGNERS if not element.endswith(one))
        return {**release, "signers": [other]}
    return {**release, "fhir": {**release.get("fhir", {}), **_WITHOUT[element]}}
