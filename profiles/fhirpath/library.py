"""Expressions with functions that have no native form, run by fhirpathpy with its model of R4.

It is a hundred times slower, so it is imported only when an expression needs it, and asked only for what it
can do: a function that it lacks makes the constraint unsupported when it is compiled, not when it is run. Its
ways that cannot be had here are replaced: regular expressions that backtrack, trace() that prints the record,
and the functions that only the validator can answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from profiles import r4
from profiles.fhirpath.context import Context
from profiles.fhirpath.errors import EvaluationError, Unsupported
from profiles.fhirpath.fhir_functions import resolved, told
from profiles.fhirpath.patterns import matcher, replacer
from profiles.fhirpath.tree import Call, Tree, Variable, everywhere
from profiles.fhirpath.xhtml import is_narrative

_VARIABLES = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}
_OWN = frozenset({"resource", "rootResource", "context"})


def interpreted(expression: str, tree: Tree, type_name: str, missing: str) -> Callable[[Any, Context], bool]:
    """The predicate of an expression run by the library; `missing` says what has no native form.

    Raises Unsupported, with what is missing, where the library lacks it as well.
    """
    library: Any = import_module("fhirpathpy")
    nodes: Any = import_module("fhirpathpy.engine.nodes")
    known = import_module("fhirpathpy.engine.invocations").invocation_registry
    model = import_module("fhirpathpy.models").models["r4"]
    for part in everywhere(tree):
        if isinstance(part, Call) and part.name not in known and part.name not in _REPLACED:
            raise Unsupported(missing if missing == f"{part.name}()" else f"{missing} and {part.name}()")
        if isinstance(part, Variable) and part.name not in _VARIABLES and part.name not in _OWN:
            raise Unsupported(missing)
    try:
        parsed = library.parse(expression)
    except Exception:
        raise Unsupported(missing) from None
    is_resource = type_name in r4.resource_types()

    def holds(value: Any, env: Context) -> bool:
        variables = {**_VARIABLES, "resource": env.resource, "rootResource": env.root, "context": value}
        start = value if is_resource else nodes.ResourceNode.create_node(value, type_name)
        found: list[Any] = library.apply_parsed_path(start, parsed, variables, model, _options(env))
        return found != [] and found != [False]

    return holds


def _options(env: Context) -> dict[str, Any]:
    table = {
        name: {"fn": _bound(function, env), "arity": arity} for name, (arity, function) in _REPLACED.items()
    }
    return {"userInvocationTable": table, "traceFn": lambda _label, _items: None}


def _bound(function: Callable[..., Any], env: Context) -> Callable[..., Any]:
    return lambda items, *arguments: function(env, items, *arguments)


def _matches(_env: Context, items: list[Any], pattern: Any) -> Any:
    if len(items) != 1 or not isinstance(pattern, str):
        return []
    return _linear(matcher, pattern)(items[0])


def _replace_matches(_env: Context, items: list[Any], pattern: Any, by: Any) -> Any:
    if len(items) != 1 or not isinstance(pattern, str) or not isinstance(by, str):
        return []
    return _linear(replacer, pattern)(items[0], by)


def _linear(make: Callable[[str], Callable[..., Any]], pattern: str) -> Callable[..., Any]:
    try:
        return make(pattern)
    except Unsupported as refused:
        raise EvaluationError(str(refused)) from None


def _has_value(_env: Context, items: list[Any]) -> bool:
    return len(items) == 1 and items[0] is not None and not isinstance(items[0], Mapping)


def _resolve(env: Context, items: list[Any]) -> list[Any]:
    return [target for target in (resolved(item, env) for item in items) if target is not None]


def _member_of(env: Context, items: list[Any], value_set: Any) -> Any:
    return told(env.member_of(items[0], value_set), "membership of a value set") if len(items) == 1 else []


def _conforms_to(env: Context, items: list[Any], profile: Any) -> Any:
    return told(env.conforms_to(items[0], profile), "conformance to a profile") if len(items) == 1 else []


def _html_checks(_env: Context, items: list[Any]) -> bool:
    return len(items) == 1 and isinstance(items[0], str) and is_narrative(items[0])


_NO_ARGUMENT: Mapping[int, list[str]] = {0: []}
_ONE_TEXT: Mapping[int, list[str]] = {1: ["String"]}
_REPLACED: Mapping[str, tuple[Mapping[int, list[str]], Callable[..., Any]]] = {
    "matches": (_ONE_TEXT, _matches),
    "replaceMatches": ({2: ["String", "String"]}, _replace_matches),
    "hasValue": (_NO_ARGUMENT, _has_value),
    "resolve": (_NO_ARGUMENT, _resolve),
    "memberOf": (_ONE_TEXT, _member_of),
    "conformsTo": (_ONE_TEXT, _conforms_to),
    "htmlChecks": (_NO_ARGUMENT, _html_checks),
}
