"""Resources as `fhir.resources` objects, for the edges of a node: a second opinion, off the hot path.

`profiles.validate` is what a node runs on every resource; it is ours, so its mistakes would be ours too.
What a node publishes once, when it starts or is checked (its CapabilityStatement, a Subscription, our own
StructureDefinitions), is also read by this independent model of FHIR R4B, whose properties equal R4's for
the resources used here. A model is imported when it is first needed: each costs some 300 ms, a reading
some 300 µs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from profiles import r4
from profiles.outcome import Issue

if TYPE_CHECKING:
    from fhir.resources.R4B.fhirtypes import FHIRAbstractModel  # type: ignore[attr-defined]


class ModelError(ValueError):
    """A resource that `fhir.resources` does not accept; `issues` say where, without a value."""

    def __init__(self, issues: list[Issue]) -> None:
        super().__init__("; ".join(f"{issue.expression}: {issue.message}" for issue in issues))
        self.issues = tuple(issues)


def typed(resource: dict[str, Any]) -> FHIRAbstractModel:
    """`resource` as the R4B model of its type. Raises ModelError when it does not fit."""
    name = resource.get("resourceType")
    if not isinstance(name, str) or name not in r4.resource_types():
        raise ModelError([Issue("error", "structure", "resourceType is not one of FHIR R4")])
    model = getattr(import_module(f"fhir.resources.R4B.{name.lower()}"), name)
    try:
        return model.model_validate(resource)
    except ValidationError as fault:
        raise ModelError([_issue(name, dict(error)) for error in fault.errors()]) from None


def _issue(resource_type: str, error: dict[str, Any]) -> Issue:
    """pydantic's message and input repeat values, so only the place and the kind of error are used."""
    where = resource_type
    for part in error["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
    kind = str(error["type"])
    code = "required" if kind.endswith("missing") else "structure" if kind == "extra_forbidden" else "value"
    return Issue("error", code, f"is not accepted by fhir.resources ({kind})", where)
