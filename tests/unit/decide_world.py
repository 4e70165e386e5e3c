"""Builds requests about consents from the readable form that tests/cases/decide is written in.

A consent's provision: `type`, `to` (recipients), `for` (purposes), `labels`, `class`, `code` (`system|code`),
`data` ({meaning: [references]}), `dataPeriod`, `period`, `at` (Locations) and `but` (provisions within it).
A resource of the content: `labels`, `code`, and any element of FHIR; it is about Patient/p1 unless it says.
A party is a reference, or an identifier as `system|value`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consult_world import TYPES, consent, recipient

from profiles.canonical import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    CONSENT_LOCATION,
    CONSENT_REPLACES,
    CONSENT_SCOPE,
)

REQUEST = {
    "now",
    "patient",
    "actor",
    "purpose",
    "category",
    "class",
    "location",
    "consents",
    "directory",
    "content",
}
_CONSENT = {"id", "status", "patient", "dateTime", "scope", "replaces", "provision", "fhir"}
_PROVISION = {"type", "to", "for", "labels", "class", "code", "data", "dataPeriod", "period", "at", "but"}
_ELEMENTS = {"Patient": set(), "Provenance": set(), "Appointment": set(), "Group": set(), "Bundle": set()}


def request(world: Mapping[str, Any]) -> dict[str, Any]:
    """One case as a request. Unknown keys are refused: no typing error may pass a test."""
    assert set(world) <= REQUEST, set(world) - REQUEST
    query = {
        "patient": [_party(one) for one in _list(world.get("patient", "Patient/p1"))],
        "actor": [_party(one) for one in world.get("actor", [])],
        "purpose": [_coding(one, ACT_REASON) for one in world.get("purpose", [])],
        "category": [_coding(one, "") for one in world.get("category", [])],
        "class": [_coding(one, TYPES) for one in world.get("class", [])],
        "location": world.get("location", []),
    }
    made = {
        "now": world["now"],
        "consents": [_consent(one) for one in world["consents"]],
        "query": {name: value for name, value in query.items() if value},
        "directory": _bundle(world.get("directory", [])),
    }
    if "content" in world:
        made["content"] = _bundle([_resource(key, said) for key, said in world["content"].items()])
    return made


def coded(codes: list[str]) -> list[dict[str, str]]:
    """Labels and classes as an obligation lists them."""
    found = [_label(code) if code.isupper() else _coding(code, TYPES) for code in codes]
    return sorted(found, key=lambda one: (one["system"], one["code"]))


def _consent(said: Mapping[str, Any]) -> dict[str, Any]:
    assert set(said) <= _CONSENT, set(said) - _CONSENT
    made = consent(said.get("id", "one"), **provision(said["provision"]))
    made["status"] = said.get("status", "active")
    made["dateTime"] = said.get("dateTime", made["dateTime"])
    if "patient" in said:
        party = _party(said["patient"])
        made["patient"] = {"reference": party} if isinstance(party, str) else {"identifier": party}
    if "scope" in said:
        made["scope"] = {"coding": [{"system": CONSENT_SCOPE, "code": said["scope"]}]}
    if "replaces" in said:
        earlier = {"reference": f"Consent/{said['replaces']}"}
        made["extension"] = [{"url": CONSENT_REPLACES, "valueReference": earlier}]
    return made | said.get("fhir", {})


def provision(said: Mapping[str, Any]) -> dict[str, Any]:
    """A provision, with those within it."""
    assert set(said) <= _PROVISION, set(said) - _PROVISION
    made = {name: said[name] for name in ("type", "dataPeriod", "period") if name in said}
    if "to" in said:
        parties = [_party(one) for one in said["to"]]
        made["actor"] = [
            recipient(**({"reference": one} if isinstance(one, str) else {"identifier": one}))
            for one in parties
        ]
    if "for" in said:
        made["purpose"] = [_coding(one, ACT_REASON) for one in said["for"]]
    if "labels" in said:
        made["securityLabel"] = [_label(one) for one in said["labels"]]
    if "class" in said:
        made["class"] = [_coding(one, TYPES) for one in said["class"]]
    if "code" in said:
        made["code"] = [{"coding": [_coding(one, "")]} for one in said["code"]]
    if "data" in said:
        made["data"] = [
            {"meaning": meaning, "reference": {"reference": one}}
            for meaning, references in said["data"].items()
            for one in references
        ]
    if "at" in said:
        made["extension"] = [
            {"url": CONSENT_LOCATION, "valueReference": {"reference": one}} for one in said["at"]
        ]
    if "but" in said:
        made["provision"] = [provision(one) for one in said["but"]]
    return made


def _resource(key: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the content: `Type/id`, `Type/` without id, or a URN, its `fullUrl`; #2 repeats one."""
    said = dict(said)
    kind, _, name = key.partition("/")
    made: dict[str, Any] = {"resourceType": said.pop("resourceType", kind)}
    if identity := "" if key.startswith("urn:") else name.partition("#")[0]:
        made["id"] = identity
    if "labels" in said:
        made["meta"] = {"security": [_label(one) for one in said.pop("labels")]}
    if "code" in said:
        made["code"] = {"coding": [_coding(said.pop("code"), "")]}
    if made["resourceType"] not in _ELEMENTS:
        made["subject"] = {"reference": said.pop("about", "Patient/p1")}
    made |= said
    return {"fullUrl": key, "resource": made} if key.startswith("urn:") else {"resource": made}


def _bundle(entries: list[Mapping[str, Any]]) -> dict[str, Any]:
    listed = [one if "resource" in one else {"resource": one} for one in entries]
    return {"resourceType": "Bundle", "type": "collection", "entry": listed}


def _party(said: str) -> Any:
    system, bar, value = said.rpartition("|")
    return {"system": system, "value": value} if bar else said


def _label(code: str) -> dict[str, str]:
    return _coding(code, CONFIDENTIALITY if code in "ULMNRV" else ACT_CODE)


def _coding(said: str, usual: str) -> dict[str, str]:
    system, bar, code = said.rpartition("|")
    return {"system": system if bar else usual, "code": code}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
