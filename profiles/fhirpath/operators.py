"""The operators of FHIRPath 2.0.0, section 6: which closure each becomes, and those that compare."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from profiles.fhirpath.arithmetic import arithmetic, concatenated
from profiles.fhirpath.closures import (
    BOOLEAN,
    STRING,
    Code,
    Scope,
    Truth,
    boolean,
    one_of,
    truth_of,
)
from profiles.fhirpath.combining import key_set, union
from profiles.fhirpath.context import Context
from profiles.fhirpath.equality import equivalent, key, order, same
from profiles.fhirpath.logic import any_one, chain, every_one, exclusive, implication, negated
from profiles.fhirpath.nodes import Node
from profiles.fhirpath.tree import Binary

_ORDERS: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def binary(tree: Binary, scope: Scope) -> Code:
    """`left operator right`. Raises Unsupported for an operator that is not done here."""
    if tree.operator in {"and", "or"}:
        truths = [truth_of(scope.code(part)) for part in chain(tree, tree.operator)]
        return boolean(every_one(truths) if tree.operator == "and" else any_one(truths))
    left, right = scope.code(tree.left), scope.code(tree.right)
    match tree.operator:
        case "implies":
            return boolean(implication(truth_of(left), truth_of(right)))
        case "xor":
            return boolean(exclusive(truth_of(left), truth_of(right)))
        case "=":
            return boolean(_equals(left, right))
        case "!=":
            return boolean(negated(_equals(left, right)))
        case "~":
            return boolean(_equivalent(left, right))
        case "!~":
            return boolean(negated(_equivalent(left, right)))
        case "in":
            return boolean(_in(left, right))
        case "contains":
            return boolean(_in(right, left))
        case "|":
            return union(left, right)
        case "&":
            return concatenated(left, right)
        case sign if sign in _ORDERS:
            return boolean(_ordered(left, right, _ORDERS[sign]))
        case sign:
            return arithmetic(sign, left, right)


def _equals(left: Code, right: Code) -> Truth:
    if right.constant is not None and right.type == STRING and left.one is not None:
        return _equals_text(left.one, right.constant[0])
    if left.type == right.type == BOOLEAN:
        one, other = one_of(left), one_of(right)

        def alike(this: Any, env: Context) -> bool | None:
            mine, theirs = one(this, env), other(this, env)
            return None if mine is None or theirs is None else mine is theirs

        return alike
    mine, theirs = left.items, right.items
    left_type, right_type = left.type, right.type

    def equal(this: Any, env: Context) -> bool | None:
        these, those = mine(this, env), theirs(this, env)
        if not these or not those:
            return None
        if len(these) != len(those):
            return False
        result: bool | None = True
        for one, other in zip(these, those, strict=True):
            found = same(one, other, left_type, right_type)
            if found is False:
                return False
            if found is None:
                result = None
        return result

    return equal


def _equals_text(one: Callable[[Any, Context], Any], text: str) -> Truth:
    def equal(this: Any, env: Context) -> bool | None:
        found = one(this, env)
        if found is None:
            return None
        return bool((found.value if found.__class__ is Node else found) == text)

    return equal


def _equivalent(left: Code, right: Code) -> Truth:
    mine, theirs = left.items, right.items

    def alike(this: Any, env: Context) -> bool:
        these, those = mine(this, env), theirs(this, env)
        return len(these) == len(those) and all(any(equivalent(a, b) for b in those) for a in these)

    return alike


def _in(left: Code, right: Code) -> Truth:
    one, left_type = one_of(left), left.type
    among = key_set(right)

    def within(this: Any, env: Context) -> bool | None:
        found = one(this, env)
        return None if found is None else key(found, left_type) in among(this, env)

    return within


def _ordered(left: Code, right: Code, test: Callable[[int, int], bool]) -> Truth:
    one, other = one_of(left), one_of(right)
    left_type, right_type = left.type, right.type

    def ordered(this: Any, env: Context) -> bool | None:
        mine = one(this, env)
        if mine is None:
            return None
        theirs = other(this, env)
        if theirs is None:
            return None
        found = order(mine, theirs, left_type, right_type)
        return None if found is None else test(found, 0)

    return ordered
