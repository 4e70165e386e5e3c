"""Conditions of a mapping as FHIRPath, for the rules of a StructureMap."""

from __future__ import annotations

import re
from typing import Any

from mappings.conditions import as_list
from mappings.parts import resolved
from mappings.paths import word
from profiles.document import DataPath, Document

_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_BARE = re.compile("true|false|0|-?[1-9][0-9]*")


class Inexpressible(Exception):  # noqa: N818 - a verdict on one entry
    """Why an entry has no form in the subset of StructureMap that is exported."""


def fhirpath(document: Document, where: DataPath, data: Any, *, inside: bool) -> str:
    """The condition `data` as FHIRPath, evaluated on the record; `inside` a group, on an item of it.

    Raises Inexpressible.
    """
    where, data = resolved(document, where, data)

    def inner(key: str, index: int, item: Any) -> str:
        return fhirpath(document, (*where, key, index), item, inside=inside)

    if "all" in data or "any" in data:
        key, word_ = ("all", "and") if "all" in data else ("any", "or")
        parts = [inner(key, index, item) for index, item in enumerate(as_list(data[key]))]
        return f"({f' {word_} '.join(parts)})" if parts else str(key == "all").lower()
    if "not" in data:
        return f"{fhirpath(document, (*where, 'not'), data['not'], inside=inside)}.not()"
    if "each" in data:
        every = fhirpath(document, (*where, "every"), data["every"], inside=True)
        return f"{_path(data['each'], inside)}.all({every})"
    _, field = resolved(document, (*where, "from"), data["from"])
    if not isinstance(field, str):
        raise Inexpressible("a condition on what a function makes")
    path = _path(field, inside)
    if "present" in data:
        return f"{path}.exists()" if data["present"] else f"{path}.empty()"
    words = [word(value) for value in as_list(data.get("is", data.get("only")))]
    wanted = " | ".join(literal for each in words for literal in _literals(each))
    if "is" in data:
        return f"{path}.intersect({wanted}).exists()"
    return f"({path}.exists() and {path}.subsetOf({wanted}))"


def _path(field: str, inside: bool) -> str:
    """A field as FHIRPath: its name quoted, as it is no path into FHIR."""
    if field == ".":
        return "$this"
    name = re.sub(r"([\\`])", r"\\\1", field.removeprefix("."))
    return f"%record.`{name}`" if inside and not field.startswith(".") else f"`{name}`"


def _literals(value: str) -> list[str]:
    """A word as text, and as the JSON boolean or whole number that it may stand for."""
    text = value.translate(_ESCAPES)
    return [f"'{text}'", *([value] if _BARE.fullmatch(value) else [])]
