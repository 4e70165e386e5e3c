"""One kind of record of a system, compiled: from a record's values to its FHIR content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mappings.fields import Fields
from mappings.line import Line
from mappings.nodes import Condition, Node, Problem
from mappings.record import Reader, Record, RecordError, refuse
from mappings.result import Kind, Lineage, Mapped
from profiles.outcome import Issue


@dataclass(frozen=True, slots=True)
class RecordKind:
    """One kind of record. `fits` tells whether a record is of this kind.

    because: of a kind that is skipped or refused, why.
    """

    name: str
    kind: Kind
    fits: Condition | None
    key: tuple[Node, ...]
    of: tuple[Node, ...] | None
    subject: tuple[Node, Node] | None
    recipient: Node | None
    excluded: tuple[Node | None, Node | None]
    local: tuple[tuple[str, Node], ...]
    resources: tuple[tuple[str, Node], ...]
    undeclared: Callable[[Any], list[str]]
    lines: tuple[Line, ...]
    lineage: tuple[Lineage, ...]
    fields: Fields
    because: str = ""

    def map(self, record: Record, reader: Reader) -> Mapped:
        """The FHIR content of `record`. Raises RecordError with every problem found in it."""
        if self.kind == "refuse":
            raise refuse("business-rule", self.because, line=record.line)
        values = record.values
        problems: list[Problem] = [
            (place, "structure", "holds a field that the mapping neither uses nor ignores")
            for place in self.undeclared(values)
        ]
        key = _key([node(values, problems) for node in self.key])
        of = _key([node(values, problems) for node in self.of]) if self.of is not None else None
        subject = None
        if self.subject is not None:
            subject = (self.subject[0](values, problems), self.subject[1](values, problems))
            if self.kind == "status" and None in subject:
                subject = None  # an answer names the referral; whose it is it may add
        recipient = self.recipient(values, problems) if self.recipient is not None else None
        excluded, people = (
            _several(node(values, problems)) if node is not None else () for node in self.excluded
        )
        local = {}
        for name, node in self.local:
            value = node(values, problems)
            if value is not None:
                local[name] = value
        resources = {}
        for name, node in self.resources:
            made = node(values, problems)
            if made is not None:
                resources[name] = made
        if problems:
            raise RecordError(
                Issue("error", code, message, field=field, line=reader.place(record, field.partition(",")[0]))
                for field, code, message in problems
            )
        return Mapped(
            self.kind,
            key,
            subject,
            resources,
            recipient,
            local,
            self.lineage,
            of,
            self.because,
            excluded,
            people,
        )


def makes_nothing(name: str, kind: Kind, fits: Condition | None, because: str) -> RecordKind:
    """A kind of record that is passed over (`skip`) or refused (`refuse`), and why."""
    nothing = Fields((), frozenset(), frozenset(), {}, {})
    return RecordKind(
        name,
        kind,
        fits,
        (),
        None,
        None,
        None,
        (None, None),
        (),
        (),
        lambda _values: [],
        (),
        (),
        nothing,
        because,
    )


def _several(text: str | None) -> tuple[str, ...]:
    """What a value that may hold several, told apart by semicolons, holds."""
    return tuple(dict.fromkeys(one.strip() for one in (text or "").split(";") if one.strip()))


def _key(parts: list[str | None]) -> str:
    """The parts joined by bars, with bars inside a part escaped: no two records share a key by accident."""
    return "|".join((part or "").replace("\\", "\\\\").replace("|", "\\|") for part in parts)
