"""The single checks that rules are made of: fixed and pattern values, bindings, reference targets, limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from profiles.fhirpath import EvaluationError, Predicate
from profiles.outcome import Severity
from profiles.place import Place
from profiles.r4 import Constraint, Strength
from profiles.references import told_type
from profiles.registry import Package
from profiles.rules import Check, Content
from profiles.run import Run
from profiles.value_sets import ValueSet

_NOT_CHECKED = "was not checked: the codes of its value set are not all held here"


def matcher(pattern: Any) -> Callable[[Any], bool]:
    """A test whether a value has all that `pattern` has and maybe more (R4 ElementDefinition.pattern[x])."""
    if isinstance(pattern, Mapping):
        return _object_matcher({key: matcher(part) for key, part in pattern.items()})
    if isinstance(pattern, list):
        return _list_matcher([matcher(part) for part in pattern])
    if isinstance(pattern, int | float | Decimal) and not isinstance(pattern, bool):
        return _number_matcher(pattern)
    return lambda value: value.__class__ is pattern.__class__ and bool(value == pattern)


def _number_matcher(pattern: float | Decimal) -> Callable[[Any], bool]:
    """Numbers come as int, float or Decimal, whoever decoded them; `0.1` is the same in all three."""
    wanted = Decimal(str(pattern))
    return lambda value: (
        isinstance(value, int | float | Decimal) and value is not True and Decimal(str(value)) == wanted
    )


def _object_matcher(parts: Mapping[str, Callable[[Any], bool]]) -> Callable[[Any], bool]:
    items = tuple(parts.items())

    def fits(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        for key, part in items:  # noqa: SIM110 - hot: twice as fast as all() over a generator
            if key not in value or not part(value[key]):
                return False
        return True

    return fits


def _list_matcher(parts: list[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    def fits(values: Any) -> bool:
        if not isinstance(values, list):
            return False
        for part in parts:
            for value in values:
                if part(value):
                    break
            else:
                return False
        return True

    return fits


def pattern_check(pattern: Any, profile: str) -> Check:
    """The value has all that `pattern` has."""
    return _value_check(matcher(pattern), profile)


def fixed_check(fixed: Any, profile: str) -> Check:
    """The value is exactly `fixed`."""
    fits = matcher(fixed)
    if isinstance(fixed, Mapping | list):
        return _value_check(lambda value: bool(value == fixed) and fits(value), profile)
    return _value_check(fits, profile)


def _value_check(fits: Callable[[Any], bool], profile: str) -> Check:
    def check(value: Any, place: Place, run: Run) -> None:
        if not fits(value):
            run.add("error", "value", "does not have the value that this profile fixes", place, profile)

    return check


def in_value_set(members: ValueSet) -> Callable[[Any], bool | None]:
    """Whether a code, a Coding, a Quantity's unit or one coding of a CodeableConcept is a member.

    None when no coding is known to be a member and one of them cannot be told.
    """

    def holds(value: Any) -> bool | None:
        if isinstance(value, str):
            return members.has_code(value)
        codings = value.get("coding", ()) if "coding" in value or "code" not in value else (value,)
        verdict: bool | None = False
        for coding in codings:
            told = members.has(coding.get("system", ""), coding.get("code", ""))
            if told:
                return True
            if told is None:
                verdict = None
        return verdict

    return holds


def binding_check(members: ValueSet, profile: str, strength: Strength) -> Check:
    """One coding is in the value set; where that cannot be told, a warning says so.

    Where the binding is not required words alone may be used; where it is extensible also codes of others,
    when none of the set fits: as nobody here can tell whether one does, that is a warning.
    """
    holds = in_value_set(members)
    severity: Severity = "warning" if strength == "extensible" else "error"
    required = strength == "required"
    message = f"has no code of the {strength} value set"

    def check(value: Any, place: Place, run: Run) -> None:
        told = holds(value)
        if told:
            return
        if told is None:
            run.add("warning", "not-supported", _NOT_CHECKED, place, profile)
        elif required or value.__class__ is str or "coding" in value or "code" in value:
            run.add(severity, "code-invalid", message, place, profile)

    return check


def unheld_binding_check(profile: str) -> Check:
    """The value set of a binding is not held at all."""

    def check(_value: Any, place: Place, run: Run) -> None:
        run.add("warning", "not-supported", _NOT_CHECKED, place, profile)

    return check


def target_check(
    types: frozenset[str], profiles: tuple[str, ...], package: Package | None, profile: str
) -> Check:
    """A reference points to one of `types`, and if its target is at hand, that has one of `profiles`.

    The type is told by the target itself where it is contained or in the same Bundle, else by the form of the
    reference (`.../Organization/x`) or its `type`. One by identifier or URN alone passes.
    """
    message = f"must refer to {' or '.join(sorted(types))}"

    def check(value: Any, place: Place, run: Run) -> None:
        reference = value.get("reference")
        target = run.references.resolve(reference) if reference.__class__ is str else None
        told = told_type(value) if target is None else target["resourceType"]
        if told is not None and told not in types:
            run.add("error", "structure", message, place, profile)
        elif target is not None and profiles:
            for one in profiles:
                if run.conforms(target, one, package) is not False:
                    return
            run.add("error", "structure", "refers to a resource without the required profile", place, profile)

    return check


def resource_check(
    types: frozenset[str], profiles: tuple[str, ...], package: Package | None, profile: str
) -> Check:
    """A resource inside another one is of one of `types`, and has one of `profiles` where there are any."""
    message = f"must be a {' or '.join(sorted(types))}"

    def check(value: Any, place: Place, run: Run) -> None:
        if value.get("resourceType") not in types:
            run.add("error", "structure", message, place, profile)
        elif profiles and all(run.conforms(value, one, package) is False for one in profiles):
            run.add("error", "structure", "has none of the profiles that are allowed here", place, profile)

    return check


def constraint_check(constraint: Constraint, holds: Predicate, profile: str) -> Check:
    """A constraint holds; one that cannot be evaluated on this value gives a warning, never silence."""
    key, human = constraint.key, constraint.human
    severity: Severity = "warning" if constraint.severity == "warning" else "error"

    def check(value: Any, place: Place, run: Run) -> None:
        try:
            if holds(value, run.context):
                return
        except EvaluationError:
            run.add("warning", "not-supported", "this constraint could not be evaluated", place, profile, key)
            return
        run.add(severity, "invariant", human, place, profile, key)

    return check


def unsupported_check(key: str, profile: str) -> Check:
    """A constraint that nothing here can evaluate."""

    def check(_value: Any, place: Place, run: Run) -> None:
        run.add("warning", "not-supported", "this constraint is not supported here", place, profile, key)

    return check


def any_of_check(contents: tuple[Content, ...], profile: str) -> Check:
    """The value has at least one of several profiles (R4 ElementDefinition.type.profile)."""

    def check(value: Any, place: Place, run: Run) -> None:
        for content in contents:
            if run.allows(content.apply, value, place):
                return
        run.add("error", "structure", "has none of the profiles that are allowed here", place, profile)

    return check


def lengths_check(lists: tuple[tuple[str, str], ...]) -> Check:
    """Each list of primitives is as long as the `_name` beside it, and has something at each place."""

    def check(value: Any, place: Place, run: Run) -> None:
        for name, beside in lists:
            if beside not in value:
                continue
            one, other = value.get(name, ()), value[beside]
            if name in value and len(one) != len(other):
                message = f"must have as many entries as {beside}"
                run.add("error", "structure", message, (place, name, -1))
            elif any(
                below is None and (index >= len(one) or one[index] is None)
                for index, below in enumerate(other)
            ):
                run.add("error", "structure", "has a place without value and extension", (place, name, -1))

    return check


def integer_check(value: Any, place: Place, run: Run) -> None:
    """A whole number is written without a point (R4 2.24.0.1); JSON Schema takes `1.0` for one too."""
    if value.__class__ is not int:
        run.add("error", "value", "must be written without a point or an exponent", place)


def length_check(limit: int, profile: str) -> Check:
    """A text is not longer than `limit` characters (R4 ElementDefinition.maxLength)."""

    def check(value: Any, place: Place, run: Run) -> None:
        if value.__class__ is str and len(value) > limit:
            run.add("error", "too-long", f"may have at most {limit} characters", place, profile)

    return check


def range_check(low: Any, high: Any, profile: str) -> Check:
    """A number is within limits (R4 ElementDefinition.minValue[x], maxValue[x])."""

    def check(value: Any, place: Place, run: Run) -> None:
        if not isinstance(value, int | float | Decimal):
            return  # another form of a choice
        if (low is not None and value < low) or (high is not None and value > high):
            run.add("error", "value", "is outside the limits that this profile sets", place, profile)

    return check
