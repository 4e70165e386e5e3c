"""Witnesses: for each entry of a mapping a record that reaches it, as poor as it can be, and what it makes.

What is wrong with a witness is wrong with the mapping, because such a record can come. The poorest record of
a kind shows what the profiles require and no entry always gives; each of the others differs from it by the
one entry, and the one code of a table, that it is there for, so that what is newly wrong is told of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

from mappings.check.attempts import MOST_TRIES, Attempts, filled, shows
from mappings.check.bench import Bench, Outcome
from mappings.check.crowded import Crowded
from mappings.check.fields import Fields
from mappings.check.r4_types import SourceTypes
from mappings.check.samples import Functions, Sample
from mappings.check.tried import Cause, Tried
from mappings.check.uses import Use, Uses
from mappings.check.wants import Key, Want, Wants, merged
from mappings.kind import RecordKind
from profiles.outcome import Issue

_MOST_FITS: Final = 24  # of the ways to be of the kind
_MOST_MISSES: Final = 12  # samples that do not reach it, before it is given up


class Witnesses:
    """Makes the witnesses of one record kind and runs them."""

    def __init__(
        self, bench: Bench, kind: RecordKind, uses: Uses, functions: Functions, types: SourceTypes
    ) -> None:
        self._uses = uses
        self._all = uses.within({})
        self._fields = Fields(self._all, uses.words, functions, types)
        keys = [key for use in self._all for key in use.keys]
        self._always: Wants = {key: Want() for key in keys if types.required(key)}
        self._tried = Tried(kind, self._all)
        self._attempts = Attempts(bench, kind, self._all, self._fields)

    def run(self) -> Tried:
        """All witnesses."""
        base = self._poorest()
        if base is None:
            return self._tried
        fits, wants, poorest = base
        self._tried.base = True
        self._tried.note(poorest.issues, set(), Cause())
        seen = set(poorest.issues) | self._other_poorest(poorest)
        uses = self._uses.within(fits)
        for use in uses:
            if use.line.kind is not None:
                seen |= self._single(use, wants, poorest)
        for at, use in enumerate(uses):
            if use.line.kind is not None and use not in self._tried.samples:
                seen |= self._otherwise(at, wants, poorest)
        crowded = Crowded(self._attempts, self._fields, self._tried, wants, seen)
        for use in uses:
            crowded.lists(use)
        crowded.together()
        return self._tried

    def _other_poorest(self, poorest: Outcome) -> set[Issue]:
        """What is wrong with records that are of this kind in other ways, and hold no more than they must."""
        seen: set[Issue] = set()
        ways = (
            both
            for fits in self._uses.fits
            if (start := merged(fits, self._always)) is not None
            for key, want in fits.items()
            for word in want.among or ()
            if (both := merged(start, {key: Want(among=(word,))})) is not None
        )
        for way in islice(ways, _MOST_FITS):
            found = self._attempts.cured(way, {})
            if found is not None:
                self._tried.note(found[1].issues, poorest.issues, Cause())
                seen |= found[1].issues
        return seen

    def _otherwise(self, at: int, base: Wants, poorest: Outcome) -> set[Issue]:
        """What is wrong with witnesses of a use that come to it in another way, with its fields filled."""
        asked = self._all[at]
        place = [use for use in self._all if use.line is asked.line].index(asked)
        for fits in self._uses.fits[:_MOST_FITS]:
            read = merged(fits, filled(asked))
            use = self._uses.within(read, asked.line)[place] if read is not None else None
            if use is not None and use.ways:
                seen = self._single(use, base, poorest)
                if use in self._tried.samples:
                    return seen
        self._tried.unreached.append(asked)
        return set()

    def _poorest(self) -> tuple[Wants, Wants, Outcome] | None:
        """The way in which it is of this kind, all that it holds, and what comes of it."""
        for way in self._uses.fits:
            both = merged(way, self._always)
            found = self._attempts.cured(both, {}) if both is not None else None
            if found is None:
                continue
            wants, outcome = found
            best = self._fields.of(wants)
            if any(issue.severity == "error" for issue in outcome.issues):
                best, outcome = self._better(best, outcome)
            for key, value in best.items():
                self._fields.prefer(key, value)
            return way, wants, outcome
        return None

    def _better(self, fields: dict[Key, Any], outcome: Outcome) -> tuple[dict[Key, Any], Outcome]:
        """The same record with other codes in it where that is better: one bad row is not all of a table."""
        for use in self._all:
            if not use.source or not set(use.keys) <= set(fields):
                continue
            for sample in self._fields.samples(use):
                other = {**fields, **use.source.fields(sample.value)}
                found = self._attempts.run(other)
                if isinstance(found, Outcome) and len(found.issues) < len(outcome.issues):
                    fields, outcome = other, found
        return fields, outcome

    def _single(self, use: Use, base: Wants, poorest: Outcome) -> set[Issue]:
        """One witness for each sample of `use`, and what is wrong with them."""
        seen: set[Issue] = set()
        samples = self._fields.samples(use)
        missed = 0
        for sample in samples + self._asked(use):
            reached = use in self._tried.samples
            if (reached and sample not in samples) or (not reached and missed > _MOST_MISSES):
                break  # what conditions ask for is another try, for want of a better one
            self._attempts.refused.clear()
            found = self._witness(use, sample, (base, self._always))
            if found is None:
                missed += 1
                for issue in self._attempts.refused if sample.code is not None else ():
                    if any(shows(issue.field, key) for key in use.keys):
                        self._tried.refused[issue].append(Cause(use, sample))
                continue
            self._tried.samples.setdefault(use, []).append(sample)
            # Beside what the poorest record holds something may be there that this entry alone lacks.
            alone = self._witness(use, sample, (self._always,)) if not reached else None
            for outcome in (found, alone):
                if outcome is not None:
                    self._tried.note(outcome.issues, poorest.issues, Cause(use, sample))
                    seen |= outcome.issues
        return seen

    def _asked(self, use: Use) -> list[Sample]:
        words = [word for way in use.ways for key in use.keys for word in way.get(key, Want()).among or ()]
        return [Sample(word) for word in dict.fromkeys(words)]

    def _witness(self, use: Use, sample: Sample, starts: Iterable[Wants]) -> Outcome | None:
        """A record that comes to `use` with this sample, and holds the first of `starts` that allows it."""
        fields = use.source.fields(sample.value) if use.source and sample.value is not None else {}
        reads: list[Wants] = [{key: Want(among=(str(value),)) for key, value in fields.items()}]
        if not fields:
            reads = [filled(use), *({key: Want()} for key in use.keys if len(use.keys) > 1)]
        possible = [both for each in reads for way in use.ways if (both := merged(way, each)) is not None]
        for start in starts:
            wanted = (both for way in possible if (both := merged(start, way)) is not None)
            for wants in islice(wanted, MOST_TRIES):
                found = self._attempts.cured(wants, fields)
                if found is not None:
                    return found[1]
        return None
