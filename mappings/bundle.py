"""What a record makes as one FHIR Bundle: its resources, joined to one another, and where they came from.

The addresses are made from the system's name and the record's key, so that the same record gives the same
Bundle again, and a later record about it (`Mapped.of`) points to what the earlier one made. They mean
something inside the agency only: what leaves a node has random ids of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from mappings.provenance import MAPPING, provenance
from mappings.result import Mapped
from mappings.table import LocalMapping
from profiles import canonical

_FULFILL: Final = {"coding": [{"system": canonical.TASK_CODE, "code": "fulfill"}]}
_CLAIMS: Final[Mapping[str, str]] = {
    "Patient": canonical.PATIENT,
    "ServiceRequest": canonical.SERVICE_REQUEST,
    "Task": canonical.REFERRAL_TASK,
    "Consent": canonical.CONSENT,
    "Organization": canonical.ORGANIZATION,
    "HealthcareService": canonical.HEALTHCARE_SERVICE,
    "Location": canonical.LOCATION,
}


def bundle(mapping: LocalMapping, mapped: Mapped, now: str) -> dict[str, Any]:
    """A Bundle of type collection: the resources of `linked`, and one Provenance for all of them.

    now: the time of mapping, a FHIR instant.
    """
    resources = linked(mapping, mapped, now)
    made = [{"fullUrl": url, "resource": resource} for url, resource in resources.items()]
    source = {
        "fullUrl": _url(mapping.system, mapped.key, "Provenance"),
        "resource": provenance(mapping, [{"reference": url} for url in resources], now),
    }
    return {"resourceType": "Bundle", "type": "collection", "timestamp": now, "entry": [*made, source]}


def linked(mapping: LocalMapping, mapped: Mapped, now: str) -> dict[str, dict[str, Any]]:
    """The resources of a record by their addresses, each claiming its profile and pointing to the others.

    What a profile requires and no record says is filled in with what is true of every one: a person without a
    name or gender has none known, a Task is asked for by this system.
    """
    made: dict[str, dict[str, Any]] = {}
    at = _Addresses(mapping, mapped)
    for resource, name in _each(mapped):
        kind = resource["resourceType"]
        claim = {"profile": [_CLAIMS[kind]]} if kind in _CLAIMS and _stands(resource) else {}
        meta = {**claim, **resource.get("meta", {})}
        filled = _filled(resource, at, now)
        made[_url(mapping.system, mapped.key, name)] = {
            "resourceType": kind,
            **({"meta": meta} if meta else {}),
            **filled,
        }
    return made


class _Addresses:
    """Where the other resources of a record, or of the record that it is about, are found."""

    def __init__(self, mapping: LocalMapping, mapped: Mapped) -> None:
        self.title = mapping.title
        self._system = mapping.system
        self._mapped = mapped

    def to(self, name: str) -> dict[str, Any]:
        """A Reference to the (first) resource called `name`."""
        return {"reference": _url(self._system, self._key(name), name)}

    def all(self, name: str) -> list[dict[str, Any]]:
        """References to every resource of this type that the record made."""
        return [
            {"reference": _url(self._system, self._mapped.key, found)}
            for resource, found in _each(self._mapped)
            if resource["resourceType"] == name
        ]

    def _key(self, name: str) -> str:
        if name in self._mapped.resources:
            return self._mapped.key
        if self._mapped.of is not None:
            return self._mapped.of
        return str(self._mapped.resources.get("Task", {}).get("id", self._mapped.key))


def _filled(resource: Mapping[str, Any], at: _Addresses, now: str) -> dict[str, Any]:
    """`resource` with what joins it to the others; nothing that the record says is replaced."""
    match resource["resourceType"]:
        case "Patient":
            unknown = {"extension": [{"url": canonical.DATA_ABSENT_REASON, "valueCode": "unknown"}]}
            more: dict[str, Any] = {"name": [unknown], "gender": "unknown"}
        case "ServiceRequest" | "Observation":
            more = {"subject": at.to("Patient")}
        case "Procedure":
            more = {"subject": at.to("Patient"), "basedOn": [at.to("ServiceRequest")]}
        case "Consent":
            more = {"patient": at.to("Patient")}
        case "Task":
            more = {
                "intent": "order",
                "code": _FULFILL,
                "focus": at.to("ServiceRequest"),
                "for": at.to("Patient"),
                "authoredOn": now,
                "requester": {"display": at.title},
            }
        case "Appointment":
            more = {"participant": [{"actor": at.to("Patient"), "status": "accepted"}]}
        case "HealthcareService":
            # Of several services nobody said which is given at which of several places.
            places = at.all("Location") if len(at.all("HealthcareService")) == 1 else []
            more = {"providedBy": at.to("Organization"), **({"location": places} if places else {})}
        case "Location":
            more = {"managingOrganization": at.to("Organization")}
        case _:
            more = {}
    return {
        **more,
        **{name: value for name, value in resource.items() if name not in ("resourceType", "meta")},
    }


def _stands(resource: Mapping[str, Any]) -> bool:
    """Whether a directory record tells of something that is there: our profiles know nothing else."""
    return resource.get("active", True) is True and (
        resource["resourceType"] != "Location" or resource.get("status", "active") == "active"
    )


def _each(mapped: Mapped) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every resource, with its name: of several of a type the first has the type's own."""
    for kind, made in mapped.resources.items():
        for index, resource in enumerate(made if isinstance(made, list) else [made]):
            yield resource, f"{kind}.{index}" if index else kind


def _url(system: str, key: str, name: str) -> str:
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'{MAPPING}/{system}/{key}/{name}')}"
