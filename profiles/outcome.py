"""What went wrong, in FHIR's words: an `Issue` and the OperationOutcome made of several.

FHIR R4 `OperationOutcome.issue` (severity, code, diagnostics, expression). A message names the field,
the line and the rule; it never repeats a value from the record, because values are people's data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["fatal", "error", "warning", "information"]
MOST_ISSUES = 100  # of one resource: who sends more faults than that needs no list of them


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding.

    `code` is from FHIR's IssueType value set (`required`, `value`, `structure`, `invariant`,
    `code-invalid`, `not-found`, `forbidden`, ...). `expression` is a FHIRPath location, empty when the
    finding is about a local record or a data file; then `field`, `line` and `column` say where in that,
    counted from 1.
    """

    severity: Severity
    code: str
    message: str
    expression: str = ""
    field: str = ""
    line: int | None = None
    profile: str = ""
    constraint: str = ""
    column: int | None = None

    def diagnostics(self) -> str:
        """The message with its place in the local record, where there is one."""
        place = [f"line {self.line}"] if self.line is not None else []
        if self.field:
            place.append(self.field)
        return f"{', '.join(place)}: {self.message}" if place else self.message

    def as_fhir(self) -> dict[str, Any]:
        """This finding as an `OperationOutcome.issue`; `details` name the constraint and the profile."""
        issue: dict[str, Any] = {
            "severity": self.severity,
            "code": self.code,
            "diagnostics": self.diagnostics(),
        }
        if rule := " of ".join(part for part in (self.constraint, self.profile) if part):
            issue["details"] = {"text": rule}
        if self.expression:
            issue["expression"] = [self.expression]
        return issue


TOO_MANY = Issue("error", "too-costly", "there are more findings than are listed")


def errors(issues: Iterable[Issue]) -> list[Issue]:
    """Those of `issues` that make a resource unusable (severity error or fatal)."""
    return [issue for issue in issues if issue.severity in ("error", "fatal")]


def operation_outcome(issues: Sequence[Issue]) -> dict[str, Any]:
    """An OperationOutcome resource; with no issues, FHIR's required one `informational` issue."""
    found = issues or [Issue("information", "informational", "no problem found")]
    return {"resourceType": "OperationOutcome", "issue": [issue.as_fhir() for issue in found]}
