"""JSON (RFC 8259): one object, a list of objects, or one object a line (NDJSON).

Stricter than Python's own reader: see profiles.strict_json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mappings.paths import compile_path, scalar
from mappings.readers.json_paths import field_names, json_group
from mappings.readers.json_texts import Text, values
from mappings.readers.source import Source
from mappings.record import Getter, Group, Record, RecordError, refuse


class JsonReader:
    """Reads JSON objects as records.

    at: the path to the list of them, where a document holds more; one without it is a record itself.
    """

    keys: frozenset[str] = frozenset()

    def __init__(self, at: str = "") -> None:
        self._at = compile_path(at) if at else None

    def records(self, source: Source) -> Iterator[Record | RecordError]:
        """Every object as a record; anything else as its RecordError.

        Raises RecordError for a document that is not JSON, is longer than 64 MiB or lists nothing.
        """
        with source.open() as file:
            for text in values(file, source.names[0]):
                if isinstance(text, RecordError):
                    yield text
                else:
                    yield from self._records(text, source.names[0])

    def _records(self, text: Text, name: str) -> Iterator[Record | RecordError]:
        held = text.value
        if text.alone and self._at and isinstance(held, dict):
            listed = self._at(held)
            held = held if listed is None else listed
        if not (text.alone and isinstance(held, list)):
            yield _record(held, text.line, name)
            return
        if not held:
            raise refuse("required", "the list of records is empty", line=text.line)
        for item in held:
            yield _record(item, None, name)

    def getter(self, path: str) -> Getter:
        """The value at `path` (see mappings.paths). Raises PathError."""
        walk = compile_path(path)
        return lambda values: scalar(walk(values))

    def group(self, path: str) -> Group:
        """The items of the list at `path`; what is not a list is one item. Raises PathError."""
        return json_group(path)

    def place(self, record: Record, path: str) -> int | None:  # noqa: ARG002 - JSON keeps no lines of fields
        """The line that the object starts on, where each stands on its own line."""
        return record.line

    def names(self, path: str) -> list[str]:
        """The path without its picks, and what the picks look at."""
        return field_names(path)

    def undeclared(self, fields: Iterable[str]) -> Callable[[Any], list[str]]:
        """Keys that no declared path leads to, told by the nearest declared path around them.

        The key itself is not shown: where a system uses names or numbers as keys, it is a person's data.
        """
        return strangers(fields)


def strangers(fields: Iterable[str]) -> Callable[[Any], list[str]]:
    """A check that names where a JSON value holds members that are not on the way to any of `fields`."""
    known: dict[str, Any] = {}
    for field in fields:
        branch = known
        for name in field.split("."):
            branch = branch.setdefault(name, {})
    return lambda values: _strangers(values, known, "")


def _strangers(value: Any, known: dict[str, Any], place: str) -> list[str]:
    """Where `value` holds members that `known` lacks; a leaf of `known` is for its getter to judge."""
    if not known:
        return []
    if isinstance(value, list):
        return [found for item in value for found in _strangers(item, known, place)]
    if not isinstance(value, dict):
        return []
    found = [place] if value.keys() - known.keys() else []
    for name, member in value.items():
        if name in known:
            found += _strangers(member, known[name], f"{place}.{name}" if place else name)
    return found


def _record(data: Any, line: int | None, name: str) -> Record | RecordError:
    if isinstance(data, dict):
        return Record(data, line, name)
    return refuse("structure", "a record must be a JSON object", line=line)
