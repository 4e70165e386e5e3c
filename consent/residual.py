"""What must be taken out of content that the engine has not seen, as obligations to redact by code.

Only what codes can say: labels, classes and codes, one attribute a provision, one level deep. Any other limit
of a person cannot be told so, and a caller must send the content along. Each obligation stands by itself: a
resource is left out if one of them takes it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from consent.limits import UNLIMITED, Limits
from consent.matter import Code, ranks
from consent.provisions import CompiledConsent, Gate, Query, Rule
from profiles.canonical import ACT_CODE, CONFIDENTIALITY
from profiles.registry import shipped
from profiles.value_sets import code_system


@dataclass(slots=True)
class _Told:
    """everything: a permit without limits. only: codes that are permitted. never: codes that are denied.

    below: whatever a deny by label leaves must be marked with a confidentiality below this rank, as such a
    deny also reaches what carries no label; None where no label is denied.
    """

    everything: bool = False
    only: frozenset[Code] = frozenset()
    never: frozenset[Code] = frozenset()
    below: int | None = None


def residual(
    permits: Sequence[CompiledConsent], denies: Sequence[CompiledConsent], queries: Sequence[Query]
) -> list[dict[str, Any]] | None:
    """The obligations under which anything may go; None where they cannot be told by codes alone.

    permits, denies: the usable consents of which that counts. queries: one for each purpose; what is to go
    must be permitted for every one of them.
    """
    found: list[dict[str, Any]] = []
    for query in queries:
        told = _Told()
        wider = replace(query, recipient=query.widely or query.recipient)
        for consent in permits:
            if not _take(told, consent, query, permit=True):
                return None
        for consent in denies:
            if not _take(told, consent, wider, permit=False):
                return None
        found += [one for one in _obligations(told) if one not in found]
    return found


def _take(told: _Told, consent: CompiledConsent, query: Query, *, permit: bool) -> bool:
    """Add what one consent permits, or denies; False where codes cannot say it."""
    root = consent.gate
    if not root.admits(query, permit=permit):
        return True
    mine = consent.permit == permit and not consent.permit_list and _outright(query, root, root)
    if mine and not _add(told, permit, consent.limits):
        return False
    for rule in consent.rules:
        if not rule.gate.admits(query, permit=False):
            continue
        if _speaks_below(rule, query):
            return False
        if (
            rule.permit == permit
            and rule.gate.admits(query, permit=permit)
            and _outright(query, root, rule.gate)
            and not _add(told, permit, rule.limits)
        ):
            return False
    return True


def _outright(query: Query, root: Gate, own: Gate) -> bool:
    """Whether a permit counts for the purpose: one that nobody here knows must be named."""
    return query.known or root.purposes is not None or own.purposes is not None


def _speaks_below(rule: Rule, query: Query) -> bool:
    return any(inner.gate.admits(query, permit=False) for inner in rule.rules)


def _add(told: _Told, permit: bool, limits: Limits) -> bool:
    if limits is UNLIMITED:
        told.everything = told.everything or permit
        return permit  # a deny without limits leaves nothing to tell
    if limits.data is not None or limits.dates is not None:
        return False
    stated = [one for one in (limits.codes, limits.classes, limits.labels) if one is not None]
    if len(stated) != 1:
        return False
    codes = stated[0]
    if limits.labels is not None:
        codes = frozenset().union(*(_downwards(label) for label in codes))
        rank = limits.highest if permit else limits.lowest
        codes |= {
            (CONFIDENTIALITY, code)
            for code, other in ranks().items()
            if rank is not None and (other <= rank if permit else other >= rank)
        }
        if not permit:
            below = len(ranks()) if rank is None else rank
            told.below = below if told.below is None else min(told.below, below)
    if permit:
        told.only |= codes
    else:
        told.never |= codes
    return True


def _downwards(label: Code) -> frozenset[Code]:
    """A label and all below it: who redacts by comparing codes does not know what stands above a code."""
    system = code_system(ACT_CODE, shipped()) if label[0] == ACT_CODE else None
    below = system.descendants(label[1]) if system else ()
    return frozenset({label, *((ACT_CODE, code) for code in below if code[0] != "_")})


def _obligations(told: _Told) -> list[dict[str, Any]]:
    made = []
    if not told.everything:
        made.append(redact(exceptAnyOfCodes=_codings(told.only)))
    if told.never:
        made.append(redact(codes=_codings(told.never)))
    if told.below is not None:
        left = frozenset((CONFIDENTIALITY, code) for code, rank in ranks().items() if rank < told.below)
        if (unlabelled := redact(exceptAnyOfCodes=_codings(left))) not in made:
            made.append(unlabelled)
    return made


def _codings(codes: frozenset[Code]) -> list[dict[str, str]]:
    return [{"system": system, "code": code} for system, code in sorted(codes)]


def redact(**parameters: Any) -> dict[str, Any]:
    """The obligation to take something out before anything is passed on (v3-ActCode REDACT)."""
    duty: dict[str, Any] = {"id": {"system": ACT_CODE, "code": "REDACT"}, "code": "REDACT"}
    return {**duty, "parameters": parameters} if parameters else duty
