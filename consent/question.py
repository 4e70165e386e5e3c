"""Reading a request about consents: every part is checked, and what is wrong is told by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from consent.matter import RESOURCE_TYPES, Code
from consent.when import first_moment
from profiles.canonical import ACT_REASON
from profiles.outcome import Issue

MOST_CONSENTS: Final = 1_000
MOST_ENTRIES: Final = 10_000
MOST_ASKED: Final = 50  # names of a person, actors, purposes, classes: each of them is asked about anew
_NEVER: Final = datetime(1, 1, 2, tzinfo=UTC)
_PARTS: Final = frozenset({"now", "consents", "agreement", "directory", "query", "content"})
_ASKED: Final = frozenset({"patient", "actor", "purpose", "category", "class", "location"})


class RequestError(ValueError):
    """A request that cannot be read; `issues` say what is wrong with which part of it."""

    def __init__(self, issues: list[Issue]) -> None:
        super().__init__("; ".join(f"{issue.expression}: {issue.message}" for issue in issues))
        self.issues = tuple(issues)


@dataclass(frozen=True, slots=True)
class Question:
    """A request, read. Purposes, categories and classes are (system, code).

    purposes: empty where none is said. entries: (fullUrl, resource) of the content; None where there is none.
    """

    now: datetime
    consents: tuple[Mapping[str, Any], ...]
    agreement: Mapping[str, Any] | None
    directory: Mapping[str, Any]
    patient: tuple[Any, ...]
    actors: tuple[Any, ...]
    purposes: tuple[Code, ...]
    categories: frozenset[Code]
    classes: frozenset[Code]
    places: tuple[str, ...]
    entries: tuple[tuple[str, Mapping[str, Any]], ...] | None


def read(request: Any) -> Question:
    """A request as a Question. Raises RequestError, which names parts and never repeats a value."""
    reader = _Reader()
    question = reader.read(request)
    if reader.issues or question is None:
        raise RequestError(reader.issues)
    return question


class _Reader:
    def __init__(self) -> None:
        self.issues: list[Issue] = []

    def wrong(self, place: str, message: str, code: str = "invalid") -> None:
        self.issues.append(Issue("error", code, message, expression=place))

    def _no_others(self, place: str, given: Mapping[str, Any], known: frozenset[str]) -> None:
        """An unknown part is not repeated: a name that somebody made up may be a person's data."""
        if given.keys() - known:
            self.wrong(place, f"has an unknown part; it may have {', '.join(sorted(known))}")

    def read(self, request: Any) -> Question | None:
        if not isinstance(request, dict):
            self.wrong("request", "is not a JSON object", "structure")
            return None
        self._no_others("request", request, _PARTS)
        query = request.get("query")
        if not isinstance(query, dict):
            self.wrong("query", "is required, and an object", "required")
            query = {}
        self._no_others("query", query, _ASKED)
        now = self._now(request.get("now"))
        consents = self._consents(request.get("consents"))
        agreement = request.get("agreement")
        if agreement is not None and not isinstance(agreement, dict):
            self.wrong("agreement", "is not an agreement", "structure")
        directory = request.get("directory")
        if directory is not None:
            list(self._entries(directory, "directory"))
        entries = None
        if request.get("content") is not None:
            entries = tuple(self._entries(request["content"], "content"))
        return Question(
            now=now or _NEVER,  # which is one of the issues by then
            consents=consents,
            agreement=agreement,
            directory=directory if isinstance(directory, dict) else {},
            patient=tuple(self._parties(query, "patient")),
            actors=tuple(self._parties(query, "actor")),
            purposes=tuple(dict.fromkeys(self._codes(query, "purpose", ACT_REASON))),
            categories=frozenset(self._codes(query, "category", "")),
            classes=frozenset(map(_as_compiled, self._codes(query, "class", RESOURCE_TYPES))),
            places=tuple(self._places(query)),
            entries=entries,
        )

    def _now(self, value: Any) -> datetime | None:
        try:
            if isinstance(value, str) and "T" in value:
                return first_moment(value, UTC)
        except ValueError:
            pass
        self.wrong("now", "is required: a FHIR instant, with a time zone", "required")
        return None

    def _consents(self, value: Any) -> tuple[Mapping[str, Any], ...]:
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > MOST_CONSENTS:
            self.wrong("consents", f"is not a list of at most {MOST_CONSENTS:,} Consents", "structure")
            return ()
        for number, one in enumerate(value):
            if not isinstance(one, dict):
                self.wrong(f"consents[{number}]", "is not an object", "structure")
        return tuple(one for one in value if isinstance(one, dict))

    def _entries(self, bundle: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
            self.wrong(place, "is not a Bundle", "structure")
            return
        listed = bundle.get("entry", [])
        if not isinstance(listed, list):
            self.wrong(f"{place}.entry", "is not a list", "structure")
            return
        if len(listed) > MOST_ENTRIES:
            self.wrong(f"{place}.entry", f"has more than {MOST_ENTRIES:,} entries", "too-costly")
            return
        for number, entry in enumerate(listed):
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
                self.wrong(f"{place}.entry[{number}].resource", "is not a resource", "structure")
                continue
            if not isinstance(resource.get("id", ""), str):
                self.wrong(f"{place}.entry[{number}].resource.id", "is not text", "value")
            url = entry.get("fullUrl", "")
            if not isinstance(url, str):
                self.wrong(f"{place}.entry[{number}].fullUrl", "is not text", "value")
            else:
                yield url, resource

    def _list(self, query: Mapping[str, Any], name: str) -> list[Any]:
        value = query.get(name)
        if value is None:
            return []
        found = value if isinstance(value, list) else [value]
        if len(found) > MOST_ASKED:
            self.wrong(f"query.{name}", f"is a list of more than {MOST_ASKED}", "too-costly")
            return []
        return found

    def _places(self, query: dict[str, Any]) -> Iterator[str]:
        """References to Locations, as text or as FHIR Reference."""
        for number, one in enumerate(self._list(query, "location")):
            literal = one.get("reference") if isinstance(one, dict) else one
            if isinstance(literal, str) and literal:
                yield literal
            else:
                self.wrong(f"query.location[{number}]", "is not a reference to a Location")

    def _parties(self, query: Mapping[str, Any], name: str) -> Iterator[Any]:
        """References (as text or as FHIR Reference) and identifiers ({system, value})."""
        for number, one in enumerate(self._list(query, name)):
            if (isinstance(one, str) and one) or (
                isinstance(one, dict)
                and any(
                    isinstance(one.get(part), str | dict) and one.get(part)
                    for part in ("reference", "identifier", "value")
                )
            ):
                yield one
            else:
                self.wrong(f"query.{name}[{number}]", "is neither a reference nor an identifier")

    def _codes(self, query: Mapping[str, Any], name: str, usual: str) -> Iterator[Code]:
        """Codings; a bare code is of the usual system."""
        for number, one in enumerate(self._list(query, name)):
            system, code = (usual, one) if isinstance(one, str) else (None, None)
            if isinstance(one, dict):
                system, code = one.get("system", usual), one.get("code")
            if isinstance(system, str) and isinstance(code, str) and system and code:
                yield system, code
            else:
                self.wrong(f"query.{name}[{number}]", "is not a code with its system")


def _as_compiled(code: Code) -> Code:
    """A class as consents are compiled: FHIR's resource types under one name, whatever they are called."""
    system, value = code
    types = system.startswith("http://hl7.org/fhir/") and system.endswith("resource-types")
    return (RESOURCE_TYPES, value) if types else code
