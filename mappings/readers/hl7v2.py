r"""HL7 version 2 in its ER7 ("pipe and hat") encoding, as chapter 2 of the standard defines it.

Separators are those that MSH declares. Segments end in CR; LF and CRLF, which many systems write, are taken
too, as are a byte order mark and an MLLP frame around a message. The envelope of a batch (FHS, BHS, BTS, FTS)
is passed over, its counts unchecked. Segments that no path asks for, Z-segments among them, are passed over,
as the standard tells receivers to. Files are read message by message.

Paths are those of mappings.readers.hl7v2_paths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from mappings.readers.hl7v2_message import Message, new_message
from mappings.readers.hl7v2_paths import getter, group, names
from mappings.record import Getter, Group, Record, RecordError, refuse

if TYPE_CHECKING:
    from mappings.readers.source import Source

MAX_MESSAGE = 16 * 2**20
MAX_SEGMENTS = 10_000

_BLOCK = 2**20
_BOM = b"\xef\xbb\xbf"
_ENVELOPE = (b"FHS", b"BHS", b"BTS", b"FTS")
_CONTROLS = re.compile("[\x80-\x9f]")
_SEGMENT_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")


class Hl7v2Reader:
    """Reads ER7 messages as records.

    `split` names, for types of message (MSH-9.1), the segment with which each of their orders starts: such a
    message is one record for each of these segments, and what stands before the first belongs to all.
    """

    keys: frozenset[str] = frozenset()

    def __init__(self, split: Mapping[str, str] | None = None) -> None:
        self._split = dict(split or {})

    def records(self, source: Source) -> Iterator[Record | RecordError]:
        """Each message, or the RecordError of one that is damaged, which names segment line and field.

        Raises RecordError for a file in UTF-16, one with nothing in it and one whose message has no end.
        """
        found = False
        with source.open() as stream:
            for raw, line in _messages(stream):
                found = True
                try:
                    message = _parse(raw, line)
                except RecordError as fault:
                    yield fault
                else:
                    yield from self._records(message, source.names[0])
        if not found:
            raise refuse("required", "there is no message")

    def getter(self, path: str) -> Getter:
        """The field at `path`, unescaped; absent, blank and `""` (HL7's "empty") are None; or PathError."""
        return getter(path)

    def group(self, path: str) -> Group:
        """The segments `OBX`, or the repetitions `PID-13`, as items. Raises PathError."""
        return group(path)

    def place(self, record: Record, path: str) -> int | None:
        """The line of the (first) segment that `path` is in, or of the message where it has none."""
        lines = record.values.lines.get(path[:3])
        return lines[0] if lines else record.line

    def names(self, path: str) -> list[str]:
        """The fields that `path` reads, those that select its segment included."""
        return names(path)

    def undeclared(self, fields: Iterable[str]) -> Callable[[Any], list[str]]:  # noqa: ARG002
        """Nothing: receivers pass over segments and fields that they do not expect (chapter 2.6)."""
        return lambda _values: []

    def _records(self, message: Message, name: str) -> Iterator[Record]:
        start = self._split.get(message.kind, "")
        if start not in message.lines:
            yield Record(message, message.lines["MSH"][0], name)
            return
        for order in message.orders(start):
            yield Record(order, order.lines[start][0], name)


def _messages(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Each message's lines, joined by CR, and the number of its first; also lines that no MSH precedes."""
    held: list[bytes] = []
    first, size = 1, 0
    for number, line in enumerate(_lines(stream), 1):
        text = line.removeprefix(_BOM)
        name = text[:3]
        if name == b"MSH" or name[:1] == b"\x0b" or name in _ENVELOPE:
            if held:
                yield b"\r".join(held), first
            held, first, size = [], number, 0
            if name in _ENVELOPE:
                continue
        if held or text.strip():
            if not held:
                first = number
            held.append(text)
            size += len(text)
            if size > MAX_MESSAGE or len(held) > MAX_SEGMENTS:
                raise _endless(first)
    if held:
        yield b"\r".join(held), first


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of the file, whichever line ends it has. Raises RecordError."""
    begun: list[bytes] = []
    count = 0
    while block := stream.read(_BLOCK):
        if not count and not begun and block.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise refuse("value", "the text is UTF-16; UTF-8 is needed", line=1)
        if block.endswith(b"\r"):
            block += stream.read(1)  # a LF here belongs to this line's end
        *lines, last = block.splitlines(keepends=True)
        for line in (*lines, last) if last.endswith((b"\r", b"\n")) else lines:
            yield b"".join((*begun, line)).rstrip(b"\r\n")
            begun.clear()
            count += 1
        if not last.endswith((b"\r", b"\n")):
            begun.append(last)
            if sum(map(len, begun)) > MAX_MESSAGE:
                raise _endless(count + 1)
    if begun:
        yield b"".join(begun)


def _endless(line: int) -> RecordError:
    fault = f"a message has more than {MAX_MESSAGE // 2**20} MiB or {MAX_SEGMENTS} segments"
    return refuse("too-costly", fault, line=line)


def _parse(raw: bytes, first: int) -> Message:
    """The message in `raw`, which starts on line `first`. Raises RecordError."""
    if raw.startswith(b"\x0b"):
        raw = _unframe(raw, first).removeprefix(_BOM)
    header = raw.partition(b"\r")[0]
    if not header.startswith(b"MSH"):
        raise refuse("structure", "a message starts with an MSH segment", line=first)
    message = new_message(header.decode("latin-1"), first)
    text = _decode(raw, message.encoding, first)
    if text.find(text[3:9], 9) > 0:
        # Two people's records would be read as one.
        raise refuse("structure", "cut off: another message's header stands inside this one", line=first)
    separator = message.field_separator
    for number, line in enumerate(text.split("\r"), first):
        fields = line.split(separator)
        name = fields[0]
        if number == first:
            fields.insert(1, separator)  # MSH-1 is the separator itself
        elif not _SEGMENT_NAME.fullmatch(name):
            if not line.strip():
                continue
            name = name.rstrip()
            if not _SEGMENT_NAME.fullmatch(name):
                fault = "not a segment: a line break inside a field, or a damaged message"
                raise refuse("structure", fault, line=number)
        message.add(fields, name, number)
    return message


def _unframe(raw: bytes, first: int) -> bytes:
    """`raw` without the MLLP frame (0x0B … 0x1C 0x0D) it stands in."""
    content, end, rest = raw[1:].partition(b"\x1c")
    if not end:
        raise refuse("structure", "cut off: the MLLP frame has a start and no end", line=first)
    if rest.strip(b"\r\n"):
        raise refuse("structure", "there is more after the end of the MLLP frame", line=first)
    return content


def _decode(raw: bytes, encoding: str, first: int) -> str:
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as fault:
        line = first + raw.count(b"\r", 0, fault.start)
        rule = f"the text is not {encoding.upper()}, the character set by MSH-18"
        raise refuse("value", rule, line=line) from None
    if "\0" in text:
        line = first + raw.count(b"\r", 0, raw.index(b"\0"))
        raise refuse("value", "the text holds a NUL character", line=line)
    if encoding == "latin-1" and (odd := _CONTROLS.search(text)):
        fault_text = "a byte is no letter of ISO 8859-1, which MSH-18 names"
        raise refuse("value", fault_text, line=first + text.count("\r", 0, odd.start()))
    return text
