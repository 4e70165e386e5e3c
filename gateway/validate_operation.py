"""`POST /fhir/{type}/$validate`: what FHIR's operation asks for, and the OperationOutcome that answers it.

FHIR R4 OperationDefinition/Resource-validate. Whatever the verdict, the answer is 200; an error status means
that nothing was validated. Nothing is stored, and nothing that the node holds about anybody is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway import fhir_json
from gateway.errors import refuse
from profiles import r4, validate
from profiles.elements import ProfileError
from profiles.engine import engine
from profiles.outcome import Issue, operation_outcome
from profiles.registry import Definitions

DEFINITION = "http://hl7.org/fhir/OperationDefinition/Resource-validate"

_PARAMETERS = ("mode", "profile", "resource")
_VALUE = {"mode": ("valueCode",), "profile": ("valueUri", "valueCanonical")}  # canonical: from R5 on
_ONLY_CONTENT = Issue(
    "warning", "not-supported", "mode create: the content was checked, not whether this node would take it"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be validated, and how."""

    resource: Any
    profile: str | None
    mode: str | None


def asked(body: bytes, resource_type: str, query: Sequence[tuple[str, str]]) -> Asked:
    """What a call asks for: the resource itself in the body, or Parameters around it.

    query: the address's parameters, which may give `profile` and `mode` instead. Raises Refused: 404 for a
    type that R4 does not have, 400 for a call that is not as FHIR says, 422 for a mode that is not offered.
    """
    if resource_type not in r4.resource_types():
        raise refuse(404, "not-supported", "FHIR R4 has no such resource type.")
    given = _of_query(query)
    content = _object(body)
    if content.get("resourceType") == "Parameters" and _is_envelope(content, resource_type):
        for name, value in _of_parameters(content):
            _once(given, name, value)
    else:
        given["resource"] = content
    if "resource" not in given:
        raise refuse(400, "required", "The parameter resource is missing.", expression="Parameters.parameter")
    resource = given["resource"]
    if not isinstance(resource, dict) or resource.get("resourceType") != resource_type:
        raise refuse(
            400, "invalid", f"A {resource_type} is expected at this address.", expression=resource_type
        )
    return Asked(resource, given.get("profile"), _offered(given.get("mode")))


def outcome(question: Asked, held: Definitions) -> dict[str, Any]:
    """The OperationOutcome. Raises Refused (422) for a profile that cannot be applied, as FHIR asks."""
    if question.profile is not None:
        _must_hold(question.profile, held)
    issues = validate(question.resource, question.profile, held)
    if question.mode == "create":
        issues = [*issues, _ONLY_CONTENT]
    return operation_outcome(issues)


def _must_hold(profile: str, held: Definitions) -> None:
    try:
        found = engine(held).profile(profile)
    except ProfileError:
        raise refuse(422, "not-supported", "The profile that is asked for cannot be applied here.") from None
    if found is None:
        raise refuse(422, "not-found", "The profile that is asked for is not held here.")


def _of_query(query: Sequence[tuple[str, str]]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in query:
        if name == "_format":
            continue
        if name not in _VALUE:
            raise refuse(
                400, "not-supported", "A parameter is not known here. Known: _format, mode, profile."
            )
        _once(given, name, value)
    return given


def _once(given: dict[str, Any], name: str, value: Any) -> None:
    if name in given:
        raise refuse(400, "structure", f"The parameter {name} is given twice.")
    given[name] = value


def _object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise refuse(400, "structure", "The body is empty; a resource is expected.")
    content = fhir_json.received(body)
    if not isinstance(content, dict):
        raise refuse(400, "structure", "A resource is a JSON object.")
    return content


def _is_envelope(content: dict[str, Any], resource_type: str) -> bool:
    """Whether Parameters are around what is asked, and not what is asked about."""
    return resource_type != "Parameters" or any(name == "resource" for name, _ in _named(content))


def _of_parameters(content: dict[str, Any]) -> list[tuple[str, Any]]:
    found = []
    for name, parameter in _named(content):
        if name not in _PARAMETERS:
            known = ", ".join(_PARAMETERS)
            raise refuse(400, "not-supported", f"A parameter is not known here. Known: {known}.")
        values = [parameter[key] for key in _VALUE.get(name, ("resource",)) if key in parameter]
        if not values or (name != "resource" and not isinstance(values[0], str)):
            kind = " or ".join(_VALUE.get(name, ("resource",)))
            raise refuse(400, "structure", f"The parameter {name} needs a {kind}.")
        found.append((name, values[0]))
    return found


def _named(content: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    parameters = content.get("parameter", [])
    if not isinstance(parameters, list) or not all(isinstance(one, dict) for one in parameters):
        raise refuse(
            400, "structure", "Parameters has a list of parameters.", expression="Parameters.parameter"
        )
    return [(str(one.get("name", "")), one) for one in parameters]


def _offered(mode: str | None) -> str | None:
    """The mode, if it can be asked for here: the others are about a resource that is stored."""
    if mode not in (None, "create"):
        rule = "At a type only the mode create, or none, can be asked for; nothing is stored to validate."
        raise refuse(422, "not-supported", rule)
    return mode
