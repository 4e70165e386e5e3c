"""What must be taken out of content that the engine has not seen, as obligations to redact by code.

Only what codes can say: labels, classes and codes, one attribute a provision, one level deep. Any other limit
of a person cannot be told so, and a caller must send the content along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from consent.limits import UNLIMITED, Limits
from consent.matter import Code, ranks
from consent.provisions import CompiledConsent, Query, Rule
from profiles.canonical import ACT_CODE, CONFIDENTIALITY


@dataclass(slots=True)
class _Told:
    """everything: a permit without limits. only: codes that are permitted. never: codes that are denied."""

    everything: bool = False
    only: frozenset[Code] = frozenset()
    never: frozenset[Code] = frozenset()


def residual(consents: Sequence[CompiledConsent], queries: Sequence[Query]) -> list[dict[str, Any]] | None:
    """The obligations under which anything may go; None where they cannot be told by codes alone.

    consents: usable ones in force, of which a permit has been found. queries: one for each purpose.
    """
    found: list[list[dict[str, Any]]] = []
    for query in queries:
        told = _Told()
        for consent in consents:
            if consent.gate.admits(query, permit=consent.permit) and not _take(told, consent, query):
                return None
        found.append(_obligations(told))
    return found[0] if found and all(one == found[0] for one in found) else None


def _take(told: _Told, consent: CompiledConsent, query: Query) -> bool:
    """Add what one consent says; False where codes cannot say it."""
    if not consent.permit_list and not _add(told, consent.permit, consent.limits):
        return False
    for rule in consent.rules:
        if not rule.gate.admits(query, permit=rule.permit):
            continue
        if _speaks_below(rule, query) or not _add(told, rule.permit, rule.limits):
            return False
    return True


def _speaks_below(rule: Rule, query: Query) -> bool:
    return any(inner.gate.admits(query, permit=inner.permit) for inner in rule.rules)


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
        rank = limits.highest if permit else limits.lowest
        if rank is not None:
            codes |= {
                (CONFIDENTIALITY, code)
                for code, other in ranks().items()
                if (other <= rank if permit else other >= rank)
            }
    if permit:
        told.only |= codes
    else:
        told.never |= codes
    return True


def _obligations(told: _Told) -> list[dict[str, Any]]:
    made = []
    if not told.everything:
        made.append(redact(exceptAnyOfCodes=_codings(told.only)))
    if told.never:
        made.append(redact(codes=_codings(told.never)))
    return made


def _codings(codes: frozenset[Code]) -> list[dict[str, str]]:
    return [{"system": system, "code": code} for system, code in sorted(codes)]


def redact(**parameters: Any) -> dict[str, Any]:
    """The obligation to take something out before anything is passed on (v3-ActCode REDACT)."""
    duty: dict[str, Any] = {"id": {"system": ACT_CODE, "code": "REDACT"}, "code": "REDACT"}
    return {**duty, "parameters": parameters} if parameters else duty
