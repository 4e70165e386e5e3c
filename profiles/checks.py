"""The single checks a rule is made of: fixed and pattern values, bindings, reference targets, constraints."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from profiles.rules import Check, Findings
from profiles.value_sets import ValueSet

_REFERENCE_TYPE = re.compile(
    r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.\-]{1,64}(?:/_history/[A-Za-z0-9.\-]{1,64})?$"
)


def matcher(pattern: Any) -> Callable[[Any], bool]:
    """A test whether a value has all that `pattern` has and maybe more (R4 ElementDefinition.pattern[x])."""
    if isinstance(pattern, Mapping):
        return _object_matcher({key: matcher(part) for key, part in pattern.items()})
    if isinstance(pattern, list):
        return _list_matcher([matcher(part) for part in pattern])
    return lambda value: bool(value == pattern)


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


def pattern_check(pattern: Any) -> Check:
    fits = matcher(pattern)

    def check(value: Any, where: str, found: Findings) -> None:
        if not fits(value):
            found.add("value", "does not have the value that this profile fixes", where)

    return check


def fixed_check(fixed: Any) -> Check:
    def check(value: Any, where: str, found: Findings) -> None:
        if value != fixed:
            found.add("value", "does not have the value that this profile fixes", where)

    return check


def in_value_set(members: ValueSet) -> Callable[[Any], bool]:
    """Whether a code, a Coding, or one coding of a CodeableConcept is a member."""

    def holds(value: Any) -> bool:
        if isinstance(value, str):
            return members.has_code(value)
        codings = value.get("coding", ()) if "coding" in value or "code" not in value else (value,)
        for coding in codings:  # noqa: SIM110 - hot, as above
            if members.has(coding.get("system", ""), coding.get("code", "")):
                return True
        return False

    return holds


def required_check(members: ValueSet) -> Check:
    holds = in_value_set(members)

    def check(value: Any, where: str, found: Findings) -> None:
        if not holds(value):
            found.add("code-invalid", "has no code of the required value set", where)

    return check


def extensible_check(members: ValueSet) -> Check:
    """Other systems and words are allowed, but not an unknown code of a system that the set lists."""

    def check(value: Any, where: str, found: Findings) -> None:
        for index, coding in enumerate(value.get("coding", ())):
            system = coding.get("system", "")
            if members.speaks_for(system) and not members.has(system, coding.get("code", "")):
                found.add("code-invalid", "is not a code of its system", f"{where}.coding[{index}]")

    return check


def target_check(targets: frozenset[str]) -> Check:
    """A reference must point to one of `targets`, as far as its form tells (`.../Organization/x`, or `type`).

    A reference by identifier, to a contained resource or by URN does not tell and passes.
    """

    def check(value: Any, where: str, found: Findings) -> None:
        match = _REFERENCE_TYPE.search(value.get("reference", ""))
        told = match.group(1) if match else value.get("type")
        if told is not None and told not in targets:
            found.add("structure", f"must refer to {' or '.join(sorted(targets))}", where)

    return check


def constraint_check(key: str, human: str, holds: Callable[[Mapping[str, Any]], bool]) -> Check:
    def check(value: Any, where: str, found: Findings) -> None:
        if not holds(value):
            found.add("invariant", human, where, constraint=key)

    return check
