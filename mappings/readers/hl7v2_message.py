"""An HL7 version 2 message split into fields, and what its header says about reading it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from mappings.record import refuse

# HL7 table 0211 and how Python calls them; ASCII is part of UTF-8. 8859/1 is ISO 8859-1.
_CHARSETS = {"": "utf-8", "ASCII": "utf-8", "UNICODE UTF-8": "utf-8", "8859/1": "latin-1"}
_FORMATTING = {".br": "\n", ".sp": "\n", ".ce": "\n", ".sk": " ", ".in": "", ".ti": "", ".fi": "", ".nf": ""}


@dataclass(slots=True)
class Message:
    """A message split into fields; `segments[name]` has each one's fields by HL7's number (0 is the name).

    `lines[name]` has their lines in the file; `kind` is MSH-9.1.
    """

    component: str
    repetition: str
    escape: str
    subcomponent: str
    field_separator: str
    encoding: str = "utf-8"
    kind: str = ""
    segments: dict[str, list[list[str]]] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)

    def unescape(self, text: str) -> str:
        """`text`, which holds the escape character, with its escapes (chapter 2.7) as what they stand for."""
        separators = (self.field_separator, self.component, self.subcomponent, self.repetition, self.escape)
        return _unescaper(separators, self.encoding)(text)

    def add(self, fields: list[str], name: str, line: int) -> None:
        """The next segment of the message."""
        self.segments.setdefault(name, []).append(fields)
        self.lines.setdefault(name, []).append(line)

    def orders(self, start: str) -> Iterator[Message]:
        """A message for each segment `start` and what follows it; what precedes the first is in all."""
        rows = sorted(
            (line, name, fields)
            for name, every in self.segments.items()
            for line, fields in zip(self.lines[name], every, strict=True)
        )
        head = replace(self, segments={}, lines={})
        order = head
        for line, name, fields in rows:
            if name == start:
                if order is not head:
                    yield order
                segments = {name: every[:] for name, every in head.segments.items()}
                order = replace(head, segments=segments, lines={n: kept[:] for n, kept in head.lines.items()})
            order.add(fields, name, line)
        yield order


def new_message(header: str, line: int) -> Message:
    """A message without segments yet, of which `header` is the MSH. Raises RecordError."""
    separators = header[3:8]
    sep = separators[:1]
    after = header[8:10]
    if (
        len(set(separators)) < 5
        or any(not "!" <= char <= "~" or char.isalnum() for char in separators)
        # A fifth encoding character, the truncation sign of version 2.7, may follow.
        or (after not in ("", "#", f"#{sep}") and after[:1] != sep)
    ):
        raise refuse("structure", "the separators that MSH declares are not usable", "MSH-2", line)
    fields = header.split(sep)
    charset = fields[17].strip() if len(fields) > 17 else ""
    if charset not in _CHARSETS:
        known = ", ".join(name for name in _CHARSETS if name)
        raise refuse("not-supported", f"this character set is not taken; {known} are", "MSH-18", line)
    component, repetition, escape, subcomponent = tuple(separators[1:])
    kind = fields[8].partition(component)[0].strip() if len(fields) > 8 else ""
    return Message(component, repetition, escape, subcomponent, sep, _CHARSETS[charset], kind)


@lru_cache(maxsize=16)
def _unescaper(separators: tuple[str, ...], encoding: str) -> Callable[[str], str]:
    escape = re.escape(separators[4])
    known = dict(zip("FSTRE", separators, strict=True)) | {"H": "", "N": "", "P": "#"}
    pattern = re.compile(f"{escape}([^{escape}]*){escape}")

    def meant(found: re.Match[str]) -> str:
        code = found[1]
        if code in known:
            return known[code]
        if code[:1] == "X":
            try:
                return bytes.fromhex(code[1:]).decode(encoding).replace("\0", "")
            except ValueError:
                return found[0]
        # What is left is an escape of the sender's own or of another charset: kept as it stands.
        return _FORMATTING.get(code[:3], found[0])

    return lambda text: pattern.sub(meant, text)
