"""What the expressions of the tests may ask about: two practitioners and more, a value set, a profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from profiles import r4
from profiles.fhirpath import Context

_KNOWN = {
    f"{type_}/{number}": {"resourceType": type_, "id": number}
    for type_, number in (("Practitioner", "1"), ("Practitioner", "3"), ("Organization", "1"))
}


def _resolve(reference: str) -> Mapping[str, Any] | None:
    return _KNOWN.get(reference)


def _member_of(coding: Any, value_set: str) -> bool | None:
    code = coding["code"] if isinstance(coding, dict) else coding
    return code == "a" if value_set == "urn:set" else None


def _conforms_to(resource: Mapping[str, Any], profile: str) -> bool | None:
    return resource["id"] == "1" if profile == "urn:profile" else None


def context(resource: Mapping[str, Any]) -> Context:
    """The context of one resource that stands for itself."""
    return Context(resource, resource, _resolve, _member_of, _conforms_to)


def elements(value: Any, type_: str, env: Context | None) -> Iterator[tuple[Any, str, Context]]:
    """Every object in a resource with its type and the context of the resource it stands in."""
    if not isinstance(value, dict):
        return
    if "resourceType" in value:
        type_ = value["resourceType"]
        env = context(value) if env is None else env.within(value)
    assert env is not None
    yield value, type_, env
    for key, content in value.items():
        found = r4.by_key(type_).get(key)
        if found is not None:
            inside = None if (type_, key) == ("Bundle.entry", "resource") else env
            for item in content if isinstance(content, list) else [content]:
                yield from elements(item, found[1].code, inside)
