"""What must hold, compiled: a tree of rules that is walked once beside the resource.

A `Type` holds the rules of FHIR R4 itself for one type, visited by what the resource has; a `Content` holds
those of a profile, visited by what the profile says, so that it also sees what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from profiles.outcome import Severity
from profiles.place import Place
from profiles.run import Run

Check: TypeAlias = Callable[[Any, Place, Run], None]
_NOTHING: Mapping[str, Any] = {}


@dataclass(slots=True, eq=False)
class Type:
    """The rules of an R4 type: checks of each value, and the elements below, by JSON name."""

    checks: tuple[Check, ...] = ()
    elements: dict[str, Element] = field(default_factory=dict)

    def apply(self, value: Mapping[str, Any], place: Place, run: Run) -> None:
        """Check one value of this type, and all that is in it except other resources."""
        for check in self.checks:
            check(value, place, run)
        elements = self.elements
        if elements.keys().isdisjoint(value):  # most values hold plain texts only
            return
        for key, inner in value.items():
            element = elements.get(key)
            if element is None:
                continue
            name, checks, below = element
            if inner.__class__ is not list:
                here = (place, name, -1)
                for check in checks:
                    check(inner, here, run)
                if below is not None:
                    below.apply(inner, here, run)
                continue
            for index, item in enumerate(inner):
                if item is not None:
                    here = (place, name, index)
                    for check in checks:
                        check(item, here, run)
                    if below is not None:
                        below.apply(item, here, run)


class Element(NamedTuple):
    """One JSON property of an R4 type. `name` is how FHIRPath says it; a primitive has no `type`."""

    name: str
    checks: tuple[Check, ...]
    type: Type | None


@dataclass(slots=True, eq=False)
class Content:
    """What a profile says of each value of an element: its own checks, and rules of what is below it.

    `fixed` is for a primitive whose value is fixed, which leaves no room for extensions beside it.
    """

    checks: tuple[Check, ...] = ()
    children: tuple[Rule, ...] = ()
    fixed: bool = False

    def apply(self, value: Any, place: Place, run: Run) -> None:
        for check in self.checks:
            check(value, place, run)
        for rule in self.children:
            rule.apply(value, place, run)


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Those values of a repeating element that the discriminators pick, with rules of their own."""

    name: str
    min: int
    max: int | None
    picks: Callable[[Any, Run], bool]
    content: Content


@dataclass(frozen=True, slots=True, eq=False)
class Slicing:
    """How the values of an element are told apart (R4 ElementDefinition.slicing)."""

    slices: tuple[Slice, ...]
    closed: bool = False
    open_at_end: bool = False
    ordered: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """What a profile says of one element, below the element that owns it.

    `contents` has one entry for each JSON name that the profile allows (several for a choice), `names` says
    each as FHIRPath does, `primitive` gives the `_name` of those whose extensions stand there.
    """

    profile: str
    name: str
    names: Mapping[str, str]
    primitive: Mapping[str, str]
    min: int
    max: int | None
    contents: Mapping[str, Content]
    slicing: Slicing | None = None
    required: frozenset[str] = frozenset()  # forms of a choice of which one must be given
    only: str = field(init=False)  # the one name, or the first
    several: bool = field(init=False)  # whether it may also stand under another name

    def __post_init__(self) -> None:
        object.__setattr__(self, "only", next(iter(self.names)))
        object.__setattr__(self, "several", len(self.names) > 1 or bool(self.primitive))

    def apply(self, owner: Mapping[str, Any], place: Place, run: Run) -> None:
        """Check this element of `owner`, which stands at `place`."""
        key = self.only
        if key not in owner:
            other = self._present(owner) if self.several else None
            if other is None:
                if self.min or self.slicing:
                    self._absent((place, self.name, -1), run)
                return
            key = other
        if self.max == 0:
            self._report(run, "structure", "is not used in this profile", (place, self.name, -1))
            return
        content = self.contents.get(key)
        if content is None:
            self._report(
                run, "structure", "has a form that this profile does not allow", (place, self.name, -1)
            )
            return
        if self.required and key not in self.required:
            self._report(run, "required", "must be given in another form", (place, self.name, -1))
        value = owner.get(key)
        beside = owner.get(self.primitive[key]) if key in self.primitive else None
        if value.__class__ is list or beside.__class__ is list:
            self._apply_list(value or (), beside or (), content, place, run)
        else:
            self._limit(1, (place, self.name, -1), run)
            self._apply_one(value, beside, content, key, (place, self.names[key], -1), run)

    def _present(self, owner: Mapping[str, Any]) -> str | None:
        """The JSON name under which this element stands in `owner`, if it does (or its `_name`)."""
        for key in self.names:
            if key in owner:
                return key
        for key, beside in self.primitive.items():
            if beside in owner:
                return key
        return None

    def _absent(self, place: Place, run: Run) -> None:
        if self.min:
            self._report(run, "required", "is required and missing", place)
        elif self.slicing:
            self._count([0] * len(self.slicing.slices), place, run)

    def _apply_one(self, value: Any, beside: Any, content: Content, key: str, place: Place, run: Run) -> None:
        if key not in self.primitive:
            content.apply(value, place, run)
            return
        if value is not None:
            for check in content.checks:
                check(value, place, run)
        if beside is not None and content.fixed:
            self._report(run, "value", "is fixed by this profile, without extensions", place)
        for rule in content.children:
            rule.apply(beside or _NOTHING, place, run)

    def _apply_list(self, values: Any, beside: Any, content: Content, place: Place, run: Run) -> None:
        here = (place, self.name, -1)
        length = max(len(values), len(beside))
        self._limit(length, here, run)
        key = self.only
        places: list[Place] = [(place, self.name, index) for index in range(length)]
        if content.checks or content.children:
            for index, spot in enumerate(places):
                value = values[index] if index < len(values) else None
                if value is not None or beside:
                    self._apply_one(
                        value, beside[index] if index < len(beside) else None, content, key, spot, run
                    )
        if self.slicing:
            self._slice(self.slicing, values, places, here, run)

    def _slice(self, slicing: Slicing, values: Any, places: list[Place], here: Place, run: Run) -> None:
        counts = [0] * len(slicing.slices)
        latest, outside = 0, False
        for value, place in zip(values, places, strict=False):
            if value is None:
                continue
            matched = -1
            for number, slice_ in enumerate(slicing.slices):
                if slice_.picks(value, run):
                    counts[number] += 1
                    matched = number
                    slice_.content.apply(value, place, run)
            if matched < 0:
                outside = True
                if slicing.closed:
                    self._report(run, "structure", "is none of the entries that this profile allows", place)
            elif slicing.open_at_end and outside:
                self._report(
                    run, "structure", "must stand before the entries that the profile does not name", place
                )
            elif slicing.ordered and matched < latest:
                self._report(run, "structure", "does not stand in the order that this profile gives", place)
            latest = max(latest, matched)
        self._count(counts, here, run)

    def _count(self, counts: list[int], here: Place, run: Run) -> None:
        for slice_, count in zip(self.slicing.slices if self.slicing else (), counts, strict=True):
            if count < slice_.min:
                self._report(run, "required", f"lacks the required entry {slice_.name}", here)
            elif slice_.max is not None and count > slice_.max:
                message = f"has more than {slice_.max} entries of kind {slice_.name}"
                self._report(run, "structure", message, here)

    def _limit(self, count: int, here: Place, run: Run) -> None:
        if self.max is not None and count > self.max:
            self._report(run, "structure", f"may occur at most {self.max} times", here)
        elif count < self.min:
            self._report(run, "required", f"must occur at least {self.min} times", here)

    def _report(self, run: Run, code: str, message: str, place: Place, severity: Severity = "error") -> None:
        run.add(severity, code, message, place, self.profile)


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A compiled profile of a resource, a datatype or an extension: its type and what must hold of each."""

    url: str
    version: str
    type: str
    content: Content
    context: tuple[tuple[str, str], ...] = ()  # where an extension may stand: (kind, expression)
    spots: frozenset[str] = frozenset()  # those of its contexts that are elements
    modifier: bool = False
    parts: frozenset[str] = frozenset()  # the URLs of a complex extension's own parts
