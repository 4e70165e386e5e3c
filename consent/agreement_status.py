"""What one party says about an agreement that all have signed: suspended, active again, terminated.

A statement is signed like the agreement itself, over the agreement's id and version, the digest of its
terms, who says it, what, when and why. To stop needs no proof: a suspension counts even where its signature
does not hold, as whoever can write a file could also write `"status": "suspended"`. To go on does: only the
party that suspended can lift it, later, with a signature that holds. A termination is for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from consent.agreement_signing import (
    Key,
    SigningError,
    canonical,
    check_bytes,
    listed_keys,
    sign_bytes,
    terms_digest,
)

Status = Literal["draft", "active", "suspended", "terminated"]

TYPE: Final = "waymeet-agreement-statement+jws"


@dataclass(frozen=True, slots=True)
class Statement:
    """One party's word. `fault` says in plain words why its signature does not hold; empty when it does."""

    organization: str
    status: Status
    at: datetime
    reason: str
    fault: str


def state(
    document: Mapping[str, Any], organization: str, status: Status, key: Key, at: datetime, reason: str = ""
) -> dict[str, Any]:
    """The agreement with a signed statement of `organization` in it, and the `status` that follows.

    Raises SigningError for a party or key that the terms do not name, for a draft, and after a termination.
    """
    keys = listed_keys(document, organization)
    if keys is None or key.thumbprint() not in keys:
        raise SigningError(f"The agreement does not list this key for {organization}.")
    if document["status"] == "draft":
        raise SigningError("It is a draft: nothing is in force that could be stopped or resumed.")
    if effective(document) == "terminated":
        raise SigningError("It is terminated, and that is for good. A new agreement is needed.")
    said = {"organization": organization, "status": status, "at": at.isoformat()}
    if reason:
        said["reason"] = reason
    token = sign_bytes(statement_bytes(document, said), key, TYPE)
    stated = {**document, "statements": [*document.get("statements", ()), {**said, "jws": token}]}
    return {**stated, "status": effective({**stated, "status": "active"})}


def statements(document: Mapping[str, Any]) -> tuple[Statement, ...]:
    """Every statement in the file, in the order in which they were made."""
    found = (_checked(document, one) for one in document.get("statements", ()))
    return tuple(sorted(found, key=lambda one: one.at))


def effective(document: Mapping[str, Any]) -> Status:
    """The status that counts: the file's, or a stricter one that a party has stated."""
    status: Status = document["status"]
    if status != "active":
        return status
    suspended: dict[str, datetime] = {}
    for one in statements(document):
        if one.status == "terminated":
            return "terminated"
        if one.status == "suspended":
            suspended[one.organization] = one.at
        elif not one.fault and one.organization in suspended and suspended[one.organization] < one.at:
            del suspended[one.organization]
    return "suspended" if suspended else "active"


def _checked(document: Mapping[str, Any], one: Mapping[str, Any]) -> Statement:
    keys = listed_keys(document, one["organization"]) or ()
    fault, _ = check_bytes(one["jws"], statement_bytes(document, one), keys, TYPE)
    at, reason = datetime.fromisoformat(one["at"]), one.get("reason", "")
    return Statement(one["organization"], one["status"], at, reason, fault)


def statement_bytes(document: Mapping[str, Any], one: Mapping[str, Any]) -> bytes:
    """The bytes that a party signs when it states `one` about an agreement."""
    said = {name: value for name, value in one.items() if name != "jws"}
    about = {"agreement": document["id"], "version": document["version"], "terms": terms_digest(document)}
    return canonical({**about, **said})
