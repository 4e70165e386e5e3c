"""Where in a resource something stands: cheap to make on every step, spelled out only for an issue."""

from __future__ import annotations

from typing import TypeAlias

# (the place above or None for the resource itself, the name as FHIRPath says it, the index in a list or -1)
Place: TypeAlias = "tuple[Place | None, str, int]"


def expression(place: Place) -> str:
    """The FHIRPath location, such as `Task.output[2].value.ofType(Reference)`."""
    return ".".join(f"{name}[{index}]" if index >= 0 else name for name, index in _steps(place))


def path(place: Place) -> tuple[str, ...]:
    """The names from the resource down, without indexes: `("HealthcareService", "telecom")`."""
    return tuple(name.partition(".ofType(")[0] for name, _ in _steps(place))


def _steps(place: Place) -> list[tuple[str, int]]:
    steps = []
    above: Place | None = place
    while above is not None:
        above, name, index = above
        steps.append((name, index))
    return steps[::-1]
