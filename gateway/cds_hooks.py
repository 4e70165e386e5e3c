"""CDS Hooks `patient-consent-consult`: the question as LEAP's and ASU's clients send it, and their card.

Only translates; `consent.request` decides. The caller sends the consents along: no person is looked up here,
and nothing that this node holds about anybody has a part in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from consent import Policy
from consent.question import Question, RequestError, read
from consent.request import decided
from consent.request_answer import WORDS, Answered
from gateway import fhir_json
from gateway.errors import Refused, refuse
from profiles.outcome import Issue

SERVICE: Final = "patient-consent-consult"

# A part of the hook's context, and what a request to `consent.request` calls it.
_PARTS: Final = {
    "patientId": "query.patient",
    "actor": "query.actor",
    "purposeOfUse": "query.purpose",
    "category": "query.category",
    "class": "query.class",
    "content": "content",
    "consent": "consents",
    "directory": "directory",
}
_REQUIRED: Final = ("patientId", "actor")
_SUMMARY: Final = {"permit": "CONSENT_PERMIT", "deny": "CONSENT_DENY", "no-consent": "NO_CONSENT"}
_INDICATOR: Final = {"permit": "info", "deny": "critical", "no-consent": "warning"}


@dataclass(frozen=True, slots=True)
class Source:
    """Who answers: a name for people, and an address."""

    label: str
    url: str


def discovery() -> dict[str, Any]:
    """The answer to `GET /cds-services`."""
    return {
        "services": [
            {
                "hook": SERVICE,
                "id": SERVICE,
                "title": "Patient consent consult",
                "description": (
                    "Whether the consents in context.consent let the actors have what is asked for, and "
                    "what of it must be left out. Looks nobody up and keeps nothing."
                ),
                "usageRequirements": (
                    "Send all consents of the person. A client that cannot carry out an obligation must "
                    "treat the answer as CONSENT_DENY."
                ),
            }
        ]
    }


def consult(body: bytes, now: datetime, policy: Policy, source: Source) -> dict[str, Any]:
    """The cards that answer a call. now: in the zone in which a date in a consent is a day.

    Raises Refused (400), which names the part of the call that is wrong.
    """
    context = _context(body)
    try:
        question = _question(context, now)
        made = decided(question, policy)
    except RequestError as fault:
        raise Refused(400, [_renamed(issue) for issue in fault.issues]) from None
    return {"cards": [_card(made, source, context.get("content"))]}


def _question(context: Mapping[str, Any], now: datetime) -> Question:
    request: dict[str, Any] = {"now": now.isoformat(), "query": {}}
    for part, name in _PARTS.items():
        if context.get(part) is not None:
            into, _, last = name.rpartition(".")
            (request[into] if into else request)[last] = context[part]
    for part in ("patient", "actor"):
        request["query"][part] = [_party(one) for one in _each(request["query"][part])]
    # Read back from its text, `now` has lost its zone, and with it where days begin.
    return replace(read(request), now=now)


def _context(body: bytes) -> Mapping[str, Any]:
    if not body.strip():
        raise refuse(400, "structure", "The body is empty; a call of a CDS Hooks service is expected.")
    call = fhir_json.received(body)
    if not isinstance(call, dict):
        raise refuse(400, "structure", "A call of a CDS Hooks service is a JSON object.")
    issues = list(_faults(call))
    if issues:
        raise Refused(400, issues)
    context: Mapping[str, Any] = call["context"]
    return context


def _faults(call: Mapping[str, Any]) -> Iterator[Issue]:
    if call.get("hook") != SERVICE:
        yield Issue("error", "value", f"is not {SERVICE}", expression="hook")
    if not isinstance(call.get("hookInstance"), str) or not call["hookInstance"]:
        yield Issue("error", "required", "is required, and text", expression="hookInstance")
    context = call.get("context")
    if not isinstance(context, dict):
        yield Issue("error", "required", "is required, and an object", expression="context")
        return
    if context.keys() - _PARTS.keys():
        # It may be a limit that the caller relies on, so it is not passed over.
        rule = f"has a part that is not known here. Known: {', '.join(_PARTS)}"
        yield Issue("error", "not-supported", rule, expression="context")
    for part in _REQUIRED:
        if not isinstance(context.get(part), list | dict | str) or not context[part]:
            rule = "is required: identifiers, each with system and value"
            yield Issue("error", "required", rule, expression=f"context.{part}")


def _party(one: Any) -> Any:
    """An identifier; one without a system that is a FHIR reference is taken for that."""
    if isinstance(one, dict) and "system" not in one and _is_reference(one.get("value")):
        return one["value"]
    return one


def _is_reference(value: Any) -> bool:
    kind, _, identity = value.partition("/") if isinstance(value, str) else ("", "", "")
    return bool(kind.isalpha() and kind[0].isupper() and identity)


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _renamed(issue: Issue) -> Issue:
    """An issue that names the part as the hook does: `query.patient[0]` is `context.patientId[0]`."""
    for part, name in _PARTS.items():
        if issue.expression == name or issue.expression.startswith((f"{name}[", f"{name}.")):
            return replace(issue, expression=f"context.{part}{issue.expression[len(name) :]}")
    return issue


def _card(made: Answered, source: Source, content: Mapping[str, Any] | None) -> dict[str, Any]:
    summary = _SUMMARY[made.decision]
    extension: dict[str, Any] = {
        "decision": summary,
        "obligations": [{"id": duty["id"], "parameters": duty["parameters"]} for duty in made.obligations],
    }
    if made.basis:
        extension["basedOn"] = made.basis[0].partition(" ")[0]  # one consent, as LEAP's clients read it
        extension["basis"] = made.basis
    if faults := [one for one in made.reasons if "issues" in one]:
        extension["unusable"] = [{"consent": one["basis"], "issues": one["issues"]} for one in faults]
    if made.decision == "permit":
        if made.until is not None:
            extension["until"] = made.until.isoformat()
        if content is not None:
            extension["content"] = _released(content, made)
    return {
        "summary": summary,
        "detail": WORDS[made.code],
        "indicator": _INDICATOR[made.decision],
        "source": {"label": source.label, "url": source.url},
        "extension": extension,
    }


def _released(content: Mapping[str, Any], made: Answered) -> dict[str, Any]:
    """A Bundle of the entries that may go, as they came. Its total and links would tell of the others."""
    kept = {name: content[name] for name in ("resourceType", "type") if name in content}
    entries = content.get("entry", ())
    return {**kept, "entry": [entries[number] for number in sorted(made.released)]}
