"""What goes out, built up from the allow-list: nothing is copied that no permitted item's path names.

Nothing in the result depends on anything withheld. Narrative, notes, displays, references, contained
resources, extensions and identifiers of the record have no path, so they do not exist for the recipient;
ids, the person's identifier and all marks are made here from the random ids that the caller gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import NAMESPACE_OID, uuid5

from consent.decision import Decision
from consent.excerpt import NAME as EXCERPT
from consent.excerpt import release_excerpt
from consent.items import Item, ItemTable, Sources
from consent.labels import outward
from consent.paths import build
from consent.policy import Policy
from profiles import canonical


@dataclass(frozen=True, slots=True)
class Disclosure:
    """The resources to serve, by their served name, and the paths of what was left out (never values)."""

    resources: Mapping[str, dict[str, Any]]
    withheld: tuple[str, ...]


def present(resources: Mapping[str, Any], policy: Policy) -> frozenset[str]:
    """The disclosure items that `{"Patient", "ServiceRequest", "Observation": [...]}` hold."""
    return policy.items.present(resources)


def served_names(resources: Mapping[str, Any], policy: Policy) -> tuple[str, ...]:
    """Every name under which part of this record could ever be served; each needs a random id of its own."""
    held = policy.items.present(resources)
    facts = (
        f"Observation/{code}"
        for code, item in policy.items.entries.items()
        if item.resource == "Observation" and code in held
    )
    return ("ServiceRequest", "Patient", *facts, EXCERPT)


def minimise(
    resources: Mapping[str, Any], decision: Decision, policy: Policy, ids: Mapping[str, str]
) -> Disclosure:
    """What `decision` lets through of `resources`, as new resources under the given `ids`.

    The offer is the ServiceRequest alone; the dossier has the same ServiceRequest, the Patient, one
    Observation per permitted fact and the release excerpt. Where the decision has a substitute for an item,
    that is what goes, and the record's own is withheld. Raises KeyError when `ids` lacks the id of something
    to be served.
    """
    items, table = decision.items, policy.items
    sources = Sources(resources)
    withheld = tuple(_withheld(resources, sources, table, items - decision.substitutes.keys()))
    if not decision.permit or decision.view == "task":
        return Disclosure({}, withheld)
    made = _Going(resources, sources, table, items, decision.substitutes)
    served = {"ServiceRequest": _service_request(made, ids)}
    if decision.view == "dossier":
        served["Patient"] = _patient(made, ids["Patient"])
        for item in table.entries.values():
            # An item that may go and is not in the record must not go as a fact without a value.
            if item.resource == "Observation" and item.code in items and (fact := made.fact(item)):
                name = f"Observation/{item.code}"
                served[name] = _observation(fact, item, ids[name], ids["Patient"])
        served[EXCERPT] = release_excerpt(decision, policy, ids[EXCERPT], ids["Patient"])
    return Disclosure(served, withheld)


@dataclass(frozen=True, slots=True)
class _Going:
    """What is built from: the record for the permitted items, and in place of it the substitute of an item.

    A substitute is the FHIR element that its item names: an Address for `address`; for a fact the value of
    the Observation, by its name: `{"valueString": ...}`. It goes through the same allow-list.
    """

    resources: Mapping[str, Any]
    sources: Sources
    table: ItemTable
    items: frozenset[str]
    substitutes: Mapping[str, Mapping[str, Any]]

    def whole(self, resource: str, group: Literal["offer", "person"]) -> dict[str, Any]:
        """The elements of one kind of resource that go."""
        going = [
            item
            for code, item in self.table.entries.items()
            if code in self.items and item.resource == resource and item.group == group
        ]
        own = frozenset(item.code for item in going if item.code not in self.substitutes)
        built = build(self.resources.get(resource), self.table.allowed(own, resource))
        for item in going:
            if item.code in self.substitutes:
                element = item.paths[0][0].name
                instead = build({element: [self.substitutes[item.code]]}, item.allowed)
                built[element] = [*built.get(element, ()), *instead.get(element, ())]
        return {element: value for element, value in built.items() if value}

    def fact(self, item: Item) -> dict[str, Any]:
        """The value of one fact; empty where there is none."""
        instead = item.code in self.substitutes
        return build(self.substitutes[item.code] if instead else self.sources.of(item), item.allowed)


def _service_request(made: _Going, ids: Mapping[str, str]) -> dict[str, Any]:
    """The request: the same in offer and dossier, and never naming a person."""
    return {
        "resourceType": "ServiceRequest",
        "id": ids["ServiceRequest"],
        "meta": _meta(canonical.OFFER_SERVICE_REQUEST),
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{ids['Patient']}"},
        **made.whole("ServiceRequest", "offer"),
    }


def _patient(made: _Going, patient_id: str) -> dict[str, Any]:
    """The person by our minimal profile (a valid US Core Patient whatever is withheld)."""
    built = made.whole("Patient", "person")
    own = {
        # Made from the random id of this one disclosure, so that no two parties hold the same one.
        "system": "urn:ietf:rfc:3986",
        "value": f"urn:uuid:{uuid5(NAMESPACE_OID, patient_id)}",
    }
    withheld_name = {"extension": [{"url": canonical.DATA_ABSENT_REASON, "valueCode": "masked"}]}
    return {
        "resourceType": "Patient",
        "id": patient_id,
        "meta": _meta(canonical.PATIENT),
        **built,
        "identifier": [own, *built.get("identifier", ())],
        "name": built.get("name", [withheld_name]),
        "gender": built.get("gender", "unknown"),
    }


def _observation(fact: Mapping[str, Any], item: Item, observation_id: str, patient_id: str) -> dict[str, Any]:
    """One fact about the person."""
    codes = [(canonical.DISCLOSURE_ITEM, item.code), *item.also_coded]
    return {
        "resourceType": "Observation",
        "id": observation_id,
        "meta": _meta(),
        "status": "final",
        "code": {"coding": [{"system": system, "code": code} for system, code in codes]},
        "subject": {"reference": f"Patient/{patient_id}"},
        **fact,
    }


def _meta(*profiles: str) -> dict[str, Any]:
    security = {"security": outward(read_only=True)}
    return {"profile": list(profiles), **security} if profiles else security


def _withheld(
    resources: Mapping[str, Any], sources: Sources, table: ItemTable, items: frozenset[str]
) -> Iterator[str]:
    """The paths that hold something and do not go: those of items, then whole elements no item knows.

    Names come from the item table; an element that it does not know is only counted in as `(other)`, since
    a name out of a record could itself be a person's data.
    """
    for code, item in table.entries.items():
        if code in items:
            continue
        source = sources.of(item)
        if source is None:
            continue
        place = f"Observation/{code}" if item.resource == "Observation" else item.resource
        if build(source, item.allowed):
            yield from (f"{place}.{path}" for path in item.texts)
    for name in ("Patient", "ServiceRequest"):
        whole = resources.get(name)
        known = {"resourceType", "status", "intent", "subject", *table.elements(name)}
        if isinstance(whole, Mapping) and not whole.keys() <= known:
            yield f"{name}.(other)"
