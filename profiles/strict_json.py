"""JSON as it must be before a resource in it can be judged: one meaning only, and every digit kept.

RFC 8259 leaves open what a repeated key, a lone surrogate or a number beyond every machine's range means;
two readers may then see two different resources. Such a text is refused, with the line and never the value.
Decimals become `decimal.Decimal`, as R4 (json.html) asks: "2.00" is not "2.0".
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_NUMBER_LENGTH = 100
MAX_EXPONENT = 308  # of an IEEE 754 double, which is what most receivers read a number into

_BOM = "\ufeff"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_TOKEN = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")\s*(:)?|[{}\[\]]|-?(?:\d[\d.eE+-]*|Infinity|NaN)', re.DOTALL)


class JsonError(ValueError):
    """A text that is not JSON with one meaning. The message names the rule, `line` the place (from 1)."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


class _Repeated(Exception):  # noqa: N818 - it becomes a JsonError as soon as its line is known
    """A key stands twice in one object."""


class _BadNumber(Exception):  # noqa: N818 - as above
    """A number, or a word in the place of one, that is refused."""

    def __init__(self, word: str, rule: str) -> None:
        super().__init__(rule)
        self.word = word
        self.rule = rule


def read(body: bytes) -> Any:
    """The value that `body`, JSON in UTF-8, stands for; a byte order mark is passed over.

    Raises JsonError.
    """
    try:
        text = body.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as fault:
        line = body[: fault.start].count(b"\n") + 1
        raise JsonError("is not in UTF-8", line) from None
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as fault:
        raise _syntax(fault, text) from None
    except _Repeated:
        raise _repeated(text) from None
    except _BadNumber as fault:
        raise JsonError(fault.rule, _line_of(text, fault.word)) from None
    except RecursionError:
        raise JsonError("is nested too deeply") from None
    if "\\ud" in text or "\\uD" in text:
        _no_lone_surrogate(text)
    return value


def _syntax(fault: json.JSONDecodeError, text: str) -> JsonError:
    """What the decoder says; its messages name what it expected and never what stood there."""
    end = len(text.rstrip())
    if fault.pos >= end:
        return JsonError("is not JSON: it is cut off", _line_at(text, end))
    said = (fault.msg[0].lower() + fault.msg[1:]).removesuffix(" at")
    return JsonError(f"is not JSON: {said}", fault.lineno)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Repeated
    return found


def _decimal(word: str) -> Decimal:
    if len(word) > MAX_NUMBER_LENGTH:
        raise _BadNumber(word, f"has a number of more than {MAX_NUMBER_LENGTH} characters")
    try:
        number = Decimal(word)
    except InvalidOperation:
        number = None
    if number is None or abs(number.adjusted()) > MAX_EXPONENT:
        raise _BadNumber(word, "has a number that is too large or too small")
    return number


def _integer(word: str) -> int:
    if len(word) > MAX_NUMBER_LENGTH:
        raise _BadNumber(word, f"has a number of more than {MAX_NUMBER_LENGTH} characters")
    return int(word)


def _constant(word: str) -> Any:
    raise _BadNumber(word, f"has {word}, which JSON does not know")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_decimal, parse_int=_integer, parse_constant=_constant
)


def _repeated(text: str) -> JsonError:
    """The first key that stands twice in its object, in a text that is JSON and has one."""
    open_objects: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        if token[0] in ("{", "["):
            open_objects.append(set())
        elif token[0] in ("}", "]"):
            open_objects.pop()
        elif token[2]:
            key = json.loads(token[1])
            if key in open_objects[-1]:
                name = f" {key!r}" if _NAME.fullmatch(key) else ""
                return JsonError(
                    f"has the key{name} twice in one object", text.count("\n", 0, token.start()) + 1
                )
            open_objects[-1].add(key)
    raise AssertionError("no key stands twice")


def _line_of(text: str, word: str) -> int:
    starts = (token.start() for token in _TOKEN.finditer(text) if token[0].startswith(word))
    return _line_at(text, next(starts, 0))


def _line_at(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _no_lone_surrogate(text: str) -> None:
    """Only an escape can make one: a decoded UTF-8 text holds none. Raises JsonError."""
    for token in _TOKEN.finditer(text):
        if token[1] and "\\u" in token[1]:
            try:
                json.loads(token[1]).encode()
            except UnicodeEncodeError:
                line = _line_at(text, token.start())
                raise JsonError("has half of a surrogate pair in a text", line) from None
