"""Reads the rows of a code table (see `mappings.code_files`) as a ConceptMap that knows its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final

from mappings.formulas import unguarded
from mappings.readers.csv_rows import CsvForm, Row, Rows
from mappings.record import RecordError
from profiles.document import DataPath, Document, DocumentError, field_name
from profiles.outcome import Issue
from profiles.structure import check

REQUIRED: Final = ("code", "target_system", "target_code")
COLUMNS: Final = (
    *("code", "display", "target_system", "target_code", "target_display", "equivalence", "comment"),
    *("source_system", "source_version", "target_version"),
)
# Where each column stands, in the group of a row, in its element and in its target.
GROUP: Final = {
    "source": "source_system",
    "sourceVersion": "source_version",
    "target": "target_system",
    "targetVersion": "target_version",
}
ELEMENT: Final = {"code": "code", "display": "display"}
TARGET: Final = {
    "code": "target_code",
    "display": "target_display",
    "equivalence": "equivalence",
    "comment": "comment",
}
TOP: Final = (
    *("id", "url", "version", "name", "title", "status", "experimental", "date", "publisher"),
    *("description", "purpose", "copyright", "sourceUri", "sourceCanonical", "targetUri", "targetCanonical"),
)
_NO_MATCH: Final = ("unmatched", "disjoint")
_EQUIVALENCES: Final = (
    *("relatedto", "equivalent", "equal", "wider", "subsumes", "narrower", "specializes", "inexact"),
    *_NO_MATCH,
)


def read_table(file: BinaryIO, name: str) -> Document:
    """The ConceptMap in a CSV file; `name` is shown in messages. Raises DocumentError with every fault."""
    try:
        rows = iter(Rows(file, CsvForm()))
        table = _Table()
        header = table.top(rows)
        for row in rows:
            table.row(header, row)
    except RecordError as fault:
        raise DocumentError(fault.issues, name) from None
    document = Document(name, table.resource, table.lines)
    if not table.issues and not table.seen:
        table.issues.append(Issue("error", "required", "there is no code under the header", line=table.end))
    if issues := table.issues or [_placed(issue, document) for issue in check(table.resource)]:
        raise document.error(issues)
    return document


class _Table:
    """The ConceptMap that grows row by row; `lines` say where its parts stand, `issues` what is wrong."""

    def __init__(self) -> None:
        self.resource: dict[str, Any] = {"resourceType": "ConceptMap"}
        self.lines: dict[DataPath, int] = {}
        self.issues: list[Issue] = []
        self.seen: set[tuple[str, ...]] = set()
        self.end = 1
        self._groups: list[dict[str, str]] = []
        self._last: dict[str, int] = {}  # the group in which a code was last given a target
        self._elements: dict[tuple[int, str], int] = {}

    def top(self, rows: Iterator[Row | RecordError]) -> Sequence[str]:
        """Reads the lines at the top; gives the header. Raises RecordError when it cannot be used."""
        for row in rows:
            if isinstance(row, RecordError):
                raise row
            self.end = row.line
            if not row.cells[0].startswith("#"):
                self.resource.setdefault("status", "active")
                return _header(row)
            self._about(row)
        raise RecordError([Issue("error", "required", "there is no header", line=self.end)])

    def _about(self, row: Row) -> None:
        """`# key: value`; a comma may have made several cells of it, and a spreadsheet added empty ones."""
        cells = list(row.cells)
        while not cells[-1]:
            cells.pop()
        key, colon, value = ",".join(cells).removeprefix("#").partition(":")
        key, value = key.strip(), value.strip()
        if key not in TOP or not colon or not value:
            message = f"begins with #, and so must be `# key: value` with one of {', '.join(TOP)}"
            self.issues.append(Issue("error", "structure", message, line=row.line))
        elif key in self.resource:
            self.issues.append(Issue("error", "duplicate", "is said twice", field=key, line=row.line))
        else:
            truth = {"true": True, "false": False} if key == "experimental" else {}
            self.resource[key] = truth.get(value, value)
            self.lines[(key,)] = row.line

    def row(self, header: Sequence[str], row: Row | RecordError) -> None:
        """Adds the target in `row`."""
        if isinstance(row, RecordError):
            self.issues += row.issues
            return
        self.end = row.line
        if not any(row.cells):
            return  # a line that a spreadsheet left behind
        if len(row.cells) != len(header):
            message = f"the row and the header differ in length: {len(row.cells)} and {len(header)} cells"
            self.issues.append(Issue("error", "structure", message, line=row.line))
            return
        cells = {name: unguarded(cell) for name, cell in zip(header, row.cells, strict=True) if cell}
        cells.setdefault("equivalence", "equivalent")
        found = list(_faults(cells, row.line))
        same = tuple(cells.get(column, "") for column in ("code", *GROUP.values(), "target_code"))
        if not found and same in self.seen:
            found = [Issue("error", "duplicate", "has this target already", field="code", line=row.line)]
        self.seen.add(same)
        self.issues += found
        if not found:
            self._add(cells, row.line)

    def _add(self, cells: Mapping[str, str], line: int) -> None:
        g = self._group(cells, line)
        elements = self.resource["group"][g]["element"]
        at = self._elements.setdefault((g, cells["code"]), len(elements))
        if at == len(elements):
            elements.append(_part(cells, ELEMENT) | {"target": []})
            self.lines["group", g, "element", at] = line
        element = elements[at]
        shown = cells.get("display")
        if shown and element.setdefault("display", shown) != shown:
            message = "has another display in another row"
            self.issues.append(Issue("error", "invalid", message, field="display", line=line))
        self.lines["group", g, "element", at, "target", len(element["target"])] = line
        element["target"].append(_part(cells, TARGET))

    def _group(self, cells: Mapping[str, str], line: int) -> int:
        """A group of the row's systems, in which the code's targets stay in the order of the rows."""
        group, code = _part(cells, GROUP), cells["code"]
        start = self._last.get(code, 0)
        found = next((g for g in range(start, len(self._groups)) if self._groups[g] == group), None)
        if found is None:
            found = len(self._groups)
            self._groups.append(group)
            self.resource.setdefault("group", []).append(group | {"element": []})
            self.lines["group", found] = line
        self._last[code] = found
        return found


def _part(cells: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    return {key: cells[column] for key, column in names.items() if column in cells}


def _header(row: Row) -> Sequence[str]:
    names = [cell.strip() for cell in row.cells]
    faults = [("required", "the header lacks this column", name) for name in REQUIRED if name not in names]
    faults += [("duplicate", "the header has this column twice", n) for n in COLUMNS if names.count(n) > 1]
    faults += [
        ("structure", f"column {number} is none of {', '.join(COLUMNS)}", "")
        for number, name in enumerate(names, 1)
        if name not in COLUMNS
    ]
    if faults:
        raise RecordError(
            Issue("error", code, message, field=field, line=row.line) for code, message, field in faults
        )
    return names


def _faults(cells: Mapping[str, str], line: int) -> Iterator[Issue]:
    equivalence = cells["equivalence"]
    if equivalence not in _EQUIVALENCES:
        message = f"is none of {', '.join(_EQUIVALENCES)}"
        yield Issue("error", "code-invalid", message, field="equivalence", line=line)
    needed = ("code",) if equivalence in _NO_MATCH else REQUIRED
    for column in needed:
        if column not in cells:
            yield Issue("error", "required", "is empty", field=column, line=line)


def _placed(issue: Issue, document: Document) -> Issue:
    """A finding about the ConceptMap as one about the row that it stands in."""
    parts = re.findall(r"\w+", issue.expression)[1:]
    path = tuple(int(part) if part.isdigit() else part for part in parts)
    names = TARGET if "target" in path[2:] else ELEMENT if "element" in path else GROUP
    field = names.get(str(path[-1]), field_name(path)) if path else ""
    return Issue("error", issue.code, issue.message, field=field, line=document.line(path))
