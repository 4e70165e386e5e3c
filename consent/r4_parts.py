"""The parts of an R4 provision, each read strictly: what is not understood becomes an issue.

Issues name the element and the rule, never the value, because a Consent is about a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Final
from urllib.parse import urlsplit

from consent.items import shipped
from consent.when import first_moment, last_moment
from profiles.canonical import ACT_REASON, DISCLOSURE_ITEM, PARTICIPATION_TYPE
from profiles.outcome import Issue
from profiles.terminology import known

_R4_ONLY: Final = frozenset(
    {"securityLabel", "class", "data", "dataPeriod", "extension", "modifierExtension"}
)
_ACTOR: Final = frozenset({"role", "reference", "id"})
_URI: Final = "urn:ietf:rfc:3986"
_RECIPIENT: Final = "IRCP"


@dataclass(slots=True)
class Faults:
    """The issues found so far."""

    issues: list[Issue] = field(default_factory=list)

    def invalid(self, expression: str, rule: str) -> None:
        """`expression` holds something that cannot be relied on."""
        self.issues.append(Issue("error", "not-supported", rule, expression=expression))

    def required(self, expression: str, rule: str) -> None:
        """`expression` is missing."""
        self.issues.append(Issue("error", "required", rule, expression=expression))

    def unknown(self, place: str, name: str) -> None:
        """An element of a provision that this version does not understand; only FHIR's names are repeated."""
        where = f"{place}.{name}" if name in _R4_ONLY else place
        self.invalid(where, "holds an element that this version does not understand")

    def moment(self, value: Any, zone: tzinfo) -> datetime | None:
        """The first instant of a FHIR dateTime; None when it is not one."""
        try:
            return first_moment(value, zone)
        except ValueError:
            return None


def list_of(provision: Mapping[str, Any], name: str, place: str, faults: Faults) -> list[Mapping[str, Any]]:
    """The objects in the repeating element `name`; an issue for anything else, an empty list included."""
    if name not in provision:
        return []
    value = provision[name]
    if not isinstance(value, list) or not value or not all(isinstance(one, Mapping) for one in value):
        faults.invalid(f"{place}.{name}", "is not a list of objects")
        return []
    return value


def codings(concept: Any, system: str) -> frozenset[str]:
    """The codes that a CodeableConcept gives in `system`."""
    found = concept.get("coding") if isinstance(concept, Mapping) else None
    return frozenset(
        coding["code"]
        for coding in (found if isinstance(found, list) else [])
        if isinstance(coding, Mapping)
        and coding.get("system") == system
        and isinstance(coding.get("code"), str)
    )


def items(provision: Mapping[str, Any], place: str, faults: Faults) -> frozenset[str] | None:
    """The disclosure items in `provision.code`; None when it names none and so speaks of all."""
    found: set[str] = set()
    for concept in list_of(provision, "code", place, faults):
        named = codings(concept, DISCLOSURE_ITEM)
        if not named or not named <= shipped().entries.keys():
            faults.invalid(f"{place}.code", "is not one of the disclosure items")
        found |= named
    return frozenset(found) if "code" in provision else None


def purposes(provision: Mapping[str, Any], place: str, faults: Faults) -> frozenset[str] | None:
    """The v3-ActReason codes in `provision.purpose`; None when it names none and so serves any."""
    found: set[str] = set()
    for coding in list_of(provision, "purpose", place, faults):
        code = coding.get("code")
        if coding.get("system") != ACT_REASON or not isinstance(code, str) or not known(ACT_REASON, code):
            faults.invalid(f"{place}.purpose", "is not a purpose of use from v3-ActReason")
        else:
            found.add(code)
    return frozenset(found) if "purpose" in provision else None


def actors(provision: Mapping[str, Any], place: str, faults: Faults) -> frozenset[str] | None:
    """The directory URLs of the recipients that `provision.actor` names; None: everyone."""
    found: set[str] = set()
    for actor in list_of(provision, "actor", place, faults):
        where = f"{place}.actor"
        if set(actor) - _ACTOR:
            faults.unknown(where, "extension")
        if _RECIPIENT not in codings(actor.get("role"), PARTICIPATION_TYPE):
            faults.invalid(f"{where}.role", f"is not an information recipient ({_RECIPIENT})")
        url = _organization(actor.get("reference"))
        if url is None:
            faults.invalid(f"{where}.reference", "is not an organisation of the directory")
        else:
            found.add(url)
    return frozenset(found) if "actor" in provision else None


def _organization(reference: Any) -> str | None:
    """The directory URL that a Reference gives, as its literal reference or as a URI identifier."""
    if not isinstance(reference, Mapping):
        return None
    url = reference.get("reference")
    if url is None:
        identifier = reference.get("identifier")
        if isinstance(identifier, Mapping) and identifier.get("system") == _URI:
            url = identifier.get("value")
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    path = parts.path.split("/")
    whole = parts.scheme in ("https", "http") and parts.netloc and not parts.query and not parts.fragment
    return url if whole and len(path) > 2 and path[-2] == "Organization" and path[-1] else None


def gate_period(
    period: Any, place: str, zone: tzinfo, faults: Faults
) -> tuple[datetime | None, datetime | None]:
    """First and last instant of a provision's period, both inclusive; None where it is open."""
    if period is None:
        return None, None
    where = f"{place}.period"
    if not isinstance(period, Mapping) or not period or set(period) - {"start", "end", "id"}:
        faults.invalid(where, "is not a period with start or end")
        return None, None
    try:
        starts = first_moment(period["start"], zone) if "start" in period else None
        ends = last_moment(period["end"], zone) if "end" in period else None
    except ValueError:
        faults.invalid(where, "is not made of FHIR dateTimes")
        return None, None
    if starts and ends and starts > ends:
        faults.invalid(where, "ends before it begins")
    return starts, ends
