"""C-CDA referral notes: needs that are really there, answers that find their referral."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mappings import RecordError, load, shipped
from mappings.bundle import linked
from mappings.result import Mapped
from profiles import errors, validate

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
CASES = Path(__file__).parents[1] / "cases" / "mapping" / "ccda-referral-note"
CCDA = load(shipped("ccda-referral-note"))
RSON = 'moodCode="EVN">\n                  <code code="ASSERTION"'
published = pytest.mark.skipif(
    not SAMPLES.exists(), reason="needs the samples in ../shared beside the checkout"
)


def mapped(body: str) -> Mapped:
    (record,) = CCDA.read(body.encode())
    return CCDA.map(record)


def food() -> str:
    return (CASES / "food-for-four.xml").read_text("utf-8")


def need(made: Mapped) -> str:
    (category,) = made.resources["ServiceRequest"]["category"]
    return str(category["coding"][0]["code"])


def check(made: Mapped) -> None:
    for resource in linked(CCDA, made, "2026-11-21T12:00:00Z").values():
        assert errors(validate(resource)) == []


@published
def test_a_published_note_maps_without_the_social_security_number() -> None:
    made = mapped((SAMPLES / "ccda" / "Referral_Note.xml").read_text("utf-8"))
    check(made)
    assert (made.kind, made.recipient) == ("referral", "Community Health and Hospitals")
    assert "444222222" not in json.dumps([dict(made.resources), made.key, made.subject])
    assert made.subject == ("urn:waymeet:ccda-document", "70bdd7db-e02d-4eff-9829-35e3b7d9e154")
    assert need(made) == "sdoh-category-unspecified"


@published
def test_the_published_closing_note_answers_the_planned_referral_it_was_published_with() -> None:
    both = (SAMPLES / "ccda" / "planned-referral-and-closing-note.xml").read_text("utf-8")
    answer = mapped(both)
    assert (answer.kind, answer.resources["Task"]["status"]) == ("status", "completed")
    start = both.index("<!-- The section below would likely")
    planned = both[:start] + "</structuredBody></component></ClinicalDocument>"
    person = '<recordTarget><patientRole><id root="1.2.3" extension="7"/></patientRole></recordTarget>'
    request = mapped(planned.replace("<ClinicalDocument>", f"<ClinicalDocument>{person}"))
    check(request)
    assert answer.of == request.key
    # As it was published it has no header, and so nobody whom it could be about.
    with pytest.raises(RecordError):
        mapped(planned)


@published
def test_the_note_inside_a_published_360x_message_maps() -> None:
    message = json.loads((SAMPLES / "360x" / "inbound_pcc55.json").read_text("utf-8"))
    made = mapped(message["documents"][0]["content"])
    check(made)
    assert made.subject == ("urn:oid:2.16.840.1.113883.19.5", "MRN-558211")
    assert made.resources["ServiceRequest"]["note"][0]["text"].startswith("Dental clearance requested")


def test_a_closing_note_and_a_withdrawal_name_the_referral_as_it_was_keyed() -> None:
    request = mapped(food())
    for name in ("closing-note", "second-version", "withdrawn"):
        assert mapped((CASES / f"{name}.xml").read_text("utf-8")).of == request.key


@pytest.mark.parametrize(
    ("change", "becomes", "expected"),
    [
        ("", "", "food-insecurity"),
        (RSON, RSON.replace("EVN", 'EVN" negationInd="true'), "sdoh-category-unspecified"),
        ('code="733423003"', 'code="268528005"', "sdoh-category-unspecified"),
        ('code="733423003"', 'nullFlavor="UNK"', "sdoh-category-unspecified"),
    ],
)
def test_what_was_ruled_out_is_over_or_is_no_social_need_is_none(
    change: str, becomes: str, expected: str
) -> None:
    assert need(mapped(food().replace(change, becomes))) == expected


def test_a_problem_that_is_not_over_is_a_need() -> None:
    still = food().replace('code="733423003"', 'code="268528005"').replace('<high value="202605"/>', "")
    assert need(mapped(still)) == "homelessness"


def test_answers_of_a_screening_are_needs_by_question_and_answer() -> None:
    def screened(question: str, answer: str) -> str:
        value = f'<value xsi:type="CD" code="{answer}" codeSystem="2.16.840.1.113883.6.1"/>'
        return (
            food()
            .replace('code="733423003"', 'code="268528005"')
            .replace('code="63512-8"', f'code="{question}"')
            .replace('<value xsi:type="INT" value="4"/>', value)
        )

    assert need(mapped(screened("88124-3", "LA19952-3"))) == "food-insecurity"
    assert need(mapped(screened("71802-3", "LA30190-5"))) == "homelessness"
    assert need(mapped(screened("88124-3", "LA19983-8"))) == "sdoh-category-unspecified"


def test_unknown_asked_not_asked_and_withheld_stay_four_things() -> None:
    made = mapped((CASES / "what-is-not-known.xml").read_text("utf-8"))
    told: list[dict[str, Any]] = made.resources["Observation"]
    assert [each["dataAbsentReason"]["coding"][0]["code"] for each in told] == [
        "unknown",
        "asked-unknown",
        "not-asked",
        "masked",
    ]


def test_an_address_not_to_be_passed_on_is_not() -> None:
    said = json.dumps(dict(mapped(food().replace('<addr use="HP">', '<addr use="HP CONF">')).resources))
    assert "Orchard" not in said and "Nowhere" not in said and "New Haven County" not in said
