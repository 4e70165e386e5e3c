"""A record that holds just the items that a case names, so that what is left out can be stated too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway import audit
from gateway.audit import Entry
from profiles.canonical import DISCLOSURE_ITEM, PREFERRED_LANGUAGE, SDOHCC_CODES

_FACTS: dict[str, dict[str, Any]] = {
    "household-size": {"valueInteger": 3},
    "diet": {"valueCodeableConcept": {"text": "no nuts"}},
    "contact-rule": {"valueCodeableConcept": {"text": "text only"}},
}


def record_of(items: Iterable[str]) -> dict[str, Any]:
    """`{"Patient", "ServiceRequest", "Observation": [...]}` with these items and no other."""
    held = set(items)
    patient: dict[str, Any] = {"resourceType": "Patient"}
    request: dict[str, Any] = {"resourceType": "ServiceRequest"}
    official = {"use": "official"}
    official |= {"given": ["Ana"]} if "given-name" in held else {}
    official |= {"family": "Ortiz"} if "family-name" in held else {}
    names = [official] if len(official) > 1 else []
    names += [{"use": "nickname", "given": ["Lu"]}] if "alias" in held else []
    parts: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "birth-date": (patient, {"birthDate": "1990-01-02"}),
        "address": (patient, {"address": [{"city": "New Haven"}]}),
        "phone": (patient, {"telecom": [{"system": "phone", "value": "+12035550100"}]}),
        "identifier": (patient, {"identifier": [{"system": "urn:ids", "value": "7"}]}),
        "need": (request, {"category": [{"coding": [{"system": SDOHCC_CODES, "code": "food-insecurity"}]}]}),
        "priority": (request, {"priority": "urgent"}),
        "area": (request, {"locationCode": [{"text": "New Haven County"}]}),
        "language": (request, {"extension": [{"url": PREFERRED_LANGUAGE, "valueCode": "es"}]}),
        "narrative": (request, {"note": [{"text": "has a stroller"}]}),
        "condition": (request, {"reasonCode": [{"text": "anaemia"}]}),
    }
    if names:
        patient["name"] = names
    for item, (resource, part) in parts.items():
        if item in held:
            resource.update(part)
    observations = [
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": DISCLOSURE_ITEM, "code": item}]},
            **value,
        }
        for item, value in _FACTS.items()
        if item in held
    ]
    unknown = held - parts.keys() - _FACTS.keys() - {"given-name", "family-name", "alias"}
    assert not unknown, f"no sample of {sorted(unknown)}: add one here"
    return {"Patient": patient, "ServiceRequest": request, "Observation": observations}


def audit_entry(entry: Entry) -> dict[str, Any]:
    """An audit entry as a case states it: the outcome, and for each kind of detail what it says."""
    event = audit._event(entry, "2026-06-01T12:00:00Z")
    said: dict[str, Any] = {"outcome": event["outcome"]}
    for part in event["entity"]:
        for detail in part.get("detail", ()):
            said.setdefault(detail["type"], []).append(detail["valueString"])
    return said
