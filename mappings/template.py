"""Templates of a mapping: they look like what they make, and are compiled once into plain functions.

Objects and lists stand for themselves, text and numbers are constants, and an object that has one of the keys
`from`, `constant`, `first` or `join` (these two with a list) is an expression. In a list,
`{each: client.phones, make: …}` makes one element for each item of a repeating group.

What is empty is left out. An object or list that takes anything from the record goes when all of that is
empty, so that an address without parts does not remain as `{use: home}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mappings import nodes
from mappings.elements import Element
from mappings.expression import Expressions, hint, is_each
from mappings.nodes import Part
from mappings.parts import resolved
from profiles.document import DataPath


class Compiler(Expressions):
    """Compiles the templates, and the expressions in them, of one record kind or one rendering."""

    def template(self, where: DataPath, data: Any, element: str, kind: Element | None = None) -> Part:
        """`data`, which stands at `where` in the mapping, as a part that makes `element` of type `kind`."""
        where, data = resolved(self._document, where, data)
        if isinstance(data, dict):
            if _is_expression(data):
                return self.expression(where, data, element, kind)
            return self._object(where, data, element, kind)
        if isinstance(data, list):
            return self._list(where, data, element, kind)
        if kind is not None and kind.members is not None:
            self.wrong(where, f"{kind.type} is an object, not a single value")
        if isinstance(data, str) and self._is_field(data):
            self.wrong(
                where, f"{data!r} is a field: write {{from: {data}}}, or {{constant: {data}}} for the word"
            )
        self.note(where, element, kind, "constant", data, data, Part(nodes.constant(data), dynamic=False))
        return Part(nodes.constant(data), dynamic=False)

    def _object(self, where: DataPath, data: Mapping[str, Any], element: str, kind: Element | None) -> Part:
        members = kind.members if kind is not None else None
        if kind is not None and members is None:
            self.wrong(where, f"{kind.type} is a single value, not an object")
        if "each" in data and (members is None or "each" not in members):
            self.wrong(where, "'each' stands in a list, with 'make' beside it")
            return Part(nodes.constant(None), dynamic=True)
        condition = None
        if isinstance(data.get("when"), dict):
            condition = self.condition((*where, "when"), data["when"], element)
        parts: list[tuple[str, Part]] = []
        if kind is not None and "." not in element:  # a whole resource
            parts.append(("resourceType", Part(nodes.constant(kind.type), dynamic=False)))
        with self.under(condition is not None):
            for name, value in data.items():
                if name != "when" or condition is None:
                    parts.append((name, self._member((*where, name), name, value, element, kind)))
        node = nodes.build_object(parts)
        if condition is not None:
            node = nodes.only_when(condition, node)
        dynamic = condition is not None or any(part.dynamic for _, part in parts)
        return Part(node, dynamic, tuple(field for _, part in parts for field in part.fields))

    def _member(self, where: DataPath, name: str, value: Any, element: str, kind: Element | None) -> Part:
        members = kind.members if kind is not None else None
        inner = members.get(name) if members is not None else None
        if kind is not None and members is not None and inner is None:
            self.wrong(where, f"{kind.type} has no element {name!r}{hint(name, members)}")
        if inner is not None and inner.repeats != isinstance(value, list):
            self.wrong(where, "repeats: write a list" if inner.repeats else "does not repeat: no list")
        return self.template(where, value, f"{element}.{name}", inner)

    def _list(self, where: DataPath, data: list[Any], element: str, kind: Element | None) -> Part:
        parts = [
            self.item((*where, index), item, f"{element}[{index}]", kind) for index, item in enumerate(data)
        ]
        dynamic = any(part.dynamic for part in parts)
        fields = tuple(field for part in parts for field in part.fields)
        return Part(nodes.build_list(parts), dynamic, fields)

    def item(self, where: DataPath, data: Any, element: str, kind: Element | None) -> Part:
        """One member of a list: a template, or `{each: path, make: template}` for every item of a group."""
        where, data = resolved(self._document, where, data)
        if is_each(data):
            return self.each(where, data, element, kind)
        return self.template(where, data, element, kind)


def _is_expression(data: Mapping[str, Any]) -> bool:
    """`first` and `join` with anything but a list are members of the object: a first name, for one."""
    return (
        "from" in data
        or "constant" in data
        or any(isinstance(data.get(key), list) for key in ("first", "join"))
    )
