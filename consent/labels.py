"""Security labels. Inside, a record carries what its provenance makes of it; outside, only generic marks.

Labels come from provenance alone in this version: what a victim service provider holds is restricted
because it holds it, whatever the codes in it say. Inside labels never leave: SDV on a Task would tell its
reader who the person turned to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from consent.regimes import LABELS, Regime
from profiles.canonical import ACT_CODE, CONFIDENTIALITY, OBSERVATION_VALUE

_RESTRICTED: Final = (CONFIDENTIALITY, "R")


def outward(*, read_only: bool) -> list[dict[str, str]]:
    """`meta.security` of anything that goes out: the same from every source and for every person.

    R and NORDSCLCD (no redisclosure without consent directive) on everything; SUBSETTED where the reader
    cannot write the resource back, so that a subset never overwrites the whole.
    """
    marks = [
        {"system": CONFIDENTIALITY, "code": "R"},
        {"system": ACT_CODE, "code": "NORDSCLCD"},
    ]
    return [*marks, {"system": OBSERVATION_VALUE, "code": "SUBSETTED"}] if read_only else marks


def provenance(kinds: frozenset[str], regimes: Iterable[Regime]) -> tuple[tuple[str, str], ...]:
    """The labels (system, code) of everything that a source of these kinds holds; for use inside only.

    A kind that no regime speaks of is restricted until one does.
    """
    found = dict.fromkeys(
        (LABELS[label], label) for regime in regimes if regime.applies_to & kinds for label in regime.labels
    )
    return tuple(found) or (_RESTRICTED,)
