"""FHIR R4 (4.0.1) itself as a table: which elements a type has, how often, of which types, codes and rules.

Read from `base/r4.json`, which `scripts/make_r4_base.py` makes from HL7's definitions. Backbone elements
are types named by their path (`Patient.contact`). A type is read when it is first asked for. This is the one
place that knows the file's form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

_FILE = Path(__file__).parent / "base" / "r4.json"
_STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
_VALUE_SET = "http://hl7.org/fhir/ValueSet/"
_ELEMENT = re.compile(
    r"(\d+)\.\.(\d+|\*) (\S+)(?: =(\S+))?(?: (required|maximum|extensible):(\S+))?(?: !(\S+))?"
)  # min, max, types, closed list, strength, value set, constraints
_TYPE = re.compile(r"(@?[A-Za-z0-9.]+)(?:\(([A-Za-z|]+)\))?(?:\{([A-Za-z|]+)\})?")


@dataclass(frozen=True, slots=True)
class Type:
    """One type an element may have. `targets` are the resource types a Reference may point to; none: any.

    An `attribute` is a primitive that cannot carry extensions (`Element.id`, `Extension.url`). `profiles` are
    what a value must conform to; R4 uses `SimpleQuantity` only, whose rules `constraints` tells.
    """

    code: str
    targets: tuple[str, ...] = ()
    attribute: bool = False
    profiles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Constraint:
    """A rule in FHIRPath. A `best_practice` is a recommendation that R4 states as a warning."""

    key: str
    severity: Literal["error", "warning"]
    human: str
    expression: str
    best_practice: bool


ANY_RESOURCE = frozenset({"Resource", "DomainResource"})  # the types of elements that hold resources
Strength = Literal["required", "maximum", "extensible"]


@dataclass(frozen=True, slots=True)
class Binding:
    """The value set a code should be from, with its version if the definition names one.

    Of strength `maximum` words alone are allowed, but no code outside (maxValueSet on a CodeableConcept).
    """

    strength: Strength
    value_set: str


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type. `max` is None for `*`; `value_set` names a closed list of codes, or is empty.

    `constraints` are those that stand on the element and on no type; `binding` is there for required and
    extensible ones, closed list or not.
    """

    name: str
    min: int
    max: int | None
    types: tuple[Type, ...]
    value_set: str = ""
    binding: Binding | None = None
    constraints: tuple[Constraint, ...] = ()

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

    def shown(self) -> dict[str, str]:
        """The JSON property names of this element, each as FHIRPath says it: `value.ofType(Quantity)`."""
        if not self.choice:
            return {self.name: self.name}
        stem = self.name.removesuffix("[x]")
        return {key: f"{stem}.ofType({type_.code})" for key, type_ in self.keys().items()}


@cache
def resource_types() -> frozenset[str]:
    """The names of all resource types."""
    return frozenset(_base()["resources"])


@cache
def type_names() -> frozenset[str]:
    """The names of all types: resources, datatypes, primitives, and backbone elements by their path."""
    return frozenset(_base()["types"]) | frozenset(_base()["primitives"])


def core_type(canonical: str) -> str | None:
    """The type whose own definition a canonical URL names (`.../StructureDefinition/Patient|4.0.1`)."""
    url = canonical.partition("|")[0]
    name = url.removeprefix(_STRUCTURE)
    return name if name != url and name in type_names() else None


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


@cache
def constraints(type_name: str) -> tuple[Constraint, ...]:
    """The constraints on a type itself: a datatype, a resource (with what it inherits), a backbone element.

    Also those of `SimpleQuantity` and `MoneyQuantity`, R4's profiles of Quantity, with Quantity's. Without
    ele-1 and ext-1, which the JSON Schema enforces. Empty for a type that has none, or that R4 has not.
    """
    return _constraints(_base()["rules"].get(type_name, ""))


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
    low, high, types, closed, strength, value_set, keys = match.groups()
    binding = None
    if closed or strength:
        canonical = value_set or f"{_VALUE_SET}{closed}|{_base()['fhirVersion']}"
        binding = Binding(cast(Strength, strength or "required"), canonical)
    return Element(
        name,
        int(low),
        None if high == "*" else int(high),
        _types(types),
        closed or "",
        binding,
        _constraints(keys or ""),
    )


def _types(text: str) -> tuple[Type, ...]:
    found = []
    for part in text.split(","):
        match = _TYPE.fullmatch(part)
        if match is None:
            raise ValueError(f"{_FILE.name}: the type {part} cannot be read")
        code, targets, profiles = match.groups()
        listed = tuple(targets.split("|")) if targets else ()
        named = tuple(_STRUCTURE + name for name in profiles.split("|")) if profiles else ()
        found.append(Type(code.removeprefix("@"), listed, code.startswith("@"), named))
    return tuple(found)


def _constraints(keys: str) -> tuple[Constraint, ...]:
    return tuple(_constraint(key) for key in keys.split(",") if key)


@cache
def _constraint(name: str) -> Constraint:
    """`name` is the key, with a path behind `@` where R4 uses one key for several rules."""
    severity, human, expression, *more = _base()["constraints"][name]
    return Constraint(
        name.partition("@")[0], cast(Literal["error", "warning"], severity), human, expression, bool(more)
    )
