"""One row of the shelter export to FHIR as a Python programmer would write it: the floor.

It checks what the mapping checks (codes, dates, telephone, numbers) and leaves out what is empty, but names
no field or line when it refuses.
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

SID = "https://waymeet.example/fhir/sid/shelter-csv-client"
ITEM = "https://waymeet.example/fhir/CodeSystem/disclosure-item"
LANGUAGE = "https://waymeet.example/fhir/StructureDefinition/preferred-language"
ZONE = ZoneInfo("America/New_York")
CODES = Path(__file__).parents[2] / "mappings" / "systems" / "shelter-csv" / "codes"


def _table(name: str) -> dict[str, dict[str, str]]:
    found = {}
    for group in json.loads((CODES / f"{name}.json").read_text("utf-8"))["group"]:
        for element in group["element"]:
            target = element["target"][0]
            if "code" in target:
                coding = {"system": group["target"], "code": target["code"]}
                found[element["code"]] = coding | (
                    {"display": target["display"]} if "display" in target else {}
                )
    return found


NEED, SERVICE, URGENCY, SPOKEN, RULE, ABSENT = (
    _table(name) for name in ("need", "service", "urgency", "language", "contact-rule", "absent")
)
NOT_NUMBERS = {"unknown", "refused", "not asked"}
PHONE = re.compile("[2-9][0-9]{2}[2-9][0-9]{6}")


def by_hand(row: dict[str, str]) -> dict[str, Any]:
    """The mapped record: key, subject, recipient, local, resources. Raises KeyError or ValueError."""
    value = {name: text for name, raw in row.items() if (text := raw.strip())}
    client, need = value["client_ref"], value["need"]
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": SID, "value": client}],
    }
    names: list[dict[str, Any]] = []
    if "first_name_or_alias" in value:
        names.append({"use": "nickname", "given": [value["first_name_or_alias"]]})
    if "last_name" in value:
        names.append({"use": "official", "family": value["last_name"]})
    if names:
        patient["name"] = names
    if "birth_date" in value:
        patient["birthDate"] = _date(value["birth_date"])
    if "safe_phone" in value:
        patient["telecom"] = [{"system": "phone", "value": _phone(value["safe_phone"])}]
    address: dict[str, Any] = {"line": [value["street"]]} if "street" in value else {}
    for column, element in (("city", "city"), ("county", "district"), ("zip", "postalCode")):
        if column in value:
            address[element] = value[column]
    if address:
        patient["address"] = [address]
    request: dict[str, Any] = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://snomed.info/sct",
                        "code": "410606002",
                        "display": "Social service procedure",
                    }
                ]
            },
            {"coding": [dict(NEED[need])]},
        ],
        "code": {"coding": [dict(SERVICE[need])]},
    }
    if "urgency" in value:
        request["priority"] = URGENCY[value["urgency"]]["code"]
    if "exported_at" in value:
        request["authoredOn"] = _moment(value["exported_at"])
    if "county" in value:
        request["locationCode"] = [{"text": value["county"]}]
    if "notes" in value:
        request["note"] = [{"text": value["notes"]}]
    if "language" in value:
        request["extension"] = [{"url": LANGUAGE, "valueCode": SPOKEN[value["language"]]["code"]}]
    return {
        "key": f"shelter-csv|{value['referral_ref']}|referral",
        "subject": (SID, client),
        "recipient": value["partner"],
        "local": {"referral_ref": value["referral_ref"]},
        "resources": {"Patient": patient, "ServiceRequest": request, "Observation": _facts(value)},
    }


def _facts(value: dict[str, str]) -> list[dict[str, Any]]:
    facts = []
    if "household_size" in value:
        size = value["household_size"]
        fact = _fact("household-size", {"system": "http://loinc.org", "code": "63512-8"})
        if size in NOT_NUMBERS:
            fact["dataAbsentReason"] = {"coding": [dict(ABSENT[size])]}
        elif 1 <= int(size) <= 40:
            fact["valueInteger"] = int(size)
        else:
            raise ValueError
        facts.append(fact)
    if "diet" in value:
        facts.append({**_fact("diet"), "valueCodeableConcept": {"text": value["diet"]}})
    if "safe_contact_rule" in value:
        rule = value["safe_contact_rule"]
        concept = {"coding": [dict(RULE[rule])]} if rule in RULE else {"text": rule}
        facts.append({**_fact("contact-rule"), "valueCodeableConcept": concept})
    return facts


def _fact(item: str, *also: dict[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": ITEM, "code": item}, *also]},
    }


def _date(text: str) -> str:
    if text[2] == "/":
        month, day, year = text.split("/")
        text = f"{year}-{month}-{day}"
    return date.fromisoformat(text).isoformat()


def _moment(text: str) -> str:
    if text[2] == "/":
        return _date(text)
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).isoformat()


def _phone(text: str) -> str:
    digits = re.sub(r"[\s().+-]", "", text)
    if not PHONE.fullmatch(digits):
        raise ValueError
    return f"+1{digits}"
