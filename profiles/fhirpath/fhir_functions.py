"""What FHIR adds to FHIRPath (R4, "FHIRPath": variables and additional functions), and today() and now()."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from profiles.fhirpath import paths
from profiles.fhirpath.closures import (
    STRING,
    Arguments,
    Code,
    Function,
    Scope,
    boolean,
    constant,
    single,
    value_of_one,
)
from profiles.fhirpath.context import Context
from profiles.fhirpath.errors import EvaluationError, Unsupported
from profiles.fhirpath.nodes import Node, value_of
from profiles.fhirpath.xhtml import is_narrative

_SYSTEMS = {
    "ucum": "http://unitsofmeasure.org",
    "sct": "http://snomed.info/sct",
    "loinc": "http://loinc.org",
}
_PREFIXES = {
    "ext-": "http://hl7.org/fhir/StructureDefinition/",
    "vs-": "http://hl7.org/fhir/ValueSet/",
}


def variable(name: str, scope: Scope) -> Code:
    """`%resource` and the others that R4 defines. Raises Unsupported for an unknown one."""
    match name:
        case "resource":
            return single(lambda _this, env: env.resource, scope.resource)
        case "rootResource":
            return single(lambda _this, env: env.root, None)
        case "context":
            return single(lambda _this, env: env.origin, None)
    if name in _SYSTEMS:
        return constant((_SYSTEMS[name],), STRING)
    for prefix, base in _PREFIXES.items():
        if name.startswith(prefix):
            return constant((base + name.removeprefix(prefix),), STRING)
    raise Unsupported("a variable that R4 does not define")


def _has_value(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    if source.one is not None:
        one = source.one
        return boolean(lambda this, env: _valued(one(this, env)))
    items = source.items

    def truth(this: Any, env: Context) -> bool:
        found = items(this, env)
        return len(found) == 1 and _valued(found[0])

    return boolean(truth)


def _valued(item: Any) -> bool:
    value = item.value if item.__class__ is Node else item
    return value is not None and value.__class__ is not dict and value != ""


def _extension(source: Code, arguments: Arguments, scope: Scope) -> Code:
    extensions, url = paths.step(source, "extension"), value_of_one(scope.code(arguments[0]))
    items = extensions.items

    def found(this: Any, env: Context) -> Sequence[Any]:
        there = items(this, env)
        if not there:
            return ()
        wanted = url(this, env)
        return [item for item in there if value_of(item).get("url") == wanted]

    return Code(found, extensions.type)


def _resolve(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    items = source.items

    def targets(this: Any, env: Context) -> Sequence[Any]:
        found = (resolved(value_of(item), env) for item in items(this, env))
        return [target for target in found if target is not None]

    return Code(targets, None)


def resolved(reference: Any, env: Context) -> Any:
    """The resource that a Reference, a uri or a canonical points to; None when it is not to be had."""
    if isinstance(reference, dict):
        reference = reference.get("reference")
    if not isinstance(reference, str):
        return None
    if not reference.startswith("#"):
        return env.resolve(reference)
    contained = env.root_memo.get("contained by id")
    if contained is None:
        contained = {one.get("id"): one for one in env.root.get("contained", ())}
        env.root_memo["contained by id"] = contained
    return contained.get(reference[1:])


def _member_of(source: Code, arguments: Arguments, scope: Scope) -> Code:
    items, url = source.items, value_of_one(scope.code(arguments[0]))

    def truth(this: Any, env: Context) -> bool | None:
        found, value_set = items(this, env), url(this, env)
        if len(found) != 1 or value_set is None or value_of(found[0]) is None:
            return None
        return told(env.member_of(value_of(found[0]), value_set), "membership of a value set")

    return boolean(truth)


def _conforms_to(source: Code, arguments: Arguments, scope: Scope) -> Code:
    items, url = source.items, value_of_one(scope.code(arguments[0]))

    def truth(this: Any, env: Context) -> bool | None:
        found, profile = items(this, env), url(this, env)
        if len(found) != 1 or profile is None:
            return None
        return told(env.conforms_to(value_of(found[0]), profile), "conformance to a profile")

    return boolean(truth)


def told(answer: bool | None, what: str) -> bool:
    """An answer of the validator. Raises EvaluationError when it has none."""
    if answer is None:
        raise EvaluationError(f"{what} cannot be told from what is held")
    return answer


def _html_checks(source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    text = value_of_one(source)

    def truth(this: Any, env: Context) -> bool:
        found = text(this, env)
        if not isinstance(found, str):
            return False
        known: bool | None = env.memo.get(found)
        if known is None:
            known = env.memo[found] = is_narrative(found)
        return known

    return boolean(truth)


def _today(_source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    return single(lambda _this, _env: datetime.now().astimezone().date().isoformat(), "System.Date")


def _now(_source: Code, _arguments: Arguments, _scope: Scope) -> Code:
    return single(lambda _this, _env: datetime.now(UTC).isoformat(timespec="milliseconds"), "System.DateTime")


FHIR: dict[str, tuple[int, int, Function]] = {
    "hasValue": (0, 0, _has_value),
    "extension": (1, 1, _extension),
    "resolve": (0, 0, _resolve),
    "memberOf": (1, 1, _member_of),
    "conformsTo": (1, 1, _conforms_to),
    "htmlChecks": (0, 0, _html_checks),
    "today": (0, 0, _today),
    "now": (0, 0, _now),
}
