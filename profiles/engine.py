"""The definitions held, compiled when they are needed and kept: profiles, extensions, R4's own rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from profiles import r4
from profiles.base_rules import BaseRules
from profiles.canonical import PROFILE_TYPES
from profiles.checks import in_value_set
from profiles.circular import Circular
from profiles.code_systems import CodeSystem, TerminologyError
from profiles.compiler import Compilation
from profiles.element_checks import Report
from profiles.elements import ProfileError
from profiles.outcome import errors
from profiles.registry import Definitions, Held, Package
from profiles.rules import Profile
from profiles.run import Run, Scope
from profiles.value_sets import ValueSet, code_system, value_set


def engine(held: Definitions) -> Engine:
    """The engine of a set of definitions, made when it is first asked for."""
    found = held.kept.get(Engine)
    if found is None:
        found = held.kept[Engine] = Engine(held)
    made: Engine = found
    return made


def _fill(_found: Held, compilation: Compilation) -> None:
    try:
        compilation.fill()
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as fault:
        why = (
            str(fault) if isinstance(fault, ProfileError) else f"is not well formed ({type(fault).__name__})"
        )
        raise ProfileError(why) from None


class Engine:
    """Compiles and keeps; asked by the checks while a resource is being checked (`profiles.run.Judge`)."""

    def __init__(self, held: Definitions) -> None:
        self.base = BaseRules(self)
        self._find = held.find
        self._held = held
        self._compiled = Circular[Held, Compilation](lambda found: Compilation(found, self), _fill)
        self._profiles: dict[tuple[str, Package | None], Profile] = {}  # only what is held, so it is bounded
        self._extensions: dict[str, Profile] = {}
        self._systems: dict[str, CodeSystem] = {}

    def profile(self, canonical: str, package: Package | None = None) -> Profile | None:
        """The compiled profile of that canonical URL; None when it is not held. Raises ProfileError."""
        known = self._profiles.get((canonical, package))
        if known is not None:
            return known
        found = self._find(canonical, package)
        if found is None or found.resource["resourceType"] != "StructureDefinition":
            return None
        known = self._compiled[found].profile
        if self._compiled.settled:  # else it may refer to what is not filled yet
            self._profiles[canonical, package] = known
        return known

    def usable(self, canonical: str, package: Package | None = None) -> Profile | None:
        """As `profile`, with None also for one that cannot be read: nobody can tell what it asks."""
        try:
            return self.profile(canonical, package)
        except ProfileError:
            return None

    def report(self, found: Held) -> Report:
        """How much of a profile is enforced. Raises ProfileError when it cannot be read."""
        return self._compiled[found].report

    def type_of(self, canonical: str, package: Package | None) -> str | None:
        """The resource type a profile is for."""
        found = self._find(canonical, package)
        if found is None:
            return r4.core_type(canonical) or PROFILE_TYPES.get(canonical.partition("|")[0])
        type_name: str = found.resource.get("type", "")
        return type_name

    def extension(self, url: str) -> Profile | None:
        """The definition of an extension; only what is held is kept, as URLs come from senders."""
        known = self._extensions.get(url)
        if known is None and self._held.has_url(url):
            known = self.usable(url)
            if known is not None and known.type == "Extension":
                self._extensions[url] = known
        return known

    def value_set(self, canonical: str, package: Package | None) -> ValueSet | None:
        """The value set as a package means it."""
        try:
            return value_set(canonical, self._held, package)
        except TerminologyError:
            return None

    def base_value_set(self, canonical: str) -> ValueSet | None:
        """The value set as R4 itself means it."""
        return self.value_set(canonical, self._held.packages[0])

    def known(self, system: str, code: str) -> bool | None:
        """Whether a code system has a code; None when the system is not held whole."""
        found = self._systems.get(system)
        if found is None:
            found = self._complete_system(system) if self._held.has_url(system) else None
            if found is None:
                return None
            self._systems[system] = found
        return found.has(code)

    def _complete_system(self, url: str) -> CodeSystem | None:
        try:
            found = code_system(url, self._held)
        except TerminologyError:
            return None
        return found if found is not None and found.complete else None

    def conforms(
        self, resource: Mapping[str, Any], profile: str, package: Package | None, scope: Scope
    ) -> bool | None:
        """Whether `resource` has no error against a profile; None when the profile is not held.

        A question that comes up again while it is being answered (references in a circle) is answered yes.
        """
        name = resource.get("resourceType")
        rules = self.usable(profile, package)
        if rules is None:
            core = r4.core_type(profile)
            return None if core is None else core == name or core in r4.ANY_RESOURCE
        if rules.type != name:
            return False
        key = (id(resource), rules.url)
        known = scope.known.get(key)
        if known is None:
            scope.known[key] = True
            inner = Run(resource, scope.beside(resource))
            rules.content.apply(resource, (None, str(name), -1), inner)
            known = scope.known[key] = not errors(inner.issues)
        return known

    def member(self, value: Any, canonical: str) -> bool | None:
        """Whether a code, Coding or CodeableConcept is in a value set; None when that cannot be told."""
        members = self.value_set(canonical, None)
        return None if members is None else in_value_set(members)(value)
