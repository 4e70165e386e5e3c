"""A profile's differential, compiled once into a tree of rules that is walked beside the resource.

Understood: min and max, types of a choice, fixed[x] and pattern[x], required and extensible bindings to
value sets held here, target types of references by their form, constraints (`profiles.invariants`), and
slicing by value or pattern, also of extensions by url. Anything else in a differential that would have to be
enforced fails when the profile is loaded. FHIR R4 ElementDefinition, 5.1 Profiling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from profiles.outcome import Issue, Severity
from profiles.r4 import Type


@dataclass(slots=True)
class Findings:
    """The issues of one resource against one profile, as they are found."""

    profile: str
    issues: list[Issue] = field(default_factory=list)

    def add(
        self, code: str, message: str, where: str, *, constraint: str = "", severity: Severity = "error"
    ) -> None:
        self.issues.append(Issue(severity, code, message, where, profile=self.profile, constraint=constraint))


Check = Callable[[Any, str, Findings], None]


@dataclass(frozen=True, slots=True)
class Slice:
    """Those of a repeating element that a discriminator picks, with rules of their own."""

    name: str
    min: int
    max: int | None
    picks: Callable[[Any], bool]
    content: Content


@dataclass(frozen=True, slots=True)
class Content:
    """What must hold for each value of an element: its own checks, its children's, its slices'."""

    checks: tuple[Check, ...] = ()
    children: tuple[Rule, ...] = ()

    def apply(self, value: Any, where: str, found: Findings) -> None:
        for check in self.checks:
            check(value, where, found)
        for rule in self.children:
            rule.apply(value, where, found)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a profile says of one element, below the element that owns it.

    `keys` are its JSON names (several for a choice) with their types, `siblings` those with `_` that carry
    a primitive's extensions; `allowed` are the keys that a profile leaves.
    """

    name: str
    keys: Mapping[str, Type]
    siblings: tuple[str, ...]
    allowed: frozenset[str]
    min: int
    max: int | None
    content: Content
    slices: tuple[Slice, ...] = ()

    def apply(self, owner: Mapping[str, Any], where: str, found: Findings) -> None:
        """Check this element of `owner`, which stands at `where`."""
        key = self._present(owner)
        if key is None:
            if self.min:
                found.add("required", "is required and missing", f"{where}.{self.name}")
                return
            for slice_ in self.slices:
                _count(slice_, 0, f"{where}.{self.name}", found)
            return
        here = f"{where}.{self.name}"
        if key not in self.allowed:
            found.add("structure", "has a form that this profile does not allow", here)
            return
        if len(self.keys) > 1:
            here += f".ofType({self.keys[key].code})"
        value = owner.get(key)
        if isinstance(value, list):
            self._apply_list(value, here, found)
        else:
            self._limit(1, here, found)
            if value is not None:
                self.content.apply(value, here, found)

    def _present(self, owner: Mapping[str, Any]) -> str | None:
        """The JSON name under which this element stands in `owner`, if it does (or its `_name`)."""
        for key in self.keys:
            if key in owner:
                return key
        for key in self.siblings:
            if key in owner:
                return key[1:]
        return None

    def _apply_list(self, values: list[Any], here: str, found: Findings) -> None:
        self._limit(len(values), here, found)
        for index, value in enumerate(values):
            if value is not None:
                self.content.apply(value, f"{here}[{index}]", found)
        for slice_ in self.slices:
            picked = [index for index, value in enumerate(values) if slice_.picks(value)]
            _count(slice_, len(picked), here, found)
            for index in picked:
                slice_.content.apply(values[index], f"{here}[{index}]", found)

    def _limit(self, count: int, here: str, found: Findings) -> None:
        if self.max is not None and count > self.max:
            often = f"may occur at most {self.max} times" if self.max else "is not used in this profile"
            found.add("structure", often, here)
        elif count < self.min:
            found.add("required", f"must occur at least {self.min} times", here)


def _count(slice_: Slice, count: int, here: str, found: Findings) -> None:
    if count < slice_.min:
        found.add("required", f"lacks the required entry {slice_.name}", here)
    elif slice_.max is not None and count > slice_.max:
        found.add("structure", f"has more than {slice_.max} entries of kind {slice_.name}", here)
