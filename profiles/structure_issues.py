"""A broken rule of a resource's JSON Schema, said in FHIR's words and with a FHIRPath location.

The validator's own messages repeat values from the resource, so they are never shown: the message is made
from the rule alone. A name that FHIR does not know is shown only when it looks like an element's name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from jsonschema_rs import ValidationError

from profiles import r4
from profiles.outcome import Issue
from profiles.schema import groups

_NUMERIC = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})
_NAME = re.compile(r"_?[a-z][A-Za-z0-9]{0,39}")


def as_issue(error: ValidationError, resource_type: str, location: str) -> Issue:
    """`error` as an Issue; `location` is where the resource stands (`Bundle.entry[0].resource`)."""
    where, type_name = locate(error.instance_path, resource_type, location)
    owner, rule = _rule(error.schema_path)
    match rule:
        case "list":
            return Issue("error", "structure", "may repeat, so it must be a JSON array", where)
        case "required":
            return _missing(where, _missing_name(error))
        case "additionalProperties":
            return Issue("error", "structure", _unknown_message(error, type_name), where)
        case "allOf":
            return _group_issue(owner, int(error.schema_path[3]), error, where)
        case "dependentSchemas" if (key := str(error.schema_path[3])).startswith("_"):
            beside, _ = locate([key], owner, where)
            return Issue("error", "structure", "must not be empty", beside, constraint="ele-1")
        case "minProperties" | "dependentSchemas" | "minItems":
            return Issue("error", "structure", "must not be empty", where, constraint="ele-1")
        case "enum" if isinstance(error.instance, str):
            return Issue("error", "code-invalid", "this code is not in the required value set", where)
        case "enum" | "type" | "anyOf" if not _fits_json(owner, error.instance):
            return Issue("error", "structure", _form(owner), where)
        case _:
            return Issue("error", "value", f"is not a valid {owner or 'value'} of FHIR R4", where)


def locate(path: Sequence[str | int], resource_type: str, location: str) -> tuple[str, str]:
    """The FHIRPath location of a JSON path, and the type of what stands there.

    `["name", 0, "_given", 1]` of a Patient is `Patient.name[0].given[1]`; a choice is written as FHIRPath
    has it, `Observation.value.ofType(Quantity)`.
    """
    type_name = resource_type
    for part in path:
        if isinstance(part, int):
            location += f"[{part}]"
            continue
        if part == "resourceType":
            return f"{location}.resourceType", ""
        element, type_ = r4.by_key(type_name)[part.removeprefix("_")]
        stem = element.name.removesuffix("[x]")
        location += f".{stem}.ofType({type_.code})" if element.choice else f".{stem}"
        type_name = "Element" if part.startswith("_") else type_.code
    return location, type_name


def _rule(path: Sequence[str | int]) -> tuple[str, str]:
    """The type whose rule was broken, and the rule's keyword."""
    owner, rest = (str(path[1]).removeprefix("_"), path[2:]) if path[0] == "$defs" else ("", path)
    if rest[0] != "properties":
        return owner, str(rest[0])
    # Inside a property: its own rule (enum, minItems, anyOf of a list's items); the type is the element's.
    key = str(rest[1]).removeprefix("_")
    if key == "resourceType":
        return "string", "type"
    found = None if str(rest[1]).startswith("_") else r4.by_key(owner).get(key)
    keyword = "list" if list(rest[2:]) == ["type"] else str(rest[-1])
    return found[1].code if found else "", keyword


def _missing(where: str, name: str) -> Issue:
    return Issue("error", "required", "is required and missing", f"{where}.{name}" if name else where)


def _missing_name(error: ValidationError) -> str:
    return str(error.kind.as_dict().get("property", ""))


def _group_issue(owner: str, index: int, error: ValidationError, where: str) -> Issue:
    group = groups(owner)[index]
    name = group.element.name.removesuffix("[x]")
    if group.rule == "null":
        message = "null may stand in a list only where `_" + name + "` gives an extension"
        return Issue("error", "structure", message, where.rpartition("[")[0])
    if owner == "Extension":
        message = "an extension has either one value or nested extensions"
        return Issue("error", "invariant", message, where, constraint="ext-1")
    if group.rule == "choice" and error.kind.name == "oneOf" and _several(error.instance, group.element):
        return Issue("error", "structure", "only one form of this choice may be given", f"{where}.{name}")
    return _missing(where, name)


def _several(instance: Any, element: r4.Element) -> bool:
    if not isinstance(instance, dict):
        return False
    return sum(key in instance or f"_{key}" in instance for key in element.keys()) > 1  # noqa: SIM118


def _unknown_message(error: ValidationError, type_name: str) -> str:
    unexpected = error.kind.as_dict().get("unexpected", [])
    names = [name for name in unexpected if _NAME.fullmatch(name)]
    if len(names) < len(unexpected):
        return f"holds names that no element of {type_name} has"
    return f"{type_name} has no element {', '.join(names)}"


def _fits_json(owner: str, instance: Any) -> bool:
    """Whether the value is of the JSON kind that the type is written in, so that only its text is wrong."""
    if owner not in r4.primitives():
        return isinstance(instance, dict)
    if owner in _NUMERIC:
        return isinstance(instance, int | float | Decimal) and not isinstance(instance, bool)
    return isinstance(instance, bool if owner == "boolean" else str)


def _form(owner: str) -> str:
    if owner not in r4.primitives():
        return "must be a JSON object" if owner else "has the wrong JSON form"
    written = (
        "true or false" if owner == "boolean" else "a JSON number" if owner in _NUMERIC else "a JSON string"
    )
    return f"must be {written} ({owner})"
