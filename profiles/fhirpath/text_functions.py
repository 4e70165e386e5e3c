"""Functions on text, and conversions (FHIRPath 2.0.0, sections 5.5 and 5.6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from profiles.fhirpath.closures import (
    INTEGER,
    STRING,
    Arguments,
    Code,
    Function,
    One,
    Scope,
    boolean,
    single,
    text_of_one,
    value_of_one,
)
from profiles.fhirpath.context import Context
from profiles.fhirpath.equality import number
from profiles.fhirpath.errors import EvaluationError, NotNative, Unsupported
from profiles.fhirpath.patterns import matcher, replacer

_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?", re.ASCII)
_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})


def _asked(ask: Callable[[str, str], Any], type_: str) -> Function:
    """A function of a text and a text argument: empty when either is, or when the input is no text."""

    def function(source: Code, arguments: Arguments, scope: Scope) -> Code:
        text, argument = text_of_one(source), value_of_one(scope.code(arguments[0]))

        def one(this: Any, env: Context) -> Any:
            found = text(this, env)
            if found.__class__ is not str:
                return None
            asked = argument(this, env)
            return ask(found, asked) if asked.__class__ is str else None

        return single(one, type_)

    return function


def _told(tell: Callable[[str], Any], type_: str) -> Function:
    """A function of a text alone."""

    def function(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
        text = text_of_one(source)

        def one(this: Any, env: Context) -> Any:
            found = text(this, env)
            return tell(found) if found.__class__ is str else None

        return single(one, type_)

    return function


def _matches(source: Code, arguments: Arguments, scope: Scope) -> Code:
    pattern = scope.code(arguments[0])
    if pattern.constant is None:
        return _asked(_match_late, "System.Boolean")(source, arguments, scope)
    text, test = text_of_one(source), matcher(str(pattern.constant[0]))

    def truth(this: Any, env: Context) -> bool | None:
        found = text(this, env)
        return test(found) if found.__class__ is str else None

    return boolean(truth)


def _match_late(text: str, pattern: str) -> bool:
    try:
        return matcher(pattern)(text)
    except Unsupported as error:
        raise EvaluationError(str(error)) from None


def _replace_matches(source: Code, arguments: Arguments, scope: Scope) -> Code:
    pattern, replacement = (scope.code(argument) for argument in arguments)
    if pattern.constant is None or replacement.constant is None or "$" in str(replacement.constant[0]):
        raise NotNative("replaceMatches() with a pattern that is not a constant")
    replace, by = replacer(str(pattern.constant[0])), str(replacement.constant[0])
    return _told(lambda text: replace(text, by), STRING)(source, (), scope)


def _replace(source: Code, arguments: Arguments, scope: Scope) -> Code:
    text, old, new = text_of_one(source), *(value_of_one(scope.code(a)) for a in arguments)

    def one(this: Any, env: Context) -> Any:
        found, before, after = text(this, env), old(this, env), new(this, env)
        known = found.__class__ is str and before.__class__ is str and after.__class__ is str
        return found.replace(before, after) if known else None

    return single(one, STRING)


def _substring(source: Code, arguments: Arguments, scope: Scope) -> Code:
    text = text_of_one(source)
    start, length = [*(value_of_one(scope.code(a)) for a in arguments), None][:2]
    if start is None:
        raise Unsupported("substring() without a beginning")

    def one(this: Any, env: Context) -> Any:
        found, first = text(this, env), start(this, env)
        if found.__class__ is not str or first.__class__ is not int or not 0 <= first < len(found):
            return None
        if length is None:
            return found[first:]
        count = length(this, env)
        return found[first : first + max(count, 0)] if count.__class__ is int else None

    return single(one, STRING)


def _converted(convert: Callable[[Any], Any], type_: str) -> Function:
    def function(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
        value: One = value_of_one(source)

        def one(this: Any, env: Context) -> Any:
            found = value(this, env)
            return None if found is None else convert(found)

        return single(one, type_)

    return function


def _to_string(value: Any) -> str | None:
    if value.__class__ is str:
        return str(value)
    if value.__class__ is bool:
        return "true" if value else "false"
    found = number(value)
    return None if found is None else format(found, "f" if isinstance(found, Decimal) else "d")


def _to_integer(value: Any) -> int | None:
    if value.__class__ in {int, bool}:
        return int(value)
    return int(value) if value.__class__ is str and _INTEGER.fullmatch(value) else None


def _to_decimal(value: Any) -> Decimal | int | None:
    if value.__class__ is str:
        return Decimal(value) if _DECIMAL.fullmatch(value) else None
    return int(value) if value.__class__ is bool else number(value)


def _to_boolean(value: Any) -> bool | None:
    if value.__class__ is bool:
        return bool(value)
    text = str(value).lower()
    return True if text in _TRUE else False if text in _FALSE else None


STRINGS: dict[str, tuple[int, int, Function]] = {
    "startsWith": (1, 1, _asked(str.startswith, "System.Boolean")),
    "endsWith": (1, 1, _asked(str.endswith, "System.Boolean")),
    "contains": (1, 1, _asked(lambda text, part: part in text, "System.Boolean")),
    "indexOf": (1, 1, _asked(str.find, INTEGER)),
    "matches": (1, 1, _matches),
    "replaceMatches": (2, 2, _replace_matches),
    "replace": (2, 2, _replace),
    "substring": (1, 2, _substring),
    "length": (0, 0, _told(len, INTEGER)),
    "upper": (0, 0, _told(str.upper, STRING)),
    "lower": (0, 0, _told(str.lower, STRING)),
    "toString": (0, 0, _converted(_to_string, STRING)),
    "toInteger": (0, 0, _converted(_to_integer, INTEGER)),
    "toDecimal": (0, 0, _converted(_to_decimal, "System.Decimal")),
    "toBoolean": (0, 0, _converted(_to_boolean, "System.Boolean")),
}
