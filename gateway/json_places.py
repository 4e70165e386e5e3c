"""On which line of a JSON text a part of it stands, for messages to whoever wrote the text."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r'"(?P<text>[^"\\]*(?:\\.[^"\\]*)*)"(?P<key>\s*:)?|(?P<mark>[{}\[\],])', re.DOTALL)
_STEP: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_SOMETHING: Final = re.compile(r"\S")

_Path = tuple[str | int, ...]


def line_of(text: str, part: str) -> int | None:
    """The line, from 1, of `consents[2].provision` in a JSON text, or of the nearest part around it.

    None where nothing of it is there. Of a key that stands twice, the first counts.
    """
    wanted = tuple(int(number) if number else name for name, number in _STEP.findall(part))
    places = _places(text, wanted)
    for length in range(len(wanted), 0, -1):
        if wanted[:length] in places:
            return text.count("\n", 0, places[wanted[:length]]) + 1
    return None


def _places(text: str, wanted: _Path) -> dict[_Path, int]:
    """Where the parts on the way to `wanted` begin, as positions in the text."""
    found: dict[_Path, int] = {}
    path: list[str | int] = []  # the step taken in each bracket that is open
    for token in _TOKEN.finditer(text):
        mark = token["mark"]
        if mark in ("{", "["):
            path.append(0 if mark == "[" else "")
            if mark == "[" and _on_the_way(path, wanted):
                found.setdefault(tuple(path), _next(text, token.end()))
        elif mark in ("}", "]"):
            path.pop()
        elif mark == "," and path:
            last = path[-1]
            if isinstance(last, int):
                path[-1] = last + 1
                if _on_the_way(path, wanted):
                    found.setdefault(tuple(path), _next(text, token.end()))
        elif token["key"] and path:
            path[-1] = token["text"]
            if _on_the_way(path, wanted):
                found.setdefault(tuple(path), token.start())
    return found


def _on_the_way(path: list[str | int], wanted: _Path) -> bool:
    return len(path) <= len(wanted) and tuple(path) == wanted[: len(path)]


def _next(text: str, position: int) -> int:
    """Where the next thing begins."""
    found = _SOMETHING.search(text, position)
    return found.start() if found else position
