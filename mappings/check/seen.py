"""What a sample of records shows: codes that no table has, and fields that are never filled.

Values are people's data. A code is told only where it is a short token that at least three records share, or
where the mapping itself lists it; of any other only the line is told.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from mappings.check.finding import Findings
from mappings.codes import CodeTable
from mappings.compile import compile_mapping
from mappings.readers import make_reader
from mappings.record import Getter, Group, Reader, Record, RecordError, Rejected
from mappings.sections import read_sections
from mappings.table import LocalMapping

_SHARED: Final = 3
_MOST_LINES: Final = 5
_TOKEN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,19}")


def check_sample(mapping: LocalMapping, sample: Iterable[Record], findings: Findings) -> None:
    """Tells what `sample` shows. Records that the mapping refuses count as far as they were read."""
    watched = _Watched(make_reader(mapping.document))
    tables = {name: _Noting.of(table) for name, table in mapping.tables.items()}
    compiled = compile_mapping(mapping.document, watched, tables)
    documents = mapping.table_documents
    trial = LocalMapping(
        mapping.document,
        watched,
        compiled,
        {name: (table, documents[name]) for name, table in tables.items()},
    )
    lacking: dict[str, dict[str, list[int | None]]] = defaultdict(lambda: defaultdict(list))
    filled: set[str] = set()
    count = 0
    for record in sample:
        count += 1
        with suppress(RecordError):
            trial.map(record)
        filled.update(name for names, holds in watched.asked for name in names if holds(record.values))
        for name, table in tables.items():
            for code in table.lacking:
                lacking[name][code].append(record.line)
            table.lacking.clear()
    for name, codes in lacking.items():
        _tell_codes(mapping, name, codes, findings)
    if count:
        _tell_fields(mapping, filled, count, findings)


def _tell_codes(
    mapping: LocalMapping, table: str, codes: dict[str, list[int | None]], findings: Findings
) -> None:
    listed = mapping.document.data["codes"][table].get("values", ())
    shown = [
        f"{code!r} ({len(lines)})"
        for code, lines in codes.items()
        if code in listed or (len(lines) >= _SHARED and _TOKEN.fullmatch(code))
    ]
    hidden = [lines for code, lines in codes.items() if f"{code!r} ({len(lines)})" not in shown]
    if hidden:
        places = sorted({line for lines in hidden for line in lines if line is not None})[:_MOST_LINES]
        where = f" (lines {', '.join(map(str, places))})" if places else ""
        shown.append(f"{len(hidden)} more that few records have{where}")
    unmapped = mapping.tables[table].unmapped
    findings.at(
        ("codes", table),
        "warning" if unmapped == "reject" else "information",
        "not-found",
        f"the sample has codes that this table lacks: {', '.join(shown)}",
        f"add them, or let 'unmapped: {unmapped}' stand for them",
    )


def _tell_fields(mapping: LocalMapping, filled: set[str], count: int, findings: Findings) -> None:
    for kind, section in zip(mapping.kinds, read_sections(mapping.document, []), strict=True):
        for index, name in enumerate(kind.fields.names):
            if name not in filled and name not in kind.fields.ignored:
                message = f"{name!r} is filled in none of the {count} records of the sample"
                findings.at((*section.places["fields"], index), "information", "informational", message)


@dataclass(frozen=True, slots=True)
class _Noting(CodeTable):
    """A code table that notes what it was asked for and does not have."""

    lacking: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, table: CodeTable) -> _Noting:
        return cls(table.name, table.unmapped, table.targets, table.source)

    def _find(self, value: Any) -> Any:
        code = value if isinstance(value, str) else str(value)
        if code not in self.targets:
            self.lacking[code] = None
        return CodeTable._find(self, value)


class _Watched:
    """A reader that keeps every path it is asked for, with a test whether a record holds something there."""

    def __init__(self, real: Reader) -> None:
        self._real = real
        self.keys = real.keys
        self.records, self.place = real.records, real.place
        self.names, self.undeclared = real.names, real.undeclared
        self.asked: list[tuple[list[str], Callable[[Any], bool]]] = []

    def getter(self, path: str) -> Getter:
        made = self._real.getter(path)
        self.asked.append((self._real.names(path), lambda values: _holds(made, [values])))
        return made

    def group(self, path: str) -> Group:
        group = self._real.group(path)
        return self._inside(group, lambda values: _items(group, values))

    def _inside(self, group: Group, items: Callable[[Any], list[Any]]) -> Group:
        def getter(path: str) -> Getter:
            made = group.getter(path)
            self.asked.append((group.names(path), lambda values: _holds(made, items(values))))
            return made

        def inner(path: str) -> Group:
            found = group.group(path)
            return self._inside(
                found, lambda values: [each for item in items(values) for each in _items(found, item)]
            )

        return Group(group.items, getter, inner, group.names)


def _holds(getter: Getter, items: Iterable[Any]) -> bool:
    try:
        return any(getter(item) is not None for item in items)
    except Rejected:
        return True


def _items(group: Group, values: Any) -> list[Any]:
    try:
        return group.items(values)
    except Rejected:
        return []
