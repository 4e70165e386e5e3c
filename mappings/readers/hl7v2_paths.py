"""Paths into HL7 version 2 messages, made into getters once.

`PID-5.2` is component 2 of PID field 5 (the first segment, repetition, component and sub-component where
nothing else is said). `PRD[1=RT]-7.1` is of the PRD whose field 1 is RT, `OBX[3.2=Size]-5` of the OBX whose
component 3.2 is that, `PID-3[5=MR].1` of the repetition whose component 5 is MR, `NTE[*]-3` of every NTE.

Groups: `OBX` and `OBX[3=63512-8]` are segments, in which `.5`, `.5.1` and `.3[5=MR].1` are relative paths and
`.13` a group. `PID-13`, and `.13`, are the repetitions of a field, in which `.12` is a component, `.3.2` a
sub-component and "." component 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mappings.readers.hl7v2_message import Message
from mappings.record import Getter, Group, PathError

Fields = list[str]
Item = tuple[Message, Any]  # of a group: a segment's fields, or the text of a repetition
Part = Callable[[Message, str], str | None]
Pick = Callable[[Message], Iterable[Fields]]

_NAME = r"(?P<segment>[A-Z][A-Z0-9]{2})"
_PICK = (
    r"(?:\[(?:(?P<all>\*)|(?P<key_field>[1-9][0-9]*)(?:\.(?P<key_part>[1-9][0-9]*))?=(?P<key>[^\[\]]+))\])?"
)
_FIELD = r"(?P<field>[1-9][0-9]*)(?:\[(?P<rep_part>[1-9][0-9]*)=(?P<rep>[^\[\]]+)\])?"
_PART = r"(?:\.(?P<component>[1-9][0-9]*))?(?:\.(?P<sub>[1-9][0-9]*))?"
_PATH = re.compile(f"{_NAME}{_PICK}-{_FIELD}{_PART}")
_GROUP = re.compile(f"{_NAME}{_PICK}(?:-{_FIELD})?")
_IN_SEGMENT = re.compile(rf"\.{_FIELD}{_PART}")
_GROUP_IN_SEGMENT = re.compile(rf"\.{_FIELD}")
_IN_REPETITION = re.compile(r"\.(?:(?P<component>[1-9][0-9]*)(?:\.(?P<sub>[1-9][0-9]*))?)?")

_HELP = "is not an HL7 v2 path such as PID-5.2, PRD[1=RT]-7.1 or PID-3[5=MR].1"


def getter(path: str) -> Getter:
    """The field at `path`, unescaped; absent, blank and `""` are None. Raises PathError."""
    found = _PATH.fullmatch(path)
    if not found:
        raise PathError(_HELP)
    pick, one = _picker(found), _field_getter(found)
    if found["key"] is None and not found["all"]:
        return _of_first(found["segment"], one)
    if found["all"]:

        def get_all(message: Message) -> list[str] | None:
            values = [one(message, fields) for fields in pick(message)]
            return [value for value in values if value is not None] or None

        return get_all

    def get(message: Message) -> str | None:
        for fields in pick(message):
            return one(message, fields)
        return None

    return get


def _of_first(name: str, one: Callable[[Message, Fields], str | None]) -> Getter:
    """Most paths are of a message's first segment of that name, so these are read with one call less."""

    def get(message: Message) -> str | None:
        segments = message.segments.get(name)
        return None if segments is None else one(message, segments[0])

    return get


def names(path: str) -> list[str]:
    """The fields that `path` reads, those that select its segment included: `PRD-1`, `PRD-7`."""
    found = _PATH.fullmatch(path)
    return [*_key_names(found), f"{found['segment']}-{found['field']}"] if found else [path]


def group(path: str) -> Group:
    """The segments, or the repetitions of a field, at `path`. Raises PathError."""
    found = _GROUP.fullmatch(path)
    if not found:
        raise PathError("is not a group of an HL7 v2 message such as OBX, OBX[3=63512-8] or PID-13")
    pick, keys = _picker(found), _key_names(found)
    if found["field"]:
        several = bool(found["all"])

        def segments(message: Message) -> Iterator[Item]:
            for fields in pick(message):
                yield message, fields
                if not several:
                    return

        return _repetitions(segments, found, [*keys, f"{found['segment']}-{found['field']}"])

    def inner(relative: str) -> re.Match[str]:
        found_inside = _IN_SEGMENT.fullmatch(relative)
        if not found_inside:
            raise PathError("is not a path inside a segment such as .5, .5.1 or .3[5=MR].1")
        return found_inside

    def inner_getter(relative: str) -> Getter:
        one = _field_getter(inner(relative))
        return lambda item: one(item[0], item[1])

    def inner_group(relative: str) -> Group:
        found_inside = inner(relative)
        if found_inside["component"]:
            raise PathError("is a component, which does not repeat; a group inside a segment is a field: .13")
        return _repetitions(lambda item: [item], found_inside, inner_names(relative))

    def inner_names(relative: str) -> list[str]:
        found_inside = _IN_SEGMENT.fullmatch(relative)
        return [*keys, f"{found['segment']}-{found_inside['field']}"] if found_inside else [relative]

    return Group(
        lambda message: [(message, fields) for fields in pick(message)],
        inner_getter,
        inner_group,
        inner_names,
    )


def _repetitions(segments: Callable[[Any], Iterable[Item]], found: re.Match[str], shown: list[str]) -> Group:
    """The repetitions of the field that `found` names in each segment; `shown` are the group's names."""
    number = int(found["field"])
    fits = _repetition_test(found)

    def items(values: Any) -> list[Item]:
        return [
            (message, text)
            for message, fields in segments(values)
            if number < len(fields)
            for text in fields[number].split(message.repetition)
            if text.strip() and fits(message, text)
        ]

    def inner_getter(relative: str) -> Getter:
        found_inside = _IN_REPETITION.fullmatch(relative)
        if not found_inside:
            raise PathError("is not a path inside a repetition such as .12, .3.2 or . (component 1)")
        part = _part(int(found_inside["component"] or 1), int(found_inside["sub"] or 1))
        return lambda item: part(item[0], item[1])

    def inner_group(relative: str) -> Group:  # noqa: ARG001
        raise PathError("is inside a repetition, where nothing repeats")

    return Group(items, inner_getter, inner_group, lambda _relative: shown)


def _key_names(found: re.Match[str]) -> list[str]:
    return [f"{found['segment']}-{found['key_field']}"] if found["key_field"] else []


def _picker(found: re.Match[str]) -> Pick:
    """The segments that a path means, before any "the first of them"."""
    name, wanted = found["segment"], found["key"]
    if wanted is None:
        return lambda message: message.segments.get(name, ())
    number, part = int(found["key_field"]), _part(int(found["key_part"] or 1), 1)

    def pick(message: Message) -> Iterator[Fields]:
        for fields in message.segments.get(name, ()):
            if number < len(fields) and part(message, fields[number]) == wanted:
                yield fields

    return pick


def _field_getter(found: re.Match[str]) -> Callable[[Message, Fields], str | None]:
    number = int(found["field"])
    if found.groupdict().get("segment") == "MSH" and number <= 2:
        # The separators themselves are not split by themselves.
        return lambda _message, fields: fields[number]
    part = _part(int(found["component"] or 1), int(found["sub"] or 1))
    if not found["rep"]:
        return lambda message, fields: part(message, fields[number]) if number < len(fields) else None
    fits = _repetition_test(found)

    def matching(message: Message, fields: Fields) -> str | None:
        if number < len(fields):
            for text in fields[number].split(message.repetition):
                if fits(message, text):
                    return part(message, text)
        return None

    return matching


def _repetition_test(found: re.Match[str]) -> Callable[[Message, str], bool]:
    wanted = found["rep"]
    if wanted is None:
        return lambda _message, _text: True
    part = _part(int(found["rep_part"]), 1)
    return lambda message, text: part(message, text) == wanted


def _part(component: int, sub: int) -> Part:
    """A sub-component of the first repetition in a field's text."""
    index, sub_index = component - 1, sub - 1

    def part(message: Message, text: str) -> str | None:
        if not text:
            return None
        if message.repetition in text:
            text = text.split(message.repetition, 1)[0]
        if message.component in text:
            parts = text.split(message.component, component)
            if index >= len(parts):
                return None
            text = parts[index]
        elif index:
            return None
        if message.subcomponent in text:
            parts = text.split(message.subcomponent, sub)
            if sub_index >= len(parts):
                return None
            text = parts[sub_index]
        elif sub_index:
            return None
        if message.escape in text:
            text = message.unescape(text)
        text = text.strip()
        return text if text and text != '""' else None

    return part
