"""Messages out that are a status record of the system itself, read backwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mappings.codes import CodeTable
from mappings.invert import Inverse, invert
from mappings.kind import RecordKind
from mappings.nodes import Node, Problem
from mappings.readers.csv_rows import CsvForm
from mappings.writers import write_csv, write_json
from profiles.document import DataPath, Document

Form = tuple[str, str]
"""A content type, and how a file of it ends."""
Body = Callable[[Any, list[Problem]], bytes]
"""Takes the facts of an event and the list that collects problems."""
JSON: Final[Form] = ("application/json", ".json")
CSV: Final[Form] = ("text/csv; charset=utf-8", ".csv")


class Inverses:
    """The status kinds of a mapping, as messages."""

    def __init__(
        self, document: Document, kinds: Sequence[RecordKind], tables: Mapping[str, CodeTable]
    ) -> None:
        self._document = document
        self._kinds = kinds
        self._tables = tables

    def of(self, where: DataPath, name: str, wrong: Callable[[DataPath, str], None]) -> tuple[Form, Body]:
        """The status kind `name`, which the mapping names at `where`, as a message; faults go to `wrong`."""
        kind = next((kind for kind in self._kinds if kind.name == name and kind.kind == "status"), None)
        if kind is None:
            wrong(where, "names no status record of this mapping")
        elif not self._writable:
            wrong(where, "needs a format that write-back can write: JSON, or CSV of one table")
        else:
            inverse = self._invert(kind)
            for place, fault in inverse.faults:
                wrong(place, fault)
            return self._message(inverse)
        return JSON, lambda _facts, _problems: b""

    def first(self) -> tuple[str, Form, Body] | None:
        """The first status kind that can be read backwards, by its name, as a message."""
        for kind in self._kinds if self._writable else ():
            if kind.kind == "status" and not (inverse := self._invert(kind)).faults:
                return kind.name, *self._message(inverse)
        return None

    @property
    def _writable(self) -> bool:
        told = self._document.data["format"]
        return told["type"] in ("json", "csv") and "tables" not in told

    def _invert(self, kind: RecordKind) -> Inverse:
        return invert(self._document, kind, self._kinds, self._tables)

    def _message(self, inverse: Inverse) -> tuple[Form, Body]:
        if self._document.data["format"]["type"] == "json":
            return JSON, lambda facts, problems: write_json(_nested(_made(inverse.writes, facts, problems)))
        told = self._document.data["format"]
        form = CsvForm(told.get("delimiter", ","), told.get("quote", '"'), told.get("encoding", "utf-8"))
        columns = tuple(dict.fromkeys(name for kind in self._kinds for name in kind.fields.names))

        def body(facts: Any, problems: list[Problem]) -> bytes:
            made = _made(inverse.writes, facts, problems)
            for column, value in made.items():
                if not _can_hold(form, value):
                    problems.append((column, "value", f"has a character that {form.encoding} does not have"))
                    return b""
            return write_csv(columns, made, form)

        return (f"text/csv; charset={form.encoding}", ".csv"), body


def _made(writes: Mapping[str, Node], facts: Any, problems: list[Problem]) -> dict[str, Any]:
    made = {field: node(facts, problems) for field, node in writes.items()}
    return {field: value for field, value in made.items() if value is not None}


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by path as the JSON object that has them at these paths."""
    whole: dict[str, Any] = {}
    for path, value in values.items():
        *outer, name = path.split(".")
        inner = whole
        for step in outer:
            inner = inner.setdefault(step, {})
        inner[name] = value
    return whole


def _can_hold(form: CsvForm, value: Any) -> bool:
    try:
        str(value).encode(form.encoding)
    except UnicodeEncodeError:
        return False
    return True
