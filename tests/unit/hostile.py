"""Asking for a judgement of content that is made to hurt, within a second of processor time.

Processor time is measured, so that a busy machine does not fail a test. A deliberate attack is slow, where it
is, by a factor that a second does not hide.
"""

from collections.abc import Callable
from time import process_time
from typing import Any

from profiles import Issue, validate
from profiles.registry import Definitions

MANY = 100_000
LONG = 1_000_000
SECONDS = 1.0


def answered(resource: Any, profile: str | None = None, held: Definitions | None = None) -> list[Issue]:
    """The issues of `resource`, found in time."""
    validate({"resourceType": "Patient"}, held=held)  # what is compiled once is not the content's cost
    started = process_time()
    issues = validate(resource, profile, held)
    assert process_time() - started < SECONDS
    assert all(isinstance(issue, Issue) for issue in issues)
    assert sum(len(issue.message) + len(issue.expression) for issue in issues) < LONG
    return issues


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def task(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Task", "status": "requested", "intent": "order", **elements}


def nested(levels: int, wrap: Callable[[Any], Any], inner: Any) -> Any:
    for _ in range(levels):
        inner = wrap(inner)
    return inner
