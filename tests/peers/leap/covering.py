"""Which data a provision speaks of, in LEAP's reading or ours, switched like the rest of it (readings.py)."""

from __future__ import annotations

from collections.abc import Iterable

from leap.data import Entry
from leap.parts import JSON, codings, dated, meant
from leap.vocabulary import ACT_CODE, CONFIDENTIALITY, LABEL_PARENTS, LEVELS, RESOURCE_TYPES


def limits(provision: JSON, ours: frozenset[str]) -> set[str]:
    """The limits that are stated and, in this reading, looked at."""
    read = {"securityLabel", "class"}
    read |= {name for name in ("code", "data", "dataPeriod") if name in ours}
    return read & set(provision)


def covers(provision: JSON, kind: str, surely: bool, one: Entry, ours: frozenset[str]) -> bool:
    """Whether a permit or deny (kind) speaks of this resource: surely, or with what is not known, perhaps."""
    tests = {
        "securityLabel": lambda: _labelled(provision["securityLabel"], kind, surely, one, ours),
        "class": lambda: (RESOURCE_TYPES, one.type) in codings(provision["class"]),
        "code": lambda: any(
            not one.codes.isdisjoint(codings(each.get("coding", ()))) for each in provision["code"]
        ),
        "data": lambda: any(meant(each, one) for each in provision["data"]),
        "dataPeriod": lambda: dated(provision["dataPeriod"], surely, one),
    }
    wanted = [tests[name]() for name in limits(provision, ours)]
    if not wanted:
        return True
    return all(wanted) if "conjunction" in ours else any(wanted)


def _labelled(stated: Iterable[JSON], kind: str, surely: bool, one: Entry, ours: frozenset[str]) -> bool:
    wanted = set(codings(stated))
    levels = [LEVELS.index(code) for system, code in wanted if system == CONFIDENTIALITY]
    if not surely and "unlabelled" in ours and (not one.labels or (levels and one.level < 0)):
        return True
    mine = set(one.labels)
    if "label-hierarchy" in ours:
        mine |= {(ACT_CODE, LABEL_PARENTS[code]) for _, code in one.labels if code in LABEL_PARENTS}
    if "confidentiality-order" not in ours:
        return not wanted.isdisjoint(mine)
    if levels and one.level >= 0:
        if kind == "permit" and one.level <= max(levels):
            return True
        if kind == "deny" and one.level >= min(levels):
            return True
    return any(each in mine for each in wanted if each[0] != CONFIDENTIALITY)
