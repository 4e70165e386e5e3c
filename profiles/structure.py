"""Check a resource against FHIR R4 itself: names, types, how often, closed codes, the JSON rules.

A resource's schema is compiled once, when its type is first met (about 5 ms), and checking a good
ServiceRequest then takes some microseconds. Resources inside others (contained, Bundle entries, Parameters)
are checked with the schema of their own type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec

from profiles import r4
from profiles.outcome import MOST_ISSUES, TOO_MANY, Issue
from profiles.schema import resource_schema
from profiles.structure_issues import as_issue

_MAX_INSIDE = 16  # resources inside resources: Bundles of Bundles and Parameters nest no deeper in practice
_UNREADABLE = "cannot be read as JSON: nested too deeply, not Unicode, or a number beyond all limits"
_LARGE = 32_768  # bytes of JSON: of what is larger, the first error of each resource is told


def check(resource: Any) -> list[Issue]:
    """What is wrong with the structure of `resource`; empty when it is good. Never raises for content.

    At most MOST_ISSUES are told, of which the last then says that there are more.
    """
    try:
        size = len(msgspec.json.encode(resource))
    except (RecursionError, ValueError, TypeError, OverflowError, UnicodeError):
        # The schema validator recurses without a limit of its own, so nothing deeper may reach it.
        return [Issue("error", "structure", _UNREADABLE)]
    found = list(islice(_check(resource, "", 0, size < _LARGE), MOST_ISSUES))
    if len(found) == MOST_ISSUES:
        found[-1] = TOO_MANY
    return list(dict.fromkeys(found))


def _check(resource: Any, location: str, depth: int, every: bool) -> Iterator[Issue]:
    if not isinstance(resource, dict):
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
            yield from (as_issue(error, name, location) for error in _errors(validator, resource, every))
            if not every:
                message = "only the first fault of its structure is told, as the content is large"
                yield Issue("information", "too-costly", message, location)
    except ValueError:
        yield Issue("error", "structure", _UNREADABLE, location)
        return
    for path, inner in inside(resource, name):
        if depth == _MAX_INSIDE:
            yield Issue("error", "too-costly", "resources are nested too deeply", f"{location}.{path}")
        elif name != "Bundle" and path.startswith("contained") and "contained" in inner:
            yield _dom_2(f"{location}.{path}")
        else:
            yield from _check(inner, f"{location}.{path}", depth + 1, every)


def _errors(
    validator: jsonschema_rs.Validator, resource: Mapping[str, Any], every: bool
) -> Iterator[jsonschema_rs.ValidationError]:
    """Every error, or only the first: the validator makes them all at once, some microseconds each."""
    if every:
        yield from validator.iter_errors(resource)
        return
    try:
        validator.validate(resource)
    except jsonschema_rs.ValidationError as first:
        yield first


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


def inside(node: Mapping[str, Any], type_name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The resources directly inside `node`, each with its path from there."""
    for key, code in _carriers(type_name):
        value = node.get(key)
        several = isinstance(value, list)
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(item, dict):
                path = f"{key}[{index}]" if several else key
                if code == "Resource":
                    yield path, item
                else:
                    yield from ((f"{path}.{rest}", found) for rest, found in inside(item, code))


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
