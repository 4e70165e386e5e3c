"""Our engine over a generated case: `consent.request.answer`, which is behind `waymeet decide --json` too."""

from __future__ import annotations

from typing import Any

from leap.generator import Case
from leap.service import Answer
from leap.vocabulary import directory, identifier

from consent.request import answer

_DIRECTORY = directory()


def request(case: Case) -> dict[str, Any]:
    """The case as our request."""
    query: dict[str, Any] = {
        "patient": case.patient,
        "actor": [identifier(one) if case.by_identifier else one for one in case.actors],
        "purpose": list(case.purposes),
    }
    if case.classes:
        query["class"] = [{"system": system, "code": code} for system, code in case.classes]
    if case.categories:
        query["category"] = [{"system": system, "code": code} for system, code in case.categories]
    return {
        "now": case.now.isoformat(),
        "consents": list(case.consents),
        "directory": _DIRECTORY,
        "query": query,
        "content": case.content,
    }


def decide(case: Case) -> Answer:
    """What our engine says."""
    told = answer(request(case))
    return Answer(told["decision"], frozenset(told["released"]))
