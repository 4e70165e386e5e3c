"""The Task as its owner sees it: person-free and complete, in every state (WaymeetReferralTask)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.referral import NEEDS_REASON
from gateway.store.referrals import Referral
from gateway.store.tasks import Task
from profiles import canonical

_FULFILL = {"coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]}
_ADDITIONAL = {"coding": [{"system": canonical.SDOHCC_CODES, "code": "additional-content"}]}
_RESULTING = {"coding": [{"system": canonical.SDOHCC_CODES, "code": "resulting-activity"}]}
_SECURITY = [
    {"system": canonical.CONFIDENTIALITY, "code": "R"},
    {"system": canonical.ACT_CODE, "code": "NORDSCLCD"},
]

WITHDRAWN: Mapping[str, Any] = {
    "coding": [{"system": canonical.STATUS_REASON, "code": "withdrawn"}],
    "text": "The referral is no longer offered.",
}
# The state outlives the content; the profile asks for a reason in words all the same.
ERASED: Mapping[str, Any] = {"text": "The reason is no longer kept."}


def task_resource(
    referral: Referral, task: Task, addresses: Mapping[str, str], inputs: Iterable[str]
) -> dict[str, Any]:
    """A FHIR R4 Task.

    addresses: name in the content → id, of this Task alone. inputs: the names ("Observation/diet") that
    the dossier holds now; they become `Task.input` of type `additional-content` (SDOH-CC 3.0.0).
    """
    resource: dict[str, Any] = {
        "resourceType": "Task",
        "id": task.id,
        "meta": {
            "lastUpdated": task.last_modified,
            "profile": [canonical.REFERRAL_TASK],
            "security": _SECURITY,
        },
        "status": task.status,
        "intent": "order",
        "code": _FULFILL,
        "focus": {"reference": f"ServiceRequest/{addresses['ServiceRequest']}"},
        "for": {"reference": f"Patient/{addresses['Patient']}"},
        "authoredOn": task.authored_on,
        "lastModified": task.last_modified,
        "requester": {"reference": referral.organization},
        "owner": {"reference": task.owner},
    }
    listed = [
        {"type": _ADDITIONAL, "valueReference": {"reference": f"{name.partition('/')[0]}/{addresses[name]}"}}
        for name in inputs
    ]
    if listed:
        resource["input"] = listed
    if task.status in NEEDS_REASON and not task.detail.get("statusReason"):
        resource["statusReason"] = WITHDRAWN if task.status == "cancelled" else ERASED
    return resource | {name: value for name, value in task.detail.items() if value}


def resulting_activity(procedure_id: str) -> dict[str, Any]:
    """The `Task.output` that points to a Procedure done for the referral."""
    return {"type": _RESULTING, "valueReference": {"reference": f"Procedure/{procedure_id}"}}
