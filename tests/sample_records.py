"""Records of the demo's agencies with some fields replaced, and the consents that go with them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import mappings
from gateway.demo.agencies import PANTRY

HOSPITAL_PATIENTS = "urn:oid:2.16.840.1.113883.19.4.6"
SHELTER_CLIENTS = "https://waymeet.example/fhir/sid/shelter-csv-client"
OFFER_ITEMS = ("need", "priority", "period", "area", "language")
RELEASED_ITEMS = ("alias", "household-size", "diet", "contact-rule")

_HL7 = (mappings.shipped("hl7v2-referral").parent / "sample" / "REF-I12.hl7").read_bytes()
_CSV = (mappings.shipped("shelter-csv").parent / "sample" / "referrals.csv").read_bytes()
_HL7_FIELDS = {
    "message": "ECH-20261116-0042",
    "referral": "RF-88231",
    "patient": "EC-480213",
    "recipient": "harbor-food-pantry",
    "family": "Alvarado",
    "given": "Marisol",
    "nickname": "Mari^",
    "need": "Z59.41^Food insecurity^I10C^733423003^Food insecurity^SCT",
    "size": "||4||",
    "diet": r"Low sodium \T\ diabetic; no shellfish",
}


def hospital_message(**fields: str) -> bytes:
    """The sample REF^I12 with the named values replaced (names: `_HL7_FIELDS`)."""
    message = _HL7.decode()
    for name, value in fields.items():
        known = _HL7_FIELDS[name]
        assert known in message
        message = message.replace(known, value)
    return message.encode()


def hospital_patient(number: int) -> dict[str, str]:
    """Fields that make one more patient and referral of the hospital."""
    return {
        "message": f"ECH-20261120-{number:04}",
        "referral": f"RF-{90000 + number}",
        "patient": f"EC-{600000 + number}",
    }


def shelter_row(**columns: str) -> bytes:
    """The sample export with the named columns replaced."""
    reader = csv.DictReader(io.StringIO(_CSV.decode()))
    (row,) = reader
    assert set(columns) <= set(row), set(columns) - set(row)
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(row))
    writer.writeheader()
    writer.writerow(row | columns)
    return out.getvalue().encode()


def hospital_consent(patient: str, **answers: Any) -> dict[str, Any]:
    """What `waymeet consent new` would be told: this patient may be referred to the pantry."""
    items = [*OFFER_ITEMS, *RELEASED_ITEMS, "given-name", "phone"]
    return _consent(HOSPITAL_PATIENTS, patient, items) | answers


def shelter_release(client: str, **answers: Any) -> dict[str, Any]:
    """A client's written release to the pantry: the offer, and what the pantry needs to serve her."""
    return _consent(SHELTER_CLIENTS, client, [*OFFER_ITEMS, *RELEASED_ITEMS]) | answers


def _consent(system: str, value: str, items: list[str]) -> Mapping[str, Any]:
    return {
        "patient": {"system": system, "value": value},
        "recipients": [PANTRY],
        "items": items,
        "signed": "Paper form in the locked cabinet",
        "adult": True,
    }
