"""Made-up records of one kind, from what is wanted of their fields to what comes of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mappings.check.bench import Bench, Outcome
from mappings.check.fields import Fields
from mappings.check.uses import Use
from mappings.check.wants import Key, Want, Wants, merged
from mappings.kind import RecordKind
from mappings.record import RecordError
from profiles.outcome import Issue

MOST_TRIES: Final = 24  # of the ways to come to one use
_MOST_CURES: Final = 60


class Attempts:
    """Runs records of `kind`. `uses` in all of their ways, `fields` what they hold.

    refused: what code tables said of the records that were tried last, until it is cleared.
    """

    def __init__(self, bench: Bench, kind: RecordKind, uses: Sequence[Use], fields: Fields) -> None:
        self._bench = bench
        self._kind = kind
        self._uses = uses
        self._fields = fields
        self._cured_by: dict[str, list[Wants]] = {}
        self.refused: set[Issue] = set()

    def run(self, fields: Mapping[Key, Any], twice: Key = ()) -> Outcome | list[Issue] | None:
        """What comes of a record with these fields: a list says why it is refused, None that it is of another
        kind. The item of the group `twice` is there twice."""
        try:
            return self._bench.run(self._kind, fields, twice)
        except RecordError as fault:
            return list(fault.issues)

    def cured(self, wants: Wants, set_: Mapping[Key, Any]) -> tuple[Wants, Outcome] | None:
        """The record with what it is refused for lacking; None where there is no such record."""
        tried: dict[str, int] = defaultdict(int)
        for _ in range(_MOST_CURES):
            found = self.run({**self._fields.of(wants), **set_})
            if found is None:
                return None
            if isinstance(found, Outcome):
                return wants, found
            missing = [issue for issue in found if issue.code == "required"]
            if len(missing) < len(found):
                self.refused |= {issue for issue in found if issue.code == "code-invalid"}
                return None
            for issue in missing:
                cures = self._cures(issue.field)[tried[issue.field] :]
                step = next(
                    ((at, both) for at, cure in enumerate(cures) if (both := merged(wants, cure))), None
                )
                if step is None:
                    return None
                tried[issue.field] += step[0] + 1
                wants = step[1]
        return None

    def _cures(self, shown: str) -> list[Wants]:
        """What would fill one of the fields that a message shows, least first."""
        if shown not in self._cured_by:
            ways = [
                both
                for use in self._uses
                if any(shows(shown, key) for key in use.keys)
                for way in use.ways
                if (both := merged(way, filled(use))) is not None
            ]
            self._cured_by[shown] = sorted(ways, key=len)
        return self._cured_by[shown]

    def beside(self, wants: Wants, uses: Sequence[Use]) -> Wants:
        """`wants` and as many of `uses` as can be there beside them."""
        grown = wants
        for use in uses:
            for way in use.ways[:MOST_TRIES]:
                read = merged(way, filled(use))
                both = merged(grown, read) if read is not None else None
                if both is not None:
                    grown = both
                    break
        if grown == wants or isinstance(self.run(self._fields.of(grown)), Outcome):
            return grown
        if len(uses) == 1:
            return wants
        half = len(uses) // 2
        return self.beside(self.beside(wants, uses[:half]), uses[half:])


def shows(fields: str, key: Key) -> bool:
    """Whether the fields that a message shows have this one among them."""
    return f", {''.join(key)}, " in f", {fields}, "


def filled(use: Use) -> Wants:
    """That all the fields of `use` are there."""
    return dict.fromkeys(use.keys, Want())
