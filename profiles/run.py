"""One resource being checked: what the checks may ask about its surroundings, and the issues they find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from profiles.fhirpath import Context
from profiles.outcome import MOST_ISSUES, TOO_MANY, Issue, Severity, errors
from profiles.place import Place, expression
from profiles.references import References
from profiles.registry import Package

MOST_STEPS = 16


class Judge(Protocol):
    """What the definitions held say of a value, asked while another one is being checked."""

    def conforms(
        self, resource: Mapping[str, Any], profile: str, package: Package | None, scope: Scope
    ) -> bool | None:
        """Whether a resource that can be referred to in this scope has no error; None: not held."""
        ...

    def member(self, value: Any, value_set: str) -> bool | None:
        """Whether a code, Coding or CodeableConcept is in a value set; None when that cannot be told."""
        ...


class Scope:
    """What surrounds a resource: `root` contains it or is itself, `references` find what it refers to.

    `known` is shared by all resources of one call: whether the one with that id() has a profile. `steps` is
    how many references lead here from the resource that is being checked.
    """

    __slots__ = ("judge", "known", "memo", "references", "root", "steps")

    def __init__(
        self,
        root: Mapping[str, Any],
        references: References,
        judge: Judge,
        known: dict[tuple[int, str], bool],
        steps: int = 0,
    ) -> None:
        self.steps = steps
        self.root = root
        self.references = references
        self.judge = judge
        self.known = known
        self.memo: dict[str, Any] = {}  # what constraints find out about the root

    def beside(self, resource: Mapping[str, Any]) -> Scope:
        """The scope of another resource of the same Bundle or container."""
        references = self.references.beside(resource)
        root = self.root if references is self.references else resource
        return Scope(root, references, self.judge, self.known, self.steps + 1)

    def conforms(
        self, resource: Mapping[str, Any], profile: str, package: Package | None = None
    ) -> bool | None:
        """Whether another resource of this scope has no error against a profile; None: cannot be told.

        A long chain of references is followed for MOST_STEPS; what is beyond is looked at in its own turn.
        """
        if self.steps == MOST_STEPS:
            return None
        return self.judge.conforms(resource, profile, package, self)


class Run:
    """The state of checking one resource: its scope, the context of its constraints, the issues so far."""

    __slots__ = ("_left", "conforms", "context", "issues", "references", "resource")

    def __init__(self, resource: Mapping[str, Any], scope: Scope) -> None:
        self.resource = resource
        self.references = scope.references
        self.conforms = scope.conforms
        self.issues: list[Issue] = []
        self._left: dict[str, int] = {}
        self.context = Context(
            resource=resource,
            root=scope.root,
            resolve=scope.references.resolve,
            member_of=scope.judge.member,
            conforms_to=scope.conforms,
            root_memo=scope.memo,
        )

    def allows(self, check: Callable[[Any, Place, Run], None], value: Any, place: Place) -> bool:
        """Whether a value passes without an error. Nothing of it is noted, nor counted among what is."""
        issues, left = self.issues, self._left
        self.issues, self._left = [], {}
        try:
            check(value, place, self)
            return not errors(self.issues)
        finally:
            self.issues, self._left = issues, left

    def add(
        self,
        severity: Severity,
        code: str,
        message: str,
        place: Place,
        profile: str = "",
        constraint: str = "",
    ) -> None:
        """Note one issue at `place`. Beyond MOST_ISSUES of its severity nothing more is kept."""
        left = self._left.get(severity, MOST_ISSUES)
        if left == 0:
            return
        self._left[severity] = left - 1
        if left == 1:
            code, message = TOO_MANY.code, TOO_MANY.message
        self.issues.append(
            Issue(severity, code, message, expression(place), profile=profile, constraint=constraint)
        )
