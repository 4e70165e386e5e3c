"""`is`, `as`, `ofType()` and their forms as functions (FHIRPath 2.0.0, section 6.3)."""

from __future__ import annotations

from typing import Any

from profiles.fhirpath.closures import Arguments, Code, Function, Scope, boolean, constant, one_of
from profiles.fhirpath.context import Context
from profiles.fhirpath.errors import Unsupported
from profiles.fhirpath.nodes import is_a, known_type, type_of
from profiles.fhirpath.tree import Member, Tree, TypeTest


def type_test(tree: TypeTest, scope: Scope) -> Code:
    """`operand is type` and `operand as type`."""
    operand = scope.code(tree.operand)
    return _is_type(operand, tree.type) if tree.operator == "is" else _only_type(operand, tree.type)


def _is_type(source: Code, wanted: str) -> Code:
    """Whether the one item is of a type; empty for none."""
    _check_type(wanted)
    one = one_of(source)
    if source.type is not None:
        answer = is_a(source.type, wanted)
        return boolean(lambda this, env: None if one(this, env) is None else answer)

    def truth(this: Any, env: Context) -> bool | None:
        found = one(this, env)
        return None if found is None else is_a(type_of(found) or "", wanted)

    return boolean(truth)


def _only_type(source: Code, wanted: str) -> Code:
    """The items of a type: `ofType()`, and `as`, which R4 also applies to several items."""
    _check_type(wanted)
    if source.type is not None:
        return source if is_a(source.type, wanted) else constant((), None)
    items = source.items
    return Code(lambda this, env: [i for i in items(this, env) if is_a(type_of(i) or "", wanted)], None)


def _is(source: Code, arguments: Arguments, _scope: Scope) -> Code:
    return _is_type(source, _type_name(arguments[0]))


def _of_type(source: Code, arguments: Arguments, _scope: Scope) -> Code:
    return _only_type(source, _type_name(arguments[0]))


def _type_name(tree: Tree) -> str:
    """The type that an argument names: `Patient` or `FHIR.Patient`."""
    match tree:
        case Member(source=None, name=name):
            return name
        case Member(source=Member(source=None, name=model), name=name):
            return f"{model}.{name}"
    return ""


def _check_type(name: str) -> None:
    if not known_type(name):
        raise Unsupported(f"the type {name}")


TYPES: dict[str, tuple[int, int, Function]] = {
    "is": (1, 1, _is),
    "as": (1, 1, _of_type),
    "ofType": (1, 1, _of_type),
}
