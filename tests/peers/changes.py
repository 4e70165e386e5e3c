"""What can be changed in a resource: each kind is given the resource and every place in it with its value.

A change is a place and what stands there afterwards (GONE: nothing).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Path = tuple[str | int, ...]
Change = tuple[Path, Any]

GONE = object()
UNKNOWN = "https://example.org/fhir/StructureDefinition/of-no-one"
UNKNOWN_MODIFIER = "https://elsewhere.example/fhir/StructureDefinition/modifier-of-no-one"
MORE = {"system": "urn:example:more", "code": "m"}
BAD_DATES = (
    "2026-02-30",
    "2026-13-01",
    "2026-1-2",
    "2026-01-02T10:00:00",
    "2026-01-02T24:30:00Z",
    "today",
    "0000",
)

_WORDS = ("text", "display", "id")
_CODE = re.compile(r"[a-z][a-z0-9-]*")
_DATE = re.compile(r"\d{4}(-\d\d){0,2}(T.*)?")
_CHOICE = re.compile(
    r"(value|onset|occurrence|effective|performed|abatement|deceased|asNeeded|source|target|start|allowed)"
    r"([A-Z]\w+)"
)


def _removed(_: Any, places: list[Change]) -> Iterator[Change]:
    """Each element; with the only item of a list, the list."""
    there = {path for path, _value in places}
    for path, _value in places:
        alone = isinstance(path[-1], int) and (*path[:-1], 1) not in there
        yield (path[:-1] if alone else path), GONE


def _doubled(_: Any, places: list[Change]) -> Iterator[Change]:
    for path, value in places:
        if isinstance(value, list):
            yield path, [*value, value[-1]]
        elif isinstance(path[-1], str):
            yield path, [value, value]


def _retyped(_: Any, places: list[Change]) -> Iterator[Change]:
    for path, value in places:
        match value:
            case bool():
                yield path, str(value).lower()
                yield path, int(value)
            case int() | float():
                yield path, str(value)
                yield path, [value]
            case str():
                yield path, 7
                yield path, {"value": value}
                yield path, True
            case dict():
                yield path, "words"
            case list():
                yield path, value[0]


def _code(_: Any, places: list[Change]) -> Iterator[Change]:
    """Another code, in a Coding or alone; and codes that differ in case or by a space only."""
    for path, value in places:
        if isinstance(value, str) and path[-1] != "reference" and _is_code(path, value):
            yield path, "no-such-code"
            yield path, value.upper() if value != value.upper() else value + "x"
            yield path, f" {value}"


def _is_code(path: Path, value: str) -> bool:
    return path[-1] == "code" or (_CODE.fullmatch(value) is not None and path[-1] not in _WORDS)


def _code_of_another(_: Any, places: list[Change]) -> Iterator[Change]:
    """The Coding of another place in the same resource, or the bare code of one."""
    codings = [value for _path, value in places if _is_coding(value)]
    codes = [
        v for p, v in places if isinstance(v, str) and _CODE.fullmatch(v) and p[-1] not in ("text", "id")
    ]
    for path, value in places:
        if _is_coding(value):
            yield from ((path, other) for other in codings if other != value)
        elif value in codes and path[-1] not in _WORDS:
            yield from ((path, other) for other in dict.fromkeys(codes) if other != value)


def _is_coding(value: Any) -> bool:
    return isinstance(value, dict) and "code" in value and "system" in value


def _system(_: Any, places: list[Change]) -> Iterator[Change]:
    systems = list(dict.fromkeys(v for path, v in places if path[-1] == "system" and ":" in v))
    for path, value in places:
        if path[-1] == "system":
            yield path, "urn:example:a-system-of-no-one"
            yield path, "not a uri"
            yield path, GONE
            yield from ((path, other) for other in systems if other != value)


def _slice(_: Any, places: list[Change]) -> Iterator[Change]:
    """Items of a list that go, or lose, share or swap what says which slice they are."""
    for path, value in places:
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield path, value[::-1]
            yield path, [value[0]] * 3
            for index, item in enumerate(value):
                if len(value) > 1:
                    yield (*path, index), GONE
                if "coding" in item:
                    yield (*path, index, "coding", 0, "code"), "of-no-slice"
                    yield (*path, index, "coding", 0, "system"), "urn:example:of-no-slice"
                    yield (*path, index), {"text": "words only"}
                    yield (*path, index, "coding"), [{"code": "bare"}]
                    yield (*path, index, "coding"), [*item["coding"], MORE]
                if "type" in item and isinstance(item["type"], dict):
                    yield (*path, index, "type"), {"text": "words only"}
                    yield from (((*path, index, "type"), other["type"]) for other in value if "type" in other)


def _extension(resource: Any, places: list[Change]) -> Iterator[Change]:
    unknown = {"url": UNKNOWN, "valueString": "x"}
    for path, value in [((), resource), *places]:
        if isinstance(value, dict) and "url" not in value:
            has = value.get("extension", [])
            yield (*path, "extension"), [*has, unknown]
            yield (*path, "extension"), [*has, {"valueString": "x"}]
            yield (*path, "extension"), [*has, {"url": UNKNOWN}]
            yield (*path, "extension"), [*has, unknown | {"extension": [unknown]}]
            yield (*path, "extension"), [*has, unknown | {"valueCode": "x"}]
            yield (*path, "modifierExtension"), [{"url": UNKNOWN_MODIFIER, "valueString": "x"}]
        elif isinstance(value, str) and path and isinstance(path[-1], str) and path[-1] not in ("url", "div"):
            yield (*path[:-1], f"_{path[-1]}"), {"extension": [unknown]}
            yield (*path[:-1], f"_{path[-1]}"), {"extension": [{"valueString": "x"}]}
            yield (*path[:-1], f"_{path[-1]}"), {}


def _known_extension(_: Any, places: list[Change]) -> Iterator[Change]:
    """An extension that is there, with a value of another type, with two values or with none."""
    for path, value in places:
        if isinstance(value, dict) and "url" in value:
            given = next((key for key in value if key.startswith("value")), None)
            bare = {key: inner for key, inner in value.items() if key != given}
            yield path, bare | {"valueString": "x"}
            yield path, bare | {"valueBoolean": True}
            yield path, bare
            yield path, value | {"url": UNKNOWN}
            yield path, value | {"url": "not-absolute"}


def _reference(_: Any, places: list[Change]) -> Iterator[Change]:
    for path, value in places:
        if isinstance(value, dict) and "reference" in value:
            for name in ("Medication/x", "Patient/x", "Organization/x", "Location/x", "Task/x", "Nothing/x"):
                yield (*path, "reference"), name
            yield (*path, "reference"), "https://elsewhere.example/fhir/Substance/x"
            yield (*path, "reference"), "#not-contained"
            yield (*path, "reference"), "urn:uuid:9a1b6bb1-5c0b-4f0e-9d5b-3d5d5b0f6f11"
            yield path, {"display": "someone"}
            yield path, value | {"type": "Medication"}
            yield path, {"identifier": {"system": "urn:example:ids", "value": "1"}}


def _period(_: Any, places: list[Change]) -> Iterator[Change]:
    for path, value in places:
        if isinstance(value, dict) and ("start" in value or "end" in value):
            yield path, {"start": "2026-05-02", "end": "2026-05-01"}
            yield path, {"start": "2026-05-02T10:00:00Z", "end": "2026-05-02T09:59:59Z"}
            yield path, {"start": "2026-05-02T10:00:00+02:00", "end": "2026-05-02T09:00:00Z"}
            yield path, {"start": "2026-05", "end": "2026-05-01"}


def _invariant(resource: Any, _: list[Change]) -> Iterator[Change]:
    """What rules of R4 and of the guides speak of: nested contained resources, statuses and their reasons."""
    inner = {"resourceType": "Patient", "id": "in"}
    yield ("contained",), [inner]
    yield ("contained",), [inner | {"contained": [inner]}]
    yield ("contained",), [{"resourceType": "Patient"}]
    yield ("contained",), [inner | {"meta": {"versionId": "1"}}]
    yield ("text",), {"status": "generated", "div": "<div>no namespace</div>"}
    yield (
        ("text",),
        {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script/></div>'},
    )
    yield ("text",), {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"> </div>'}
    if "status" in resource:
        for status in ("draft", "requested", "rejected", "cancelled", "completed", "in-progress", "unknown"):
            yield ("status",), status
    yield ("language",), "en-US"
    yield ("language",), "not a language"
    yield ("id",), "an id with spaces"
    yield ("id",), "x" * 65
    yield ("implicitRules",), "urn:example:rules"
    yield ("meta", "profile") if "meta" in resource else ("meta",), None


def _empty(_: Any, places: list[Change]) -> Iterator[Change]:
    for path, _value in places:
        yield from ((path, nothing) for nothing in ("", " ", [], {}))


def _date(_: Any, places: list[Change]) -> Iterator[Change]:
    for path, value in places:
        if isinstance(value, str) and _DATE.fullmatch(value):
            yield from ((path, bad) for bad in BAD_DATES)


def _choice(_: Any, places: list[Change]) -> Iterator[Change]:
    """A second form beside the one that is there, and the one there under another type's name."""
    for path, value in places:
        match = _CHOICE.fullmatch(str(path[-1]))
        if match:
            for name, other in (("String", "x"), ("DateTime", "2026-01-01"), ("Boolean", True)):
                if name != match[2]:
                    yield (*path[:-1], match[1] + name), other
            yield (*path[:-1], match[1]), value
            yield (*path[:-1], f"{match[1]}Nothing"), value


def _null(_: Any, places: list[Change]) -> Iterator[Change]:
    for path, value in places:
        yield path, None
        if isinstance(value, list):
            yield path, [*value, None]
            yield path, [None]


def _unknown_element(resource: Any, places: list[Change]) -> Iterator[Change]:
    for path, value in [((), resource), *places]:
        if isinstance(value, dict):
            yield (*path, "notAnElement"), "x"
            yield (*path, "status2"), {"code": "x"}
            yield (*path, "resourceType"), "Basic"


def _value(_: Any, places: list[Change]) -> Iterator[Change]:
    """Values of the right JSON type that their FHIR type does not have, or barely has."""
    for path, value in places:
        match value:
            case bool():
                yield path, not value
            case int() | float():
                yield from ((path, other) for other in (-1, 0, 1.5, 2**31, 1e300))
            case str():
                yield from (
                    (path, other) for other in (f"{value} ", f" {value}", "a\tb", "é\u200b", "x" * 200)
                )


Kinds = dict[str, Callable[[Any, list[Change]], Iterator[Change]]]

# What a resource says.
CONTENT: Kinds = {
    "removed": _removed,
    "doubled": _doubled,
    "retyped": _retyped,
    "code": _code,
    "code of another": _code_of_another,
    "system": _system,
    "slice": _slice,
    "extension": _extension,
    "known extension": _known_extension,
    "reference": _reference,
    "period": _period,
    "invariant": _invariant,
}

# How it is written.
FORM: Kinds = {
    "empty": _empty,
    "date": _date,
    "two choices": _choice,
    "null": _null,
    "unknown element": _unknown_element,
    "value": _value,
}
