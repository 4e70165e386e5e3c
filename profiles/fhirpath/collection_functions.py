"""Functions on collections: existence, filtering, projection, subsetting, tree navigation, iif(), trace().

FHIRPath 2.0.0, sections 5.1 to 5.3, 5.5, 5.8 and 5.9. Each takes the compiled input, the arguments as
trees (a criterion has another `$this`) and the scope of the call, and gives the compiled call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from profiles.fhirpath.closures import (
    INTEGER,
    Arguments,
    Code,
    Function,
    Scope,
    Truth,
    boolean,
    constant,
    exists_of,
    one_of,
    single,
    truth_of,
    value_of_one,
)
from profiles.fhirpath.context import Context
from profiles.fhirpath.equality import key
from profiles.fhirpath.errors import EvaluationError
from profiles.fhirpath.logic import negated
from profiles.fhirpath.nodes import Node, boxed, children, descendants


def _exists(source: Code, arguments: Arguments, scope: Scope) -> Code:
    found = exists_of(_where(source, arguments, scope) if arguments else source)
    return boolean(found)


def _empty(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    exists = exists_of(source)
    return boolean(lambda this, env: not exists(this, env))


def _not(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    return boolean(negated(truth_of(source)))


def _count(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    items = source.items
    return single(lambda this, env: len(items(this, env)), INTEGER)


def _all(source: Code, arguments: Arguments, scope: Scope) -> Code:
    items, holds = source.items, _criterion(source, arguments, scope)
    return boolean(lambda this, env: all(holds(item, env) is True for item in items(this, env)))


def _where(source: Code, arguments: Arguments, scope: Scope) -> Code:
    items, holds = source.items, _criterion(source, arguments, scope)

    def exists(this: Any, env: Context) -> bool:
        for item in items(this, env):  # noqa: SIM110 - a generator would cost as much again
            if holds(item, env) is True:
                return True
        return False

    def chosen(this: Any, env: Context) -> Sequence[Any]:
        return [item for item in items(this, env) if holds(item, env) is True]

    return Code(chosen, source.type, exists=exists)


def _select(source: Code, arguments: Arguments, scope: Scope) -> Code:
    items, projection = source.items, scope.of(source.type).code(arguments[0])
    if source.one is not None and projection.one is not None:
        outer, inner = source.one, projection.one

        def one(this: Any, env: Context) -> Any:
            found = outer(this, env)
            return None if found is None else inner(found, env)

        return single(one, projection.type)
    project = projection.items
    return Code(
        lambda this, env: [found for item in items(this, env) for found in project(item, env)],
        projection.type,
    )


def _repeat(source: Code, arguments: Arguments, scope: Scope) -> Code:
    start, project = source.items, scope.of(None).code(arguments[0])

    def items(this: Any, env: Context) -> Sequence[Any]:
        found: dict[Any, Any] = {}
        waiting = boxed(start(this, env), source.type)
        while waiting:
            for item in boxed(project.items(waiting.pop(), env), project.type):
                if found.setdefault(key(item), item) is item:
                    waiting.append(item)
        return list(found.values())

    return Code(items, None)


def _truths(wanted: bool, every: bool) -> Function:
    """allTrue, anyTrue, allFalse and anyFalse. When evaluated: EvaluationError for an item not boolean."""

    def function(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
        items = source.items
        decide = all if every else any
        return boolean(lambda this, env: decide(_flag(item) is wanted for item in items(this, env)))

    return function


def _flag(item: Any) -> bool:
    value = item.value if item.__class__ is Node else item
    if value.__class__ is not bool:
        raise EvaluationError("something else than true or false is counted as one")
    return bool(value)


def _cut(slice_: slice) -> Function:
    def function(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
        items = source.items
        return Code(lambda this, env: items(this, env)[slice_], source.type)

    return function


def _first(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    return source if source.one is not None else at(source, lambda _this, _env: 0)


def _last(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    return source if source.one is not None else at(source, lambda _this, _env: -1)


def at(source: Code, index: Callable[[Any, Context], int | None]) -> Code:
    """`source[index]`; nothing when there are fewer items."""
    items = source.items

    def one(this: Any, env: Context) -> Any:
        found, place = items(this, env), index(this, env)
        if place is None or not -1 <= place < len(found) or not found:
            return None
        return found[place]

    return single(one, source.type)


def _single(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    return single(one_of(source), source.type)


def _skip(source: Code, arguments: Arguments, scope: Scope) -> Code:
    items, number = source.items, value_of_one(scope.code(arguments[0]))
    return Code(lambda this, env: items(this, env)[max(number(this, env) or 0, 0) :], source.type)


def _take(source: Code, arguments: Arguments, scope: Scope) -> Code:
    items, number = source.items, value_of_one(scope.code(arguments[0]))
    return Code(lambda this, env: items(this, env)[: max(number(this, env) or 0, 0)], source.type)


def _children(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    items, type_ = source.items, source.type
    return Code(
        lambda this, env: [below for item in boxed(items(this, env), type_) for below in children(item)], None
    )


def _descendants(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    items, type_ = source.items, source.type
    return Code(lambda this, env: descendants(boxed(items(this, env), type_)), None)


def _iif(source: Code, arguments: Arguments, scope: Scope) -> Code:
    inner = Scope(scope.compile, source.type, scope.resource, spread=True, memoise=scope.memoise)
    codes = [inner.code(argument) for argument in arguments] + [constant((), None)] * (3 - len(arguments))
    test, types = truth_of(codes[0]), {code.type for code in codes[1:] if code.constant != ()}
    start, yes, no = source.items, codes[1], codes[2]
    type_ = types.pop() if len(types) == 1 else None

    def items(this: Any, env: Context) -> Sequence[Any]:
        focus = start(this, env)
        branch = yes if test(focus, env) is True else no
        found = branch.items(focus, env)
        return found if branch.type == type_ else boxed(found, branch.type)

    return Code(items, type_)


def _trace(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    return source


def _criterion(source: Code, arguments: Arguments, scope: Scope) -> Truth:
    return truth_of(scope.of(source.type).code(arguments[0]))


COLLECTIONS: dict[str, tuple[int, int, Function]] = {
    "exists": (0, 1, _exists),
    "empty": (0, 0, _empty),
    "not": (0, 0, _not),
    "count": (0, 0, _count),
    "all": (1, 1, _all),
    "where": (1, 1, _where),
    "select": (1, 1, _select),
    "repeat": (1, 1, _repeat),
    "allTrue": (0, 0, _truths(True, True)),
    "anyTrue": (0, 0, _truths(True, False)),
    "allFalse": (0, 0, _truths(False, True)),
    "anyFalse": (0, 0, _truths(False, False)),
    "first": (0, 0, _first),
    "last": (0, 0, _last),
    "tail": (0, 0, _cut(slice(1, None))),
    "single": (0, 0, _single),
    "skip": (1, 1, _skip),
    "take": (1, 1, _take),
    "children": (0, 0, _children),
    "descendants": (0, 0, _descendants),
    "iif": (2, 3, _iif),
    "trace": (1, 2, _trace),
}
