"""Values that are made to hurt: texts aimed at patterns, halves of characters, numbers beyond all reason.

Each is answered with issues, within a second, and never raised; or the strict reader refuses it before.
"""

import json
from decimal import Decimal
from time import process_time
from typing import Any

import pytest
from hostile import LONG, SECONDS, answered, patient

from profiles import validate
from profiles.strict_json import JsonError, read

# Texts


# (type, where, what): each text aims at a pattern of that type, to make it try again and again
AIMED = [
    ("string", ("name", 0, "family"), " " * LONG),
    ("string", ("name", 0, "family"), "\t\r\n " * (LONG // 4) + "\x00"),
    ("uri", ("identifier", 0, "system"), "a" * LONG + " "),
    ("id", ("id",), "a" * LONG),
    ("id", ("id",), "-." * (LONG // 2) + "!"),
    ("code", ("language",), "a " * (LONG // 2)),
    ("code", ("language",), "a" + " " * LONG),
    ("date", ("birthDate",), "1" * LONG),
    ("date", ("birthDate",), "2026-11-20" * (LONG // 10)),
    ("dateTime", ("deceasedDateTime",), "2026-11-20T10:00:00." + "0" * LONG),
    ("dateTime", ("deceasedDateTime",), "2026-11-20T10:00:00." + "0" * LONG + "Z"),
    ("instant", ("meta", "lastUpdated"), "2026-11-20T10:00:00." + "9" * LONG + "Z"),
    ("base64Binary", ("photo", 0, "data"), "A" * LONG),
    ("base64Binary", ("photo", 0, "data"), " A" * (LONG // 2) + "!"),
    ("base64Binary", ("photo", 0, "data"), "AAAA\n" * (LONG // 5) + "="),
    ("url", ("photo", 0, "url"), "http://" + "a/" * (LONG // 2) + " "),
    ("canonical", ("meta", "profile", 0), "urn:" + "|" * LONG),
    ("markdown", ("contact", 0, "organization", "display"), "\n" * LONG),
    ("xhtml", ("text", "div"), "<div>" * (LONG // 5)),
    ("xhtml", ("text", "div"), '<div xmlns="http://www.w3.org/1999/xhtml">' + "<p>" * (LONG // 3)),
    ("xhtml", ("text", "div"), '<div xmlns="http://www.w3.org/1999/xhtml">' + "<p a='" * (LONG // 6)),
    ("xhtml", ("text", "div"), "<div " + 'a="" ' * (LONG // 5) + ">"),
    (
        "xhtml",
        ("text", "div"),
        '<!DOCTYPE d [<!ENTITY a "' + "x" * 100 + '">]><div>' + "&a;" * 10_000 + "</div>",
    ),
    ("xhtml", ("text", "div"), " " * LONG),
    ("reference", ("managingOrganization", "reference"), "Organization/" * (LONG // 13)),
    ("reference", ("managingOrganization", "reference"), "#" + "a" * LONG),
    ("reference", ("managingOrganization", "reference"), "https://" + "a/" * (LONG // 2) + "Patient/1"),
    ("reference", ("managingOrganization", "reference"), "urn:uuid:" + "a" * LONG),
    ("extension", ("extension", 0, "url"), "a:" * (LONG // 2)),
]


def with_text(path: tuple[str | int, ...], text: str) -> dict[str, Any]:
    value: Any = text
    for part in reversed(path[1:]):
        value = [value] if isinstance(part, int) else {part: value}
    resource = patient(**{str(path[0]): value})
    if path[0] == "text":
        resource["text"]["status"] = "generated"
    elif path[0] == "extension":
        resource["extension"][0]["valueBoolean"] = True
    return resource


@pytest.mark.parametrize(
    ("path", "text"), [pytest.param(path, text, id=f"{type_} {text[:12]!r}") for type_, path, text in AIMED]
)
def test_a_text_aimed_at_a_pattern(path: tuple[str | int, ...], text: str) -> None:
    answered(with_text(path, text))


PATH = "a" * 64 + ".a" * 20_000
MATCHES = {
    "name": {"name": "A" + "a" * LONG},
    "slice name": {"snapshot": {"element": [{"path": "Patient", "sliceName": "a" * 500_000 + "!"}]}},
    "path": {"snapshot": {"element": [{"path": PATH + "!"}]}},
    "path of colons": {"snapshot": {"element": [{"path": "a" + ".a:" * 20_000 + " "}]}},
    "path of choices": {"snapshot": {"element": [{"path": "a" + ".a[x]" * 20_000 + "!"}]}},
    "codes": {"differential": {"element": [{"path": "Patient", "type": [{"code": "a" * 500_000 + "!"}]}]}},
}


@pytest.mark.parametrize("kind", MATCHES)
def test_a_text_aimed_at_a_matches_rule(kind: str) -> None:
    resource = {
        "resourceType": "StructureDefinition",
        "url": "http://hl7.org/fhir/StructureDefinition/x",
        "name": "X",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
    }
    validate(resource)  # the rules of this type are compiled once
    answered({**resource, **MATCHES[kind]})


SURROGATE = "\ud800"


@pytest.mark.parametrize(
    "resource",
    [
        patient(name=[{"family": SURROGATE}]),
        patient(identifier=[{"system": f"urn:{SURROGATE}", "value": "1"}]),
        patient(gender=SURROGATE),
        patient(meta={"profile": [f"urn:{SURROGATE}"]}),
        patient(extension=[{"url": f"urn:{SURROGATE}", "valueString": "x"}]),
        patient(managingOrganization={"reference": f"Organization/{SURROGATE}"}),
        patient(**{SURROGATE: 1}),
        patient(name=[{SURROGATE: 1}]),
        patient(contained=[{"resourceType": SURROGATE}]),
        {"resourceType": SURROGATE},
        {"resourceType": "Patient", "id": SURROGATE},
        {"resourceType": "Observation", "status": SURROGATE, "code": {"coding": [{"code": SURROGATE}]}},
    ],
)
def test_half_of_a_surrogate_pair_is_refused(resource: dict[str, Any]) -> None:
    found = answered(resource)
    assert [issue for issue in found if issue.severity == "error"]
    assert SURROGATE not in repr(found)


# Numbers


NUMBERS: dict[str, Any] = {
    "a decimal beyond a double": Decimal("1E+400"),
    "a decimal of no size": Decimal("-1E+400000"),
    "a decimal of no smallness": Decimal("1E-400000"),
    "4,000 nines": Decimal("9" * 4_000),
    "100,000 decimals": Decimal("0." + "1" * 100_000),
    "not a number": Decimal("NaN"),
    "not a number, signalling": Decimal("sNaN"),
    "infinity": Decimal("Infinity"),
    "a float that is no number": float("nan"),
    "a float that is infinite": float("inf"),
    "a float that is infinite below": -float("inf"),
    "the largest float": 1e308,
    "an int beyond a double": 10**400,
    "an int that Python does not write": 10**5_000,
    "an int below 64 bits": -(2**63) - 1,
    "an int above 64 bits": 2**64,
}


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("where", ["quantity", "integer", "text", "range", "position"])
def test_a_number_beyond_all_reason(kind: str, where: str) -> None:
    number = NUMBERS[kind]
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "referenceRange": [{"low": {"value": 1}}],
    }
    match where:
        case "quantity":
            resource["valueQuantity"] = {"value": number}
        case "integer":
            resource["valueInteger"] = number
        case "text":
            resource["valueString"] = number
        case "range":
            resource["valueRange"] = {"low": {"value": 1}, "high": {"value": number}}
        case "position":
            position = {"longitude": number, "latitude": 1}
            resource = {"resourceType": "Location", "name": "x", "position": position}
    found = answered(resource)
    never = isinstance(number, Decimal | float) and not Decimal(number).is_finite()
    assert found or not (never or where in ("integer", "text"))


# What the reader refuses before anything is judged


@pytest.mark.parametrize(
    "text",
    [
        b'{"resourceType":"Patient","gender":"male","gender":"female"}',
        b'{"resourceType":"Patient","gender":"male","\\u0067ender":"female"}',
        b'{"resourceType":"Patient","resourceType":"Task"}',
        b'{"resourceType":"Patient","name":[{"family":"a","family":"b"}]}',
        b'{"resourceType":"Patient","name":[{"family":"\\ud800"}]}',
        b'{"resourceType":"Patient","\\udc00":1}',
        b'{"resourceType":"Patient","multipleBirthInteger":1e400}',
        b'{"resourceType":"Patient","multipleBirthInteger":1e-400}',
        b'{"resourceType":"Patient","multipleBirthInteger":1e99999999999999999999}',
        b'{"resourceType":"Patient","multipleBirthInteger":' + b"1" * 5_000 + b"}",
        b'{"resourceType":"Patient","multipleBirthInteger":0.' + b"1" * 5_000 + b"}",
        b'{"resourceType":"Patient","multipleBirthInteger":NaN}',
        b'{"resourceType":"Patient","multipleBirthInteger":-Infinity}',
        b'{"resourceType":"Patient","multipleBirthInteger":01}',
        b'{"resourceType":"Patient"} {}',
        b'{"resourceType":"Patient",}',
        b'{"resourceType":"Patient","name":"\xed\xa0\x80"}',
        b'{"resourceType":"Patient","name":"\xff"}',
        b'{"resourceType":"Patient"',
        b"",
        b"[" * 100_000,
        b'{"x":' * 100_000,
        b'{"x":' * 100_000 + b"1" + b"}" * 100_000,
        b'"' + b"\\u0041" * 150_000,
        b'"' + b"\\ud83d\\ude00" * 80_000 + b'\\ud83d"',
    ],
    ids=lambda text: repr(text[:60]),
)
def test_a_text_with_two_meanings_or_none_is_refused_before_it_is_judged(text: bytes) -> None:
    started = process_time()
    with pytest.raises(JsonError) as fault:
        read(text)
    assert process_time() - started < SECONDS
    assert len(str(fault.value)) < 200
    assert fault.value.line >= 1


@pytest.mark.parametrize(
    "text",
    [
        b'"\\ud83d\\ude00"',
        b'"\\\\ud800"',
        b'"\\\\\\\\ud800"',
        b"[1e308, -0.00, 1E+2, 100]",
        b'[{"a":1},{"a":1}]',
    ],
)
def test_what_only_looks_like_it_is_read(text: bytes) -> None:
    assert read(text) == json.loads(text, parse_float=Decimal)
