"""What an expression of a mapping reads, and how its conditions come to hold."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.check.made_up import stepped
from mappings.check.samples import AGE_DAY, Chain, Functions
from mappings.check.wants import ABSENT, ALWAYS, Key, Want, Wants, Ways, all_of, any_of
from mappings.conditions import as_list
from mappings.functions import FUNCTIONS
from mappings.parts import resolved
from mappings.paths import word
from mappings.record import Rejected
from profiles.document import Document

_NAMES = frozenset({*FUNCTIONS, "age"})
_ITSELF: Key = (".",)  # `each: .`: the record as a group of one
Every = list[tuple[Key, Ways]]
"""What every item of a group must be."""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A field that an expression reads, or several that it joins.

    chain: the functions from the fields' value to the expression's; ways: how its conditions come to hold.
    joined: tells the values of the fields in what they are joined to; None for one field.
    """

    keys: tuple[Key, ...]
    chain: Chain
    ways: Ways
    joined: re.Pattern[str] | None = None

    def fields(self, value: Any) -> dict[Key, Any]:
        """What the fields hold for the expression to read `value`; empty where it cannot."""
        if self.joined is None:
            return {self.keys[0]: value}
        found = self.joined.fullmatch(str(value))
        return dict(zip(self.keys, found.groups(), strict=True)) if found else {}

    @property
    def translated(self) -> bool:
        """Whether a code table decides what becomes of it."""
        return any(name in FUNCTIONS and FUNCTIONS[name].of_table for name, _ in self.chain)


class Sources:
    """The sources of one record kind. `words`: what its conditions ask for, by field.

    groups: the paths of the repeating groups of the mapping.
    """

    def __init__(self, document: Document, functions: Functions, groups: Collection[str]) -> None:
        self._document = document
        self._groups = groups
        self._keys: dict[tuple[Key, str], Key] = {}
        self._functions = functions
        self.words: dict[Key, dict[str, None]] = {}

    def of(self, data: Any, groups: Key, ways: Ways, chain: Chain = ()) -> Iterator[Source]:
        """What an expression reads, each with the functions from it to the expression's value."""
        _, data = resolved(self._document, (), data)
        if isinstance(data, str):
            yield Source((self.key(groups, data),), chain, ways)
            return
        if set(data) == {"each", "make"}:
            yield from self.of(data["make"], self.key(groups, data["each"]), ways, chain)
            return
        ways = self.under(data, groups, ways)
        name = next((key for key in data if key in _NAMES), None)
        if name == "age":
            day = (AGE_DAY, data["age"]["formats"])
            yield from self.of(data["age"]["on"], groups, ways, (day, *chain))
        inner = ((name, data[name]), *chain) if name else chain
        if "from" in data:
            yield from self.of(data["from"], groups, ways, inner)
        elif isinstance(data.get("join"), list):
            yield from self._joined(data, groups, ways, inner)
        for item in data.get("first", ()):
            yield from self.of(item, groups, ways, inner)
            ways = all_of([ways, self._empty(item, groups)])

    def _joined(self, data: Mapping[str, Any], groups: Key, ways: Ways, chain: Chain) -> Iterator[Source]:
        """The members of a join: together where they are fields and constants, else each for itself."""
        items = [resolved(self._document, (), item)[1] for item in data["join"]]
        keys = tuple(self.key(groups, item) for item in items if isinstance(item, str))
        simple = all(isinstance(item, str) or set(item) == {"constant"} for item in items)
        if simple and len(set(keys)) == len(keys) > 0:
            parts = ["(.+)" if isinstance(item, str) else re.escape(str(item["constant"])) for item in items]
            pattern = re.compile(re.escape(data["with"]).join(parts), re.DOTALL)
            yield Source(keys, chain, ways, pattern)
            return
        for item in items:
            yield from self.of(item, groups, ways, chain)

    def key(self, around: Key, path: str) -> Key:
        """The field or group at `path` inside the groups `around`."""
        if (around, path) not in self._keys:
            self._keys[around, path] = self._key(around, path)
        return self._keys[around, path]

    def _key(self, around: Key, path: str) -> Key:
        if path == "." and not around:
            return _ITSELF
        if not path.startswith("."):
            return stepped(path, self._groups)
        return (
            stepped(path[1:], self._groups) if around == _ITSELF else (*around, *stepped(path, self._groups))
        )

    def under(self, data: Any, groups: Key, ways: Ways) -> Ways:
        if isinstance(data, dict) and "when" in data:
            return all_of([ways, *self.parts(data["when"], groups)])
        return ways

    def _empty(self, item: Any, groups: Key) -> Ways:
        """How an expression comes to give nothing; there is no way where it ends in a constant."""
        _, item = resolved(self._document, (), item)
        unfit = all_of(self.parts(item["when"], groups, holds=False)) if "when" in item else ()
        sources = list(self.of(item, groups, ALWAYS))
        return any_of([unfit, self._nothing(sources) if sources else ()])

    def _nothing(self, sources: list[Source]) -> Ways:
        """How none of them comes to give anything: empty, or with words that a code table passes over."""
        return all_of(any_of([(dict.fromkeys(one.keys, ABSENT),), self._passed_over(one)]) for one in sources)

    def _passed_over(self, source: Source) -> Ways:
        key = source.keys[0]
        known = [str(fields[key]) for value in self._known(source) if (fields := source.fields(value))]
        return ({key: Want(but=frozenset(known))},) if known else ()

    def _known(self, source: Source) -> list[str]:
        """What code tables make something of; nothing where it is not a code table that decides."""
        samples = self._functions.samples(source.chain, None) if source.translated else []
        return [str(sample.value) for sample in samples]

    # ---------------------------------------------------------------- conditions

    def parts(
        self,
        data: Mapping[str, Any],
        groups: Key,
        holds: bool = True,
        every: Every | None = None,
    ) -> list[Ways]:
        """How each part of a condition comes to hold, or not to: all must, so that none rules out all others.

        every: takes what items of a group must be, where given, instead of the ways.
        """
        _, data = resolved(self._document, (), data)
        if "not" in data:
            return self.parts(data["not"], groups, not holds, every)
        key = "all" if holds else "any"
        if key in data:
            return [part for item in as_list(data[key]) for part in self.parts(item, groups, holds, every)]
        if "every" in data:
            within = self.key(groups, data["each"])
            if within == _ITSELF:
                return self.parts(data["every"], within, holds, every)
            if holds and every is not None:
                every.append((within, all_of(self.parts(data["every"], within, holds, every))))
                return []
        return [self._ways(data, groups, holds)]

    def _ways(self, data: Mapping[str, Any], groups: Key, holds: bool) -> Ways:
        """How a condition that is no conjunction comes to hold, or not to."""
        if "all" in data or "any" in data:
            items = as_list(data.get("all", data.get("any")))
            return any_of(all_of(self.parts(item, groups, holds)) for item in items)
        if "every" in data:
            inner = all_of(self.parts(data["every"], self.key(groups, data["each"]), holds))
            return any_of([ALWAYS, inner]) if holds else inner
        sources = list(self.of(data["from"], groups, ALWAYS))
        if "present" in data:
            some = (self._given(source, self._known(source)) for source in sources)
            return any_of(some) if data["present"] == holds else self._nothing(sources)
        words = {word(value) for value in as_list(data.get("is", data.get("only")))}
        giving = [(source, self._giving(source, words)) for source in sources]
        if holds:
            return any_of(self._given(source, values) for source, values in giving if values)
        others = (self._given(source, [], values) for source, values in giving)
        return any_of([self._nothing(sources), *others])

    def _given(self, source: Source, values: Iterable[str], but: Iterable[str] = ()) -> Ways:
        """How a source comes to give something: of one field any of `values`, or whatever is not in `but`."""
        if source.joined is None:
            want = Want(among=tuple(values) or None, but=frozenset(but))
            return all_of([source.ways, ({source.keys[0]: want},)])
        told = [fields for value in values if (fields := source.fields(value))]
        each: list[Wants] = [{key: Want(among=(part,)) for key, part in fields.items()} for fields in told]
        return all_of([source.ways, tuple(each) or (dict.fromkeys(source.keys, Want()),)])

    def _giving(self, source: Source, words: set[str]) -> list[str]:
        """The values of which `source` makes one of `words`."""
        samples = self._functions.samples(source.chain, None)
        known = dict.fromkeys([*sorted(words), *(str(sample.value) for sample in samples)])
        found = [value for value in known if words & self._made(source, value)]
        if source.joined is None:
            self.words.setdefault(source.keys[0], {}).update(dict.fromkeys(found))
        return found

    def _made(self, source: Source, value: str) -> set[str]:
        try:
            made = self._functions.apply(source.chain, value)
        except Rejected:
            return set()
        return {word(item) for item in as_list(made)}
