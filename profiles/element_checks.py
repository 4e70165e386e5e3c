"""What a definition says of each value of one element, as checks: values, bindings, types, constraints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol, get_args

from profiles import checks, r4
from profiles.canonical import FHIR
from profiles.elements import Node
from profiles.fhirpath import Predicate, Unsupported, compile_predicate
from profiles.prose_rules import PROSE_RULES
from profiles.r4 import Constraint, Strength
from profiles.registry import Held, Package
from profiles.rules import Check, Profile
from profiles.value_sets import ValueSet

_SCHEMA_ENFORCES = frozenset({"ele-1", "ext-1"})
_MAXIMUM = f"{FHIR}/elementdefinition-maxValueSet"
_BEST_PRACTICE = f"{FHIR}/elementdefinition-bestpractice"
_CODED = frozenset({"code", "Coding", "CodeableConcept", "Quantity", "string", "uri", "Age", "Duration"})


@dataclass(slots=True)
class Report:
    """How much of a profile is enforced, and how: numbers of constraints, and what is not, in sentences."""

    url: str
    version: str
    type: str
    native: int = 0
    interpreted: int = 0
    best_practice: int = 0
    not_supported: list[str] = field(default_factory=list)

    def lacks(self, where: str, why: str) -> None:
        """Note once that something is not enforced."""
        sentence = f"{where}: {why}" if where else why
        if sentence not in self.not_supported:
            self.not_supported.append(sentence)


class Others(Protocol):
    """What a definition may need of the others that are held."""

    def usable(self, canonical: str, package: Package | None) -> Profile | None:
        """The compiled profile, or None when it is not held or cannot be read."""
        ...

    def type_of(self, canonical: str, package: Package | None) -> str | None:
        """The type that a profile is for, or None when it is not held."""
        ...

    def value_set(self, canonical: str, package: Package | None) -> ValueSet | None:
        """The compiled value set, or None when it is not held."""
        ...


class ElementChecks:
    """Makes the checks of one definition's elements, and keeps the report on them."""

    def __init__(self, held: Held, label: str, others: Others, report: Report) -> None:
        self.package: Package | None = held.package
        self._url = held.url
        self._label = label
        self._others = others
        self._report = report
        self._counted: set[tuple[str, str]] = set()

    def value_set(self, canonical: str) -> ValueSet | None:
        """The value set as this definition's package means it."""
        return self._others.value_set(canonical, self.package)

    def type_of(self, profile: str) -> str | None:
        """The type a profile is for, as this definition's package means it."""
        return self._others.type_of(profile, self.package)

    def of(self, node: Node, type_name: str, element: r4.Element | None) -> Iterator[Check]:
        """The checks of one value of `type_name`; what R4 says of `element` itself is not repeated."""
        for key, value in node.definition.items():
            if key.startswith("pattern"):
                yield checks.pattern_check(value, self._label)
            elif key.startswith("fixed"):
                yield checks.fixed_check(value, self._label)
        yield from self._binding(node, type_name, element)
        yield from self._types(node, type_name, element)
        yield from self._limits(node)
        yield from self._constraints(node, type_name, element)

    def _binding(self, node: Node, type_name: str, element: r4.Element | None) -> Iterator[Check]:
        for strength, canonical in _bindings(node, type_name):
            if type_name not in _CODED or _same_binding(element, strength, canonical):
                continue
            members = self.value_set(canonical)
            if members is None:
                why = "is not held, or cannot be used: its binding is not checked"
                self._report.lacks(node.id, f"the value set {canonical} {why}")
                yield checks.unheld_binding_check(self._label)
                continue
            if members.open:
                self._report.lacks(node.id, f"not every code of {members.url} can be checked: {members.open}")
            yield checks.binding_check(members, self._label, strength)

    def _types(self, node: Node, type_name: str, element: r4.Element | None) -> Iterator[Check]:
        if element and element.types[0].code in r4.ANY_RESOURCE:
            yield from self._resources(node)
            return
        types = [type_ for type_ in node.types() if type_["code"] == type_name]
        targets = [url for type_ in types for url in type_.get("targetProfile", ())]
        if type_name == "Reference" and targets:
            yield from self._targets(node, targets, element)
        urls = [url for type_ in types for url in type_.get("profile", ())]
        if not urls or type_name == "Extension":
            return
        known = [self._others.usable(url, self.package) for url in urls]
        for url, profile in zip(urls, known, strict=True):
            if profile is None and url not in _base_profiles(element):
                self._report.lacks(node.id, f"the profile {url} is not held: it is not checked")
        contents = tuple(profile.content for profile in known if profile is not None)
        if len(contents) == len(urls) == 1:
            yield contents[0].apply
        elif len(contents) == len(urls):
            yield checks.any_of_check(contents, self._label)

    def _resources(self, node: Node) -> Iterator[Check]:
        """Which resources may stand in an element that R4 leaves open (`Bundle.entry.resource`)."""
        if types := node.codes() - r4.ANY_RESOURCE:
            profiles = node.type_profiles()
            for url in profiles:
                if self.type_of(url) is None:
                    self._report.lacks(node.id, f"the profile {url} is not held: it is not checked")
            yield checks.resource_check(types, profiles, self.package, self._label)

    def _targets(self, node: Node, targets: list[str], element: r4.Element | None) -> Iterator[Check]:
        types = {url: self.type_of(url) for url in targets}
        for url, told in types.items():
            if told is None:
                self._report.lacks(
                    node.id, f"the target profile {url} is not held: the target is not checked"
                )
        names = frozenset(name for name in types.values() if name)
        profiled = any(r4.core_type(url) is None for url in targets)
        base = {name for type_ in (element.types if element else ()) for name in type_.targets}
        if (
            len(names) == 0
            or None in types.values()
            or "Resource" in names
            or (names == base and not profiled)
        ):
            return
        yield checks.target_check(names, tuple(targets) if profiled else (), self.package, self._label)

    def _limits(self, node: Node) -> Iterator[Check]:
        if limit := node.definition.get("maxLength"):
            yield checks.length_check(limit, self._label)
        low, high = node.value("minValue"), node.value("maxValue")
        numbers = [found[1] for found in (low, high) if found]
        if numbers and all(isinstance(number, int | float | Decimal) for number in numbers):
            yield checks.range_check(low and low[1], high and high[1], self._label)
        elif numbers:
            self._report.lacks(node.id, "limits on what is not a number are not checked")

    def _constraints(self, node: Node, type_name: str, element: r4.Element | None) -> Iterator[Check]:
        base = {one.key for one in (*_type_constraints(type_name), *(element.constraints if element else ()))}
        for raw in node.definition.get("constraint", ()):
            constraint = _constraint(raw)
            if constraint.key in _SCHEMA_ENFORCES:
                self._count(node, constraint, "native")
            elif constraint.best_practice:
                self._count(node, constraint, "best_practice")
            elif rule := PROSE_RULES.get((self._url, constraint.key)):
                self._count(node, constraint, "native")
                yield checks.constraint_check(constraint, _of_value(rule), self._label)
            else:
                yield from self._evaluated(node, constraint, type_name, base)

    def _evaluated(
        self, node: Node, constraint: Constraint, type_name: str, base: set[str]
    ) -> Iterator[Check]:
        try:
            compiled = compile_predicate(constraint.expression, type_name)
        except Unsupported as reason:
            self._report.lacks(node.id, f"the constraint {constraint.key} is not checked: {reason}")
            yield checks.unsupported_check(constraint.key, self._label)
            return
        self._count(node, constraint, "native" if compiled.native else "interpreted")
        if constraint.key not in base:
            yield checks.constraint_check(constraint, compiled.predicate, self._label)

    def _count(self, node: Node, constraint: Constraint, how: str) -> None:
        if (node.id, constraint.key) not in self._counted:
            self._counted.add((node.id, constraint.key))
            setattr(self._report, how, getattr(self._report, how) + 1)


def _of_value(rule: Callable[[Any], bool]) -> Predicate:
    return lambda value, _context: rule(value)


def _bindings(node: Node, type_name: str) -> Iterator[tuple[Strength, str]]:
    """The bindings that are checked: the stated one, and a maximum above it (maxValueSet)."""
    binding = node.definition.get("binding", {})
    stated, canonical = binding.get("strength"), binding.get("valueSet")
    for strength in get_args(Strength):
        if stated == strength and isinstance(canonical, str):
            yield strength, canonical
    for extension in binding.get("extension", ()):
        if extension.get("url") == _MAXIMUM and "valueCanonical" in extension:
            yield "required" if type_name == "code" else "maximum", extension["valueCanonical"]


def _same_binding(element: r4.Element | None, strength: Strength, canonical: str) -> bool:
    base = element.binding if element else None
    if base is None:
        return False
    return base.strength == strength and base.value_set.partition("|")[0] == canonical.partition("|")[0]


def _type_constraints(type_name: str) -> tuple[Constraint, ...]:
    return () if type_name in r4.primitives() else r4.constraints(type_name)


def _constraint(raw: Mapping[str, Any]) -> Constraint:
    best = any(one.get("url") == _BEST_PRACTICE for one in raw.get("extension", ()))
    human, expression = raw.get("human", raw["key"]), raw.get("expression", "")
    return Constraint(raw["key"], raw.get("severity", "error"), human, expression, best)


def _base_profiles(element: r4.Element | None) -> Iterable[str]:
    return {url for type_ in (element.types if element else ()) for url in type_.profiles}
