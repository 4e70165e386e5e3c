"""How the entries of a slice are told apart: discriminators made into one test of an entry.

FHIR R4 5.1.0.7.2 (discriminator): value and pattern by a fixed, pattern or required code at the path, exists,
type and profile; the path may step into elements, `extension(url)`, `ofType(T)` and `resolve()`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from profiles import r4
from profiles.checks import in_value_set, matcher
from profiles.elements import Node
from profiles.references import told_type
from profiles.registry import Package
from profiles.run import Run
from profiles.value_sets import ValueSet

Test = Callable[[Any, Run], bool]
_STEP = re.compile(r"(extension|ofType)\('?([^')]*)'?\)|(resolve)\(\)|(\$this)|([A-Za-z]\w*)")
_PATH = re.compile(rf"({_STEP.pattern})(\.({_STEP.pattern}))*")


class Untold(Exception):  # noqa: N818 - it is the answer to a question, not a failure
    """Nothing in the definition tells the slice apart by this discriminator, in a way known here."""


class Lookup(Protocol):
    """What a discriminator needs of the definitions held."""

    def value_set(self, canonical: str) -> ValueSet | None: ...

    def type_of(self, profile: str) -> str | None: ...

    package: Package | None


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a discriminator's path has come: the values there, what the definition says, the R4 type."""

    values: Callable[[Any, Run], list[Any]]
    node: Node
    type: str
    resolved: bool = False
    pattern: Any = None  # what a pattern further up says of this spot
    forms: Mapping[str, str] = field(default_factory=dict)  # JSON names of the last element with their types
    owners: Callable[[Any, Run], list[Any]] | None = None  # the values that it stands in


def picks(slice_: Node, discriminators: list[Mapping[str, Any]], type_name: str, lookup: Lookup) -> Test:
    """The test whether an entry belongs to this slice. Raises Untold when the definition does not say.

    A discriminator of which the slice says nothing is passed over as long as another one tells.
    """
    tests, reason = [], Untold("any discriminator")
    for one in discriminators:
        try:
            tests.append(_test(slice_, one["type"], one["path"], type_name, lookup))
        except Untold as untold:
            reason = untold
    if not tests:
        raise reason
    if len(tests) == 1:
        return tests[0]
    return lambda value, run: all(test(value, run) for test in tests)


def _test(slice_: Node, kind: str, path: str, type_name: str, lookup: Lookup) -> Test:
    spot = _Spot(lambda value, _run: [value], slice_, type_name, pattern=_pattern(slice_))
    if not _PATH.fullmatch(path):
        raise Untold(f"the path {path}")
    for step in _STEP.finditer(path):
        spot = _step(spot, step)
    match kind:
        case "value" | "pattern":
            return _any(spot, _value_test(spot, lookup))
        case "exists":
            return _exists_test(spot)
        case "type":
            return _type_test(spot, lookup)
        case "profile":
            return _profile_test(spot, lookup)
    raise Untold(f"a discriminator of kind {kind}")


def _step(spot: _Spot, match: re.Match[str]) -> _Spot:
    function, argument, resolve, this, name = match.groups()
    if this:
        return spot
    if resolve:
        return _Spot(_resolved(spot.values), spot.node, spot.type, resolved=True)
    if function == "extension":
        node = spot.node.extension_slice(argument) or Node()
        return _Spot(_extensions(spot.values, argument), node, "Extension")
    if function == "ofType":
        return _of_type(spot, argument)
    return _child(spot, name)


def _of_type(spot: _Spot, code: str) -> _Spot:
    """One form of a choice that the path has just stepped to."""
    forms = {key: type_ for key, type_ in spot.forms.items() if type_ == code}
    if spot.owners is None or not forms:
        raise Untold(f"the type {code}")
    return replace(spot, values=_children(spot.owners, tuple(forms)), type=code, forms=forms)


def _child(spot: _Spot, name: str) -> _Spot:
    table = r4.elements(spot.type)
    element = table.get(name) or table.get(f"{name}[x]")
    if element is None:
        raise Untold(f"the path step {name}")
    forms = {key: type_.code for key, type_ in element.keys().items()}
    node = spot.node.children.get(element.name, Node())
    codes = node.codes()
    types = [type_.code for type_ in element.types if not codes or type_.code in codes]
    pattern = spot.pattern.get(name) if isinstance(spot.pattern, Mapping) else None
    if isinstance(pattern, list):
        pattern = pattern[0] if len(pattern) == 1 else None
    said = _pattern(node)
    return _Spot(
        _children(spot.values, tuple(forms)),
        node,
        types[0] if len(types) == 1 else "Element",
        pattern=pattern if said is None else said,
        forms=forms,
        owners=spot.values,
    )


def _children(
    values: Callable[[Any, Run], list[Any]], keys: tuple[str, ...]
) -> Callable[[Any, Run], list[Any]]:
    def found(value: Any, run: Run) -> list[Any]:
        below: list[Any] = []
        for owner in values(value, run):
            for key in keys:
                item = owner.get(key) if owner.__class__ is dict else None
                if item.__class__ is list:
                    below += item
                elif item is not None:
                    below.append(item)
        return below

    return found


def _extensions(values: Callable[[Any, Run], list[Any]], url: str) -> Callable[[Any, Run], list[Any]]:
    def found(value: Any, run: Run) -> list[Any]:
        return [
            extension
            for owner in values(value, run)
            for extension in owner.get("extension", ())
            if extension.get("url") == url
        ]

    return found


def _resolved(values: Callable[[Any, Run], list[Any]]) -> Callable[[Any, Run], list[Any]]:
    """The targets of references: the resource where it is at hand, else the Reference itself."""

    def found(value: Any, run: Run) -> list[Any]:
        targets = []
        for reference in values(value, run):
            text = reference.get("reference")
            target = run.references.resolve(text) if text.__class__ is str else None
            targets.append(reference if target is None else target)
        return targets

    return found


def _any(spot: _Spot, test: Callable[[Any], bool]) -> Test:
    values = spot.values

    def picked(value: Any, run: Run) -> bool:
        for one in values(value, run):  # noqa: SIM110 - hot
            if test(one):
                return True
        return False

    return picked


def _pattern(node: Node) -> Any:
    found = node.value("pattern") or node.value("fixed")
    return found[1] if found else None


def _value_test(spot: _Spot, lookup: Lookup) -> Callable[[Any], bool]:
    if spot.pattern is not None:
        return matcher(spot.pattern)
    binding = spot.node.definition.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        members = lookup.value_set(binding["valueSet"])
        if members is not None:
            holds = in_value_set(members)
            return lambda value: bool(holds(value))
    if spot.type == "Extension" or spot.node.type_profiles():
        raise Untold("its value")
    if parts := _below(spot.node):
        return _all_parts(parts)
    raise Untold("its value")


def _below(node: Node) -> dict[str, Callable[[Any], bool]]:
    """What the elements below fix, where the element itself fixes nothing."""
    found: dict[str, Callable[[Any], bool]] = {}
    for name, child in node.children.items():
        if said := child.value("pattern") or child.value("fixed"):
            form = said[0].removeprefix("pattern").removeprefix("fixed")
            found[name.replace("[x]", form)] = matcher(said[1])
        elif parts := _below(child):
            found[name] = _all_parts(parts)
    return found


def _all_parts(parts: Mapping[str, Callable[[Any], bool]]) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        if value.__class__ is not dict:
            return False
        for name, part in parts.items():
            below = value.get(name)
            if not any(part(item) for item in (below if below.__class__ is list else (below,))):
                return False
        return True

    return test


def _exists_test(spot: _Spot) -> Test:
    values = spot.values
    if spot.node.definition.get("max") == "0":
        return lambda value, run: not values(value, run)
    if spot.node.definition.get("min", 0) > 0:
        return lambda value, run: bool(values(value, run))
    raise Untold("whether it exists")


def _type_test(spot: _Spot, lookup: Lookup) -> Test:
    codes = spot.node.codes()
    if not codes:
        raise Untold("its type")
    values = spot.values
    if spot.resolved:
        urls = [url for type_ in spot.node.types() for url in type_.get("targetProfile", ())]
        targets = frozenset(lookup.type_of(url) for url in urls)
        if not targets or None in targets:
            raise Untold("the type of what it refers to")
        return lambda value, run: any(_type_of(target) in targets for target in values(value, run))
    if spot.owners is not None and len(spot.forms) > 1:
        owners = spot.owners
        allowed = [key for key, code in spot.forms.items() if code in codes]
        return lambda value, run: any(key in owner for owner in owners(value, run) for key in allowed)
    return lambda value, run: any(_type_of(item) in codes for item in values(value, run))


def _type_of(value: Any) -> str | None:
    if value.__class__ is not dict:
        return None
    told: str | None = value.get("resourceType")
    return told or told_type(value)


def _profile_test(spot: _Spot, lookup: Lookup) -> Test:
    urls = spot.node.type_profiles()
    if spot.resolved:
        urls = tuple(url for t in spot.node.types() for url in t.get("targetProfile", ()))
    if not urls:
        raise Untold("its profile")
    values, package = spot.values, lookup.package

    def picked(value: Any, run: Run) -> bool:
        for item in values(value, run):
            if "resourceType" not in item:
                continue  # the target is not at hand, so nothing tells what it is
            if any(run.conforms(item, url, package) for url in urls):
                return True
        return False

    return picked
