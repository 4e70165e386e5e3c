"""Sets of codings of which not all can be told: listed codes, and what is made of them.

Every question is answered yes, no, or None: it cannot be told from what is held here. Listed sets are joined,
cut and intersected once, when a value set is compiled; only what stays open is asked each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from profiles.code_systems import TerminologyError

Codes = Mapping[str, frozenset[str]]  # {system: codes}
NONE: frozenset[str] = frozenset()
# A question may ask this many sets that stay open, and a list may be cut by asking this many times.
WIDEST = 10_000
MOST_QUESTIONS = 20_000_000


class Members(Protocol):
    """A set of codings. `open` says what is not held, or why it has no list; empty for a listed set."""

    @property
    def open(self) -> str: ...

    @property
    def lacks(self) -> str:
        """What is not held that would be needed to tell of every code; empty when all can be told."""
        ...

    @property
    def cost(self) -> int:
        """How many sets one question asks at most."""
        ...

    def has(self, system: str, code: str) -> bool | None: ...

    def has_code(self, code: str) -> bool | None:
        """Whether a code is a member in whatever system."""
        ...


@dataclass(frozen=True, slots=True)
class Listed:
    """Exactly these."""

    codes: Codes
    open: str = ""
    lacks: str = ""
    cost: int = 1

    def has(self, system: str, code: str) -> bool | None:
        return code in self.codes.get(system, NONE)

    def has_code(self, code: str) -> bool | None:
        return any(code in codes for codes in self.codes.values())

    def pairs(self) -> Iterator[tuple[str, str]]:
        for system, codes in self.codes.items():
            for code in codes:
                yield system, code


@dataclass(frozen=True, slots=True)
class Partly:
    """These, and it cannot be told which more of `systems` (None: of any system)."""

    open: str
    codes: Codes
    systems: frozenset[str] | None
    cost: int = 1

    @property
    def lacks(self) -> str:
        return self.open

    def has(self, system: str, code: str) -> bool | None:
        if code in self.codes.get(system, NONE):
            return True
        return None if self.systems is None or system in self.systems else False

    def has_code(self, code: str) -> bool | None:
        return any(code in codes for codes in self.codes.values()) or None


@dataclass(frozen=True, slots=True)
class Grammar:
    """All codes of a system that are well-formed; `lacks` says of which the test cannot tell."""

    system: str
    test: Callable[[str], bool | None]
    lacks: str = ""
    cost: int = 1

    @property
    def open(self) -> str:
        return f"{self.system} has no list of codes"

    def has(self, system: str, code: str) -> bool | None:
        return self.test(code) if system == self.system else False

    def has_code(self, code: str) -> bool | None:
        return self.test(code)


@dataclass(frozen=True, slots=True)
class _Several:
    """Several together: `verdict` says whether any of them or all must have a code."""

    parts: tuple[Members, ...]
    cost: int
    verdict: Callable[[Iterable[bool | None]], bool | None]

    @property
    def open(self) -> str:
        return next(part.open for part in self.parts if part.open)

    @property
    def lacks(self) -> str:
        return next((part.lacks for part in self.parts if part.lacks), "")

    def has(self, system: str, code: str) -> bool | None:
        return self.verdict(part.has(system, code) for part in self.parts)

    def has_code(self, code: str) -> bool | None:
        return self.verdict(part.has_code(code) for part in self.parts)


@dataclass(frozen=True, slots=True)
class _Not:
    """What is in `members` is taken out; only used beside what is let in."""

    members: Members

    @property
    def open(self) -> str:
        return self.members.open

    @property
    def lacks(self) -> str:
        return self.members.lacks

    @property
    def cost(self) -> int:
        return self.members.cost

    def has(self, system: str, code: str) -> bool | None:
        told = self.members.has(system, code)
        return None if told is None else not told

    def has_code(self, code: str) -> bool | None:
        told = self.members.has_code(code)
        return None if told else True if told is False else None


@dataclass(frozen=True, slots=True)
class Else:
    """What `first` says, and where it cannot tell, what `second` says."""

    first: Members
    second: Members

    @property
    def open(self) -> str:
        return self.second.open

    @property
    def lacks(self) -> str:
        return self.first.lacks and self.second.lacks

    @property
    def cost(self) -> int:
        return self.first.cost + self.second.cost

    def has(self, system: str, code: str) -> bool | None:
        told = self.first.has(system, code)
        return self.second.has(system, code) if told is None else told

    def has_code(self, code: str) -> bool | None:
        told = self.first.has_code(code)
        return self.second.has_code(code) if told is None else told


def any_of(parts: Iterable[Members]) -> Members:
    """The union: one list of all that is listed, and what stays open. Raises TerminologyError if too wide."""
    listed: dict[str, set[str]] = {}
    partly: list[Partly] = []
    rest: list[Members] = []
    for part in parts:
        if isinstance(part, Listed):
            _add(listed, part.codes)
        elif isinstance(part, Partly):
            partly.append(part)
        else:
            rest.append(part)
    if partly:
        for part in partly:
            _add(listed, part.codes)
        known = [part.systems for part in partly if part.systems is not None]
        systems = frozenset().union(*known) if len(known) == len(partly) else None
        rest.append(Partly(partly[0].open, _frozen(listed), systems))
    elif listed or not rest:
        rest.append(Listed(_frozen(listed)))
    return rest[0] if len(rest) == 1 else _Several(tuple(rest), _width(rest), _any)


def all_of(parts: Iterable[Members]) -> Members:
    """The intersection: a list when one part is listed and the others can tell of each of its codes.

    Raises TerminologyError when that takes too many questions.
    """
    first, *others = sorted(parts, key=lambda part: not isinstance(part, Listed))
    if not others:
        return first
    together = [first, *others]
    return _chosen(first, others) or _Several(tuple(together), _width(together), _all)


def without(members: Members, excluded: Members) -> Members:
    """What is in `members` and not in `excluded`. Raises TerminologyError as `all_of` does."""
    return all_of([members, _Not(excluded)])


def _width(parts: Iterable[Members]) -> int:
    cost = sum(part.cost for part in parts)
    if cost > WIDEST:
        raise TerminologyError(f"a value set is made of more than {WIDEST:,} parts that are not held")
    return cost


def _add(listed: dict[str, set[str]], codes: Codes) -> None:
    for system, more in codes.items():
        listed.setdefault(system, set()).update(more)


def _frozen(listed: Mapping[str, set[str]]) -> Codes:
    return {system: frozenset(codes) for system, codes in listed.items()}


def _chosen(members: Members, conditions: list[Members]) -> Members | None:
    if not isinstance(members, Listed):
        return None
    size = sum(map(len, members.codes.values()))
    if size * _width(conditions) > MOST_QUESTIONS:
        raise TerminologyError(f"a value set takes more than {MOST_QUESTIONS:,} questions to compile")
    kept: dict[str, set[str]] = {}
    for system, code in members.pairs():
        told = _all(condition.has(system, code) for condition in conditions)
        if told is None:
            return None
        if told:
            kept.setdefault(system, set()).add(code)
    return Listed(_frozen(kept))


def _any(answers: Iterable[bool | None]) -> bool | None:
    return _until(True, answers)


def _all(answers: Iterable[bool | None]) -> bool | None:
    return _until(False, answers)


def _until(decided: bool, answers: Iterable[bool | None]) -> bool | None:
    """The first that decides, None when none does and one cannot tell, else the contrary."""
    verdict: bool | None = not decided
    for answer in answers:
        if answer is decided:
            return decided
        if answer is None:
            verdict = None
    return verdict
