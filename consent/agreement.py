"""Agreements between agencies as data: who may send whom what, what for, and until when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from consent.items import shipped
from consent.when import first_moment, last_moment
from profiles.canonical import ACT_REASON
from profiles.document import Document, parse, read_schema
from profiles.document import load as load_document
from profiles.outcome import Issue
from profiles.terminology import known, subsumes

Status = Literal["draft", "active", "suspended", "terminated"]
SharingModel = Literal["minimal-data-coordination", "aggregate-only", "structured"]

SOURCE = "referral-source"
RECIPIENT = "referral-recipient"


@dataclass(frozen=True, slots=True)
class Member:
    """A party to the agreement, what it may do under it, and the thumbprints (RFC 7638) of its keys."""

    organization: str
    roles: frozenset[str]
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Clause:
    """The items that may go for one referral type in one view; `number` is its place in `data`."""

    number: int
    referral_type: str
    view: Literal["offer", "dossier"]
    items: frozenset[str]


@dataclass(frozen=True, slots=True)
class Prohibition:
    """Something the recipient promises not to do. Attested by the parties, not enforced by the engine."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """One agreement. `starts` and `ends` are its first and last instant; `document` is the file's content."""

    id: str
    version: int
    status: Status
    members: tuple[Member, ...]
    starts: datetime
    ends: datetime
    purposes: frozenset[str]
    sharing_model: SharingModel
    clauses: tuple[Clause, ...]
    consent_required: bool
    prohibitions: tuple[Prohibition, ...]
    document: Mapping[str, Any]

    @property
    def reference(self) -> str:
        """How a decision names it."""
        return f"agreement {self.id} v{self.version}"

    def is_between(self, source: str, recipient: str) -> bool:
        """Whether it lets `source` refer to `recipient`; the way back is another role."""
        return source != recipient and self._has(source, SOURCE) and self._has(recipient, RECIPIENT)

    def serves(self, purpose: str) -> bool:
        """Whether it is for this purpose, or for a wider one that holds it."""
        return any(subsumes(ACT_REASON, general, purpose) for general in self.purposes)

    def clauses_for(self, referral_type: str, view: str) -> tuple[Clause, ...]:
        """What it says of a referral type; a dossier comes with its offer."""
        views = ("offer",) if view == "offer" else ("offer", "dossier")
        return tuple(
            clause
            for clause in self.clauses
            if clause.referral_type == referral_type and clause.view in views
        )

    def _has(self, organization: str, role: str) -> bool:
        return any(member.organization == organization and role in member.roles for member in self.members)


def load(path: Path) -> Agreement:
    """The agreement in a JSON or YAML file. Raises DocumentError (file, line), also for unknown terms."""
    return _agreement(load_document(path, schema()))


def loads(text: str, name: str) -> Agreement:
    """The agreement in `text`; `name` is shown in messages. Raises DocumentError."""
    return _agreement(parse(text, schema(), name))


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of agreements."""
    return read_schema(Path(__file__).parent / "agreement.schema.json")


def _agreement(document: Document) -> Agreement:
    issues = list(_unknown_terms(document))
    if issues:
        raise document.error(issues)
    data = document.data
    zone = ZoneInfo(data["period"].get("zone", "UTC"))
    return Agreement(
        id=data["id"],
        version=data["version"],
        status=data["status"],
        members=tuple(
            Member(one["organization"], frozenset(one["roles"]), tuple(one.get("keys", ())))
            for one in data["parties"]
        ),
        starts=first_moment(data["period"]["start"], zone),
        ends=last_moment(data["period"]["end"], zone),
        purposes=frozenset(data["purposes"]),
        sharing_model=data["sharingModel"],
        clauses=tuple(
            Clause(number, one["referralType"], one["view"], frozenset(one["items"]))
            for number, one in enumerate(data["data"])
        ),
        consent_required=data["consentRequired"],
        prohibitions=tuple(Prohibition(one["code"], one["text"]) for one in data["prohibitions"]),
        document=data,
    )


def _unknown_terms(document: Document) -> Iterator[Issue]:
    """What the schema cannot see: items, purposes, zones, parties and a period that make sense."""
    data = document.data
    items = shipped().entries
    for number, purpose in enumerate(data["purposes"]):
        if not known(ACT_REASON, purpose):
            yield document.issue(("purposes", number), "is not a purpose in v3-ActReason")
    for at, clause in enumerate(data["data"]):
        for number, item in enumerate(clause["items"]):
            where = ("data", at, "items", number)
            if item not in items:
                yield document.issue(where, "is not a disclosure item")
            elif clause["view"] == "offer" and items[item].group != "offer":
                yield document.issue(where, "is about the person, and an offer never is")
    try:
        ZoneInfo(data["period"].get("zone", "UTC"))
    except (KeyError, ValueError, OSError):
        yield document.issue(("period", "zone"), "is not a time zone")
    if data["period"]["start"] > data["period"]["end"]:
        yield document.issue(("period", "end"), "is before the start")
    parties = [one["organization"] for one in data["parties"]]
    for number, organization in enumerate(parties):
        if organization in parties[:number]:
            yield document.issue(("parties", number, "organization"), "is a party twice")
    for name in ("stewards", "contacts", "signatures"):
        for number, one in enumerate(data.get(name, ())):
            if one["organization"] not in parties:
                yield document.issue((name, number, "organization"), "is not a party")
