"""What mapping gives: `Mapped` on the way in, `Rendered` on the way out, `Lineage` beside both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["referral", "amendment", "cancellation", "status", "service", "skip", "refuse"]


@dataclass(frozen=True, slots=True)
class Lineage:
    """`field` (or a condition on it) can reach `element`: "PID-5.2", "copy", "Patient.name[0].given[0]".

    sensitivity: what the mapping says of the field, a code of v3-Confidentiality or v3-ActCode, or empty.
    """

    field: str
    function: str
    element: str
    sensitivity: str = ""


@dataclass(slots=True)
class Mapped:
    """A local record as FHIR content.

    `key` says which record this is (sender, local id, event): the same record sent twice has the same key.
    `of` is the key of the earlier record that this one amends, cancels or reports on; `because` says why
    a record is passed over.
    `subject` is (system, value) of the person's identifier in the agency's own system; a status need not say.
    `recipient` is the receiving service as the local system names it, `excluded` and `excluded_people` the
    organisations and people who must never see the referral, as it names them. `local` are the values that
    write-back needs again. `lineage` lists every path a field can take, for all records of the mapping alike.
    """

    kind: Kind
    key: str
    subject: tuple[str, str] | None
    resources: Mapping[str, Any]
    recipient: str | None
    local: Mapping[str, str]
    lineage: tuple[Lineage, ...]
    of: str | None = None
    because: str = ""
    excluded: tuple[str, ...] = ()
    excluded_people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message in the agency's own form; `name` is what the agency calls it, such as RRI^I12.

    method: of the HTTP request that carries it to a webhook.
    """

    content_type: str
    suffix: str
    body: bytes
    name: str
    method: Literal["POST", "PATCH"] = "POST"
