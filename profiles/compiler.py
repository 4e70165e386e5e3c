"""From a StructureDefinition to rules: what the profile says beyond FHIR R4 itself, which is always checked.

Whatever cannot be enforced is named in the report, never left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from profiles import r4
from profiles.discriminators import Untold, picks
from profiles.element_checks import ElementChecks, Others, Report
from profiles.elements import Node, ProfileError, has_snapshot, tree
from profiles.registry import Held
from profiles.rules import Check, Content, Profile, Rule, Slice, Slicing
from profiles.run import Run


class Compilation:
    """One definition being compiled, and what came of it: the `profile` and the `report` on it.

    Raises ProfileError when the definition cannot be read as one. The profile may be referred to at once, and
    is filled by `fill`, as profiles may refer to each other in circles.
    """

    def __init__(self, held: Held, others: Others) -> None:
        definition = held.resource
        type_name = definition.get("type")
        if not isinstance(type_name, str) or type_name not in r4.type_names():
            raise ProfileError("is for a type that FHIR R4 does not have")
        self._held = held
        self._others = others
        self._root = tree(definition)
        self._label = _label(held)
        self.report = Report(held.url, held.version, type_name)
        self._checks = ElementChecks(held, self._label, others, self.report)
        context = tuple((one["type"], one["expression"]) for one in definition.get("context", ()))
        modifier = bool(self._root.definition.get("isModifier"))
        self.profile = Profile(
            url=self._label,
            version=held.version,
            type=type_name,
            content=Content(),
            context=context,
            spots=frozenset(expression for kind, expression in context if kind == "element"),
            modifier=modifier,
            parts=_parts(self._root),
        )
        self._contents: dict[str, Content] = {type_name: self.profile.content}  # by id, for contentReference

    def fill(self) -> None:
        """Compile the elements into the profile's content."""
        content, type_name = self.profile.content, self.profile.type
        found = list(self._checks.of(self._root, type_name, None))
        if not has_snapshot(self._held.resource):
            found = [*self._base(), *found]  # a differential says only what it changes
        content.checks = tuple(found)
        for kind, expression in self.profile.context:
            if kind != "element":
                self.report.lacks("", f"whether it stands in {expression} ({kind}) is not checked")
        if "contextInvariant" in self._held.resource:
            self.report.lacks("", "what its context must fulfil (contextInvariant) is not checked")
        if type_name == "Extension":
            self._root.children.pop("url", None)  # by which its definition was found
        content.children = tuple(self._children(self._root, type_name))

    def _base(self) -> Iterator[Check]:
        base = self._held.resource.get("baseDefinition", "")
        if r4.core_type(base) == self.profile.type:
            return
        profile = self._others.usable(base, self._held.package)
        if profile is None:
            self.report.lacks("", f"its base {base} is not held: only what it states itself is checked")
        else:
            yield profile.content.apply

    def _children(self, node: Node, owner: str) -> Iterator[Rule]:
        for name, child in _with_choices(node, owner).items():
            element = r4.elements(owner).get(name)
            if owner == "Element" and name == "value":
                continue  # the text of a primitive itself, on which R4's own rule stands
            if element is None:
                self.report.lacks(child.id or name, f"{owner} has no such element")
            elif _says_something(rule := self._rule(child, element)):
                yield rule

    def _content(self, node: Node, type_name: str, element: r4.Element | None) -> Content:
        content = Content()
        if node.id and not (element and element.choice):
            content = self._contents.setdefault(node.id, content)  # others may refer to it already
        content.checks = tuple(self._checks.of(node, type_name, element))
        content.fixed = node.value("fixed") is not None
        below = "Element" if type_name in r4.primitives() else type_name
        content.children = tuple(self._children(node, below))
        return content

    def _rule(self, node: Node, element: r4.Element) -> Rule:
        definition = node.definition
        allowed = _allowed(node, element)
        contents = {key: self._content(node, _type(node, type_), element) for key, type_ in allowed.items()}
        if reference := definition.get("contentReference"):
            self._refer(contents, reference)
        required = self._choice_slices(node, element, contents) if element.choice else frozenset()
        shown = element.shown()
        low = max(definition.get("min", 0), 1 if required else 0)
        high = _max(definition)
        return Rule(
            profile=self._label,
            name=element.name.removesuffix("[x]"),
            names={key: shown[key] for key in contents} | shown,  # what is allowed is looked for first
            primitive={k: f"_{k}" for k, type_ in element.keys().items() if type_.code in r4.primitives()},
            min=0 if low == element.min else low,
            max=None if high == element.max else high,
            contents=contents,
            slicing=None if element.choice else self._slicing(node, _type(node, element.types[0])),
            required=required,
        )

    def _refer(self, contents: Mapping[str, Content], reference: str) -> None:
        """An element whose content is that of another one in the same definition."""
        target = self._contents.setdefault(reference.rpartition("#")[2], Content())
        for content in contents.values():
            content.checks = (*content.checks, target.apply)

    def _choice_slices(self, node: Node, element: r4.Element, contents: dict[str, Content]) -> frozenset[str]:
        """Slices of a choice by type: what they say goes to the form they are about.

        Returns the forms of which one must be given, when a slice is required.
        """
        required: frozenset[str] = frozenset()
        for name, slice_ in node.slices.items():
            forms = {key: type_ for key, type_ in element.keys().items() if key in contents}
            if codes := slice_.codes():
                forms = {key: type_ for key, type_ in forms.items() if type_.code in codes}
            elif name in forms:
                forms = {name: forms[name]}
            else:
                self.report.lacks(slice_.id, "a choice can be sliced by type only")
                continue
            for key, type_ in forms.items():
                if slice_.definition.get("max") == "0":
                    del contents[key]
                    continue
                own, more = contents[key], self._content(slice_, type_.code, element)
                contents[key] = Content(
                    (*own.checks, *more.checks), (*own.children, *more.children), own.fixed or more.fixed
                )
            if slice_.definition.get("min", 0) > 0:
                required |= forms.keys()
        return required

    def _slicing(self, node: Node, type_name: str) -> Slicing | None:
        slicing = node.definition.get("slicing", {})
        slices = tuple(
            one
            for name, child in node.slices.items()
            if (one := self._slice(name, child, slicing, type_name)) is not None
        )
        rules = slicing.get("rules", "open")
        if not slices and rules != "closed":
            return None
        return Slicing(slices, rules == "closed", rules == "openAtEnd", bool(slicing.get("ordered")))

    def _slice(self, name: str, node: Node, slicing: Mapping[str, Any], type_name: str) -> Slice | None:
        test = self._picks(name, node, slicing, type_name)
        if test is None:
            return None
        content = self._content(node, type_name, None)
        return Slice(name, node.definition.get("min", 0), _max(node.definition), test, content)

    def _picks(
        self, name: str, node: Node, slicing: Mapping[str, Any], type_name: str
    ) -> Callable[[Any, Run], bool] | None:
        """The test of an entry; None when there is none, which the report then says."""
        if "/" in name:
            self.report.lacks(node.id, "slices of slices are not supported")
            return None
        if type_name == "Extension" and (profiles := node.type_profiles()):
            url = profiles[0].partition("|")[0]
            if self._others.usable(profiles[0], self._held.package) is None:
                other = self._others.usable(url, self._held.package)
                how = "not checked" if other is None else f"checked as version {other.version}"
                self.report.lacks(node.id, f"the extension {profiles[0]} is not held: its content is {how}")
            return lambda value, _run: bool(value.get("url") == url)
        try:
            return picks(node, slicing.get("discriminator", ()), type_name, self._checks)
        except Untold as reason:
            self.report.lacks(node.id, f"nothing tells this slice apart by {reason}")
            return None


def _parts(root: Node) -> frozenset[str]:
    """The URLs that the slices of an extension's `extension` fix: its own parts."""
    slices = root.children.get("extension", Node()).slices.values()
    fixed = (one.children.get("url", Node()).value("fixed") for one in slices)
    return frozenset(str(found[1]) for found in fixed if found)


def _label(held: Held) -> str:
    """How issues name a profile: with its version, except those that ship with this software."""
    return f"{held.url}|{held.version}" if held.package.version else held.url


def _allowed(node: Node, element: r4.Element) -> dict[str, r4.Type]:
    """The JSON names that the definition leaves, each with its type."""
    codes = node.codes()
    return {key: t for key, t in element.keys().items() if not element.choice or not codes or t.code in codes}


def _type(node: Node, type_: r4.Type) -> str:
    """The type of a value: where R4 takes any resource, the one that the definition states."""
    codes = node.codes()
    return next(iter(codes)) if type_.code in r4.ANY_RESOURCE and len(codes) == 1 else type_.code


def _with_choices(node: Node, owner: str) -> dict[str, Node]:
    """The children, with `valueQuantity` brought under `value[x]` as its slice."""
    known, keys = r4.elements(owner), r4.by_key(owner)
    children = {name: child for name, child in node.children.items() if name in known or name not in keys}
    for name, child in node.children.items():
        if name not in children:
            choice = children.setdefault(keys[name][0].name, Node())
            choice.slices.setdefault(name, child)
    return children


def _max(definition: Mapping[str, Any]) -> int | None:
    text = definition.get("max", "*")
    return None if text == "*" else int(text)


def _says_something(rule: Rule) -> bool:
    if rule.min or rule.max is not None or rule.slicing or rule.required:
        return True
    if rule.contents.keys() != rule.names.keys():
        return True
    return any(content.checks or content.children for content in rule.contents.values())
