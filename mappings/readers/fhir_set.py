"""Which of the FHIR resources that came together belong together: one record for each referral.

A record is what is about one ServiceRequest (else about one Task, else one resource):

* the ServiceRequest; its `Patient`; `Bundle`, the Bundle that it came in, without entries;
* under each other type, a list of the resources that it refers to, and of those that are based on it (a Task
  by `focus`, a Consent by `provision`, others by `basedOn`); and what a Task, PractitionerRole or
  HealthcareService among these refers to;
* under `requester`, `performer` and `owner` (of the Task), what these refer to.

References are resolved among what came, as R4 2.3 has it, and never fetched. Records share resources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mappings.record import RecordError, refuse
from profiles.references import BundleIndex, References

ROLES = ("requester", "performer", "owner")
MEANING = {"modifierExtension", "implicitRules"}  # what a reader may not pass over

_SUBJECTS = ("subject", "patient", "for", "beneficiary")
_BASIS = {"Task": "focus", "Consent": "provision"}
_THROUGH = ("Task", "PractitionerRole", "HealthcareService")

Resource = Mapping[str, Any]


def records_of(resources: Sequence[tuple[str, Resource]]) -> Iterator[dict[str, Any] | RecordError]:
    """The records in one set of resources, each given with its full URL ("" for none).

    One that cannot be taken comes as its RecordError. Raises RecordError when the set as a whole cannot be.
    """
    together = _Set(resources)
    for focus in together.focuses():
        try:
            yield together.record(focus)
        except RecordError as fault:
            yield fault


class _Set:
    """Resources, and what refers to what among them."""

    def __init__(self, resources: Sequence[tuple[str, Resource]]) -> None:
        self._resources = [resource for _, resource in resources]
        known: set[str] = set()
        for url, resource in resources:
            keys = {url, f"{resource['resourceType']}/{resource['id']}"} if "id" in resource else {url}
            if known & keys:
                raise refuse("duplicate", "two resources have the same id or full URL")
            known |= keys - {""}
        index = BundleIndex({"entry": [{"fullUrl": url, "resource": one} for url, one in resources]})
        self._look_up = {id(one): References(one, index, url) for url, one in resources}
        self._apart = frozenset(self._look_up)
        self._taken: set[int] = set()
        self._based: dict[int, list[Resource]] = {}
        for resource in self._resources:
            for target in self._targets(resource, _BASIS.get(resource["resourceType"], "basedOn")):
                self._based.setdefault(id(target), []).append(resource)

    def focuses(self) -> list[Resource]:
        """What the records are about, in the order in which it came."""
        requests = [one for one in self._resources if one["resourceType"] == "ServiceRequest"]
        answered = {id(task) for one in requests for task in self._based.get(id(one), ())}
        tasks = [one for one in self._resources if one["resourceType"] == "Task" and id(one) not in answered]
        return [*requests, *tasks] or self._resources

    def record(self, focus: Resource) -> dict[str, Any]:
        """The record about `focus`. Raises RecordError."""
        kind = focus["resourceType"]
        patient = next(self._patients(focus), None)
        values: dict[str, Any] = {kind: focus}
        if patient is not None:
            self._take(patient, None)
            values.setdefault("Patient", patient)
        self._take(focus, patient)
        based = self._based.get(id(focus), [])
        own_tasks = {id(one) for one in based}
        seen = {id(focus)}
        through = [focus]
        for resource in through:
            for target in (*self._targets(resource), *(based if resource is focus else ())):
                found = target["resourceType"]
                # Of its own kind, and of Patients, a record has one; and of Tasks those about it.
                if id(target) in seen or found in (kind, "Patient"):
                    continue
                if found == "Task" and id(target) not in own_tasks:
                    continue
                seen.add(id(target))
                self._take(target, patient)
                values.setdefault(found, []).append(target)
                if found in _THROUGH:
                    through.append(target)
        tasks = [focus] if kind == "Task" else values.get("Task", [])
        roles = {
            "requester": [*self._targets(focus, "requester")],
            "performer": [*self._targets(focus, "performer")],
            "owner": [owner for task in tasks for owner in self._targets(task, "owner")],
        }
        return values | {role: found for role, found in roles.items() if found}

    def _targets(self, resource: Resource, element: str = "") -> Iterator[Resource]:
        """What came with `resource` and is referred to in it, or in one element of it."""
        look_up = self._look_up[id(resource)]
        for reference in _references([resource.get(element)] if element else [resource]):
            target = None if reference.endswith("/") else look_up.resolve(reference)
            if target is not None:
                self._look_up.setdefault(id(target), look_up)
                yield target

    def _patients(self, resource: Resource) -> Iterator[Resource]:
        """Whom `resource` is about."""
        for element in _SUBJECTS:
            yield from (one for one in self._targets(resource, element) if one["resourceType"] == "Patient")

    def _take(self, resource: Resource, patient: Resource | None) -> None:
        """Raises RecordError when `resource` cannot be in a record about `patient`."""
        kind = resource["resourceType"]
        for other in self._patients(resource):
            # A contained Patient cannot be compared: it has no identity of its own.
            if patient is not None and other is not patient and {id(other), id(patient)} <= self._apart:
                raise refuse("business-rule", "is about another patient than the record", kind)
        if id(resource) not in self._taken:
            _check(resource, kind)
            self._taken.add(id(resource))


def _references(values: list[Any]) -> Iterator[str]:
    """The references in `values`, in order, but not those of contained resources."""
    unread = values[::-1]
    while unread:
        value = unread.pop()
        if isinstance(value, list):
            unread += value[::-1]
        elif isinstance(value, dict):
            if isinstance(reference := value.get("reference"), str):
                yield reference
            unread += [inner for key, inner in value.items() if key != "contained"][::-1]


def _check(resource: Resource, kind: str) -> None:
    """Raises RecordError for what changes the meaning of a resource and cannot be read."""
    unread: list[Any] = [resource]
    while unread:
        value = unread.pop()
        if isinstance(value, list):
            unread += value
        elif isinstance(value, dict):
            if not MEANING.isdisjoint(value):
                fault = "has a modifierExtension or implicitRules, which change what it means"
                raise refuse("not-supported", fault, kind)
            unread += value.values()
