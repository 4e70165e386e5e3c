"""What an agreement that comes with a request adds to the answer: it only narrows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from consent import agreement as agreements
from consent.actors import names_of
from consent.agreement import RECIPIENT, Agreement
from consent.items import is_about
from consent.paths import build
from consent.policy import Policy
from consent.question import Question, RequestError
from profiles.canonical import ACT_REASON
from profiles.document import DocumentError
from profiles.outcome import Issue

_WORDS: Final = {
    "agreement-covers": "The agreement lets this recipient be told, for this purpose.",
    "agreement-not-active": "The agreement is not in force.",
    "agreement-unsigned": "The agreement is not signed by all its parties.",
    "agreement-superseded": "A newer version has taken the agreement's place.",
    "agreement-not-yet": "The agreement has not begun.",
    "agreement-expired": "The agreement has ended.",
    "agreement-aggregate-only": "The agreement is for totals, not for people.",
    "agreement-purpose": "The agreement does not cover this purpose.",
    "agreement-missing": "The agreement does not name this recipient.",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """`denied`: the reason code where nothing can rest on it; `items`: what may go."""

    basis: str
    denied: str
    items: frozenset[str]
    until: datetime | None
    obligations: list[dict[str, Any]] = field(default_factory=list)

    @property
    def reason(self) -> dict[str, Any]:
        """What the agreement step found, as an answer tells it."""
        code = self.denied or "agreement-covers"
        return {"code": code, "text": _WORDS[code], "basis": self.basis}

    def covers(self, resource: Mapping[str, Any], policy: Policy) -> bool:
        """Whether all that a resource tells is covered; what is no disclosure item is not."""
        if self.denied:
            return False
        kind = resource.get("resourceType")
        told = frozenset(
            code
            for code, item in policy.items.entries.items()
            if item.resource == kind
            and (kind != "Observation" or is_about(resource, code))
            and build(resource, item.allowed)
        )
        return bool(told) and told <= self.items


def terms(question: Question, policy: Policy) -> Terms:
    """The terms of the question's agreement. Raises RequestError for one that cannot be read."""
    try:
        text = msgspec.json.encode(question.agreement).decode()
        read = agreements.loads(text, "agreement.json")
    except RecursionError:
        raise RequestError(
            [Issue("error", "structure", "is nested too deeply", expression="agreement")]
        ) from None
    except DocumentError as fault:
        raise RequestError([_of_part(issue) for issue in fault.issues]) from None
    known = policy.items.entries.keys()
    covered = frozenset().union(*(clause.items for clause in read.clauses)) & known
    return Terms(
        basis=read.reference,
        denied=_denied(read, question),
        items=covered,
        until=read.ends,
        obligations=[{"code": one.code, "text": one.text, "promised": True} for one in read.prohibitions],
    )


def _of_part(issue: Issue) -> Issue:
    """An issue of an agreement's text as one of the request's part; the text had no lines of its own."""
    place = f"agreement.{issue.field}" if issue.field else "agreement"
    return Issue(issue.severity, issue.code, issue.message, expression=place)


def _denied(read: Agreement, question: Question) -> str:
    now = question.now
    names = {one for actor in question.actors for one in names_of(actor)}
    purposes = [code for system, code in question.purposes if system == ACT_REASON]
    tests = (
        ("agreement-not-active", read.status == "active"),
        ("agreement-unsigned", read.signed),
        ("agreement-superseded", not read.is_replaced(now)),
        ("agreement-not-yet", read.starts <= now),
        ("agreement-expired", now <= read.ends),
        ("agreement-aggregate-only", read.sharing_model != "aggregate-only"),
        (
            "agreement-missing",
            any(one.organization in names and RECIPIENT in one.roles for one in read.members),
        ),
        (
            "agreement-purpose",
            len(purposes) == len(question.purposes) > 0 and all(read.serves(code) for code in purposes),
        ),
    )
    return next((code for code, holds in tests if not holds), "")
