"""Each function of the language: what it makes, and what it refuses rather than guesses."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.functions import FUNCTIONS, ArgumentError, build
from mappings.record import Rejected

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
        ("date", "YYYY-MM-DD", ["2024-02-29", "2024-03-01"], ["2024-02-29", "2024-03-01"]),
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
        ("hl7_time", False),
        ("code", "nowhere"),
    ],
)
def test_an_argument_that_is_not_usable_is_refused_when_the_mapping_loads(name: str, argument: Any) -> None:
    with pytest.raises(ArgumentError):
        build(name, argument, {})


def test_the_list_is_closed() -> None:
    times = {"date", "datetime", "time", "hl7_time"}
    people = {"phone", "name", "age_band", "zip5", "zip3", "county", "safe_contact"}
    values = {"integer", "decimal", "boolean", "identifier", "split", "nth", "text", "lower", "without"}
    assert set(FUNCTIONS) == times | people | values | {"code", "coding", "concept", "uncode"}
