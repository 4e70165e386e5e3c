"""What the generated cases are made of: who there is, what for, how data is labelled, and the data itself."""

from __future__ import annotations

from typing import Any, Final

ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
ACTION: Final = "http://terminology.hl7.org/CodeSystem/consentaction"
RESOURCE_TYPES: Final = "http://hl7.org/fhir/resource-types"
LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
IDS: Final = "https://ids.example.org/actors"
PERSONS: Final = "https://ids.example.org/persons"

# v3-ActReason as it is published, for the purposes used here: each with those directly below it.
BELOW: Final[dict[str, tuple[str, ...]]] = {
    "TREAT": ("COC", "ETREAT"),
    "ETREAT": ("BTG",),
    "HOPERAT": ("CAREMGT",),
    "HRESCH": ("CLINTRCH",),
    "COC": (),
    "BTG": (),
    "CAREMGT": (),
    "CLINTRCH": (),
    "HPAYMT": (),
    "HMARKT": (),
    "PUBHLTH": (),
}
PURPOSES: Final = tuple(BELOW)

# Confidentiality from least to most; R4 calls the highest of a resource its high-water mark.
LEVELS: Final = ("U", "L", "M", "N", "R", "V")

# v3-ActCode: ETHUD (alcohol) stands under SUD (substance use); the others stand under neither.
LABEL_PARENTS: Final[dict[str, str]] = {"ETHUD": "SUD"}
SENSITIVE: Final = ("PSY", "HIV", "SUD", "ETHUD", "SDV", "BH")

CLASSES: Final = ("Observation", "Condition", "MedicationRequest", "Procedure")

MEMBERS: Final[dict[str, tuple[str, ...]]] = {
    "Group/care-team": ("Practitioner/anna", "Organization/clinic"),
    "Group/on-call": ("Practitioner/bo",),
}
# A part of an organisation: Organization.partOf.
PARTS: Final[dict[str, str]] = {"Organization/ward": "Organization/clinic"}
ACTORS: Final = (
    "Organization/clinic",
    "Organization/ward",
    "Organization/pantry",
    "Organization/shelter",
    "Practitioner/anna",
    "Practitioner/bo",
    *MEMBERS,
)
ASKING: Final = tuple(one for one in ACTORS if one not in MEMBERS)
NOT_THERE: Final = "Organization/closed-long-ago"


def coding(system: str, code: str) -> dict[str, str]:
    """A Coding."""
    return {"system": system, "code": code}


def concept(system: str, code: str) -> dict[str, Any]:
    """A CodeableConcept with one coding."""
    return {"coding": [coding(system, code)]}


def identifier(reference: str) -> dict[str, str]:
    """The identifier of an actor; LEAP compares actors by these alone."""
    return {"system": IDS, "value": reference.replace("/", "-").lower()}


def actor(reference: str) -> dict[str, Any]:
    """The resource of an actor."""
    kind, name = reference.split("/")
    found: dict[str, Any] = {"resourceType": kind, "id": name, "identifier": [identifier(reference)]}
    if kind == "Organization":
        found["name"] = name
        found["active"] = True
        if reference in PARTS:
            found["partOf"] = {"reference": PARTS[reference]}
    elif kind == "Practitioner":
        found["name"] = [{"family": name}]
        found["active"] = True
    else:
        found |= {"type": "practitioner", "actual": True, "active": True}
        found["member"] = [{"entity": {"reference": member}} for member in MEMBERS[reference]]
    return found


def directory() -> dict[str, Any]:
    """Everyone whom a consent may name, as a Bundle."""
    entries = [{"fullUrl": f"https://directory.example.org/{one}", "resource": actor(one)} for one in ACTORS]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


CODES: Final = (
    (LOINC, "85354-9"),  # blood pressure
    (LOINC, "44261-6"),  # depression score
    (LOINC, "75622-1"),  # HIV test
    (SNOMED, "733423003"),  # food insecurity
    (SNOMED, "32911000"),  # homeless
)

# The sensitivity that our lists give a code (consent/policies/labels). LEAP is run with those it ships: none.
LABELLED: Final[dict[tuple[str, str], str]] = {(LOINC, "44261-6"): "BH", (LOINC, "75622-1"): "HIV"}
