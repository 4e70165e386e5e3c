"""What the check finds, and where to look: in the mapping file or in one of its code tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from mappings.table import LocalMapping
from profiles.document import DataPath, Document
from profiles.outcome import Issue, Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. `issue` has severity, message, field, and line and column in `file`.

    suggestion: a way out.
    """

    file: str
    issue: Issue
    suggestion: str = ""

    def __str__(self) -> str:
        issue = self.issue
        place = ":".join(str(part) for part in (self.file, issue.line, issue.column) if part is not None)
        said = ": ".join(part for part in (place, issue.severity, issue.field, issue.message) if part)
        return f"{said}; {self.suggestion}" if self.suggestion else said


class Findings:
    """Collects what is found in one mapping, each thing once."""

    def __init__(self, mapping: LocalMapping) -> None:
        self._mapping = mapping
        self._found: dict[Finding, None] = {}

    def __iter__(self) -> Iterator[Finding]:
        """By severity, then as they stand in their files."""
        rank = {"error": 0, "warning": 1, "information": 2}
        return iter(
            sorted(
                self._found,
                key=lambda one: (
                    rank[one.issue.severity],
                    one.file,
                    one.issue.line or 0,
                    one.issue.column or 0,
                ),
            )
        )

    def line(self, where: DataPath) -> int:
        """The line in the mapping file of what stands at `where`."""
        return self._mapping.document.line(where)

    def target(self, table: str, local: str) -> str:
        """What the local code becomes first."""
        targets = self._mapping.tables[table].targets[local]
        return targets[0]["code"] if targets else ""

    def keeps_text(self, table: str) -> bool:
        """Whether a code table keeps words that it lacks as text."""
        return self._mapping.tables[table].unmapped == "text"

    def at(self, where: DataPath, severity: Severity, code: str, message: str, suggestion: str = "") -> None:
        """Something about what stands at `where` in the mapping file. `code` is of FHIR's IssueType."""
        self._add(self._mapping.document, where, severity, code, message, suggestion)

    def row(
        self, table: str, local: str, severity: Severity, code: str, message: str, suggestion: str = ""
    ) -> None:
        """Something about the local code `local` of a code table."""
        document = self._mapping.table_documents[table]
        self._add(
            document, _row(document.data, local), severity, code, f"code {local!r}: {message}", suggestion
        )

    def _add(
        self,
        document: Document,
        where: DataPath,
        severity: Severity,
        code: str,
        message: str,
        suggestion: str,
    ) -> None:
        issue = replace(document.issue(where, message, code), severity=severity)
        if document is not self._mapping.document:
            issue = replace(issue, field="")  # which is a place in a ConceptMap; the code is told
        self._found[Finding(document.name, issue, suggestion)] = None


def _row(concept_map: Any, local: str) -> DataPath:
    for g, group in enumerate(concept_map.get("group", [])):
        for e, element in enumerate(group["element"]):
            if element["code"] == local:
                return ("group", g, "element", e)
    return ()
