"""What references inside one resource or one Bundle point to. Nothing is ever fetched.

FHIR R4 2.3 (references), 2.3.0.2 (contained resources) and Bundle 2.36.4 (resolving references in Bundles).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_REST = re.compile(
    r"^(?P<base>\S*/)?(?P<local>(?P<type>[A-Z][A-Za-z]+)/[A-Za-z0-9.\-]{1,64})(/_history/[A-Za-z0-9.\-]{1,64})?$"
)


def told_type(reference: Mapping[str, Any]) -> str | None:
    """The resource type that a Reference tells by its form or its `type`; None when it tells none."""
    match = _REST.match(_text(reference.get("reference")))
    if match:
        return match["type"]
    told = reference.get("type")
    return told if isinstance(told, str) else None


class References:
    """Looks up what a reference in `container`, which stands at `full_url` in `bundle`, points to."""

    __slots__ = ("_bundle", "_contained", "_container", "_full_url")

    def __init__(self, container: Mapping[str, Any], bundle: BundleIndex | None, full_url: str) -> None:
        self._container = container
        self._bundle = bundle
        self._full_url = full_url
        self._contained: dict[str, Mapping[str, Any]] | None = None

    @property
    def in_bundle(self) -> bool:
        """Whether the resource is an entry of a Bundle, where a relative reference must be `Type/id`."""
        return self._bundle is not None

    def resolve(self, reference: str) -> Mapping[str, Any] | None:
        """The resource of this Bundle or container, or None when it is not in here."""
        if reference.startswith("#"):
            return self._container if reference == "#" else self._by_id().get(reference[1:])
        return self._bundle.find(reference, self._full_url) if self._bundle else None

    def beside(self, resource: Mapping[str, Any]) -> References:
        """The look-up for a resource that was found here: contained ones share it, others have their own."""
        if self._by_id().get(_text(resource.get("id"))) is resource:
            return self
        return References(resource, self._bundle, self._full_url)

    def _by_id(self) -> dict[str, Mapping[str, Any]]:
        if self._contained is None:
            self._contained = {_text(one.get("id")): one for one in self._container.get("contained", ())}
        return self._contained


class BundleIndex:
    """The entries of a Bundle by `fullUrl`, and by type and id; made when it is first asked."""

    __slots__ = ("_by_url", "_entries")

    def __init__(self, bundle: Mapping[str, Any]) -> None:
        self._entries = bundle.get("entry", ())
        self._by_url: dict[str, Mapping[str, Any]] | None = None

    def find(self, reference: str, full_url: str) -> Mapping[str, Any] | None:
        """The entry a reference means: by its full URL, or as a relative one beside `full_url`."""
        by_url = self._index() if self._by_url is None else self._by_url
        match = _REST.match(reference)
        if match is None:
            return by_url.get(reference)
        absolute = match["local"] if match["base"] is None else match["base"] + match["local"]
        beside = _REST.match(full_url)
        if match["base"] is None and beside is not None and beside["base"] is not None:
            return by_url.get(beside["base"] + absolute) or by_url.get(absolute)
        return by_url.get(absolute)

    def _index(self) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for entry in self._entries:
            resource = entry.get("resource")
            if resource is not None:
                found.setdefault(f"{resource['resourceType']}/{_text(resource.get('id'))}", resource)
                if full_url := _text(entry.get("fullUrl")):
                    found.setdefault(full_url, resource)
        self._by_url = found
        return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
