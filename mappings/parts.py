"""Named parts of a mapping: a template, expression or condition, written once and used by its name.

parts:
  sender: {first: [MSH-4.1, MSH-3.1]}
…
key: [{part: sender}, ORC-2.1]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from profiles.document import DataPath, Document
from profiles.outcome import Issue


def part_named(data: Any) -> str | None:
    """The name of the part that `data` stands for; None where it stands for itself."""
    if isinstance(data, dict) and set(data) == {"part"} and isinstance(data["part"], str):
        return data["part"]
    return None


def resolved(document: Document, where: DataPath, data: Any) -> tuple[DataPath, Any]:
    """What `data` stands for, and where that is written. The parts must be sound: see `check_parts`."""
    while (name := part_named(data)) is not None:
        where, data = ("parts", name), document.data["parts"][name]
    return where, data


def check_parts(document: Document) -> list[Issue]:
    """Parts that nobody uses, that use themselves, and names that no part has. With none, all are sound."""
    parts: Mapping[str, Any] = document.data.get("parts", {})
    used = list(_names(document.data, ()))
    issues = [
        document.issue(where, f"no part has this name{_known(parts)}")
        for where, name in used
        if name not in parts
    ]
    for name in parts:
        within = {inner for inner in parts if _reaches(parts, inner, name)}
        outside = {user for where, user in used if where[0] != "parts"}
        if name in within:
            issues.append(document.issue(("parts", name), "the part uses itself"))
        elif name not in outside and not within & outside:
            issues.append(document.issue(("parts", name), "nothing uses this part"))
    return issues


def _reaches(parts: Mapping[str, Any], start: str, wanted: str) -> bool:
    """Whether the part `start` uses the part `wanted`, itself or through others."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for _, name in _names(parts.get(waiting.pop()), ()):
            if name == wanted:
                return True
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return False


def _names(data: Any, where: DataPath) -> Iterator[tuple[DataPath, str]]:
    if (name := part_named(data)) is not None:
        yield where, name
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _names(value, (*where, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _names(value, (*where, index))


def _known(parts: Mapping[str, Any]) -> str:
    return f" (there are {', '.join(parts)})" if parts else ""
