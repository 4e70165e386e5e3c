"""A tree of FHIRPath to closures; where a part is the same for the whole resource it is evaluated once."""

from __future__ import annotations

from collections.abc import Sequence
from sys import intern
from typing import Any

from profiles.fhirpath import arithmetic, operators, paths, type_tests
from profiles.fhirpath.closures import Code, Scope, constant, value_of_one
from profiles.fhirpath.collection_functions import COLLECTIONS, at
from profiles.fhirpath.combining import COMBINING
from profiles.fhirpath.context import Context
from profiles.fhirpath.errors import NotNative, Unsupported
from profiles.fhirpath.fhir_functions import FHIR, variable
from profiles.fhirpath.nodes import Node, is_a, type_of
from profiles.fhirpath.text_functions import STRINGS
from profiles.fhirpath.tree import (
    Binary,
    Call,
    Index,
    Literal,
    Member,
    QuantityLiteral,
    Special,
    Tree,
    TypeTest,
    Unary,
    Variable,
    parts,
)

_FUNCTIONS = {**COLLECTIONS, **COMBINING, **type_tests.TYPES, **STRINGS, **FHIR}
# Whose arguments are no paths that start at $this outside: criteria, which have their own, and type names.
_OWN_THIS = frozenset({"where", "select", "all", "exists", "repeat", "is", "as", "ofType"})
_OF_THE_MOMENT = frozenset({"now", "today", "resolve", "memberOf", "conformsTo"})


def compiled(tree: Tree, type_: str, resource: str | None) -> Code:
    """A tree for items of a type. Raises Unsupported naming what is not done here."""
    return _compile(tree, Scope(_compile, type_, resource))


def _compile(tree: Tree, scope: Scope) -> Code:
    if scope.memoise and (isinstance(tree, Member | Call | Index) or _is_union(tree)):
        of = _depends(tree, outside=True)
        if of <= {"resource", "rootResource"} and of:
            return _memoised(tree, scope, of == {"rootResource"})
    match tree:
        case Literal(value=value, type=type_):
            return constant(() if value is None else (value,), None if value is None else type_)
        case QuantityLiteral(value=value, unit=unit, calendar=calendar):
            return _quantity(value, unit, calendar)
        case Special(name="$this"):
            return paths.this_of(scope)
        case Special(name=name):
            raise NotNative(name)
        case Variable(name=name):
            return variable(name, scope)
        case Member(source=None, name=name):
            start = paths.this_of(scope)
            return _start(start, name) if name[:1].isupper() else paths.step(start, name)
        case Member(source=source, name=name) if source is not None:
            return paths.step(_compile(source, scope), name)
        case Call():
            return _call(tree, scope)
        case Index(source=source, index=index):
            return at(_compile(source, scope), value_of_one(_compile(index, scope)))
        case Unary():
            return arithmetic.unary(tree, scope)
        case Binary():
            return operators.binary(tree, scope)
        case TypeTest():
            return type_tests.type_test(tree, scope)
    raise Unsupported("an expression of an unknown form")


def _is_union(tree: Tree) -> bool:
    return isinstance(tree, Binary) and tree.operator == "|"


def _call(tree: Call, scope: Scope) -> Code:
    if tree.name not in _FUNCTIONS:
        raise NotNative(f"{tree.name}()")
    least, most, function = _FUNCTIONS[tree.name]
    if not least <= len(tree.arguments) <= most:
        raise Unsupported(f"{tree.name}() with {len(tree.arguments)} arguments")
    source = paths.this_of(scope) if tree.source is None else _compile(tree.source, scope)
    return function(source, tree.arguments, scope)


def _start(this: Code, name: str) -> Code:
    """A path that begins with the name of a type: `Patient.name` on a Patient."""
    if this.type is not None:
        return this if is_a(this.type, name) else paths.NOTHING
    items = this.items
    return Code(lambda item, env: [i for i in items(item, env) if is_a(type_of(i) or "", name)], None)


def _quantity(value: Any, unit: str, calendar: bool) -> Code:
    coded = {} if calendar else {"system": "http://unitsofmeasure.org", "code": unit}
    return constant((Node({"value": value, "unit": unit, **coded}, "Quantity"),), None)


def _depends(tree: Tree, outside: bool) -> set[str]:
    """What the items of a tree depend on: `this`, variables. `outside`: not in a criterion."""
    match tree:
        case Member(source=None) | Special() if outside:
            return {"this"}
        case Call(name=name) if name in _OF_THE_MOMENT:
            return {"the moment"}
        case Call(source=source, name=name, arguments=arguments):
            inside = outside and name not in _OWN_THIS
            found = {"this"} if source is None and outside else set()
            found |= set() if source is None else _depends(source, outside)
            return found.union(*(_depends(argument, inside) for argument in arguments))
        case Variable(name=name):
            return {name} if name in {"resource", "rootResource", "context"} else set()
    return set[str]().union(*(_depends(part, outside) for part in parts(tree)))


def _memoised(tree: Tree, scope: Scope, of_root: bool) -> Code:
    code = _compile(tree, Scope(scope.compile, scope.type, scope.resource, scope.spread, memoise=False))
    items, name = code.items, intern(f"{scope.resource} {tree}")

    def kept(this: Any, env: Context) -> Sequence[Any]:
        memo = env.root_memo if of_root else env.memo
        found: Sequence[Any] | None = memo.get(name)
        if found is None:
            found = memo[name] = items(this, env)
        return found

    def one(this: Any, env: Context) -> Any:
        found = kept(this, env)
        return found[0] if found else None

    return Code(kept, code.type, None if code.one is None else one, memo=(of_root, name))
