"""A compiled part of an expression, and what it is compiled for.

Every part is a closure over `this` (the item it is applied to, $this) and the Context. A part that gives at
most one item has it without a list (`one`, None for none), which most constraints consist of. A part of type
System.Boolean is thereby three-valued: True, False or, for empty, None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from profiles.fhirpath.context import Context
from profiles.fhirpath.errors import EvaluationError
from profiles.fhirpath.nodes import Node
from profiles.fhirpath.tree import Tree

Items: TypeAlias = Callable[[Any, Context], Sequence[Any]]
One: TypeAlias = Callable[[Any, Context], Any]
Truth: TypeAlias = Callable[[Any, Context], bool | None]

BOOLEAN = "System.Boolean"
STRING = "System.String"
INTEGER = "System.Integer"


@dataclass(frozen=True, slots=True)
class Code:
    """A compiled part: its items, their common type (None: each says its own), and shorter ways to them.

    `one` is there when there can be but one item; `exists` when existence is told without the items;
    `constant` when the items are known beforehand; `memo` names the memo that keeps them, with a key in it;
    `head` is the property of `this` without which there are no items.
    """

    items: Items
    type: str | None
    one: One | None = None
    exists: Callable[[Any, Context], bool] | None = None
    constant: tuple[Any, ...] | None = None
    memo: tuple[bool, str] | None = None
    head: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What the names in an expression stand for: the types of $this and of %resource, where known.

    Where `spread` is set, `this` is a whole collection: the arguments of `iif` see their input so.
    """

    compile: Callable[[Tree, Scope], Code]
    type: str | None
    resource: str | None
    spread: bool = False
    memoise: bool = True

    def code(self, tree: Tree) -> Code:
        """A tree compiled in this scope."""
        return self.compile(tree, self)

    def of(self, type_: str | None) -> Scope:
        """The scope of a criterion, whose $this is an item of that type."""
        return replace(self, type=type_, spread=False)


Arguments: TypeAlias = tuple[Tree, ...]
Function: TypeAlias = Callable[[Code, Arguments, Scope], Code]


def single(one: One, type_: str | None, exists: Callable[[Any, Context], bool] | None = None) -> Code:
    """A part with at most one item."""

    def items(this: Any, env: Context) -> Sequence[Any]:
        found = one(this, env)
        return () if found is None else (found,)

    return Code(items, type_, one, exists)


def boolean(truth: Truth) -> Code:
    """A part that is true, false or empty."""
    return single(truth, BOOLEAN)


def constant(values: tuple[Any, ...], type_: str | None) -> Code:
    """A part that is the same for every record."""
    only = values[0] if len(values) == 1 else None
    return Code(
        lambda _this, _env: values,
        type_,
        (lambda _this, _env: only) if len(values) < 2 else None,
        constant=values,
    )


def one_of(code: Code) -> One:
    """The one item of a part, or None. When evaluated raises EvaluationError if there are several."""
    if code.one is not None:
        return code.one
    items = code.items

    def one(this: Any, env: Context) -> Any:
        found = items(this, env)
        if len(found) > 1:
            raise EvaluationError("several values stand where one is expected")
        return found[0] if found else None

    return one


def value_of_one(code: Code) -> One:
    """The JSON value of the one item of a part, or None."""
    one = one_of(code)
    if code.type is not None and code.type.startswith("System."):
        return one

    def value(this: Any, env: Context) -> Any:
        found = one(this, env)
        return found.value if found.__class__ is Node else found

    return value


def text_of_one(code: Code) -> One:
    """The same for functions on text: a primitive that has extensions only counts as an empty text."""
    one = one_of(code)
    if code.type == STRING:
        return one

    def text(this: Any, env: Context) -> Any:
        found = one(this, env)
        if found.__class__ is Node:
            return "" if found.value is None else found.value
        return found

    return text


def truth_of(code: Code) -> Truth:
    """A part as a truth value. An item that is no boolean counts as true ("Singleton Evaluation")."""
    one = one_of(code)
    if code.type == BOOLEAN:
        return one

    def truth(this: Any, env: Context) -> bool | None:
        found = one(this, env)
        if found is None:
            return None
        value = found.value if found.__class__ is Node else found
        return value if value.__class__ is bool else True

    return truth


def exists_of(code: Code) -> Callable[[Any, Context], bool]:
    """Whether a part has items."""
    if code.exists is not None:
        return code.exists
    if code.one is not None:
        one = code.one
        return lambda this, env: one(this, env) is not None
    items = code.items
    return lambda this, env: len(items(this, env)) > 0
