"""FHIR R4 (JSON), as an EHR sends it: a Bundle, a resource, a list of them, or one of these a line (NDJSON).

Which resources make one record: see mappings.readers.fhir_set. Paths are those of JSON (mappings.paths), and
start with a resource type or a role: `ServiceRequest.category[coding.system=https://…]`, `Patient.name`,
`requester.identifier.value`. What stands at a path is given as it is, an object too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mappings.paths import compile_path
from mappings.readers.fhir_set import MEANING, ROLES, Resource, records_of
from mappings.readers.json_paths import field_names, json_group
from mappings.readers.json_texts import values
from mappings.record import Getter, Group, PathError, Record, RecordError, Rejected, refuse
from profiles import r4

if TYPE_CHECKING:
    from mappings.readers.source import Source


class FhirReader:
    """Reads FHIR resources as records."""

    keys: frozenset[str] = frozenset()

    def records(self, source: Source) -> Iterator[Record | RecordError]:
        """One record for each ServiceRequest, and for each Task about none of them; where there is neither,
        for each resource.

        What cannot be read comes as its RecordError; where it is all that there is, that is raised.
        """
        name = source.names[0]
        with source.open() as file:
            for text in values(file, name):
                if isinstance(text, RecordError):
                    yield text
                    continue
                line = None if text.alone else text.line
                sets = _sets(text.value)
                for bundle, listed in sets:
                    try:
                        for found in records_of(_resources(bundle, listed)):
                            yield _placed(found, line, bundle, name)
                    except RecordError as fault:
                        if text.alone and len(sets) == 1:
                            raise
                        yield _placed(fault, line, bundle, name)

    def getter(self, path: str) -> Getter:
        """What stands at `path`; blank, null and empty are None. Raises PathError."""
        walk = _checked(path)
        return lambda values: _value(walk(values))

    def group(self, path: str) -> Group:
        """The items of the list at `path`; what is not a list is one item. Raises PathError."""
        _checked(path)
        return json_group(path, _value)

    def place(self, record: Record, path: str) -> int | None:  # noqa: ARG002 - JSON keeps no lines of fields
        """The line that the record's set stands on, in NDJSON."""
        return record.line

    def names(self, path: str) -> list[str]:
        """The path without its picks, and what the picks look at."""
        return field_names(path)

    def undeclared(self, fields: Iterable[str]) -> Callable[[Any], list[str]]:  # noqa: ARG002
        """Nothing: systems send whole resources, of which a mapping takes a part."""
        return lambda _values: []


def _sets(value: Any) -> list[tuple[Resource | None, list[Any]]]:
    """What may refer to one another: a Bundle's entries, beside the Bundle itself; or the rest of a list."""
    items = value if isinstance(value, list) else [value]
    sets: list[tuple[Resource | None, list[Any]]] = []
    loose: list[Any] = []
    for item in items:
        if isinstance(item, dict) and item.get("resourceType") == "Bundle":
            entries = item.get("entry", [])
            shell = {name: member for name, member in item.items() if name != "entry"}
            sets.append((shell, entries if isinstance(entries, list) else [entries]))
        else:
            loose.append({"resource": item})
    return [*sets, (None, loose)] if loose or not sets else sets


def _resources(bundle: Resource | None, entries: list[Any]) -> list[tuple[str, Resource]]:
    """The resources, each with its full URL, as far as what reads them relies on. Raises RecordError."""
    if bundle is not None and not MEANING.isdisjoint(bundle):
        raise refuse("not-supported", "has implicitRules, which change what it means", "Bundle")
    found: list[tuple[str, Resource]] = []
    for number, entry in enumerate(entries):
        place = f"Bundle.entry[{number}]" if bundle is not None else f"[{number}]" * (len(entries) > 1)
        if not isinstance(entry, dict) or not isinstance(entry.get("fullUrl", ""), str):
            raise refuse("structure", "is not an entry of a Bundle", place)
        if "modifierExtension" in entry:
            raise refuse("not-supported", "has a modifierExtension, which changes what it means", place)
        if "resource" in entry:
            _check_form(entry["resource"], place)
            found.append((entry.get("fullUrl", ""), entry["resource"]))
    if not found:
        raise refuse("required", "there is no resource")
    return found


def _check_form(resource: Any, place: str) -> None:
    contained = resource.get("contained", []) if isinstance(resource, dict) else []
    every = [resource, *contained] if isinstance(contained, list) else [None]
    for each in every:
        if not isinstance(each, dict) or not _is_type(each.get("resourceType")):
            raise refuse("structure", "is not a resource of FHIR R4", place)
        if not (isinstance(each.get("id", "x"), str) and each.get("id", "x")):
            raise refuse("structure", "has an id that is none", place)
    if len({each.get("id") for each in contained}) < len(contained):
        raise refuse("duplicate", "contains two resources with the same id", place)


def _is_type(name: Any) -> bool:
    return isinstance(name, str) and name in r4.resource_types()


def _placed(
    found: dict[str, Any] | RecordError, line: int | None, bundle: Resource | None, name: str
) -> Record | RecordError:
    if isinstance(found, RecordError):
        return RecordError(replace(issue, line=line) for issue in found.issues)
    return Record(found if bundle is None else {**found, "Bundle": bundle}, line, name)


def _checked(path: str) -> Callable[[Any], Any]:
    root = re.match(r"\w*", path)
    if root is None or (root[0] not in ROLES and not _is_type(root[0])):
        raise PathError(f"starts neither with a resource type of R4 nor with one of {', '.join(ROLES)}")
    return compile_path(path)


def _value(value: Any) -> Any:
    """What stands at a path: lists in a list are made one list, and nothing in it is empty."""
    if isinstance(value, list):
        flat = [one for item in value for one in (item if isinstance(item, list) else [item])]
        return [one for one in map(_single, flat) if one is not None] or None
    return _single(value)


def _single(value: Any) -> Any:
    if isinstance(value, list):
        raise Rejected("structure", "is a list of lists where values are expected")
    if isinstance(value, str):
        return value.strip() or None
    return None if value == {} else value
