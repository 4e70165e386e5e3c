"""What agencies call their columns, read from `words.yaml`, and names taken apart into words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from profiles.document import load

_HERE: Final = Path(__file__).parent
_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Role:
    """What a column may be. `looks` names the test of `mappings.infer.content` that its values must pass."""

    name: str
    says: str
    looks: str
    words: frozenset[Words]


@dataclass(frozen=True, slots=True)
class Left:
    """Columns that are left out for a reason that holds everywhere."""

    because: str
    words: frozenset[Words]
    sensitive: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All of `words.yaml`; its comments say what each part is."""

    owners: frozenset[Words]
    around: frozenset[Words]
    roles: tuple[Role, ...]
    left: tuple[Left, ...]
    sensitive: Mapping[str, frozenset[Words]]
    lists: tuple[str, ...]
    records: tuple[Words, ...]


def words_of(name: str) -> Words:
    """`PersonalID`, `personal_id` and `Personal ID` as ("personal", "id")."""
    plain = re.sub(r"__[cr]$", "", name)  # the mark of a custom field in Salesforce
    return tuple(word.lower() for word in _WORD.findall(_BORDER.sub(" ", plain)))


def holds(words: Words, part: Words) -> bool:
    """Whether `part` stands somewhere in `words`."""
    return any(words[start : start + len(part)] == part for start in range(len(words) - len(part) + 1))


@cache
def vocabulary() -> Vocabulary:
    """The words, read once."""
    data = load(_HERE / "words.yaml", {"type": "object"}).data
    return Vocabulary(
        owners=_set(data["owners"]),
        around=_set(data["around"]),
        roles=tuple(
            Role(name, told["says"], told["looks"], _set(told["words"]))
            for name, told in data["roles"].items()
        ),
        left=tuple(
            Left(told["because"], _set(told["words"]), told.get("sensitive", "")) for told in data["left"]
        ),
        sensitive={code: _set(words) for code, words in data["sensitive"].items()},
        lists=tuple(data["lists"]),
        records=tuple(tuple(text.split()) for text in data["records"]),
    )


@cache
def guesses() -> Mapping[str, Any]:
    """What words in a local code may mean, by code table: see `guesses.yaml`."""
    found: Mapping[str, Any] = load(_HERE / "guesses.yaml", {"type": "object"}).data
    return found


def _set(texts: list[str]) -> frozenset[Words]:
    return frozenset(tuple(text.split()) for text in texts)
