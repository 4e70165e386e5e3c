"""Write-back without a second mapping: a status record read backwards, from a Task to the record's fields.

An entry can be read backwards when what it makes tells what it was made from: a copy, a code table in which
no two codes become the same, a date in one format. The others are named with the reason. What a record of the
kind needs (the Task's id and status, the parts of its key, the fields by which its kind is known) must be
among the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mappings import nodes
from mappings.codes import CodeTable
from mappings.conditions import as_list
from mappings.invert_entry import PLAIN, NotInvertible, field_of, kept, value_of
from mappings.kind import RecordKind
from mappings.line import Line
from mappings.nodes import Node
from mappings.parts import resolved
from profiles.document import DataPath, Document

if TYPE_CHECKING:
    from mappings.table import LocalMapping


@dataclass(frozen=True, slots=True)
class Inverse:
    """What is written of a Task.

    writes: how the value of each field is made from the facts of an event.
    left: the entries that are not read backwards, and why.
    faults: where the mapping says what is needed and cannot be read backwards, and why.
    """

    writes: Mapping[str, Node]
    left: tuple[tuple[Line, str], ...]
    faults: tuple[tuple[DataPath, str], ...]


def not_invertible(mapping: LocalMapping, kind: RecordKind) -> list[tuple[Line, str]]:
    """The entries of a status kind that write-back cannot read backwards, each with the reason."""
    return list(invert(mapping.document, kind, mapping.kinds, mapping.tables).left)


def invert(
    document: Document, kind: RecordKind, kinds: Sequence[RecordKind], tables: Mapping[str, CodeTable]
) -> Inverse:
    """The status kind `kind`, one of `kinds`, read backwards."""
    made = _Backwards(document, kind, kinds, tables)
    made.task()
    made.keys("of")
    made.keys("key")
    made.known_by()
    return Inverse(made.writes, tuple(made.left), tuple(made.faults))


class _Backwards:
    """Collects what is written: first from the Task, then what the keys and the kind's condition need."""

    def __init__(
        self,
        document: Document,
        kind: RecordKind,
        kinds: Sequence[RecordKind],
        tables: Mapping[str, CodeTable],
    ) -> None:
        self._document = document
        self._kind = kind
        self._kinds = kinds
        self._tables = tables
        self.writes: dict[str, Node] = {}
        self.left: list[tuple[Line, str]] = []
        self.faults: list[tuple[DataPath, str]] = []

    def task(self) -> None:
        """The entries of the resources."""
        for line in self._kind.lines:
            if line.kind is None or line.function == "constant":
                continue
            try:
                if not line.element.startswith("Task."):
                    raise NotInvertible("write-back knows the Task alone")
                field = field_of(self._document, line)
                shown, node = value_of(line, self._kind.lines, self._tables)
                self._write(field, nodes.required(node, shown, field) if line.required else node)
            except NotInvertible as reason:
                self._leave(line, str(reason), needed=line.required)

    def keys(self, section: str) -> None:
        """The parts of the record's `key`, or of the key that it answers to (`of`)."""
        for line in self._kind.lines:
            part, _, index = line.element.partition(".")
            if part != section or line.function == "constant" or _has_constant(line.data):
                continue
            if set(line.fields) <= set(self.writes):
                continue
            try:
                field = field_of(self._document, line)
                name = self._kept(index) if part == "of" and line.function in PLAIN else None
                if name is None:
                    raise NotInvertible(f"nothing says what to write into {field!r}")
                self._write(field, nodes.required(kept(name), f"local.{name}", field))
            except NotInvertible as reason:
                self._leave(line, str(reason), needed=True)

    def known_by(self) -> None:
        """The fields by which a record of this kind is told from others."""
        data = self._document.data["records"][self._kind.name].get("when", {"all": []})
        for where, field, value in self._said(("records", self._kind.name, "when"), data):
            if field in self.writes:
                continue
            if value is None:
                self.faults.append((where, "cannot be read backwards: it does not say which value to write"))
            else:
                self.writes[field] = nodes.constant(value)

    def _said(self, where: DataPath, data: Any) -> Iterator[tuple[DataPath, str, Any]]:
        """Which value a condition asks a field to have; None where it leaves that open."""
        where, data = resolved(self._document, where, data)
        field, wanted = data.get("from"), as_list(data.get("is"))
        if "all" in data:
            for index, item in enumerate(data["all"]):
                yield from self._said((*where, "all", index), item)
        elif isinstance(field, str):
            if data.get("present") is not False:
                yield where, field, wanted[0] if len(wanted) == 1 else None
        elif "not" not in data:
            yield where, "", None

    def _leave(self, line: Line, reason: str, *, needed: bool) -> None:
        self.left.append((line, reason))
        if needed:
            self.faults.append((line.where, f"cannot be read backwards: {reason}"))

    def _write(self, field: str, node: Node) -> None:
        if field in self.writes:
            raise NotInvertible(f"{field!r} is written from another entry")
        self.writes[field] = node

    def _kept(self, index: str) -> str | None:
        """The name under which a referral keeps the part of its key that stands at `index`."""
        for kind in self._kinds:
            made = {line.element: (line.function, line.fields) for line in kind.lines}
            part = made.get(f"key.{index}") if kind.kind == "referral" else None
            for element, one in made.items():
                if one == part and element.startswith("local."):
                    return element.removeprefix("local.")
        return None


def _has_constant(data: Any) -> bool:
    """Whether an expression gives something whatever the record holds."""
    parts = data.get("first", []) if isinstance(data, dict) else []
    return any(isinstance(part, dict) and set(part) == {"constant"} for part in parts)
