"""Constraints of FHIR R4 written by hand, because every resource meets them and most have nothing to check.

The others are compiled from their FHIRPath (`profiles.fhirpath`). Each function is given the resource and
its context, and returns whether the constraint holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from profiles.fhirpath import Context, Predicate

Resource = Mapping[str, Any]


def _contained_are_used(resource: Resource, _context: Context) -> bool:
    """dom-3: each contained resource is referred to from its container, or refers to it (`#`)."""
    if "contained" not in resource:
        return True
    contained = resource["contained"]
    used = {text[1:] for text in _texts(resource) if text.startswith("#")}
    return all(one.get("id") in used or "#" in _texts(one) for one in contained)


def _no_versions(resource: Resource, _context: Context) -> bool:
    return "contained" not in resource or not any(
        key in one.get("meta", {}) for one in resource["contained"] for key in ("versionId", "lastUpdated")
    )


def _no_security(resource: Resource, _context: Context) -> bool:
    return "contained" not in resource or not any(
        "security" in one.get("meta", {}) for one in resource["contained"]
    )


def _texts(value: Any) -> Iterator[str]:
    """Every text in `value`, without recursion: its depth is the sender's choice."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, Mapping):
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


INVARIANTS: Mapping[str, Predicate] = {
    "dom-3": _contained_are_used,
    "dom-4": _no_versions,
    "dom-5": _no_security,
}
