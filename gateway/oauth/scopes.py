"""SMART scopes of the `system` context: parsed strictly, compared, narrowed.

SMART App Launch 2.2, "Scopes for requesting FHIR Resources". Version 2 names the interactions by an
in-order subset of `cruds`; version 1 (`read`, `write`, `*`) is understood through the guide's mapping,
and who asks in version 1 is answered in version 1. Left out, and therefore refused: the `patient` and
`user` contexts, which need a person who is signed in, and search parameters inside a scope.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

LETTERS: Final = "cruds"
ANY_TYPE: Final = "*"
_V1: Final = {"read": frozenset("rs"), "write": frozenset("cud"), "*": frozenset("cruds")}
_SYNTAX: Final = re.compile(
    r"system/(?P<type>\*|[A-Z][A-Za-z]{1,63})\.(?:(?P<v1>read|write|\*)|(?P<v2>(?=[cruds])c?r?u?d?s?))"
)
_MAX_SCOPES: Final = 64


class ScopeError(ValueError):
    """A scope that is not one of ours; the message names the rule."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope: which letters of `cruds` on which resource type, and in which version it was written."""

    type: str
    letters: frozenset[str]
    version: int


@lru_cache(maxsize=1024)
def parse(text: str) -> Scope:
    """The scope that `text` writes. Raises `ScopeError`, also for letters that are out of order."""
    found = _SYNTAX.fullmatch(text)
    if found is None:
        raise ScopeError("a scope must be system/<Type or *>.<letters of cruds in this order>")
    if found["v1"]:
        return Scope(found["type"], _V1[found["v1"]], 1)
    return Scope(found["type"], frozenset(found["v2"]), 2)


def split(text: str) -> tuple[str, ...]:
    """The scopes of a `scope` parameter (RFC 6749 section 3.3), each one checked, each one once."""
    names = tuple(dict.fromkeys(text.split(" ")))
    if len(names) > _MAX_SCOPES:
        raise ScopeError(f"at most {_MAX_SCOPES} scopes can be asked for at once")
    for name in names:
        parse(name)
    return names


def grants(scopes: Iterable[str], type: str, letter: str) -> bool:  # noqa: A002 - FHIR's word
    """Whether `scopes` allow the interaction `letter` (one of `cruds`) on the resource `type`."""
    return letter in _letters(scopes, type)


def covers(granted: Iterable[str], asked: Iterable[str]) -> bool:
    """Whether everything that `asked` names is allowed by `granted`, which may be in the other version."""
    held = tuple(granted)
    return all(scope.letters <= _letters(held, scope.type) for scope in map(parse, asked))


def narrow(requested: str, allowed: Iterable[str]) -> tuple[str, ...]:
    """What of the `scope` parameter `requested` may be granted to whom `allowed` was registered.

    Never more than was asked, never more than is allowed, and in the version that was asked in. A `*`
    for the type is answered with the types that are allowed. Empty when nothing remains. Raises
    `ScopeError` when `requested` is not well-formed.
    """
    return _narrow(split(requested), tuple(allowed))


def _narrow(requested: Iterable[str], held: tuple[str, ...]) -> tuple[str, ...]:
    granted: dict[str, None] = {}
    for asked in map(parse, requested):
        for kind in _types(asked.type, held):
            both = asked.letters & _letters(held, kind)
            granted.update(dict.fromkeys(_write(kind, both, asked.version)))
    return tuple(granted)


@lru_cache(maxsize=4096)
def still(granted: frozenset[str], allowed: frozenset[str]) -> frozenset[str]:
    """What a token with the scopes `granted` is good for, now that `allowed` is registered.

    The same set while all of it is allowed.
    """
    return granted if covers(allowed, granted) else frozenset(_narrow(granted, tuple(allowed)))


def _letters(scopes: Iterable[str], kind: str) -> frozenset[str]:
    """All letters that `scopes` give on `kind`, those given on every type included."""
    found = (scope.letters for scope in map(parse, scopes) if scope.type in (kind, ANY_TYPE))
    return frozenset().union(*found)


def _types(asked: str, held: tuple[str, ...]) -> Iterator[str]:
    if asked != ANY_TYPE:
        yield asked
        return
    yield from dict.fromkeys(parse(name).type for name in held)


def _write(kind: str, letters: frozenset[str], version: int) -> Iterator[str]:
    """The scopes that say `letters` on `kind`; version 1 cannot say every set, so it says less."""
    if version == 2:
        if letters:
            yield f"system/{kind}." + "".join(letter for letter in LETTERS if letter in letters)
    elif letters == _V1["*"]:
        yield f"system/{kind}.*"
    else:
        yield from (f"system/{kind}.{word}" for word in ("read", "write") if _V1[word] <= letters)
