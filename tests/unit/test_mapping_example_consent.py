"""The worked example of docs/how-to/connect-an-hl7v2-site.md: a consent in CON and an agreed Z-segment."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from consent import compile_consent
from mappings import RecordError, load
from mappings.bundle import linked
from mappings.readers.source import Source
from mappings.result import Mapped
from profiles import canonical, errors, validate

EXAMPLE = Path(__file__).parent.parent / "cases" / "mapping-examples" / "hl7v2-consent"
MAPPING = load(EXAMPLE / "mapping.yaml")
MESSAGE = (EXAMPLE / "with-a-consent.hl7").read_text("utf-8")


def mapped(text: str) -> Mapped:
    with Source.of_bytes(text.encode()) as source:
        (record,) = MAPPING.records(source)
    assert not isinstance(record, RecordError)
    return MAPPING.map(record)


def test_a_consent_that_says_all_becomes_a_release_that_a_node_can_act_on() -> None:
    made = mapped(MESSAGE)
    resources = linked(MAPPING, made, "2026-11-21T12:00:00Z").values()
    assert [errors(validate(resource)) for resource in resources] == [[]] * 3
    release = made.resources["Consent"]
    assert errors(validate(release, canonical.CONSENT)) == []
    assert list(compile_consent(release, zone=ZoneInfo("America/New_York")).issues) == []
    assert release["patient"]["identifier"] == dict(zip(("system", "value"), made.subject or (), strict=True))
    assert release["provision"]["period"] == {"start": "2026-11-16", "end": "2027-02-15"}
    codes = release["provision"]["provision"][0]["code"]
    assert [code["coding"][0]["code"] for code in codes] == ["need", "alias", "phone"]


@pytest.mark.parametrize(
    ("what", "becomes"),
    [
        ("A^Active^HL70498", "L^Limited^HL70498"),
        ("A^Active^HL70498", "R^Refused^HL70498"),
        ("A^Active^HL70498", "P^Pending^HL70498"),
        ("A^Active^HL70498", "X^Rescinded^HL70498"),
        ("A^Active^HL70498", "B^Bypassed^HL70498"),
        ("A^Active^HL70498", ""),
        ("|202611160930|", '|""|'),  # not known when it was given
        ("|20270215|", "||"),  # without an end
        ("|F-12|||||||", "|F-12||||||not her address|"),  # a limit in words
        ("|1\nZCN|", "|2\nZCN|"),  # given by a parent
        ("|harbor-food-pantry|NEED", "||NEED"),  # for nobody
        ("|NEED~NICK~PHONE|", "||"),  # for nothing
        ("|Scanned form, document 5512", ""),  # no form is kept
        ("\nCON|", "\nZZZ|"),
        ("\nZCN|", "\nZZZ|"),
    ],
)
def test_anything_less_is_no_consent(what: str, becomes: str) -> None:
    assert what in MESSAGE
    made = mapped(MESSAGE.replace(what, becomes))
    assert set(made.resources) == {"Patient", "ServiceRequest"}


def test_an_item_that_was_not_agreed_refuses_the_record() -> None:
    with pytest.raises(RecordError, match="ZCN-3"):
        mapped(MESSAGE.replace("~PHONE", "~EVERYTHING"))
