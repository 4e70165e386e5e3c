"""Agreements between agencies as data: who may send whom what, what for, and until when."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import jsonschema_rs

from consent.agreement_checks import faults, fractions
from consent.agreement_signing import verify
from consent.agreement_status import Status as Status
from consent.agreement_status import effective
from consent.when import first_moment, last_moment
from profiles.canonical import ACT_REASON
from profiles.document import Document, parse, read_schema
from profiles.document import load as load_document
from profiles.terminology import subsumes

SharingModel = Literal["minimal-data-coordination", "aggregate-only", "structured"]

SOURCE = "referral-source"
RECIPIENT = "referral-recipient"


@dataclass(frozen=True, slots=True)
class Member:
    """A party, what it may do under the agreement, its keys' RFC 7638 thumbprints, and its kinds in law."""

    organization: str
    roles: frozenset[str]
    keys: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()


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
    """One agreement. `starts` and `ends` are its first and last instant; `document` is the file's content.

    `status` is the one that counts, statements of single parties included. `signed` says that every party
    has signed these terms with a key that they list for it; `unsigned` are the parties that have not. Both
    are found out once, when it is loaded. `superseded` is the moment from which a newer version stands in
    its place.
    """

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
    signed: bool = False
    unsigned: tuple[str, ...] = ()
    superseded: datetime | None = None

    @property
    def reference(self) -> str:
        """How a decision names it."""
        return f"agreement {self.id} v{self.version}"

    def is_between(self, source: str, recipient: str) -> bool:
        """Whether it lets `source` refer to `recipient`; the way back is another role."""
        return source != recipient and self._has(source, SOURCE) and self._has(recipient, RECIPIENT)

    def kinds_of(self, organization: str) -> frozenset[str]:
        """What a party is in law, as all parties have signed; of no kind where they have not."""
        if not self.signed:
            return frozenset()
        return frozenset().union(*(one.kinds for one in self.members if one.organization == organization))

    def is_replaced(self, now: datetime) -> bool:
        """Whether a newer version stands in its place."""
        return self.superseded is not None and self.superseded <= now

    def is_in_force(self, now: datetime) -> bool:
        """Whether anything can rest on it: active, signed by all, not replaced, and within its period."""
        return (
            self.status == "active"
            and self.signed
            and not self.is_replaced(now)
            and self.starts <= now <= self.ends
        )

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
    """The agreement in a JSON or YAML file, its signatures verified.

    Raises DocumentError (file, line), also for unknown terms.
    """
    return of(read(path))


def loads(text: str, name: str) -> Agreement:
    """The agreement in `text`; `name` is shown in messages. Raises DocumentError."""
    return of(reads(text, name))


def read(path: Path) -> Mapping[str, Any]:
    """The content of an agreement's file, checked in all but its signatures. Raises DocumentError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""  # says nothing; what follows reads it again and says what is wrong
    quick = _quick(text) if path.name.endswith(".json") else None
    return quick if quick is not None else _checked(load_document(path, schema()))


def reads(text: str, name: str) -> Mapping[str, Any]:
    """`read` of a text; `name` is shown in messages. Raises DocumentError."""
    quick = _quick(text) if name.endswith(".json") else None
    return quick if quick is not None else _checked(parse(text, schema(), name))


def _checked(document: Document) -> Mapping[str, Any]:
    found = (*faults(document.data), *fractions(document.data))
    issues = [document.issue(where, message) for where, message in found]
    if issues:
        raise document.error(issues)
    data: Mapping[str, Any] = document.data
    return data


def _quick(text: str) -> Mapping[str, Any] | None:
    """A good agreement, without the places that only a bad one needs: fifty times as fast. Else None."""
    try:
        data = json.loads(text, object_pairs_hook=_once, parse_float=_no_number, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    if not _validator().is_valid(data) or any(True for _ in faults(data)):
        return None
    found: Mapping[str, Any] = data
    return found


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key that stands twice")
    return found


def _no_number(_: str) -> Any:
    raise ValueError("a number that agreements do not hold")


def schema() -> Mapping[str, Any]:
    """The JSON Schema of agreements."""
    return read_schema(Path(__file__).parent / "agreement.schema.json")


@cache
def _validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(dict(schema()), validate_formats=True)


def of(data: Mapping[str, Any]) -> Agreement:
    """The agreement that a checked document says, its signatures verified."""
    zone = ZoneInfo(data["period"].get("zone", "UTC"))
    unsigned = tuple(one.organization for one in verify(data) if one.state != "signed")
    return Agreement(
        id=data["id"],
        version=data["version"],
        status=effective(data),
        members=tuple(
            Member(
                one["organization"],
                frozenset(one["roles"]),
                tuple(one.get("keys", ())),
                frozenset(one.get("kinds", ())),
            )
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
        signed=not unsigned,
        unsigned=unsigned,
    )
