"""Every place where a mapping takes a value from a record for an element, and how it comes to do so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mappings.check.samples import Chain, Functions
from mappings.check.sources import Every, Source, Sources
from mappings.check.wants import Key, Wants, Ways, all_of
from mappings.line import Line
from mappings.parts import resolved
from mappings.sections import Section
from profiles.document import DataPath, Document


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """Fields read for one entry of the mapping; no source for a constant under a condition."""

    line: Line
    source: Source | None
    ways: Ways

    @property
    def keys(self) -> tuple[Key, ...]:
        """The fields."""
        return self.source.keys if self.source else ()

    @property
    def chain(self) -> Chain:
        """The functions from them to the element."""
        return self.source.chain if self.source else ()


class Uses:
    """The uses of one record kind, of which the `earlier` sections tell which records are of other kinds.

    fits: how a record comes to be of this kind. words: what conditions ask for, by field.
    """

    def __init__(
        self,
        document: Document,
        section: Section,
        earlier: Iterable[Section],
        lines: Iterable[Line],
        functions: Functions,
        groups: Collection[str],
    ) -> None:
        self._document = document
        self._section = section
        self._lines = {(line.where, line.element): line for line in lines}
        self._sources = Sources(document, functions, groups)
        self._every: Every = []
        self._only: Line | None = None
        self.words = self._sources.words
        self.fits = all_of(self._of_kind(section.data, holds=True))
        for other in earlier:
            self.fits = all_of([self.fits, *self._of_kind(other.data, holds=False)])

    def within(self, wants: Wants, only: Line | None = None) -> list[Use]:
        """The uses, or those of one entry, with the ways to come to them in a record as it is wanted."""
        data, places = self._section.data, self._section.places
        found: list[Use] = []
        self._only = only
        for name in ("key", "of", "subject", "recipient", "excluded", "local"):
            if name in data:
                self._envelope(places[name], data[name], name, (wants,), found)
        for name, content in data["resources"].items():
            self._template((*places["resources"], name), content, name, (), (wants,), found)
        return found

    def _of_kind(self, data: Mapping[str, Any], holds: bool) -> list[Ways]:
        """How a record comes to be of a kind, or not to.

        What every item of a group must be is kept for those who read in the group: there need be none.
        """
        return self._sources.parts(data["when"], (), holds, self._every) if "when" in data else []

    def _envelope(self, where: DataPath, data: Any, element: str, ways: Ways, found: list[Use]) -> None:
        where, data = resolved(self._document, where, data)
        line = self._lines.get((where, element))
        if line is not None:
            self._entry(line, data, (), ways, found)
            return
        for name, item in enumerate(data) if isinstance(data, list) else data.items():
            self._envelope((*where, name), item, f"{element}.{name}", ways, found)

    def _template(
        self, where: DataPath, data: Any, element: str, groups: Key, ways: Ways, found: list[Use]
    ) -> None:
        if self._only is not None and not self._only.element.startswith(element):
            return
        where, data = resolved(self._document, where, data)
        line = self._lines.get((where, element))
        if line is not None:
            self._entry(line, data, groups, ways, found)
        elif isinstance(data, list):
            for index, item in enumerate(data):
                self._template((*where, index), item, f"{element}[{index}]", groups, ways, found)
        elif set(data) == {"each", "make"}:
            within = self._sources.key(groups, data["each"])
            self._template((*where, "make"), data["make"], element, within, ways, found)
        else:
            conditional = isinstance(data.get("when"), dict)
            if conditional:
                ways = self._sources.under(data, groups, ways)
            for name, value in data.items():
                if name != "when" or not conditional:
                    self._template((*where, name), value, f"{element}.{name}", groups, ways, found)

    def _entry(self, line: Line, data: Any, groups: Key, ways: Ways, found: list[Use]) -> None:
        if self._only is not None and line is not self._only:
            return
        plain = line.function == "constant" and not isinstance(data, dict)
        sources = [] if plain else list(self._sources.of(data, groups, ways))
        found += (Use(line, source, self._where_every(source)) for source in sources)
        if not sources and line.conditional:
            found.append(Use(line, None, self._sources.under(data, groups, ways)))

    def _where_every(self, source: Source) -> Ways:
        """The ways of `source`, with what every item of the groups that it reads in must be for the kind."""
        of_items = [
            ways for group, ways in self._every if any(key[: len(group)] == group for key in source.keys)
        ]
        return all_of([source.ways, *of_items])
