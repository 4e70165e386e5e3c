r"""HL7 version 2 in its ER7 ("pipe and hat") encoding, as chapter 2 of the standard defines it.

Separators are those that MSH declares. Segments end in CR; LF and CRLF, which many systems write, are taken
too, as are a byte order mark and one MLLP frame around the message. Segments that no path asks for,
Z-segments among them, are passed over, as the standard tells receivers to.

Paths: `PID-5.2` is component 2 of PID field 5 (the first segment, repetition and sub-component where
nothing else is said). `PRD[1=RT]-7.1` is of the PRD whose field 1 is RT, `OBX[3.1=63512-8]-5` of the OBX
whose component 3.1 is that, `PID-3[5=MR].1` of the repetition whose component 5 is MR, `NTE[*]-3` of every
NTE.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from mappings.record import Getter, PathError, Record, decode, refuse

_PATH = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})"
    r"(?:\[(?:(?P<all>\*)|(?P<key_field>[0-9]+)(?:\.(?P<key_part>[0-9]+))?=(?P<key>[^\]]+))\])?"
    r"-(?P<field>[0-9]+)(?:\[(?P<rep_part>[0-9]+)=(?P<rep>[^\]]+)\])?"
    r"(?:\.(?P<component>[0-9]+))?(?:\.(?P<sub>[0-9]+))?"
)
_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_CHARSETS = ("", "ASCII", "UNICODE UTF-8")  # HL7 table 0211; ASCII is part of UTF-8


@dataclass(slots=True)
class Message:
    """A message split into fields; `segments[name]` has each one's fields by HL7's number (0 is the name)."""

    component: str
    repetition: str
    escape: str
    subcomponent: str
    field_separator: str
    segments: dict[str, list[list[str]]] = field(default_factory=dict)
    lines: dict[str, list[int]] = field(default_factory=dict)

    def unescape(self, text: str) -> str:
        """`text` with its escape sequences (chapter 2.7) replaced by what they stand for."""
        if self.escape not in text:
            return text
        separators = (self.field_separator, self.component, self.subcomponent, self.repetition, self.escape)
        return _unescaper(separators)(text)


class Hl7v2Reader:
    """Reads ER7 messages as records."""

    def read(self, body: bytes) -> list[Record]:
        """Each message in `body` (one, as a rule). Raises RecordError naming segment line and field."""
        text = decode(_unframe(body)).replace("\r\n", "\r").replace("\n", "\r")
        records: list[Record] = []
        for number, line in enumerate(text.split("\r"), 1):
            if not line.strip():
                continue
            if line.startswith("MSH"):
                records.append(Record(_header(line, number), number))
                continue
            if line[:3] in ("FHS", "BHS", "BTS", "FTS"):
                raise refuse("not-supported", "batches are not taken; send messages one by one", line=number)
            if not records:
                raise refuse("structure", "a message starts with an MSH segment", line=number)
            _add(records[-1].values, line, number)
        return records

    def getter(self, path: str) -> Getter:
        """The field at `path`, unescaped; absent, blank and `""` (HL7's "empty") are None; or PathError."""
        found = _PATH.fullmatch(path)
        if not found:
            raise PathError("is not an HL7 v2 path such as PID-5.2, PRD[1=RT]-7.1 or PID-3[5=MR].1")
        segments = _segment_picker(found)
        number = int(found["field"])
        part = _part_getter(found)

        def one(message: Message, fields: list[str]) -> str | None:
            return part(message, fields[number]) if number < len(fields) else None

        if found["all"]:

            def get_all(message: Message) -> list[str] | None:
                values = [one(message, fields) for fields in segments(message)]
                return [value for value in values if value is not None] or None

            return get_all

        def get(message: Message) -> str | None:
            for fields in segments(message):
                return one(message, fields)
            return None

        return get

    def place(self, record: Record, path: str) -> int | None:
        """The line of the (first) segment that `path` is in, or of the message where it has none."""
        lines = record.values.lines.get(path[:3])
        return lines[0] if lines else record.line

    def names(self, path: str) -> list[str]:
        """The fields that `path` reads, those that select its segment included."""
        found = _PATH.fullmatch(path)
        if not found:
            return [path]
        numbers = [number for number in (found["key_field"], found["field"]) if number]
        return [f"{found['segment']}-{number}" for number in numbers]

    def undeclared(self, fields: Iterable[str]) -> Callable[[Any], list[str]]:  # noqa: ARG002
        """Nothing: receivers pass over segments and fields that they do not expect (chapter 2.6)."""
        return lambda _values: []


def _unframe(body: bytes) -> bytes:
    """`body` without the MLLP frame (0x0B … 0x1C 0x0D) it may still stand in."""
    if not body.startswith(b"\x0b"):
        return body
    content, end, rest = body[1:].partition(b"\x1c")
    if not end:
        raise refuse("structure", "cut off: the MLLP frame has a start and no end")
    if rest.strip(b"\r\n"):
        raise refuse("structure", "there is more after the end of the MLLP frame")
    return content


def _header(line: str, number: int) -> Message:
    separators = line[3:8]
    wrong = (
        len(separators) < 5 or len(set(separators)) < 5 or any(c.isalnum() or c.isspace() for c in separators)
    )
    # A fifth encoding character, the truncation sign of version 2.7, may follow.
    if (
        wrong
        or line[8:9] not in (separators[0], "", "#")
        or (line[8:9] == "#" and line[9:10] != separators[0])
    ):
        raise refuse("structure", "the separators that MSH declares are not usable", "MSH-2", number)
    sep, component, repetition, escape, subcomponent = tuple(separators)
    message = Message(component, repetition, escape, subcomponent, sep)
    fields = line.split(sep)
    message.segments["MSH"] = [["MSH", sep, *fields[1:]]]
    message.lines["MSH"] = [number]
    if len(fields) > 17 and fields[17].strip() not in _CHARSETS:
        raise refuse("not-supported", "this character set is not taken; UTF-8 is", "MSH-18", number)
    return message


def _add(message: Message, line: str, number: int) -> None:
    fields = line.split(message.field_separator)
    name = fields[0].rstrip()
    if not _SEGMENT_NAME.fullmatch(name):
        raise refuse(
            "structure", "not a segment: a line break inside a field, or a damaged message", line=number
        )
    message.segments.setdefault(name, []).append(fields)
    message.lines.setdefault(name, []).append(number)


def _segment_picker(found: re.Match[str]) -> Callable[[Message], Iterable[list[str]]]:
    name, wanted = found["segment"], found["key"]
    if wanted is None:
        return lambda message: message.segments.get(name, ())
    number, part = int(found["key_field"]), int(found["key_part"] or 1)

    def pick(message: Message) -> Iterable[list[str]]:
        for fields in message.segments.get(name, ()):
            if number < len(fields) and _part(message, fields[number], part, 1) == wanted:
                yield fields

    return pick


def _part_getter(found: re.Match[str]) -> Callable[[Message, str], str | None]:
    component, sub = int(found["component"] or 1), int(found["sub"] or 1)
    if found["segment"] == "MSH" and found["field"] in ("1", "2"):
        return lambda _message, text: text  # the separators themselves are not split by themselves
    wanted = found["rep"]
    if wanted is None:
        return lambda message, text: _part(message, text, component, sub)
    key_part = int(found["rep_part"])

    def matching(message: Message, text: str) -> str | None:
        for repetition in text.split(message.repetition):
            if _part(message, repetition, key_part, 1) == wanted:
                return _part(message, repetition, component, sub)
        return None

    return matching


def _part(message: Message, text: str, component: int, sub: int) -> str | None:
    """A sub-component of the first repetition in a field's text."""
    if not text:
        return None
    if message.repetition in text:
        text = text.split(message.repetition, 1)[0]
    parts = text.split(message.component)
    if component > len(parts):
        return None
    text = parts[component - 1]
    if message.subcomponent in text or sub > 1:
        subs = text.split(message.subcomponent)
        if sub > len(subs):
            return None
        text = subs[sub - 1]
    if text == '""':
        return None
    return message.unescape(text).strip() or None


@lru_cache(maxsize=16)
def _unescaper(separators: tuple[str, ...]) -> Callable[[str], str]:
    escape = separators[4]
    known = dict(zip("FSTRE", separators, strict=True)) | {".br": "\n", ".sp": "\n", "H": "", "N": ""}
    pattern = re.compile(f"{re.escape(escape)}([^{re.escape(escape)}]*){re.escape(escape)}")

    def replace(found: re.Match[str]) -> str:
        code = found[1]
        if code in known:
            return known[code]
        if code[:1] == "X":
            try:
                return bytes.fromhex(code[1:]).decode("utf-8").replace("\0", "")
            except ValueError:
                return found[0]
        return found[0]  # an escape of the sender's own: kept as it stands

    return lambda text: pattern.sub(replace, text)
