"""A CodeSystem resource, compiled: which codes it has, which stand above which, and what a filter picks.

FHIR R4 CodeSystem (4.8) and the filters of ValueSet.compose (4.9.5). A system that holds only part of its
codes (`content` other than `complete`) says yes to what it lists and cannot tell of the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from profiles.fhirpath.errors import EvaluationError, Unsupported
from profiles.fhirpath.patterns import matcher

MOST_CONCEPTS = 500_000
DEEPEST = 100
_BELOW = frozenset({"child"})
_ABOVE = frozenset({"parent", "subsumedBy"})
_TEXTS = frozenset({"display", "definition"})


class TerminologyError(ValueError):
    """A ValueSet or CodeSystem that cannot be used: badly formed, in a circle, or too large."""


class Untold(Exception):  # noqa: N818 - no fault was made
    """A filter that cannot be answered from the code system as it is held."""


@dataclass(slots=True)
class CodeSystem:
    """`concepts` by code, and for each code those right above and right below it."""

    url: str
    complete: bool
    case_sensitive: bool
    ordered: bool  # what stands above means the same, only wider
    properties: frozenset[str]
    concepts: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    above: dict[str, list[str]] = field(default_factory=dict)
    below: dict[str, list[str]] = field(default_factory=dict)
    _lower: frozenset[str] = frozenset()  # made when it is first needed

    def has(self, code: str) -> bool:
        """Whether the system lists this code, in whatever case where that does not matter."""
        if code in self.concepts:
            return True
        if self.case_sensitive:
            return False
        if not self._lower:
            self._lower = frozenset(map(str.lower, self.concepts))
        return code.lower() in self._lower

    def covers(self, general: str, specific: str) -> bool:
        """Whether `general` stands above `specific` or is the same; False where one is not in the system."""
        return specific in self.concepts and general in self.concepts and general in self.ancestors(specific)

    def ancestors(self, code: str) -> frozenset[str]:
        """A code and all above it."""
        return _reached(code, self.above) if self.ordered else frozenset({code})

    def descendants(self, code: str) -> frozenset[str]:
        """A code and all below it. Raises Untold where the hierarchy is not one of meaning."""
        if not self.ordered and self.below.get(code):
            raise Untold(f"the hierarchy of {self.url} is not one of meaning")
        return _reached(code, self.below) & self.concepts.keys()

    def pick(self, filters: Iterable[Mapping[str, str]]) -> frozenset[str]:
        """The codes that pass every filter. Raises Untold when one cannot be answered."""
        picked = frozenset(self.concepts)
        for one in filters:
            picked &= self._pick(one["property"], one["op"], one["value"])
        return picked

    def _pick(self, name: str, op: str, value: str) -> frozenset[str]:
        if op in ("is-a", "descendent-of", "is-not-a", "generalizes"):
            if name not in ("concept", "code"):
                raise Untold(f"the filter {op} on {name}")
            return self._by_hierarchy(op, value)
        if op == "regex":
            return self._by_pattern(name, value)
        if op == "exists":
            wanted = value == "true"
            return self._where(name, lambda values: bool(values) == wanted)
        if op == "=":
            return self._where(name, lambda values: value in values)
        listed = {part.strip() for part in value.split(",")}
        if op == "in":
            return self._where(name, lambda values: not listed.isdisjoint(values))
        if op == "not-in":
            return self._where(name, lambda values: listed.isdisjoint(values))
        raise Untold(f"the filter {op}")

    def _by_hierarchy(self, op: str, code: str) -> frozenset[str]:
        everything = frozenset(self.concepts)
        if code not in everything and not self.complete:
            raise Untold(f"where {code} stands in {self.url}")
        if op == "generalizes":
            return self.ancestors(code) & everything
        found = self.descendants(code)
        if op == "is-not-a":
            return everything - found
        return found - {code} if op == "descendent-of" else found

    def _by_pattern(self, name: str, pattern: str) -> frozenset[str]:
        try:
            fits = matcher(f"^(?:{pattern})$")
            return self._where(name, lambda values: any(map(fits, values)))
        except (Unsupported, EvaluationError):
            raise Untold("a filter with a pattern that cannot be run in linear time") from None

    def _where(self, name: str, holds: Any) -> frozenset[str]:
        if name not in self.properties:
            raise Untold(f"the property {name} of {self.url}")
        return frozenset(code for code in self.concepts if holds(self._values(code, name)))

    def _values(self, code: str, name: str) -> list[str]:
        concept = self.concepts[code]
        if name in ("code", "concept"):
            return [code]
        if name in _TEXTS:
            return [concept[name]] if name in concept else []
        values = [_text(entry) for entry in concept.get("property", ()) if entry["code"] == name]
        if name in _ABOVE:
            values += self.above.get(code, [])
        elif name in _BELOW:
            values += self.below.get(code, [])
        return values


def load_code_system(resource: Mapping[str, Any]) -> CodeSystem:
    """Compile a CodeSystem resource. Raises TerminologyError when it is badly formed or too large.

    Not compiled: `supplement`s and systems of which no concept is given; the caller treats them as not held.
    """
    url = resource["url"]
    declared = {entry["code"] for entry in resource.get("property", ())}
    system = CodeSystem(
        url=url,
        complete=resource.get("content") == "complete",
        case_sensitive=resource.get("caseSensitive", False),  # where it is not said, nobody can insist on it
        ordered=resource.get("hierarchyMeaning", "is-a") == "is-a",
        properties=frozenset({"code", "concept", "parent", "child"} | declared),
    )
    for concept, parent in _walk(resource["concept"], url):
        code = concept["code"]
        if code in system.concepts and parent is None:
            continue
        system.concepts[code] = concept
        if parent is not None:
            _link(system, parent, code)
        for entry in concept.get("property", ()):
            if entry["code"] in _BELOW:
                _link(system, code, _text(entry))
            elif entry["code"] in _ABOVE:
                _link(system, _text(entry), code)
    texts = {name for name in _TEXTS if any(name in concept for concept in system.concepts.values())}
    system.properties |= texts
    return system


def _walk(concepts: Any, url: str) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    waiting: deque[tuple[Any, str | None, int]] = deque((concept, None, 1) for concept in concepts)
    seen = 0
    while waiting:
        concept, parent, depth = waiting.popleft()
        seen += 1
        if seen + len(waiting) > MOST_CONCEPTS:
            raise TerminologyError(f"{url} has more than {MOST_CONCEPTS:,} concepts")
        if depth > DEEPEST:
            raise TerminologyError(f"{url} has concepts nested more than {DEEPEST} deep")
        yield concept, parent
        code = concept["code"]
        waiting.extend((below, code, depth + 1) for below in concept.get("concept", ()))


def _link(system: CodeSystem, upper: str, lower: str) -> None:
    system.below.setdefault(upper, []).append(lower)
    system.above.setdefault(lower, []).append(upper)


def _reached(code: str, links: Mapping[str, list[str]]) -> frozenset[str]:
    """A code and all that the links lead to, also when they lead in a circle."""
    seen = {code}
    waiting = [code]
    while waiting:
        for further in links.get(waiting.pop(), ()):
            if further not in seen:
                seen.add(further)
                waiting.append(further)
    return frozenset(seen)


def _text(entry: Mapping[str, Any]) -> str:
    """The value of a concept's property as a filter writes it."""
    value = next((value for key, value in entry.items() if key.startswith("value")), "")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value["code"] if isinstance(value, dict) else value)
