"""The rules of FHIR R4 itself that a JSON Schema cannot say: constraints, bindings, targets, extensions.

What the schema has said already (`profiles.schema`) is not repeated. A type's rules are compiled when it is
first met.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from profiles import checks, r4
from profiles.circular import Circular
from profiles.datatype_checks import datatype_checks
from profiles.extensions import extension_check
from profiles.fhirpath import Predicate, compile_predicate
from profiles.invariants import INVARIANTS
from profiles.r4 import Constraint
from profiles.rules import Check, Element, Profile, Type
from profiles.value_sets import ValueSet

_SAID_ELSEWHERE = frozenset({"dom-2"})  # by `profiles.structure`, which goes into contained resources
_INTEGERS = frozenset({"integer", "positiveInt", "unsignedInt"})


class Others(Protocol):
    """What the base rules need of the definitions held."""

    def base_value_set(self, canonical: str) -> ValueSet | None: ...

    def extension(self, url: str) -> Profile | None: ...

    def known(self, system: str, code: str) -> bool | None: ...


class BaseRules:
    """The rules of each R4 type, compiled once for one set of definitions."""

    def __init__(self, others: Others) -> None:
        self._others = others
        self._types = Circular[str, Type](lambda _name: Type(), self._fill)

    def type(self, name: str) -> Type:
        """The rules of a resource type, a datatype or a backbone element."""
        return self._types[name]

    def _fill(self, name: str, found: Type) -> None:
        found.checks = (
            *self._lengths(name),
            *datatype_checks(name, self._others.known),
            *constraint_checks(r4.constraints(name), name),
        )
        found.elements = dict(self._elements(name))

    def _lengths(self, name: str) -> Iterator[Check]:
        """A list of primitives and its `_name` have the same length (R4 2.6.2.1)."""
        lists = [
            (element.name, f"_{element.name}")
            for element in r4.elements(name).values()
            if element.max != 1 and element.types[0].code in r4.primitives()
        ]
        if lists:
            yield checks.lengths_check(tuple(lists))

    def _elements(self, owner: str) -> Iterator[tuple[str, Element]]:
        for key, (element, type_) in r4.by_key(owner).items():
            if type_.code in r4.ANY_RESOURCE:
                continue  # checked on its own
            name = element.shown()[key]
            found = tuple(self._checks(owner, element, type_))
            if type_.code not in r4.primitives():
                yield key, Element(name, found, self.type(type_.code))
                continue
            if found:
                yield key, Element(name, found, None)
            if not type_.attribute and type_.code != "xhtml":
                yield f"_{key}", Element(name, (), self.type("Element"))

    def _checks(self, owner: str, element: r4.Element, type_: r4.Type) -> Iterator[Check]:
        if type_.code == "Extension":
            modifier = element.name == "modifierExtension"
            yield extension_check(self._others.extension, owner, modifier=modifier)
        yield from constraint_checks(element.constraints, type_.code)
        for profile in type_.profiles:
            yield from constraint_checks(r4.constraints(profile.rpartition("/")[2]), type_.code)
        if type_.code in _INTEGERS:
            yield checks.integer_check
        yield from self._binding(element, type_)
        if type_.targets and "Resource" not in type_.targets:
            yield checks.target_check(frozenset(type_.targets), (), None, "")

    def _binding(self, element: r4.Element, type_: r4.Type) -> Iterator[Check]:
        binding = element.binding
        if binding is None or (element.value_set and type_.code == "code"):
            return
        members = self._others.base_value_set(binding.value_set)
        if members is None:
            yield checks.unheld_binding_check("")
        else:
            yield checks.binding_check(members, "", binding.strength)


def constraint_checks(constraints: tuple[Constraint, ...], type_name: str) -> Iterator[Check]:
    """The checks of R4's own constraints. Best-practice ones are left out: they say what would be nice.

    Raises Unsupported when one can be evaluated in no way: a fault of ours, as R4 does not change.
    """
    for constraint in constraints:
        if not constraint.best_practice and constraint.key not in _SAID_ELSEWHERE:
            yield checks.constraint_check(constraint, _holds(constraint, type_name), "")


def _holds(constraint: Constraint, type_name: str) -> Predicate:
    native = INVARIANTS.get(constraint.key)
    return native or compile_predicate(constraint.expression, type_name).predicate
