"""Whether the code tables of a mapping cover the codes that the system knows, and are used as they can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mappings.check.finding import Findings
from mappings.codes import CodeTable
from mappings.functions import FUNCTIONS
from mappings.table import LocalMapping
from profiles.document import DataPath

_WITHOUT_TEXT: Final = ("code", "coding", "county")
_SOURCES: Final = ("from", "first", "join", "constant")


def check_codes(mapping: LocalMapping, findings: Findings) -> None:
    """Tells of codes without a row, rows without a code, tables nobody uses, and text that has no place."""
    used: set[str] = set()
    for where, function, named in _translations(mapping.document.data, ()):
        if named in mapping.tables:
            used.add(named)
            _check_text(mapping.tables[named], where, function, findings)
    for name, table in mapping.tables.items():
        if name not in used:
            message = "nothing uses this code table"
            findings.at(("codes", name), "warning", "informational", message, "remove it")
        listed = mapping.document.data["codes"][name].get("values")
        if listed is not None:
            _check_values(table, listed, findings)


def _check_text(table: CodeTable, where: DataPath, function: str, findings: Findings) -> None:
    if table.unmapped == "text" and function in _WITHOUT_TEXT:
        message = f"{table.name!r} keeps words that it lacks as text, and {function!r} has no place for text"
        suggestion = "use 'concept', or choose 'unmapped: reject' or 'drop' for the table"
        findings.at(where, "error", "invalid", message, suggestion)


def _check_values(table: CodeTable, listed: list[str], findings: Findings) -> None:
    missing = [code for code in listed if code not in table.targets]
    if missing:
        what = {"reject": "are refused", "text": "are kept as text", "drop": "are left out"}[table.unmapped]
        message = f"has no row for {', '.join(map(repr, missing))}: records' codes of this kind {what}"
        findings.at(
            ("codes", table.name, "values"),
            "warning" if table.unmapped == "reject" else "information",
            "not-found",
            message,
            f"add rows to {table.name!r}, with 'unmatched' where there is no target",
        )
    for code in table.targets:
        if code not in listed:
            message = f"is not among the 'values' of {table.name!r}"
            findings.row(
                table.name, code, "warning", "not-found", message, "list it there, or remove the row"
            )


def _translations(data: Any, where: DataPath) -> Iterator[tuple[DataPath, str, str]]:
    """Every place where an expression names a code table: where, the function and the table."""
    if isinstance(data, list):
        for index, item in enumerate(data):
            yield from _translations(item, (*where, index))
    elif isinstance(data, dict):
        expression = any(key in data for key in _SOURCES)
        for key, value in data.items():
            if expression and key in FUNCTIONS and FUNCTIONS[key].of_table and isinstance(value, str):
                yield (*where, key), key, value
            yield from _translations(value, (*where, key))
