"""A local record arrives: read it, map it, check it. What is wrong with it is said by field and line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from gateway import exclusion, fhir_json
from gateway.errors import Refused, not_found, refuse
from gateway.exclusion import Exclusions
from gateway.node import Node
from mappings import LocalMapping, Mapped, Record, RecordError
from mappings.blame import with_fields
from mappings.readers.source import Source
from profiles import canonical, validate
from profiles.outcome import errors
from profiles.registry import Definitions


def mapped_records(node: Node, system: str, body: bytes) -> list[Mapped | Refused]:
    """Every record in `body`, mapped; one that cannot be is its refusal, and hinders no other.

    Raises Refused when there is no such system (404) or nothing can be read at all (400).
    """
    mapping = node.mappings.get(system)
    if mapping is None:
        raise not_found()
    if not body.strip():
        raise refuse(400, "required", "The record is empty.")
    try:
        with Source.of_bytes(body) as source:
            return [_mapped(mapping, record) for record in mapping.records(source)]
    except RecordError as fault:
        raise Refused(400, fault.issues) from None


def _mapped(mapping: LocalMapping, record: Record | RecordError) -> Mapped | Refused:
    if isinstance(record, RecordError):
        return Refused(400, record.issues)
    try:
        return mapping.map(record)
    except RecordError as fault:
        return Refused(422, fault.issues)


def referral_resources(mapped: Mapped, held: Definitions) -> dict[str, Any]:
    """The mapped resources of a referral, joined to one another and valid, ready to be sealed.

    held: the definitions to check against.
    Raises Refused (422) naming the local field beside the FHIR element where lineage knows it, and for a
    referral that has a result in the agency's own system already: it is history and is never offered.
    """
    if mapped.resources.get("Task", {}).get("status", "draft") not in ("draft", "requested"):
        rule = "It has a result already in your own system; nothing is sent."
        raise refuse(422, "business-rule", rule, expression="Task.status")
    patient: dict[str, Any] = dict(mapped.resources["Patient"])
    subject = {"reference": f"urn:uuid:{uuid4()}"}
    request = {**mapped.resources["ServiceRequest"], "subject": subject}
    observations = [{**one, "subject": subject} for one in mapped.resources.get("Observation", [])]
    issues = [
        *errors(validate(patient, held=held)),
        *errors(validate(request, canonical.SERVICE_REQUEST, held)),
        *(issue for one in observations for issue in errors(validate(one, held=held))),
    ]
    if issues:
        raise Refused(422, [with_fields(issue, mapped.lineage) for issue in issues])
    return {"Patient": patient, "ServiceRequest": request, "Observation": observations}


def record(
    node: Node, system: str, mapped: Mapped, resources: Mapping[str, Any], excluded: Exclusions
) -> dict[str, Any]:
    """What is sealed of a referral: its resources, what write-back needs again, and where each came from.

    excluded: who must never see it.
    """
    mapping = node.mappings[system]
    return {
        "resources": resources,
        "mapping": [mapping.system, mapping.version, mapping.fingerprint],
        "local": dict(mapped.local),
        "lineage": [[line.field, line.function, line.element, line.sensitivity] for line in mapped.lineage],
        exclusion.PART: excluded.sealed(),
    }


def same_record(mapped: Mapped) -> bytes:
    """What is equal when the same record comes twice: all it says, without message ids and times."""
    excluded = sorted(mapped.excluded), sorted(mapped.excluded_people)
    return fhir_json.encode(
        [mapped.kind, mapped.resources, mapped.recipient, *(excluded if any(excluded) else ())]
    )
