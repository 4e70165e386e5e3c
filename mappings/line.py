"""One entry of a mapping as data: what every tool that reads a mapping without running it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mappings.elements import Element
from profiles.document import DataPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One entry: from what, by which function, to what.

    where: leads to it in the mapping file.
    element: what it makes, with places in the template's lists: `Patient.name[0].given[0]`; of the envelope
        around the resources `key.0`, `subject.value`, `recipient`, `local.id`.
    kind: the element's FHIR type; None in the envelope.
    function: a function of the language, or `copy`, or `constant` for a value that no record changes.
    argument: the function's argument as written; the value of a constant.
    data: the entry as written.
    fields: what it reads, in the order written, those under `when` apart; inside a group the group's path and
        the relative one.
    required: an empty value refuses the record.
    conditional: it, or something around it, has a `when`.
    repeated: it is inside an `each`.
    """

    where: DataPath
    element: str
    kind: Element | None
    function: str
    argument: Any
    data: Any
    fields: tuple[str, ...] = ()
    required: bool = False
    conditional: bool = False
    repeated: bool = False
