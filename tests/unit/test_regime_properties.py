"""Of the laws on file, whatever the question: one more reason to be careful never lets more go."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from consent_world import POLICY, facts, org, properties, record
from hypothesis import given
from hypothesis import strategies as st

import consent
from consent import Facts, Party, Person

ITEMS = ("need", "priority", "area", "given-name", "shutoff-date", "address")
KINDS = sorted(frozenset().union(*(regime.kinds or () for regime in POLICY.regimes.values())))
# ADOL is the one label that eases: it says that a minor may have the service, and sign, alone.
LABELS = sorted(
    {
        code
        for regime in POLICY.regimes.values()
        for labels in (regime.about or (), *(rule.labels or () for rule in regime.rules))
        for _, code in labels
    }
    - {"ADOL"}
)
PURPOSES = ("COC", "TREAT", "BTG", "HPAYMT", "HLEGAL", "FAMRQT", "HRESCH")
SIGNERS = ((), ("patient",), ("guardian",), ("patient", "guardian"))


@cache
def _asked(purpose: str, signers: tuple[str, ...]) -> tuple[Facts, Any]:
    """The facts for one purpose, with a release for everything that these have signed, or with none."""
    release = {
        "source": "from",
        "recipients": ["to"],
        "purpose": purpose,
        "items": list(ITEMS),
        "start": "2026-05-20",
        "end": "2026-06-30",
        "signers": list(signers),
    }
    agreement = {
        "parties": ["from", "to"],
        "period": {"start": "2026-01-01", "end": "2026-12-31"},
        "purposes": [purpose],
        "referral-type": "utility-insecurity",
        "offer": ["need", "priority", "area"],
        "dossier": ["given-name", "shutoff-date", "address"],
        "consent-required": False,
    }
    return facts(
        {
            "now": "2026-06-01T12:00:00+00:00",
            "source": {"organization": "from"},
            "recipient": {"organization": "to"},
            "purpose": purpose,
            "referral-type": "utility-insecurity",
            "state": "accepted",
            "items": list(ITEMS),
            "agreement": agreement,
            "consents": [release] if signers else [],
        }
    )


questions = st.fixed_dictionaries(
    {
        "kinds": st.frozensets(st.sampled_from(KINDS), min_size=1, max_size=2),
        "to": st.frozensets(st.sampled_from(KINDS), max_size=2),
        "labels": st.dictionaries(
            st.sampled_from(ITEMS), st.lists(st.sampled_from(LABELS), unique=True, max_size=2), max_size=3
        ),
        "minor": st.sampled_from((True, False, None)),
        "purpose": st.sampled_from(PURPOSES),
        "signers": st.sampled_from(SIGNERS),
    }
)


def _go(question: dict[str, Any], **other: Any) -> frozenset[str]:
    """The items that go, asked so or otherwise."""
    asked = question | other
    base, now = _asked(asked["purpose"], asked["signers"])
    held = {"source": {"kinds": asked["kinds"]}, "items": ITEMS, "labels": asked["labels"]}
    return consent.decide(
        replace(
            base,
            source=Party(org("from"), asked["kinds"]),
            recipient=Party(org("to"), asked["to"]),
            person=Person(asked["minor"]),
            record=record(held),
        ),
        now,
    ).items


@properties
@given(questions, st.sampled_from(ITEMS), st.sampled_from(LABELS))
def test_one_more_label_never_lets_more_go(question: dict[str, Any], item: str, label: str) -> None:
    labels = question["labels"]
    more = {**labels, item: [*labels.get(item, ()), label]}
    assert _go(question, labels=more) <= _go(question)


@properties
@given(questions, st.sampled_from([*KINDS, "child-welfare-agency"]))
def test_a_source_that_is_one_thing_more_never_shares_more(question: dict[str, Any], kind: str) -> None:
    assert _go(question, kinds=question["kinds"] | {kind}) <= _go(question)


@properties
@given(questions)
def test_where_the_age_is_not_known_no_more_goes_than_for_a_minor_or_for_an_adult(
    question: dict[str, Any],
) -> None:
    assert _go(question, minor=None) <= _go(question, minor=True) & _go(question, minor=False)


@properties
@given(questions, st.sampled_from(KINDS))
def test_a_recipient_of_unknown_kind_never_gets_more(question: dict[str, Any], kind: str) -> None:
    """The directory does not say what an agency is: not knowing must never open anything."""
    assert _go(question, to=frozenset()) <= _go(question, to=frozenset({kind}))


@properties
@given(questions, st.sampled_from(SIGNERS[1:]))
def test_without_a_release_no_more_goes_than_with_one(
    question: dict[str, Any], signers: tuple[str, ...]
) -> None:
    assert _go(question, signers=()) <= _go(question, signers=signers)
