"""Three-valued logic: `and`, `or`, `xor`, `implies` and not() (FHIRPath 2.0.0, section 6.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from profiles.fhirpath.closures import Truth
from profiles.fhirpath.context import Context
from profiles.fhirpath.tree import Binary, Tree


def negated(truth: Truth) -> Truth:
    """The contrary; empty stays empty."""

    def turned(this: Any, env: Context) -> bool | None:
        found = truth(this, env)
        return None if found is None else not found

    return turned


def chain(tree: Tree, sign: str) -> list[Tree]:
    """The operands of `a and b and c`, so that a long chain is one loop and no deep recursion."""
    operands: list[Tree] = []
    while isinstance(tree, Binary) and tree.operator == sign:
        operands.append(tree.right)
        tree = tree.left
    return [tree, *reversed(operands)]


def every_one(truths: Sequence[Truth]) -> Truth:
    """`and` over all of them."""
    return _until(False, truths)


def any_one(truths: Sequence[Truth]) -> Truth:
    """`or` over all of them."""
    return _until(True, truths)


def _until(decided: bool, truths: Sequence[Truth]) -> Truth:
    """The first that decides, empty when none does and one is empty, else the contrary."""

    def told(this: Any, env: Context) -> bool | None:
        result: bool | None = not decided
        for truth in truths:
            found = truth(this, env)
            if found is decided:
                return decided
            if found is None:
                result = None
        return result

    return told


def implication(left: Truth, right: Truth) -> Truth:
    def implied(this: Any, env: Context) -> bool | None:
        found = left(this, env)
        if found is False:
            return True
        then = right(this, env)
        return then if found is True or then is True else None

    return implied


def exclusive(left: Truth, right: Truth) -> Truth:
    def either(this: Any, env: Context) -> bool | None:
        one, other = left(this, env), right(this, env)
        return None if one is None or other is None else one is not other

    return either
