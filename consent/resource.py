"""A FHIR resource as a data item of a decision: its codes and labels, when it was, by whom, about whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, tzinfo
from typing import Any, Final

from consent.labelling import LabelTable
from consent.matter import Code, Datum
from consent.when import first_moment, last_moment
from profiles.canonical import ACT_REASON, OBSERVATION_VALUE

# Where a resource says when what it tells happened, the nearest to the fact first.
_WHEN: Final = (
    *("effectiveDateTime", "effectivePeriod", "effectiveInstant", "performedDateTime", "performedPeriod"),
    *("occurrenceDateTime", "occurrencePeriod", "onsetDateTime", "onsetPeriod", "servicedDate"),
    *("servicedPeriod", "period", "started", "authoredOn", "authored", "recordedDate", "dateAsserted"),
    *("date", "created", "issued", "sent", "recorded"),
)
_AUTHORS: Final = ("author", "performer", "recorder", "asserter", "requester", "informationSource", "sender")
_SUBJECTS: Final = ("subject", "patient", "beneficiary", "individual")
# In meta.security, but no label of what the resource tells.
_NO_LABEL: Final = frozenset({ACT_REASON, OBSERVATION_VALUE})
_DEPTH: Final = 64


def datum(
    resource: Mapping[str, Any],
    key: str,
    labels: LabelTable,
    zone: tzinfo,
    *,
    url: str = "",
    authors: Iterable[str] = (),
) -> Datum:
    """One resource. url: its `fullUrl` in a Bundle; authors: those whom a Provenance in the Bundle names.

    Codes are those found anywhere in it (R4 Consent.provision.code: "if this code is found in an instance").
    """
    kind = str(resource.get("resourceType", ""))
    profiles = (
        (resource.get("meta") or {}).get("profile") or () if isinstance(resource.get("meta"), Mapping) else ()
    )
    by = {name for element in _AUTHORS for name in references(resource.get(element))}
    return Datum(
        key=key,
        type=kind,
        codes=frozenset(
            {*_codings(resource), *(("urn:ietf:rfc:3986", one) for one in profiles if isinstance(one, str))}
        ),
        labels=frozenset(label for label in labels.of_resource(resource) if label[0] not in _NO_LABEL),
        date=_date(resource, zone),
        itself=frozenset(
            name for name in (url, f"{kind}/{resource['id']}" if "id" in resource else "") if name
        ),
        refers=frozenset(references(resource)),
        authors=frozenset(by | set(authors)),
    )


def subjects(resource: Mapping[str, Any]) -> frozenset[str]:
    """The references to the person that it is about; a Patient is about itself."""
    if resource.get("resourceType") == "Patient":
        return frozenset({f"Patient/{resource['id']}"}) if "id" in resource else frozenset()
    return frozenset(
        name
        for element in _SUBJECTS
        for name in _literal(resource.get(element))
        if "Patient/" in name or name.startswith("urn:")
    )


def provenance_authors(resources: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Reference → those whom the Provenances among `resources` name as its agents."""
    found: dict[str, set[str]] = {}
    for resource in resources:
        if resource.get("resourceType") == "Provenance":
            agents = set(references(resource.get("agent")))
            for target in references(resource.get("target")):
                found.setdefault(target, set()).update(agents)
    return found


def references(value: Any, depth: int = _DEPTH) -> Iterator[str]:
    """Every literal reference in an element, to other resources only."""
    if isinstance(value, list):
        for one in value:
            yield from references(one, depth)
    elif isinstance(value, Mapping) and depth:
        literal = value.get("reference")
        if isinstance(literal, str) and literal and not literal.startswith("#"):
            yield literal
        for one in value.values():
            if isinstance(one, Mapping | list):
                yield from references(one, depth - 1)


def _literal(value: Any) -> Iterator[str]:
    literal = value.get("reference") if isinstance(value, Mapping) else None
    if isinstance(literal, str) and literal:
        yield literal


def _codings(value: Any, depth: int = _DEPTH) -> Iterator[Code]:
    if isinstance(value, list):
        for one in value:
            yield from _codings(one, depth)
    elif isinstance(value, Mapping) and depth:
        system, code = value.get("system"), value.get("code")
        if isinstance(system, str) and isinstance(code, str):
            yield system, code
        for name, one in value.items():
            if name != "meta" and isinstance(one, Mapping | list):
                yield from _codings(one, depth - 1)


def _date(resource: Mapping[str, Any], zone: tzinfo) -> tuple[datetime, datetime] | None:
    for name in _WHEN:
        value = resource.get(name)
        try:
            if isinstance(value, str):
                return first_moment(value, zone), last_moment(value, zone)
            if isinstance(value, Mapping) and "start" in value and "end" in value:
                return first_moment(value["start"], zone), last_moment(value["end"], zone)
        except ValueError:
            return None
        if value is not None:
            return None  # a period that is open at one side may reach into any other
    return None
