"""The log that nobody can quietly rewrite: AuditEvents without personal data, each chained to the last.

Shape: IHE BALP 1.1 (RESTful patterns, consent decisions) on FHIR R4 AuditEvent, with pseudonyms in place
of Patient references.
Every entry is written in the transaction of what it tells of, so there is no act without entry, and a
failed entry undoes the act. An event names codes and items, never a value from a record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from sqlalchemy import bindparam, select

from consent import Decision
from gateway.store.schema import audit
from gateway.store.work import Work

FIRST = "0" * 64

_LAST = (
    select(audit.c.number, audit.c.hash)
    .where(audit.c.tenant == bindparam("at_tenant"))
    .order_by(audit.c.number.desc())
    .limit(1)
)

Action = Literal["C", "R", "U", "D", "E"]
_EVENT_TYPE = {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"}
_INTERACTION = "http://hl7.org/fhir/restful-interaction"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened.

    act: a FHIR restful-interaction code (`read`, `update`, `create`, `search-type`) or one of ours
    (`decide`, `notify`, `erase`). agent: who asked, an organisation's directory URL or a local client's id.
    subject: a pseudonym of the person, never an identifier.
    """

    act: str
    action: Action
    agent: str
    refused: bool = False
    referral_id: str | None = None
    what: str = ""  # "Task/…": the address that was asked for, with random ids only
    subject: str = ""
    request_id: str = ""
    decision: Decision | None = None
    items: Iterable[str] = ()  # disclosure items that were shown
    withheld: Iterable[str] = ()  # paths, never values
    details: Mapping[str, str] = field(default_factory=dict)


def record(work: Work, entry: Entry) -> int:
    """Append `entry` in the caller's unit of work; returns its number in the chain."""
    last = work.run(_LAST).one_or_none()
    number, previous = (last.number + 1, last.hash) if last else (1, FIRST)
    event = msgspec.json.encode(_event(entry, work.stamp)).decode()
    row = {
        "number": number,
        "referral_id": entry.referral_id,
        "previous": previous,
        "hash": _link(previous, event),
        "event": event,
    }
    work.add(audit, row)
    return int(number)


def first_break(work: Work) -> int | None:
    """The number of the first entry that does not follow from the one before it; None if all do."""
    previous, expected = FIRST, 1
    for row in work.tx.execute(select(audit).where(audit.c.tenant == work.tenant).order_by(audit.c.number)):
        intact = row.number == expected and row.previous == previous
        if not intact or row.hash != _link(previous, row.event):
            return int(row.number)
        previous, expected = row.hash, expected + 1
    return None


def length(work: Work) -> int:
    """How many entries there are."""
    last = work.run(_LAST).one_or_none()
    return int(last.number) if last else 0


def of_referral(work: Work, referral_id: str) -> list[dict[str, Any]]:
    """The AuditEvents of one referral, oldest first."""
    rows = work.tx.execute(
        select(audit.c.event)
        .where(audit.c.tenant == work.tenant, audit.c.referral_id == referral_id)
        .order_by(audit.c.number)
    )
    return [msgspec.json.decode(row.event) for row in rows]


def _link(previous: str, event: str) -> str:
    return hashlib.sha256(f"{previous}{event}".encode()).hexdigest()


def _event(entry: Entry, recorded: str) -> dict[str, Any]:
    return {
        "resourceType": "AuditEvent",
        "type": _EVENT_TYPE,
        "subtype": [{"system": _INTERACTION, "code": entry.act}],
        "action": entry.action,
        "recorded": recorded,
        "outcome": "4" if entry.refused else "0",
        "agent": [{"who": {"identifier": {"value": entry.agent}}, "requestor": True}],
        "source": {"observer": {"display": "waymeet"}},
        "entity": list(_entities(entry)),
    }


def _entities(entry: Entry) -> Iterable[dict[str, Any]]:
    if entry.what:
        yield {"what": {"reference": entry.what}}
    if entry.subject:
        yield {"what": {"identifier": {"value": entry.subject}}, "type": {"code": "1"}}
    if entry.request_id:
        yield {"what": {"identifier": {"value": entry.request_id}}, "type": {"code": "X-Request-Id"}}
    details = [{"type": name, "valueString": value} for name, value in entry.details.items()]
    if entry.decision is not None:
        details += _decision(entry.decision)
    details += [{"type": "item", "valueString": item} for item in entry.items]
    details += [{"type": "withheld-path", "valueString": path} for path in entry.withheld]
    if details:
        yield {"name": "decision", "detail": details}


def _decision(decision: Decision) -> Iterable[dict[str, str]]:
    yield {"type": "decision", "valueString": decision.code}
    yield {"type": "view", "valueString": decision.view}
    for item in sorted(decision.items):
        yield {"type": "permitted", "valueString": item}
    for item, code in sorted(decision.withheld.items()):
        yield {"type": "withheld", "valueString": f"{item}: {code}"}
    for reason in decision.reasons:
        yield {"type": "reason", "valueString": f"{reason.step}: {reason.outcome}: {reason.text}"}
    for basis in decision.basis:
        yield {"type": "basis", "valueString": basis}
    for obligation in decision.obligations:
        yield {"type": "obligation", "valueString": obligation.code}
    for remedy in decision.remedies:
        yield {"type": "remedy", "valueString": remedy}
