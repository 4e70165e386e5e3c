"""A constraint's expression as a predicate over the JSON value of the element that carries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from profiles import r4
from profiles.fhirpath.closures import BOOLEAN, Code, Truth
from profiles.fhirpath.compiler import compiled
from profiles.fhirpath.context import Context
from profiles.fhirpath.errata import corrected
from profiles.fhirpath.errors import EvaluationError, NotNative, Unsupported
from profiles.fhirpath.library import interpreted
from profiles.fhirpath.nodes import Node
from profiles.fhirpath.parse import parse
from profiles.fhirpath.tree import Variable, everywhere

Predicate = Callable[[Any, Context], bool]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A predicate, and whether it is native or run by the library."""

    predicate: Predicate
    native: bool


@cache
def compile_predicate(expression: str, type_name: str) -> Compiled:
    """The predicate of a constraint on an element of that type (`Task`, `Patient.contact`, `string`).

    It holds unless the result is empty or false, as the official validator has it. The predicate raises
    EvaluationError, and nothing else, where that cannot be told. Raises Unsupported when neither a native
    form nor the library can evaluate the expression.
    """
    tree = parse(corrected(expression))
    resource = type_name.partition(".")[0]
    try:
        code = compiled(tree, type_name, resource if resource in r4.resource_types() else None)
    except RecursionError:
        raise Unsupported("an expression that is nested too deeply") from None
    except NotNative as missing:
        return Compiled(_guarded(interpreted(expression, tree, type_name, str(missing))), native=False)
    predicate = _predicate(code)
    if Variable("context") in everywhere(tree):
        predicate = _with_origin(predicate, type_name)
    return Compiled(predicate, native=True)


def _predicate(code: Code) -> Predicate:
    if code.type == BOOLEAN and code.one is not None:
        return _of_truth(code.one)
    items = code.items

    def holds(value: Any, env: Context) -> bool:
        found = items(value, env)
        if len(found) != 1:
            return len(found) > 1
        only = found[0]
        return (only.value if only.__class__ is Node else only) is not False

    return _guarded(holds)


def _with_origin(predicate: Predicate, type_name: str) -> Predicate:
    """`%context` is the element that carries the constraint."""
    return lambda value, env: predicate(value, replace(env, origin=Node(value, type_name)))


def _of_truth(truth: Truth) -> Predicate:
    """As `_guarded`, without a call in between: most constraints come this way."""

    def holds(value: Any, env: Context) -> bool:
        try:
            return truth(value, env) is True
        except Exception as error:
            raise _untold(error) from None

    return holds


def _guarded(predicate: Predicate) -> Predicate:
    def holds(value: Any, env: Context) -> bool:
        try:
            return predicate(value, env)
        except Exception as error:
            raise _untold(error) from None

    return holds


def _untold(error: Exception) -> EvaluationError:
    if isinstance(error, EvaluationError):
        return error
    if isinstance(error, RecursionError):
        return EvaluationError("the element is nested too deeply")
    return EvaluationError(f"the element is not of the shape of its type ({type(error).__name__})")
