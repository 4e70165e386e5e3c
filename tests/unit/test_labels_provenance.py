"""Labels by provenance: whatever the codes say, what a source's law labels carries its label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import consent
from consent.labels import provenance
from consent.regimes import Regime
from consent.sensitivity import RESTRICTED
from profiles.canonical import ACT_CODE, CONFIDENTIALITY

REGIMES = tuple(consent.load_policy().regimes.values())
KINDS = sorted({kind for regime in REGIMES for kind in regime.kinds or ()})
LABELS = [
    *((CONFIDENTIALITY, code) for code in "NRV"),
    *((ACT_CODE, code) for code in ("SDV", "HIV", "42CFRPart2", "PERSISTLABEL")),
]

kinds = st.frozensets(st.sampled_from([*KINDS, "a-kind-nobody-knows"]), max_size=4)


@st.composite
def regimes(draw: st.DrawFn) -> list[Regime]:
    """Some of the shipped regimes, for other kinds and with other labels."""
    found = []
    for regime in draw(st.lists(st.sampled_from(REGIMES), max_size=5)):
        about = draw(st.none() | st.frozensets(st.sampled_from(LABELS), min_size=1, max_size=2))
        found.append(
            replace(
                regime,
                kinds=draw(st.none() | st.frozensets(st.sampled_from(KINDS), min_size=1, max_size=2)),
                about=about,
                labels=() if about else tuple(draw(st.lists(st.sampled_from(LABELS), max_size=3))),
            )
        )
    return found


def rank(found: Iterator[tuple[str, str]]) -> int:
    return max(("ULMNRV".index(code) for system, code in found if system == CONFIDENTIALITY), default=-1)


@given(kinds, regimes())
def test_provenance_labels_are_never_missed(source: frozenset[str], law: list[Regime]) -> None:
    found = provenance(source, law)
    for regime in law:
        if regime.kinds is None or regime.kinds & source:
            assert {label for label in regime.labels if label[0] != CONFIDENTIALITY} <= set(found)
            assert rank(iter(regime.labels)) <= rank(iter(found))


@given(kinds, regimes())
def test_a_kind_that_no_law_speaks_of_is_restricted_whatever_else_the_source_is(
    source: frozenset[str], law: list[Regime]
) -> None:
    whole = [regime for regime in law if regime.about is None]
    silent = [kind for kind in source if not any(r.kinds is None or kind in r.kinds for r in whole)]
    if silent or not source:
        assert rank(iter(provenance(source, law))) >= rank(iter([RESTRICTED]))


@given(kinds, kinds)
def test_being_more_never_takes_a_label_away(some: frozenset[str], more: frozenset[str]) -> None:
    few, many = provenance(some, REGIMES), provenance(some | more, REGIMES)
    assert {label for label in few if label[0] != CONFIDENTIALITY} <= set(many)
    assert not some or rank(iter(few)) <= rank(iter(many))


@pytest.mark.parametrize(
    ("kind", "label"),
    [("victim-service-provider", "SDV"), ("part-2-program", "42CFRPart2"), ("hiv-provider", "HIV")],
)
def test_what_a_source_is_labels_all_that_it_holds(kind: str, label: str) -> None:
    assert (ACT_CODE, label) in provenance(frozenset({kind}), REGIMES)
    assert RESTRICTED in provenance(frozenset({kind}), REGIMES)


def test_a_law_that_labels_one_kind_normal_leaves_an_unknown_kind_beside_it_restricted() -> None:
    normal = replace(
        next(regime for regime in REGIMES if regime.whole),
        kinds=frozenset({"library"}),
        labels=((CONFIDENTIALITY, "N"),),
    )
    assert provenance(frozenset({"library"}), [normal]) == ((CONFIDENTIALITY, "N"),)
    assert provenance(frozenset({"library", "a-kind-nobody-knows"}), [normal]) == (RESTRICTED,)
