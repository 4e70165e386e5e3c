"""Each function of the language: what it makes, and what it refuses rather than guesses."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mappings.codes import CodeTable, Unmapped
from mappings.functions import FUNCTIONS, build
from mappings.functions.argument import ArgumentError
from mappings.functions.people import years_between
from mappings.nodes import over_lists
from mappings.record import Rejected

YES_NO = {"yes": ["1"], "no": ["0"], "absent": ["8", "9", "99"]}
SPREADSHEET = {"formats": "M/D/YYYY h:mm pm", "zone": "America/New_York"}
ZONED = {"formats": ["HL7", "ISO", "MM/DD/YYYY hh:mm"], "zone": "America/New_York"}


@pytest.mark.parametrize(
    ("name", "argument", "value", "made"),
    [
        ("date", "YYYY-MM-DD", "2024-02-29", "2024-02-29"),
        ("date", "MM/DD/YYYY", "03/04/2024", "2024-03-04"),
        ("date", ["DD.MM.YYYY", "YYYY"], "1970", "1970"),
        ("date", "HL7", "198904121530", "1989-04-12"),
        ("date", "HL7", "198904", "1989-04"),
        ("datetime", ZONED, "20261116101500-0500", "2026-11-16T10:15:00-05:00"),
        ("datetime", ZONED, "20260716101500", "2026-07-16T10:15:00-04:00"),
        ("datetime", ZONED, "20261116", "2026-11-16"),
        ("datetime", ZONED, "2026-11-16T10:15:00.123Z", "2026-11-16T10:15:00+00:00"),
        ("datetime", ZONED, "11/16/2026 10:15", "2026-11-16T10:15:00-05:00"),
        ("hl7_time", True, "2026-11-16T10:15:00-05:00", "20261116101500-0500"),
        ("hl7_time", True, "2026-11-16T10:15:00.123456Z", "20261116101500+0000"),
        ("hl7_time", True, "2026-11", "202611"),
        ("phone", "US", "(203) 555-0142", "+12035550142"),
        ("phone", "US", "1-203-555-0142 x12", "+12035550142;ext=12"),
        ("phone", "US", "+1 203.555.0142", "+12035550142"),
        ("phone", "US", 2035550142, "+12035550142"),
        ("integer", {"min": 0, "max": 9}, "7", 7),
        ("integer", {"min": 0, "max": 9}, 7, 7),
        ("name", "given", "Ana Maria de Souza", "Ana Maria de"),
        ("name", "family", "Ana Maria Souza", "Souza"),
        ("name", "given", "Souza, Ana Maria", "Ana Maria"),
        ("name", "family", "Souza, Ana Maria", "Souza"),
        ("name", "given", "Ana", "Ana"),
        ("name", "family", "Ana", None),
        ("split", ";", "a; b;;c", ["a", "b", "c"]),
        ("split", ";", ";", None),
        ("text", True, 5521, "5521"),
        ("date", {"formats": "YYYY-MM-DD", "precision": "year"}, "1984-01-01", "1984"),
        ("date", {"formats": "ISO", "precision": "month"}, "1984", "1984"),
        ("date", "M/D/YYYY", "3/4/2026", "2026-03-04"),
        ("datetime", SPREADSHEET, "3/4/2026 3:04 PM", "2026-03-04T15:04:00-05:00"),
        ("datetime", SPREADSHEET, "11/20/2026 12:30 am", "2026-11-20T00:30:00-05:00"),
        ("time", "hh:mm", "09:30", "09:30:00"),
        ("time", ["hh:mm:ss", "hh:mm pm"], "9:30 PM", "21:30:00"),
        ("phone", "US", "tel:+1(203)555-0142", "+12035550142"),
        ("phone", {"plan": "US", "otherwise": "text"}, "ext. 5", "ext. 5"),
        ("phone", {"plan": "US", "otherwise": "drop"}, "78788788", None),
        ("age_band", [18, 25, 65], 17, "0-17"),
        ("age_band", [18, 25, 65], "18", "18-24"),
        ("age_band", [18, 25, 65], 64, "25-64"),
        ("age_band", [18, 25, 65], 104, "65+"),
        ("zip5", True, "06511-1234", "06511"),
        ("zip3", True, "06511", "065"),
        ("zip3", True, "05901", "000"),
        ("decimal", {"min": -90, "max": 90}, "41.30", Decimal("41.30")),
        ("boolean", YES_NO, "1", True),
        ("boolean", YES_NO, 0, False),
        ("boolean", YES_NO, "99", None),
        ("boolean", {"yes": [True], "no": [False]}, False, False),
        ("identifier", "oid", "2.16.840.1.113883.4.6", "urn:oid:2.16.840.1.113883.4.6"),
        (
            "identifier",
            "uuid",
            "6F1BD58B-c58f-40b7-b314-caf1294ed98b",
            "urn:uuid:6f1bd58b-c58f-40b7-b314-caf1294ed98b",
        ),
        ("identifier", "uri", "https://directory.example.org/a", "https://directory.example.org/a"),
        ("identifier", "npi", "1234567893", "1234567893"),
        ("nth", 2, ["a", "b"], "b"),
        ("nth", 2, "a", None),
        ("nth", 1, "a", "a"),
        ("lower", True, "FOOD", "food"),
        ("without", "mailto:", "mailto:ana@mail.example", "ana@mail.example"),
        ("without", "mailto:", "ana@mail.example", "ana@mail.example"),
    ],
)
def test_a_function_makes(name: str, argument: Any, value: Any, made: Any) -> None:
    assert build(name, argument, {})(value) == made


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("date", "YYYY-MM-DD", "2023-02-29"),
        ("date", "YYYY-MM-DD", "0000-01-01"),
        ("date", "YYYY-MM-DD", "2024-2-9"),
        ("date", "YYYY-MM-DD", "2024-02-29 "),
        ("date", "YYYY-MM-DD", "٢٠٢٤-٠٢-٢٩"),
        ("date", "HL7", "2022000"),
        ("datetime", ZONED, "20261116251500"),
        ("datetime", ZONED, "20261116101500+9900"),
        ("phone", "US", "555-0142"),
        ("phone", "US", "+44 20 7946 0018"),
        ("phone", "US", "103-555-0142"),
        ("phone", "US", "call me"),
        ("integer", {"min": 0, "max": 9}, "10"),
        ("integer", {"min": 0, "max": 9}, "3 or 4"),
        ("integer", {"min": 0, "max": 9}, "3.0"),
        ("integer", {"min": 0, "max": 9}, True),
        ("text", True, False),
        ("date", "M/D/YYYY", "13/4/2026"),
        ("datetime", SPREADSHEET, "3/4/2026 13:04 PM"),
        ("datetime", SPREADSHEET, "3/4/2026 0:04 AM"),
        ("time", "hh:mm", "25:00"),
        ("age_band", [18], "-1"),
        ("age_band", [18], "seventeen"),
        ("zip5", True, "6511"),
        ("zip3", True, "Connecticut"),
        ("decimal", {"min": -90, "max": 90}, "91"),
        ("decimal", {"min": -90, "max": 90}, "1e1"),
        ("boolean", YES_NO, "maybe"),
        ("boolean", YES_NO, "nein"),
        ("identifier", "oid", "our numbers"),
        ("identifier", "uuid", "12345"),
        ("identifier", "uri", "no scheme"),
        ("identifier", "npi", "1234567890"),
        ("identifier", "npi", "3234567893"),
        ("name", "given", False),
    ],
)
def test_a_function_refuses_and_does_not_say_the_value(name: str, argument: Any, value: Any) -> None:
    with pytest.raises(Rejected) as refused:
        build(name, argument, {})(value)
    assert str(value) not in refused.value.message


@pytest.mark.parametrize(
    ("name", "argument"),
    [
        ("date", "DD"),
        ("date", "YYYY-MM-DD-YYYY"),
        ("date", "yyyy-mm-dd"),
        ("date", []),
        ("date", 5),
        ("date", "YYYY-DD"),
        ("date", "YYYY-MM-DD hh"),
        ("datetime", "HL7"),
        ("datetime", {"formats": "HL7", "zone": "Elm City"}),
        ("datetime", {"formats": "HL7", "zone": "../../etc/passwd"}),
        ("phone", "UK"),
        ("integer", {"min": 9, "max": 1}),
        ("integer", {"min": 0}),
        ("name", "middle"),
        ("split", ""),
        ("text", "yes"),
        ("date", {"formats": "ISO", "precision": "day"}),
        ("date", {"formats": "ISO"}),
        ("date", "YYYY-MM-DD pm"),
        ("date", "M/MM/YYYY"),
        ("time", "YYYY"),
        ("phone", {"plan": "US", "otherwise": "guess"}),
        ("phone", {"plan": "UK", "otherwise": "text"}),
        ("age_band", []),
        ("age_band", [25, 18]),
        ("age_band", [0, 18]),
        ("zip5", False),
        ("decimal", {"min": "a", "max": 1}),
        ("boolean", {"yes": ["1"]}),
        ("boolean", {"yes": ["1"], "no": ["1"]}),
        ("identifier", "ssn"),
        ("nth", 0),
        ("without", ""),
        ("county", "nowhere"),
        ("safe_contact", "nowhere"),
        ("hl7_time", False),
        ("code", "nowhere"),
    ],
)
def test_an_argument_that_is_not_usable_is_refused_when_the_mapping_loads(name: str, argument: Any) -> None:
    with pytest.raises(ArgumentError):
        build(name, argument, {})


def test_several_values_are_taken_one_by_one() -> None:
    dates = over_lists(build("date", "M/D/YYYY", {}))
    assert dates(["2/29/2024", "3/1/2024"]) == ["2024-02-29", "2024-03-01"]


def test_the_list_is_closed() -> None:
    times = {"date", "datetime", "time", "hl7_time"}
    people = {"phone", "name", "age_band", "zip5", "zip3", "county", "safe_contact"}
    values = {"integer", "decimal", "boolean", "identifier", "split", "nth", "text", "lower", "without"}
    assert set(FUNCTIONS) == times | people | values | {"code", "coding", "concept", "uncode"}


def table(unmapped: Unmapped) -> CodeTable:
    new_haven = {"system": "urn:fips", "code": "09170", "display": "South Central Connecticut"}
    return CodeTable(
        "zip", unmapped, {"06511": (new_haven,), "06512": ({"system": "urn:f", "code": "09171"},)}, {}
    )


def test_a_county_is_found_by_the_first_five_digits() -> None:
    county = build("county", "zip", {"zip": table("drop")})
    assert [county(text) for text in ("06511-1234", "06512", "06513")] == [
        "South Central Connecticut",
        "09171",
        None,
    ]


def test_a_rule_of_contact_is_never_dropped() -> None:
    with pytest.raises(ArgumentError, match="must not be lost"):
        build("safe_contact", "zip", {"zip": table("drop")})
    assert build("safe_contact", "zip", {"zip": table("text")})("ask for Mo") == {"text": "ask for Mo"}


@pytest.mark.parametrize(
    ("born", "on", "years"),
    [("2000-02-29", "2018-02-28", 17), ("2000-02-29", "2018-03-01", 18), ("2000-06-01", "2000-06-01", 0)],
)
def test_an_age_is_counted_in_whole_years(born: str, on: str, years: int) -> None:
    assert years_between("ISO")(born, on) == years


@pytest.mark.parametrize(("born", "on"), [("2000", "2018-01-01"), ("2018-01-01", "2000-01-01")])
def test_no_age_is_guessed(born: str, on: str) -> None:
    with pytest.raises(Rejected):
        years_between("ISO")(born, on)
