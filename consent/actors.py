"""Who an actor is: the names under which a party that asks, and a party that a consent speaks of, are known.

A name is a literal reference (`Practitioner/7`), an absolute URL, or an identifier (`system|value`). Two
parties are the same where they share a name. Who belongs to whom is read from a Bundle that comes with the
question; a node needs none, since its parties are organisations of the directory, known by their URLs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from consent.when import first_moment, last_moment

URI: Final = "urn:ietf:rfc:3986"
_MEMBERS: Final = {"Group": ("member", "entity"), "CareTeam": ("participant", "member")}
_PARTIES: Final = frozenset(
    {
        "Organization",
        "Practitioner",
        "PractitionerRole",
        "Patient",
        "RelatedPerson",
        "Device",
        "HealthcareService",
    }
)
_DEPTH: Final = 8  # groups within groups; deeper is not followed and so not resolved

Names = frozenset[str]


class Actors:
    """The parties of one question, or (without a Bundle) those of the directory."""

    def __init__(
        self, bundle: Mapping[str, Any] | None = None, *, literal: bool = False, now: datetime | None = None
    ) -> None:
        """bundle: resources that actors refer to. literal: the party that asks is named by a literal
        reference, so that another literal reference can be told from it without being looked up.
        """
        self._literal = literal
        self._now = now
        self._known: dict[str, Mapping[str, Any]] = {}
        self._twice: set[str] = set()  # Type/id of resources of several servers: which is meant is not said
        for url, resource in _entries(bundle):
            for name in _own(url, resource):
                if self._known.setdefault(name, resource) is not resource and _is_literal(name, resource):
                    self._twice.add(name)

    def meant(self, reference: Any) -> Names | None:
        """The names of all whom a consent's `actor.reference` stands for; None where that cannot be told."""
        return self._meant(reference, _DEPTH)

    def asking(self, actors: Iterable[Any]) -> Names:
        """The names of a party that asks: as it says itself, and as the Bundle knows it.

        A PractitionerRole also asks for its practitioner and organisation.
        """
        found: set[str] = set()
        for actor in actors:
            for name in names_of(actor):
                found.add(name)
                resource = self._known.get(name)
                found |= self._identity(name)
                if resource is not None and self._is_held(resource):
                    for part in ("practitioner", "organization"):
                        found |= self._identities(resource.get(part))
        return frozenset(found)

    def asking_widely(self, asking: Names) -> Names:
        """Also what the party belongs to: what an organisation is denied, its parts and people are denied.

        And what a party may be: one by an absolute reference, or one of a version, by type and id as well.
        """
        relative = {"/".join(one.partition("/_history/")[0].split("/")[-2:]) for one in asking if "/" in one}
        found = {*asking, *(one for one in relative if one.partition("/")[0] in _PARTIES)}
        waiting = list(found)
        while waiting:
            name = waiting.pop()
            for more in self._belongs_to(name) - found:
                found.add(more)
                waiting.append(more)
        return frozenset(found)

    def places(self, asking: Names) -> Names | None:
        """The Locations that a party is at; None where nothing is known of them."""
        found: set[str] = set()
        known = False
        for name in asking:
            resource = self._known.get(name, {})
            kind = resource.get("resourceType") or name.partition("/")[0]
            if kind == "Location":
                known = True
                found |= self._identity(name)
            for place in _list(resource.get("location")):
                known = True
                found |= self._identities(place)
            state = _state(resource)
            if state:
                known = True
                found |= self._locations_in(state)
        return frozenset(found) if known else None

    def _meant(self, reference: Any, depth: int) -> Names | None:
        found: set[str] = set()
        for name in names_of(reference):
            if name in self._twice:
                return None
            resource = self._known.get(name)
            kind = resource.get("resourceType", "") if resource else name.partition("/")[0]
            if kind in _MEMBERS:
                members = self._members(resource, depth) if resource and depth else None
                if members is None:
                    return None
                found |= self._identity(name) | members
            elif resource is not None or self._directory_url(name) or self._comparable(name):
                found |= self._identity(name)
        return frozenset(found) or None

    def _members(self, group: Mapping[str, Any], depth: int) -> Names | None:
        listed, part = _MEMBERS[group["resourceType"]]
        entries = _list(group.get(listed))
        if not entries or group.get("actual") is False or group.get("active") is False:
            return None
        found: set[str] = set()
        for entry in entries:
            if entry.get("inactive") is True or not self._current(entry.get("period")):
                continue
            names = self._meant(entry.get(part), depth - 1)
            if names is None:
                return None
            found |= names
        return frozenset(found)

    def _is_held(self, resource: Mapping[str, Any]) -> bool:
        """Whether it is a role that somebody has at present."""
        role = resource.get("resourceType") == "PractitionerRole"
        return role and resource.get("active") is not False and self._current(resource.get("period"))

    def _current(self, period: Any) -> bool:
        if not isinstance(period, Mapping) or self._now is None:
            return True
        try:
            begun = "start" not in period or first_moment(period["start"], UTC) <= self._now
            return begun and ("end" not in period or self._now <= last_moment(period["end"], UTC))
        except ValueError:
            return False

    def _belongs_to(self, name: str) -> Names:
        resource = self._known.get(name)
        found: set[str] = set()
        if resource is not None:
            for part in ("partOf", "organization", "managingOrganization", "providedBy", "practitioner"):
                found |= self._identities(resource.get(part))
        if name.partition("/")[0] == "Practitioner" or (resource or {}).get("resourceType") == "Practitioner":
            mine = self._identity(name)
            for other, role in self._known.items():
                if role.get("resourceType") == "PractitionerRole" and mine & self._identities(
                    role.get("practitioner")
                ):
                    found.add(other)
        return frozenset(found)

    def _locations_in(self, state: str) -> Names:
        return frozenset(
            name
            for name, resource in self._known.items()
            if resource.get("resourceType") == "Location" and _state(resource) == state
        )

    def _identities(self, reference: Any) -> Names:
        return frozenset().union(*(self._identity(name) for name in names_of(reference)))

    def _identity(self, name: str) -> Names:
        resource = self._known.get(name)
        return frozenset({name, *_own("", resource)}) if resource is not None else frozenset({name})

    @staticmethod
    def _directory_url(name: str) -> bool:
        """Whether it is an organisation's address in a directory: it needs no looking up."""
        try:
            parts = urlsplit(name)
        except ValueError:
            return False
        if name != name.strip() or parts.netloc != parts.netloc.lower() or "%" in name or "@" in parts.netloc:
            return False  # the same address can be written otherwise, and would be compared as another
        path = parts.path.split("/")
        whole = parts.scheme in ("https", "http") and parts.netloc and not parts.query and not parts.fragment
        return bool(whole and len(path) > 2 and path[-2] == "Organization" and path[-1])

    def _comparable(self, name: str) -> bool:
        return self._literal and name.partition("/")[0] in _PARTIES and name.count("/") == 1


def names_of(reference: Any) -> Iterator[str]:
    """The names that a Reference, an Identifier or a plain text gives of a party."""
    if isinstance(reference, str):
        if reference:
            yield reference
        return
    if not isinstance(reference, Mapping):
        return
    literal = reference.get("reference")
    if isinstance(literal, str) and literal:
        yield literal
    identifier = reference.get("identifier", reference if "value" in reference else None)
    for one in _list(identifier):
        value, system = one.get("value"), one.get("system")
        if isinstance(value, str) and value:
            yield value if system == URI else f"{system if isinstance(system, str) else ''}|{value}"


def _entries(bundle: Mapping[str, Any] | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for entry in _list((bundle or {}).get("entry")):
        resource = entry.get("resource")
        if isinstance(resource, Mapping):
            url = entry.get("fullUrl")
            yield url if isinstance(url, str) else "", resource


def _own(url: str, resource: Mapping[str, Any]) -> Iterator[str]:
    """All names of a resource."""
    if url:
        yield url
    if resource.get("id"):
        yield f"{resource.get('resourceType')}/{resource['id']}"
    for identifier in _list(resource.get("identifier")):
        yield from names_of({"identifier": identifier})


def _is_literal(name: str, resource: Mapping[str, Any]) -> bool:
    return name == f"{resource.get('resourceType')}/{resource.get('id')}"


def _state(resource: Mapping[str, Any]) -> str:
    address = next(iter(_list(resource.get("address"))), {})
    state = address.get("state")
    return state if isinstance(state, str) else ""


def _list(value: Any) -> list[Mapping[str, Any]]:
    """The objects in an element that may repeat."""
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, Mapping)]


DIRECTORY: Final = Actors()
"""The parties of a node: organisations of the directory."""
