"""From a StructureDefinition to rules: reads the differential once, and refuses what it cannot enforce."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from profiles import checks, r4, registry
from profiles.canonical import FHIR
from profiles.invariants import INVARIANTS
from profiles.rules import Check, Content, Rule, Slice
from profiles.value_sets import value_set

# What a differential's element may carry besides fixed[x] and pattern[x]; the first group is description.
_DESCRIBING = {"id", "path", "sliceName", "short", "definition", "comment", "requirements", "mustSupport"}
_ENFORCED = {"min", "max", "type", "binding", "constraint", "slicing"}


class ProfileError(ValueError):
    """A StructureDefinition that this engine cannot enforce: a fault of ours, found when it is loaded."""


@dataclass(slots=True)
class _Node:
    """One element of the differential with what stands below it, by the segments of its id."""

    definition: Mapping[str, Any] = field(default_factory=dict)
    children: dict[str, _Node] = field(default_factory=dict)
    slices: dict[str, _Node] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """A compiled profile: for which resource type, and what must hold."""

    url: str
    type: str
    content: Content


@cache
def profile(url: str) -> Profile:
    """The compiled profile of that canonical URL. Raises LookupError when it is not held here."""
    definition = registry.definition(url)
    if definition["resourceType"] != "StructureDefinition":
        raise LookupError(f"{url} is not a profile")
    tree = _tree(definition)
    return Profile(url, definition["type"], _content(tree, definition["type"]))


def _tree(definition: Mapping[str, Any]) -> _Node:
    root = _Node()
    for element in definition["differential"]["element"]:
        node = root
        for segment in element["id"].split(".")[1:]:
            name, _, slice_name = segment.partition(":")
            node = node.children.setdefault(name, _Node())
            if slice_name:
                node = node.slices.setdefault(slice_name, _Node())
        _only_known(element)
        node.definition = element
    return root


def _only_known(element: Mapping[str, Any]) -> None:
    for key in element.keys() - _DESCRIBING - _ENFORCED:
        if not key.startswith(("fixed", "pattern")):
            raise ProfileError(f"{element['id']}: {key} is not supported")


def _content(node: _Node, type_name: str) -> Content:
    children = tuple(_rule(name, child, type_name) for name, child in node.children.items())
    return Content(tuple(_checks(node.definition)), children)


def _rule(name: str, node: _Node, owner: str) -> Rule:
    element = r4.elements(owner).get(name)
    if element is None:
        raise ProfileError(f"{node.definition.get('id', name)}: {owner} has no such element")
    definition = node.definition
    keys = element.keys()
    named = {type_["code"] for type_ in definition.get("type", ())}
    allowed = frozenset(key for key, type_ in keys.items() if not named or type_.code in named)
    if not allowed or (node.children and len({keys[key].code for key in allowed}) > 1):
        raise ProfileError(f"{definition.get('id', name)}: its type is not clear")
    inner = keys[next(iter(sorted(allowed)))].code
    return Rule(
        name=name.removesuffix("[x]"),
        keys=keys,
        siblings=tuple(f"_{key}" for key, type_ in keys.items() if type_.code in r4.primitives()),
        allowed=allowed,
        min=definition.get("min", 0),
        max=_max(definition),
        content=_content(node, inner),
        slices=tuple(_slice(key, child, node, inner) for key, child in node.slices.items()),
    )


def _max(definition: Mapping[str, Any]) -> int | None:
    text = definition.get("max", "*")
    return None if text == "*" else int(text)


def _checks(definition: Mapping[str, Any]) -> Iterator[Check]:
    for key, value in definition.items():
        if key.startswith("pattern"):
            yield checks.pattern_check(value)
        elif key.startswith("fixed"):
            yield checks.fixed_check(value)
    if binding := definition.get("binding"):
        yield from _binding(binding)
    if targets := _targets(definition):
        yield checks.target_check(targets)
    for constraint in definition.get("constraint", ()):
        key = constraint["key"]
        if key not in INVARIANTS:
            raise ProfileError(f"{definition['id']}: the constraint {key} has no function")
        yield checks.constraint_check(key, constraint["human"], INVARIANTS[key])


def _binding(binding: Mapping[str, Any]) -> Iterator[Check]:
    if binding["strength"] == "required":
        yield checks.required_check(value_set(binding["valueSet"]))
    elif binding["strength"] == "extensible":
        yield checks.extensible_check(value_set(binding["valueSet"]))


def _targets(definition: Mapping[str, Any]) -> frozenset[str]:
    """The resource types a reference may point to. In a choice with other types nothing is checked."""
    types = definition.get("type", ())
    if any(type_["code"] != "Reference" for type_ in types):
        return frozenset()
    return frozenset(
        url.removeprefix(f"{FHIR}/") for type_ in types for url in type_.get("targetProfile", ())
    )


def _slice(name: str, node: _Node, sliced: _Node, type_name: str) -> Slice:
    content = _content(node, type_name)
    if extension := _extension_profile(node.definition):
        content = Content(
            (*content.checks, *profile(extension).content.checks), profile(extension).content.children
        )
    definition = node.definition
    picks = _picks(node, sliced.definition.get("slicing", {}), extension)
    return Slice(name, definition.get("min", 0), _max(definition), picks, content)


def _extension_profile(definition: Mapping[str, Any]) -> str:
    return next((url for type_ in definition.get("type", ()) for url in type_.get("profile", ())), "")


def _picks(node: _Node, slicing: Mapping[str, Any], extension: str) -> Callable[[Any], bool]:
    """The test that picks the slice's entries, from the one discriminator that is supported."""
    found = slicing.get("discriminator", [])
    if len(found) != 1 or found[0]["type"] not in ("value", "pattern") or slicing.get("rules") != "open":
        raise ProfileError(f"{node.definition['id']}: this slicing is not supported")
    path = found[0]["path"]
    if extension and path == "url":
        return lambda value: value.get("url") == extension
    test = _test(node.definition if path == "$this" else node.children[path].definition)
    return test if path == "$this" else lambda value: path in value and test(value[path])


def _test(definition: Mapping[str, Any]) -> Callable[[Any], bool]:
    for key, value in definition.items():
        if key.startswith(("pattern", "fixed")):
            return checks.matcher(value)
    if definition.get("binding", {}).get("strength") == "required":
        return checks.in_value_set(value_set(definition["binding"]["valueSet"]))
    raise ProfileError(f"{definition['id']}: nothing tells this slice apart")
