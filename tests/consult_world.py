"""A good call of the consent service, in LEAP's shape, and the consents that calls are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from profiles.canonical import ACT_CODE, ACT_REASON, CONFIDENTIALITY, CONSENT_SCOPE, PARTICIPATION_TYPE

PATH = "/cds-services/patient-consent-consult"
MRN = "urn:oid:2.16.840.1.113883.19.5"
NPI = "http://hl7.org/fhir/sid/us-npi"
TYPES = "http://hl7.org/fhir/resource-types"
CLINIC = {"system": NPI, "value": "1234567893"}


def consent(name: str = "one", **provision: Any) -> dict[str, Any]:
    """A Consent of Patient/p1 with this root provision."""
    permit = provision.get("type", "permit") == "permit"
    return {
        "resourceType": "Consent",
        "id": name,
        "status": "active",
        "scope": {"coding": [{"system": CONSENT_SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/p1"},
        "dateTime": "2026-01-02T10:00:00Z",
        "policyRule": {"coding": [{"system": ACT_CODE, "code": "OPTIN" if permit else "OPTOUT"}]},
        "provision": {"type": "permit", **provision},
    }


def recipient(**reference: Any) -> dict[str, Any]:
    """A provision's actor: one who receives."""
    role = {"coding": [{"system": PARTICIPATION_TYPE, "code": "IRCP"}]}
    return {"role": role, "reference": reference}


def confidentiality(code: str) -> dict[str, str]:
    return {"system": CONFIDENTIALITY, "code": code}


def observation(name: str, label: str = "N", subject: str = "Patient/p1") -> dict[str, Any]:
    """An entry: an Observation with a label of confidentiality, and a number whose digits matter."""
    return {
        "fullUrl": f"https://hospital.example/fhir/Observation/{name}",
        "resource": {
            "resourceType": "Observation",
            "id": name,
            "meta": {"security": [confidentiality(label)]},
            "subject": {"reference": subject},
            "valueQuantity": {"value": 2.5, "unit": "kg"},
        },
        "search": {"mode": "match"},
    }


def bundle(*entries: dict[str, Any]) -> dict[str, Any]:
    """What is asked for, as a search gave it."""
    return {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": list(entries)}


def call(**context: Any) -> dict[str, Any]:
    """A call that is permitted: the clinic asks for treatment, and the one consent permits that."""
    usual = {
        "patientId": [{"system": MRN, "value": "4711"}],
        "actor": [CLINIC],
        "purposeOfUse": "TREAT",
        "consent": [consent(purpose=[{"system": ACT_REASON, "code": "TREAT"}])],
    }
    return {
        "hook": "patient-consent-consult",
        "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "context": {name: value for name, value in (usual | context).items() if value is not None},
    }


def with_changes(value: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with some parts changed: `{"context.actor.0": 7}`; None removes one, a next number adds one."""
    made: dict[str, Any] = json.loads(json.dumps(value))
    for way, part in changes.items():
        *steps, last = way.split(".")
        target: Any = made
        for step in steps:
            target = target[int(step)] if isinstance(target, list) else target[step]
        if isinstance(target, list):
            target[int(last) : int(last) + 1] = [] if part is None else [part]
        elif part is None:
            del target[last]
        else:
            target[last] = part
    return made
