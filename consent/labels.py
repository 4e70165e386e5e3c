"""Security labels. Inside, a record carries what its provenance, its codes and its mapping make of it;
outside, only generic marks.

Provenance comes first: what a victim service provider holds is restricted because it holds it, whatever the
codes in it say. Inside labels never leave: SDV on a Task would tell its reader who the person turned to.
"""

from __future__ import annotations

from collections.abc import Iterable

from consent.matter import Label
from consent.regimes import Regime
from consent.sensitivity import RESTRICTED, settled
from profiles.canonical import ACT_CODE, CONFIDENTIALITY, OBSERVATION_VALUE


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


def provenance(kinds: frozenset[str], regimes: Iterable[Regime]) -> tuple[Label, ...]:
    """The labels (system, code) of everything that a source of these kinds holds; for use inside only.

    A kind of which no regime speaks as a whole is restricted until one does, and so is a source without one.
    """
    applying = [regime for regime in regimes if regime.covers(kinds)]
    spoken_of = frozenset().union(*(regime.kinds or kinds for regime in applying if regime.whole))
    found = [label for regime in applying for label in regime.labels]
    if not kinds or not kinds <= spoken_of:
        found.append(RESTRICTED)
    kept = settled(found)
    return tuple(label for label in dict.fromkeys((*found, RESTRICTED)) if label in kept)
