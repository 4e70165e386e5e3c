"""Arithmetic and the joining of text (FHIRPath 2.0.0, section 6.6), on numbers and text only."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from profiles.fhirpath.closures import INTEGER, STRING, Code, Scope, single, value_of_one
from profiles.fhirpath.context import Context
from profiles.fhirpath.equality import Number, number
from profiles.fhirpath.errors import EvaluationError, NotNative
from profiles.fhirpath.nodes import TEMPORAL
from profiles.fhirpath.tree import Unary


def unary(tree: Unary, scope: Scope) -> Code:
    """`-operand`: a number with its sign turned."""
    value = value_of_one(scope.code(tree.operand))

    def one(this: Any, env: Context) -> Number | None:
        found = value(this, env)
        if found is None:
            return None
        read = _number(found)
        return -read if tree.operator == "-" else read

    return single(one, None)


def concatenated(left: Code, right: Code) -> Code:
    one, other = value_of_one(left), value_of_one(right)

    def text(this: Any, env: Context) -> str:
        mine, theirs = one(this, env), other(this, env)
        return _text(mine) + _text(theirs)

    return single(text, STRING)


def arithmetic(sign: str, left: Code, right: Code) -> Code:
    if sign in "+-" and (left.type in TEMPORAL or right.type == "Quantity"):
        raise NotNative("arithmetic with dates and quantities")
    one, other = value_of_one(left), value_of_one(right)
    calculate = _CALCULATIONS[sign]
    type_ = INTEGER if sign != "/" and left.type == right.type == INTEGER else None

    def result(this: Any, env: Context) -> Any:
        mine, theirs = one(this, env), other(this, env)
        if mine is None or theirs is None:
            return None
        if sign == "+" and mine.__class__ is str and theirs.__class__ is str:
            return mine + theirs
        try:
            return calculate(_number(mine), _number(theirs))
        except (ZeroDivisionError, InvalidOperation):
            return None

    return single(result, type_)


def _text(value: Any) -> str:
    if value is not None and value.__class__ is not str:
        raise EvaluationError("something else than text is joined with &")
    return value or ""


def _number(value: Any) -> Number:
    found = number(value)
    if found is None:
        raise EvaluationError("something else than a number is calculated with")
    return found


def _whole(left: Number, right: Number) -> int:
    return int(Decimal(left) // Decimal(right))


def _rest(left: Number, right: Number) -> Number:
    rest = Decimal(left) % Decimal(right)
    return int(rest) if isinstance(left, int) and isinstance(right, int) else rest


_CALCULATIONS: dict[str, Callable[[Number, Number], Number]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda left, right: Decimal(left) / Decimal(right),
    "div": _whole,
    "mod": _rest,
}
