"""What mapping gives: `Mapped` on the way in, `Rendered` on the way out, `Lineage` beside both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["referral", "status"]


@dataclass(frozen=True, slots=True)
class Lineage:
    """`field` (or a condition on it) can reach `element`: "PID-5.2", "copy", "Patient.name[0].given[0]"."""

    field: str
    function: str
    element: str


@dataclass(frozen=True, slots=True)
class Mapped:
    """A local record as FHIR content.

    `key` says which record this is (sender, local id, event): the same record sent twice has the same key.
    `subject` is (system, value) of the person's identifier in the agency's own system, None for a status.
    `recipient` is the receiving service as the local system names it. `local` are the values that write-back
    needs again. `lineage` lists every path a field can take in this mapping, for all of its records alike.
    """

    kind: Kind
    key: str
    subject: tuple[str, str] | None
    resources: Mapping[str, Any]
    recipient: str | None
    local: Mapping[str, str]
    lineage: tuple[Lineage, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message in the agency's own form; `name` is what the agency calls it, such as RRI^I12."""

    content_type: str
    suffix: str
    body: bytes
    name: str
