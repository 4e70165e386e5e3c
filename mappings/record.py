"""A local record as read from an agency's own system, before anything is known about FHIR.

A reader turns bytes into records and a field path of its format (`birth_date`, `client.name.first`,
`PID-5.2`) into a getter, once. What a reader cannot read it refuses with a RecordError, which names
line and field and never a value, because values are people's data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from profiles.outcome import Issue

if TYPE_CHECKING:
    from mappings.readers.source import Source

Getter = Callable[[Any], Any]
"""Takes `Record.values`; gives the field's value, a list of them, or None when it is absent or empty."""


class RecordError(Exception):
    """A record that cannot be read or mapped; `issues` name line, field and rule."""

    def __init__(self, issues: Iterable[Issue]) -> None:
        self.issues = tuple(issues)
        super().__init__("; ".join(issue.diagnostics() for issue in self.issues))


class PathError(ValueError):
    """A field path, written in a mapping, that is not one of this format. The text says what is allowed."""


class Rejected(Exception):  # noqa: N818 - a verdict on one value; callers collect it, nobody sees it raised
    """One value broke a rule. `code` is an IssueType code, `message` names the rule and not the value."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its values in the form its reader chose, the line it starts on and the file it is from."""

    values: Any
    line: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A repeating part of a record: its items, and how to read inside one of them.

    Relative paths keep their leading dot (`.number`); "." is the item itself.

    items: from what the group's own path is relative to (`Record.values`, or an outer item) to the items.
    getter: a relative path to a getter on an item. Raises PathError.
    group: a group inside an item. Raises PathError.
    names: the names under which `fields` lists what a relative path reads.
    """

    items: Callable[[Any], list[Any]]
    getter: Callable[[str], Getter]
    group: Callable[[str], Group]
    names: Callable[[str], list[str]]


class Reader(Protocol):
    """What each format offers; made from the `format` section of a mapping.

    keys: the names that the reader itself uses, to find what belongs together.
    """

    keys: frozenset[str]

    def records(self, source: Source) -> Iterator[Record | RecordError]:
        """The records in `source` one after the other; one that cannot be read comes as its RecordError.

        Raises RecordError when nothing more can be read.
        """

    def getter(self, path: str) -> Getter:
        """How to get the field at `path`. Raises PathError when it is not a path of this format."""

    def group(self, path: str) -> Group:
        """The repeating part at `path`. Raises PathError when it is not a path of this format."""

    def place(self, record: Record, path: str) -> int | None:
        """The line of the field at `path` in this record, where the format has lines."""

    def names(self, path: str) -> list[str]:
        """The names under which `fields` must list what `path` reads: PRD[1=RT]-7.1 reads PRD-1 and PRD-7."""

    def undeclared(self, fields: Iterable[str]) -> Callable[[Any], list[str]]:
        """A check that names where in `Record.values` something stands that is not among `fields`."""


def refuse(code: str, message: str, field: str = "", line: int | None = None) -> RecordError:
    """A RecordError with one issue, to be raised."""
    return RecordError([Issue("error", code, message, field=field, line=line)])


def decode(body: bytes) -> str:
    """`body` as text: UTF-8, with or without a byte order mark.

    Raises RecordError for an empty body, another charset and NUL characters, naming the line.
    """
    if body.startswith(b"\xef\xbb\xbf"):
        body = body[3:]
    if not body.strip():
        raise refuse("required", "the record is empty")
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise refuse("value", "the text is UTF-16; UTF-8 is needed", line=1)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise refuse("value", "the text is not UTF-8", line=_line_at(body, fault.start)) from None
    if "\0" in text:
        raise refuse("value", "the text holds a NUL character", line=_line_at(body, body.index(b"\0")))
    return text


def _line_at(body: bytes, position: int) -> int:
    before = body[:position].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return before.count(b"\n") + 1
