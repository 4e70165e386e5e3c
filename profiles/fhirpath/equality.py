"""When two items are equal, equivalent or in order (FHIRPath 2.0.0, "Equality" and "Comparison")."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from decimal import Decimal
from typing import Any

from profiles.fhirpath import dates
from profiles.fhirpath.errors import EvaluationError
from profiles.fhirpath.nodes import TEMPORAL, Node, is_a, type_of

Number = int | Decimal


def number(value: Any) -> Number | None:
    """A JSON number, exactly as written; None for anything else. True is not 1 here."""
    if value.__class__ is int or isinstance(value, Decimal):
        return value
    return Decimal(repr(value)) if value.__class__ is float else None


def key(item: Any, type_: str | None = None) -> Hashable:
    """What equal items have in common. Moments of different precision have nothing in common.

    With it `distinct`, `in`, `|` and the like take one step for each item, however many there are.
    """
    if item.__class__ is Node:
        type_, item = item.type, item.value
    if item.__class__ is str:
        return dates.moment(item) if type_ in TEMPORAL and "T" in item else item
    if isinstance(item, dict):
        return frozenset((name, key(value)) for name, value in item.items())
    if isinstance(item, list):
        return tuple(key(value) for value in item)
    if item.__class__ is bool:
        return ("boolean", item)
    return number(item)


def keys(items: Iterable[Any], type_: str | None) -> set[Hashable]:
    """The keys of all items."""
    return {key(item, type_) for item in items}


def same(left: Any, right: Any, left_type: str | None, right_type: str | None) -> bool | None:
    """Whether two items are equal; None where precision does not tell. No value equals no value only."""
    if left.__class__ is Node:
        left_type, left = left.type, left.value
    if right.__class__ is Node:
        right_type, right = right.type, right.value
    if left.__class__ is str and right.__class__ is str:
        if left_type in TEMPORAL and right_type in TEMPORAL:
            found = dates.order(left, right)
            return None if found is None else found == 0
        return bool(left == right)
    return key(left) == key(right)


def equivalent(left: Any, right: Any) -> bool:
    """`~`: text without regard to case and spacing, numbers to the less precise, the rest by its parts."""
    if left.__class__ is Node:
        left = left.value
    if right.__class__ is Node:
        right = right.value
    if left.__class__ is str and right.__class__ is str:
        return " ".join(left.casefold().split()) == " ".join(right.casefold().split())
    one, other = number(left), number(right)
    if one is not None and other is not None:
        places = max(_exponent(one), _exponent(other))
        return round(Decimal(one), -places) == round(Decimal(other), -places)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() - {"id"} == right.keys() - {"id"} and all(
            equivalent(value, right[name]) for name, value in left.items() if name != "id"
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(any(equivalent(a, b) for b in right) for a in left)
    return key(left) == key(right)


def order(left: Any, right: Any, left_type: str | None, right_type: str | None) -> int | None:
    """-1, 0 or 1; None where precision does not tell or one has no value.

    Raises EvaluationError for items that have no order: a text and a number, quantities of different units.
    """
    left_type = type_of(left) if left.__class__ is Node or left_type is None else left_type
    right_type = type_of(right) if right.__class__ is Node or right_type is None else right_type
    if left.__class__ is Node:
        left = left.value
    if right.__class__ is Node:
        right = right.value
    if left is None or right is None:
        return None
    if left.__class__ is str and right.__class__ is str:
        if left_type in TEMPORAL or right_type in TEMPORAL:
            return dates.order(left, right)
        return (left > right) - (left < right)
    if isinstance(left, dict) and isinstance(right, dict):
        return _quantity_order(left, right, left_type, right_type)
    one, other = number(left), number(right)
    if one is None or other is None:
        raise EvaluationError("two values of different types have no order")
    return (one > other) - (one < other)


def _quantity_order(
    left: dict[str, Any], right: dict[str, Any], left_type: str | None, right_type: str | None
) -> int | None:
    if not (is_a(left_type or "", "Quantity") and is_a(right_type or "", "Quantity")):
        raise EvaluationError("two values that are no quantities have no order")
    one, other = number(left.get("value")), number(right.get("value"))
    if one is None or other is None:
        return None
    if _unit(left) != _unit(right):
        raise EvaluationError("two quantities of different units cannot be compared")
    return (one > other) - (one < other)


def _unit(quantity: dict[str, Any]) -> tuple[Any, Any]:
    if "code" in quantity:
        return quantity.get("system"), quantity["code"]
    return None, quantity.get("unit")


def _exponent(value: Number) -> int:
    exponent = value.as_tuple().exponent if isinstance(value, Decimal) else 0
    return exponent if isinstance(exponent, int) else 0
