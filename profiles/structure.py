"""Check a resource against FHIR R4 itself: names, types, how often, closed codes, the JSON rules.

A resource's schema is compiled once, when its type is first met (about 5 ms), and checking a good
ServiceRequest then takes some microseconds. Resources inside others (contained, Bundle entries, Parameters)
are checked with the schema of their own type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from profiles import r4
from profiles.outcome import Issue
from profiles.schema import resource_schema
from profiles.structure_issues import as_issue

_MAX_INSIDE = 16  # resources inside resources: Bundles of Bundles and Parameters nest no deeper in practice


def check(resource: Any) -> list[Issue]:
    """What is wrong with the structure of `resource`; empty when it is good. Never raises for content.

    `resource` comes from a JSON decoder, whose own limit on nesting (about a thousand levels in msgspec and
    in Python's json) lies well below what the validator can walk.
    """
    return list(dict.fromkeys(_check(resource, "", 0)))


def _check(resource: Any, location: str, depth: int) -> Iterator[Issue]:
    if not isinstance(resource, Mapping):
        yield Issue("error", "structure", "a resource must be a JSON object", location)
        return
    name = resource.get("resourceType")
    if not isinstance(name, str) or name not in r4.resource_types():
        message = "resourceType is missing or is not a resource type of FHIR R4"
        yield Issue("error", "structure", message, location)
        return
    location = location or name
    try:
        validator = _validator(name)
        if not validator.is_valid(resource):
            yield from (as_issue(error, name, location) for error in validator.iter_errors(resource))
    except ValueError:  # nested beyond what can be read, or text that is not Unicode
        yield Issue(
            "error", "structure", "the content cannot be read as JSON: too deep, or not Unicode", location
        )
        return
    for path, inner in _inside(resource, name):
        if depth == _MAX_INSIDE:
            yield Issue("error", "too-costly", "resources are nested too deeply", f"{location}.{path}")
        elif name != "Bundle" and path.startswith("contained") and "contained" in inner:
            yield _dom_2(f"{location}.{path}")
        else:
            yield from _check(inner, f"{location}.{path}", depth + 1)


def _dom_2(location: str) -> Issue:
    message = "a contained resource must not contain others"
    return Issue("error", "invariant", message, location, constraint="dom-2")


@cache
def _validator(resource_type: str) -> jsonschema_rs.Validator:
    # The plain regular expression engine runs in linear time, whatever a sender puts into a string.
    options = jsonschema_rs.RegexOptions()
    return jsonschema_rs.validator_for(
        resource_schema(resource_type), pattern_options=options, validate_formats=True
    )


def _inside(node: Mapping[str, Any], type_name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The resources directly inside `node`, each with its path from there."""
    for key, code in _carriers(type_name):
        value = node.get(key)
        several = isinstance(value, list)
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(item, Mapping):
                path = f"{key}[{index}]" if several else key
                if code == "Resource":
                    yield path, item
                else:
                    yield from ((f"{path}.{rest}", found) for rest, found in _inside(item, code))


@cache
def _carriers(type_name: str) -> tuple[tuple[str, str], ...]:
    """The elements of a type that are resources, or backbone elements that hold some: (name, type)."""
    found = []
    for name, element in r4.elements(type_name).items():
        code = element.types[0].code
        if code == "Resource" or ("." in code and _holds_resources(code, frozenset())):
            found.append((name, code))
    return tuple(found)


def _holds_resources(type_name: str, seen: frozenset[str]) -> bool:
    codes = {element.types[0].code for element in r4.elements(type_name).values()}
    if "Resource" in codes:
        return True
    seen = seen | {type_name}
    return any("." in code and _holds_resources(code, seen) for code in codes - seen)
