"""FHIR R4 (4.0.1) itself as a table: which elements a type has, how often, of which types and codes.

Read from `base/r4.json`, which `scripts/make_r4_base.py` makes from HL7's definitions. Backbone elements
are types named by their path (`Patient.contact`). This is the one place that knows the file's form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "base" / "r4.json"
_ELEMENT = re.compile(r"(\d+)\.\.(\d+|\*) (\S+)(?: =(\S+))?")
_TYPE = re.compile(r"(@?[A-Za-z0-9.]+)(?:\(([A-Za-z|]+)\))?")


@dataclass(frozen=True, slots=True)
class Type:
    """One type an element may have. `targets` are the resource types a Reference may point to; none: any.

    An `attribute` is a primitive that cannot carry extensions (`Element.id`, `Extension.url`).
    """

    code: str
    targets: tuple[str, ...] = ()
    attribute: bool = False


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type. `max` is None for `*`; `value_set` names a closed list of codes, or is empty."""

    name: str
    min: int
    max: int | None
    types: tuple[Type, ...]
    value_set: str = ""

    @property
    def choice(self) -> bool:
        """Whether this is `value[x]`: in JSON one of `valueString`, `valuePeriod`, ..."""
        return self.name.endswith("[x]")

    def keys(self) -> dict[str, Type]:
        """The JSON property names of this element, each with its type."""
        if not self.choice:
            return {self.name: self.types[0]}
        stem = self.name.removesuffix("[x]")
        return {stem + type_.code[0].upper() + type_.code[1:]: type_ for type_ in self.types}


@cache
def resource_types() -> frozenset[str]:
    """The names of all resource types."""
    return frozenset(_base()["resources"])


def primitives() -> Mapping[str, str]:
    """The primitive types with HL7's regular expression for each (empty for xhtml)."""
    table: Mapping[str, str] = _base()["primitives"]
    return table


@cache
def elements(type_name: str) -> Mapping[str, Element]:
    """The elements of a type, by name (`value[x]` for a choice). Raises KeyError for an unknown type."""
    return {name: _element(name, text) for name, text in _base()["types"][type_name].items()}


@cache
def by_key(type_name: str) -> Mapping[str, tuple[Element, Type]]:
    """The elements of a type by JSON property name (`valueString`), each with the type that name gives."""
    return {
        key: (element, type_)
        for element in elements(type_name).values()
        for key, type_ in element.keys().items()
    }


def codes(value_set: str) -> Mapping[str, list[str]]:
    """The codes of a value set of R4 by system. Raises KeyError when it is not a closed list held here."""
    found: Mapping[str, list[str]] = _base()["valueSets"][value_set]
    return found


@cache
def _base() -> dict[str, Any]:
    base: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return base


def _element(name: str, text: str) -> Element:
    match = _ELEMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"{_FILE.name}: the line for {name} cannot be read")
    low, high, types, value_set = match.groups()
    return Element(name, int(low), None if high == "*" else int(high), _types(types), value_set or "")


def _types(text: str) -> tuple[Type, ...]:
    found = []
    for part in text.split(","):
        match = _TYPE.fullmatch(part)
        if match is None:
            raise ValueError(f"{_FILE.name}: the type {part} cannot be read")
        code, targets = match.groups()
        listed = tuple(targets.split("|")) if targets else ()
        found.append(Type(code.removeprefix("@"), listed, code.startswith("@")))
    return tuple(found)
