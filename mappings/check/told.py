"""What came of the witnesses, told to the mapping's author: each fault once, where it can be mended."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mappings.check.bench import element
from mappings.check.finding import Findings
from mappings.check.samples import Sample
from mappings.check.tried import Cause, Tried
from mappings.check.uses import Use
from mappings.check.words import instead, is_part, last, listed, makes, rule, said, touches
from mappings.line import Line
from mappings.sections import Section
from profiles.document import DataPath
from profiles.outcome import Issue, Severity

_AS_IT_COMES: Final = frozenset({"copy", "text", "lower", "without", "split", "nth"})


class Told:
    """Tells of one record kind.

    fhir_source: records are FHIR, of which it is not known what can be in one at once.
    """

    def __init__(self, section: Section, tried: Tried, findings: Findings, *, fhir_source: bool) -> None:
        self._fhir_source = fhir_source
        self._section = section
        self._tried = tried
        self._findings = findings
        self._lines = [line for line in tried.kind.lines if line.kind is not None]

    def all(self) -> None:
        """Everything that was found with this kind's witnesses."""
        if not self._tried.base:
            message = "no record of this kind could be made up, so that its entries were not tried"
            self._findings.at(self._section.where, "information", "not-supported", message)
        for issue, causes in self._tried.causes.items():
            self._issue(issue, causes)
        for issue, causes in self._tried.refused.items():
            self._refused(issue, causes)

    def _issue(self, issue: Issue, causes: list[Cause]) -> None:
        cause = causes[0]
        if issue.severity == "warning" and issue.code == "not-supported":
            message = f"{issue.expression} {issue.message}"
            self._say(issue, self._place(issue.expression), message, severity="information")
        elif cause.together or cause.twice:
            self._together(issue, cause)
        elif cause.use is None:
            self._always(issue)
        else:
            self._sometimes(issue, [each for each in causes if each.use is not None])

    # ---------------------------------------------------------------- the three ways to go wrong

    def _always(self, issue: Issue) -> None:
        """The poorest record has it."""
        if issue.code != "required":
            self._as_made(issue, next((line for line in self._lines if makes(line, issue)), None))
        elif self._writing(issue.expression) is None:
            message = f"{issue.expression} is required by {rule(issue)}, and nothing makes it"
            self._say(issue, self._place(issue.expression), message, f"add {last(issue)!r}")
        else:
            suggestion = "add 'required: true' to an entry, or a constant as the last of its 'first'"
            message = f"{said(issue)}, and no entry always gives it"
            self._say(issue, self._place(issue.expression), message, suggestion)

    def _sometimes(self, issue: Issue, causes: list[Cause]) -> None:
        """Records that reach certain entries, or have certain codes in them, have it."""
        made = [cause for cause in causes if cause.use and makes(cause.use.line, issue)]
        parts = [cause for cause in causes if cause.use and is_part(cause.use.line, issue)]
        if self._rows(issue, made or parts):
            return
        direct = made if issue.code != "required" else []
        direct += [cause for cause in parts if cause.use and self._copies(cause.use.line)]
        if direct and direct[0].use:
            self._as_made(issue, direct[0].use.line)
            return
        exact = [line for line in self._lines if element(line.element) == issue.expression]
        if issue.code != "required" and len(exact) == 1:
            self._as_made(issue, exact[0])
            return
        uses = [cause.use for cause in causes if cause.use]
        beside = [use for use in uses if not makes(use.line, issue)] or uses
        near = next((use for use in beside if touches(use.line, issue.expression)), beside[0])
        if issue.code == "required":
            suggestion = f"give {last(issue)!r} as well, or ask for it in a 'when' around both"
        else:
            suggestion = "make what is missing as well, or keep this entry out with a 'when'"
        self._say(issue, near.line.where, f"{said(issue)}, where {self._named(near, causes)}", suggestion)

    def _together(self, issue: Issue, cause: Cause) -> None:
        """A record has it that holds two things at once, or one twice."""
        line = next((line for line in self._lines if touches(line, issue.expression)), None)
        line = cause.use.line if cause.use is not None else line
        place = line.where if line is not None else self._place(issue.expression)
        if cause.twice:
            suggestion = "take one of them: {first: [{each: …, make: …}]}, or 'nth: 1'"
            self._say(issue, place, f"{said(issue)}, when {cause.twice!r} holds two", suggestion)
            return
        how = "all that one record can hold is there"
        if cause.use is not None and cause.beside is not None:
            place, other = cause.beside.line.where, cause.use.line
            first = f"{element(other.element)} (line {self._findings.line(other.where)})"
            how = f"{element(cause.beside.line.element)} and {first} are both given"
        severity: Severity | None = "information" if self._fhir_source else None
        suggestion = "rule one out where the other is given: 'when' or 'first'"
        self._say(issue, place, f"{said(issue)}, when {how}", suggestion, severity)

    # ---------------------------------------------------------------- of what an entry makes

    def _as_made(self, issue: Issue, line: Line | None) -> None:
        if line is None:
            suggestion = "see what is made here and beside it"
            self._say(issue, self._place(issue.expression), said(issue), suggestion)
        elif line.function == "constant":
            suggestion = instead(issue, str(line.argument)) or "write another constant"
            self._say(issue, line.where, said(issue), suggestion)
        elif not self._copies(line):
            self._say(issue, line.where, said(issue), f"change {line.function!r} or what it is given")
        elif self._fhir_source and line.kind is not None and line.kind.members is not None:
            message = f"is copied as it comes; whether it fits {rule(issue)} cannot be told"
            self._say(issue, line.where, message, severity="information")
        else:
            message = f"is copied, whatever the record holds: {said(issue)}"
            self._say(issue, line.where, message, "translate it with 'code: TABLE'", "warning")

    def _rows(self, issue: Issue, causes: list[Cause]) -> bool:
        """Tells of the codes that bring it about, if it is codes that do."""
        use = causes[0].use if causes else None
        if use is None or not all(cause.sample and cause.sample.table for cause in causes):
            return False
        samples = [cause.sample for cause in causes if cause.use is use and cause.sample]
        failed = {each.code for each in samples} - {None}
        tried = {each.code for each in self._tried.samples[use]} - {None}
        table = samples[0].table
        if not failed:
            how = "become text alone" if self._findings.keeps_text(table) else "are left out"
            message = f"words that the code table {table!r} lacks {how}: {said(issue)}"
            suggestion = "choose 'unmapped: reject' for this table, or give what stands for them"
            self._say(issue, use.line.where, message, suggestion)
        elif failed != tried or len(tried) == 1:
            self._each_row(issue, use, samples)
        elif makes(use.line, issue):
            message = f"with any code of the table {table!r}: {said(issue)}"
            self._say(issue, use.line.where, message, "use a table with other targets, or another element")
        else:
            return False
        return True

    def _each_row(self, issue: Issue, use: Use, samples: Iterable[Sample]) -> None:
        used = f"as line {self._findings.line(use.line.where)} of the mapping uses it"
        for sample in samples:
            if sample.code is not None:
                target = self._findings.target(sample.table, sample.code)
                suggestion = instead(issue, target) or "give it another target, or say that it is unmatched"
                message = f"{said(issue)}, {used}"
                self._findings.row(sample.table, sample.code, issue.severity, issue.code, message, suggestion)

    def _refused(self, issue: Issue, causes: list[Cause]) -> None:
        """Codes that one table has and another refuses, both reading one field."""
        message = f"a record with it is refused: {issue.field}: {issue.message}"
        suggestion = "give the other table this code too, or choose another 'unmapped' for that"
        for cause in causes:
            if cause.sample is not None and cause.sample.code is not None:
                table, code = cause.sample.table, cause.sample.code
                self._findings.row(table, code, "warning", issue.code, message, suggestion)

    # ---------------------------------------------------------------- places and names

    def _say(
        self,
        issue: Issue,
        where: DataPath,
        message: str,
        suggestion: str = "",
        severity: Severity | None = None,
    ) -> None:
        self._findings.at(where, severity or issue.severity, issue.code, message, suggestion)

    def _writing(self, path: str) -> Line | None:
        """The entry that makes `path`, or else something in it."""
        exact = (line for line in self._lines if element(line.element) == path)
        inside = (line for line in self._lines if element(line.element).startswith(f"{path}."))
        return next(exact, next(inside, None))

    def _place(self, path: str) -> DataPath:
        """Where `path` is made, or should be."""
        resource, *rest = path.split(".")
        while rest:
            line = self._writing(".".join([resource, *rest]))
            if line is not None:
                return line.where
            rest.pop()
        return (*self._section.places["resources"], resource)

    def _copies(self, line: Line) -> bool:
        """Whether what the entry makes is whatever the record holds."""
        chains = [use.chain for use in self._tried.uses if use.line is line]
        return bool(chains) and all(name in _AS_IT_COMES for chain in chains for name, _ in chain)

    def _named(self, use: Use, causes: Iterable[Cause]) -> str:
        """A use, and the codes in it if not every code is meant."""
        tried = {sample.code for sample in self._tried.samples.get(use, ())}
        failed = [cause.sample.code for cause in causes if cause.use is use and cause.sample]
        codes = [code for code in failed if code is not None]
        how = f"made from {listed(codes)}" if codes and set(failed) != tried else "given"
        return f"{element(use.line.element)} is {how}"
