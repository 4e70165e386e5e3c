"""The elements of one StructureDefinition as a tree: its snapshot or, without one, its differential.

FHIR R4 ElementDefinition, 5.1.0.4 (element ids): `Task.output:result.value[x]` is the child `value[x]` of
the slice `result` of the child `output`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_EXTENSION = "extension"


class ProfileError(ValueError):
    """A StructureDefinition that cannot be read as one: no elements, or elements that make no tree."""


@dataclass(slots=True, eq=False)
class Node:
    """One element: its definition, what stands below it by name, and its slices by name."""

    definition: Mapping[str, Any] = field(default_factory=dict)
    children: dict[str, Node] = field(default_factory=dict)
    slices: dict[str, Node] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The element id, empty for an element that is only passed through."""
        return str(self.definition.get("id", ""))

    def types(self) -> list[Mapping[str, Any]]:
        """The types that the definition states, none when it leaves them as they are."""
        return list(self.definition.get("type", ()))

    def codes(self) -> frozenset[str]:
        """The names of the stated types."""
        return frozenset(type_["code"] for type_ in self.types())

    def type_profiles(self) -> tuple[str, ...]:
        """The canonical URLs of the profiles that each value must have one of."""
        return tuple(url for type_ in self.types() for url in type_.get("profile", ()))

    def value(self, prefix: str) -> tuple[str, Any] | None:
        """The one property whose name starts so (`fixed`, `pattern`), with its value."""
        return next(
            ((k, v) for k, v in self.definition.items() if k.startswith(prefix) and v is not None), None
        )

    def extension_slice(self, url: str) -> Node | None:
        """The slice of `extension` that is for this URL."""
        extensions = self.children.get(_EXTENSION, Node())
        return next((node for node in extensions.slices.values() if url in node.type_profiles()), None)

    def walk(self) -> Iterator[Node]:
        """This element and all below it."""
        yield self
        for below in (*self.children.values(), *self.slices.values()):
            yield from below.walk()


def has_snapshot(definition: Mapping[str, Any]) -> bool:
    """Whether the definition says everything itself."""
    return bool(definition.get("snapshot", {}).get("element"))


def tree(definition: Mapping[str, Any]) -> Node:
    """The root element. Raises ProfileError when the definition has no usable elements."""
    part = "snapshot" if has_snapshot(definition) else "differential"
    elements = definition.get(part, {}).get("element", ())
    if not elements:
        raise ProfileError("has neither a snapshot nor a differential")
    root = Node()
    for element in elements:
        identifier = element.get("id", element.get("path"))
        if not isinstance(identifier, str):
            raise ProfileError("has an element without id and path")
        _at(root, identifier).definition = element
    return root


def _at(root: Node, identifier: str) -> Node:
    node = root
    for segment in identifier.split(".")[1:]:
        name, _, slice_name = segment.partition(":")
        node = node.children.setdefault(name, Node())
        if slice_name:
            node = node.slices.setdefault(slice_name, Node())
    return node
