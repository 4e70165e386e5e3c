"""What this node says it can do: the CapabilityStatement at `GET /fhir/metadata` (FHIR R4)."""

from __future__ import annotations

from functools import cache
from typing import Any

from gateway.node import Identity
from gateway.task_search import TESTS
from gateway.validate_operation import DEFINITION
from profiles import canonical
from profiles.models import typed

_SEARCH_TYPES = {"_id": "token", "_lastUpdated": "date", "code": "token", "status": "token"}


@cache
def capability_statement(identity: Identity, software: str, published: str) -> dict[str, Any]:
    """The statement of one identity: what a referral recipient ("Light") needs of a source, and no more.

    What we publish about ourselves is also read by the independent model of fhir.resources, once.
    Raises profiles.models.ModelError where that does not accept it.
    """
    statement = _statement(identity, software, published)
    typed(statement)
    return statement


def _statement(identity: Identity, software: str, published: str) -> dict[str, Any]:
    task = _resource("Task", ["read", "update", "search-type"], canonical.REFERRAL_TASK)
    task["versioning"] = "versioned-update"
    task["readHistory"] = False
    task["searchParam"] = [
        {"name": name, "type": _SEARCH_TYPES.get(name, "reference")} for name in sorted(TESTS)
    ]
    resources = [
        task,
        _resource("ServiceRequest", ["read"], canonical.SERVICE_REQUEST),
        _resource("Patient", ["read"], canonical.PATIENT),
        _resource("Observation", ["read"]),
        _resource("DocumentReference", ["read"]),
        _resource("Organization", ["read"]),
        _resource("Procedure", ["create"]),
        _resource("Subscription", ["create", "read", "search-type"], canonical.BACKPORT_SUBSCRIPTION),
    ]
    if not identity.alias:
        for one in resources:
            one["operation"] = [{"name": "validate", "definition": DEFINITION}]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": published,
        "kind": "instance",
        "software": {"name": "Waymeet", "version": software},
        "implementation": {"description": "A Waymeet node", "url": identity.fhir_base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "service": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                    "code": "SMART-on-FHIR",
                                }
                            ]
                        }
                    ],
                    "description": "SMART Backend Services 2.2; every read is decided when it is made.",
                },
                "resource": resources,
            }
        ],
    }


def _resource(resource_type: str, interactions: list[str], profile: str = "") -> dict[str, Any]:
    resource: dict[str, Any] = {
        "type": resource_type,
        "interaction": [{"code": code} for code in interactions],
    }
    return resource | ({"supportedProfile": [profile]} if profile else {})
