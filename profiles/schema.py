"""FHIR R4 as JSON Schema (draft 2020-12), made from the table in `profiles.r4`.

One schema for each resource type, with its datatypes as `$defs` named by their FHIR type, so that the path
of a broken rule tells which element of which type it belongs to. FHIR's JSON rules (R4, 2.6.2) are in it:
nothing empty, `_name` beside a primitive for its extensions, null in a list only beside `_name`, one form of
a choice. Resources inside others are only required to name their type here; `profiles.structure` checks them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from profiles import r4
from profiles.r4 import Element, Type

Schema = dict[str, Any]
BESIDE = "_Element"  # what stands in `_name`: an Element that may have an id alone

_TEXT = r"[^\x00-\x08\x0b\x0c\x0e-\x1f]*"  # R4: no control characters below 32 but tab, CR and LF
_VISIBLE = r"[^\s\x00-\x1f]"
_YEAR = r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_CLOCK = (
    r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
)
_DAY: Schema = {"pattern": rf"^{_YEAR}-[0-9]{{2}}-[0-9]{{2}}$", "format": "date"}
_MONTH: Schema = {"pattern": rf"^{_YEAR}(-(0[1-9]|1[0-2]))?$"}
_INSTANT: Schema = {"pattern": rf"^{_YEAR}-[0-9]{{2}}-[0-9]{{2}}T{_CLOCK}$", "format": "date-time"}

# Where HL7's regular expression is not the whole rule: real calendar days, no blank text, 32-bit numbers,
# canonical URLs that are absolute, single spaces in codes, base64 of a length that can be.
_PRIMITIVES: Mapping[str, Schema] = {
    "boolean": {"type": "boolean"},
    "decimal": {"type": "number"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "string": {"type": "string", "pattern": rf"^{_TEXT}{_VISIBLE}{_TEXT}$"},
    "markdown": {"type": "string", "pattern": rf"^{_TEXT}{_VISIBLE}{_TEXT}$"},
    "uri": {"type": "string", "pattern": r"^\S+$"},
    "url": {"type": "string", "pattern": r"^\S+$"},
    "canonical": {"type": "string", "pattern": r"^(#|[A-Za-z][A-Za-z0-9+.\-]*:)\S*$"},
    "code": {"type": "string", "pattern": r"^\S+( \S+)*$"},
    "base64Binary": {
        "type": "string",
        "pattern": r"^\s*([A-Za-z0-9+/]{4}\s*)*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)\s*$",
    },
    "xhtml": {"type": "string", "pattern": r"^\s*<div[\s>/]"},
    "date": {"type": "string", "anyOf": [_DAY, _MONTH]},
    "dateTime": {"type": "string", "anyOf": [_INSTANT, _DAY, _MONTH]},
    "instant": {"type": "string", **_INSTANT},
}


def resource_schema(resource_type: str) -> Schema:
    """The JSON Schema for resources of this type. Raises KeyError when R4 has no such type."""
    definitions: dict[str, Schema] = {}
    waiting = [resource_type]
    while waiting:
        name = waiting.pop()
        if name not in definitions:
            definitions[name] = type_schema(name)
            waiting.extend(_uses(name))
    definitions[BESIDE] = {**type_schema("Element"), "dependentSchemas": {}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": f"#/$defs/{resource_type}",
        "$defs": definitions,
    }


def type_schema(name: str) -> Schema:
    """The schema of one type, referring to others as `#/$defs/<type>`."""
    if name in r4.primitives():
        return dict(_PRIMITIVES.get(name) or {"type": "string", "pattern": f"^(?:{r4.primitives()[name]})$"})
    if name == "Resource":
        return {
            "type": "object",
            "required": ["resourceType"],
            "properties": {"resourceType": {"type": "string"}},
        }
    schema: Schema = {
        "type": "object",
        "properties": dict(_properties(name)),
        "required": [e.name for e in r4.elements(name).values() if e.min and not _optional_in_json(e)],
        "additionalProperties": False,
        "minProperties": 1,
        "dependentSchemas": {"id": {"minProperties": 2}, **dict(_ids(name))},  # ele-1: an id alone is nothing
    }
    if together := groups(name):
        schema["allOf"] = [_group_schema(name, group) for group in together]
    return schema


def _ids(name: str) -> Iterator[tuple[str, Schema]]:
    """Beside a value `_name` may hold an id alone; without one it needs an extension."""
    for key, (element, type_) in r4.by_key(name).items():
        if _has_sibling(type_) and element.max == 1:
            extended = {"properties": {f"_{key}": {"required": ["extension"]}}}
            yield f"_{key}", {"anyOf": [{"required": [key]}, extended]}


@dataclass(frozen=True, slots=True)
class Group:
    """A rule over several JSON properties of one element, as one part of its type's `allOf`."""

    element: Element
    rule: Literal["choice", "required", "null"]


@cache
def groups(name: str) -> tuple[Group, ...]:
    """The rules of a type that span several JSON properties, in the order of its `allOf`."""
    found = []
    for element in r4.elements(name).values():
        if element.choice:
            found.append(Group(element, "choice"))
        elif _has_sibling(element.types[0]):
            if element.min:
                found.append(Group(element, "required"))
            if element.max != 1:
                found.append(Group(element, "null"))
    return tuple(found)


def _optional_in_json(element: Element) -> bool:
    """Whether a required element may be missing under its own name: a choice, or a primitive with `_name`."""
    return element.choice or _has_sibling(element.types[0])


def _has_sibling(type_: Type) -> bool:
    return type_.code in r4.primitives() and not type_.attribute and type_.code != "xhtml"


def _uses(name: str) -> Iterator[str]:
    if name in r4.primitives() or name == "Resource":
        return
    yield "Element"
    for element in r4.elements(name).values():
        yield from (type_.code for type_ in element.types)


def _properties(name: str) -> Iterator[tuple[str, Schema]]:
    if name in r4.resource_types():
        yield "resourceType", {"const": name}
    for key, (element, type_) in r4.by_key(name).items():
        sibling = _has_sibling(type_) and not (key == "id" and name in r4.resource_types())
        value = _value(element, type_)
        if element.max == 1:
            yield key, value
            if sibling:
                yield f"_{key}", _ref(BESIDE)
        elif not sibling:
            yield key, _list(value)
        else:
            yield key, _list(_or_null(value))
            yield f"_{key}", _list(_or_null(_ref(BESIDE)))


def _value(element: Element, type_: Type) -> Schema:
    if element.value_set and type_.code == "code":
        return {"enum": [code for codes in r4.codes(element.value_set).values() for code in codes]}
    return _ref(type_.code)


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _or_null(schema: Schema) -> Schema:
    """As if and else, so that what is wrong is told of the schema and not of the alternative."""
    return {"if": {"type": "null"}, "else": schema}


def _list(items: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": items}


def _group_schema(owner: str, group: Group) -> Schema:
    element = group.element
    if group.rule == "null":
        no_null = {"properties": {element.name: {"items": {"not": {"type": "null"}}}}}
        return {"if": {"required": [f"_{element.name}"]}, "else": no_null}
    present = [_present(key, type_) for key, type_ in element.keys().items()]
    if owner == "Extension":  # ext-1: nested extensions or one value
        return {"oneOf": [{"required": ["extension"]}, *present]}
    if group.rule == "required":
        return present[0]
    if not element.min:
        present.append({"not": {"anyOf": list(present)}})
    return {"oneOf": present}


def _present(key: str, type_: Type) -> Schema:
    if _has_sibling(type_):
        return {"anyOf": [{"required": [key]}, {"required": [f"_{key}"]}]}
    return {"required": [key]}
