"""Collections as sets: what is distinct, shared, left out or put together (FHIRPath 2.0.0, 5.1, 5.3 and 5.4).

Membership is told by keys that equal items share, so that each of these takes one step for every item.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from profiles.fhirpath.closures import Arguments, Code, Function, Scope, Truth, boolean, constant
from profiles.fhirpath.context import Context
from profiles.fhirpath.equality import key, keys
from profiles.fhirpath.nodes import boxed


def union(left: Code, right: Code) -> Code:
    """`left | right`: what is in either, once."""
    if left.constant is not None and right.constant is not None and left.type == right.type:
        return constant(tuple(dict.fromkeys((*left.constant, *right.constant))), left.type)
    one, other = left.items, right.items
    if left.type == right.type:
        return Code(lambda this, env: distinct([*one(this, env), *other(this, env)], left.type), left.type)
    return Code(
        lambda this, env: distinct(
            boxed(one(this, env), left.type) + boxed(other(this, env), right.type), None
        ),
        None,
    )


def distinct(items: Sequence[Any], type_: str | None) -> Sequence[Any]:
    """The items without repetition, in order."""
    return (
        items if len(items) < 2 else list({key(item, type_): item for item in reversed(items)}.values())[::-1]
    )


def key_set(code: Code) -> Callable[[Any, Context], set[Hashable] | frozenset[Hashable]]:
    """The keys of all items of a part, made once where they are the same for the whole resource."""
    items, type_ = code.items, code.type
    if code.constant is not None:
        known = frozenset(keys(code.constant, type_))
        return lambda _this, _env: known
    if code.memo is None:
        return lambda this, env: keys(items(this, env), type_)
    of_root, name = code.memo[0], code.memo[1] + "#keys"

    def kept(this: Any, env: Context) -> set[Hashable]:
        memo = env.root_memo if of_root else env.memo
        found: set[Hashable] | None = memo.get(name)
        if found is None:
            found = memo[name] = keys(items(this, env), type_)
        return found

    return kept


def _is_distinct(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    items, type_ = source.items, source.type

    def truth(this: Any, env: Context) -> bool:
        found = items(this, env)
        return len(found) < 2 or len(keys(found, type_)) == len(found)

    return boolean(truth)


def _distinct(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    items, type_ = source.items, source.type
    return Code(lambda this, env: distinct(items(this, env), type_), type_)


def _subset(source: Code, arguments: Arguments, scope: Scope) -> Code:
    return boolean(_within(source, scope.code(arguments[0])))


def _superset(source: Code, arguments: Arguments, scope: Scope) -> Code:
    return boolean(_within(scope.code(arguments[0]), source))


def _within(small: Code, large: Code) -> Truth:
    items, type_, among = small.items, small.type, key_set(large)
    return lambda this, env: keys(items(this, env), type_) <= among(this, env)


def _intersect(source: Code, arguments: Arguments, scope: Scope) -> Code:
    items, type_, among = source.items, source.type, key_set(scope.code(arguments[0]))

    def shared(this: Any, env: Context) -> Sequence[Any]:
        found = items(this, env)
        if not found:
            return ()
        others = among(this, env)
        return distinct([item for item in found if key(item, type_) in others], type_)

    return Code(shared, type_)


def _exclude(source: Code, arguments: Arguments, scope: Scope) -> Code:
    items, type_, among = source.items, source.type, key_set(scope.code(arguments[0]))

    def others(this: Any, env: Context) -> Sequence[Any]:
        refused = among(this, env)
        return [item for item in items(this, env) if key(item, type_) not in refused]

    return Code(others, type_)


def _union(source: Code, arguments: Arguments, scope: Scope) -> Code:
    return union(source, scope.code(arguments[0]))


def _combine(source: Code, arguments: Arguments, scope: Scope) -> Code:
    left, right = source, scope.code(arguments[0])
    one, other = left.items, right.items
    if left.type == right.type:
        return Code(lambda this, env: [*one(this, env), *other(this, env)], left.type)
    return Code(
        lambda this, env: boxed(one(this, env), left.type) + boxed(other(this, env), right.type), None
    )


COMBINING: dict[str, tuple[int, int, Function]] = {
    "isDistinct": (0, 0, _is_distinct),
    "distinct": (0, 0, _distinct),
    "subsetOf": (1, 1, _subset),
    "supersetOf": (1, 1, _superset),
    "intersect": (1, 1, _intersect),
    "exclude": (1, 1, _exclude),
    "union": (1, 1, _union),
    "combine": (1, 1, _combine),
}
