"""What came of the witnesses of one record kind: every issue with what brought it about."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from mappings.check.samples import Sample
from mappings.check.uses import Use
from mappings.kind import RecordKind
from profiles.outcome import Issue


@dataclass(frozen=True, slots=True)
class Cause:
    """What brought an issue about: one entry, with one sample in its field; nothing for the poorest record.

    together: it took a record with all that one can hold, or the two entries `use` and `beside`.
    twice: a field or group that held two, for `use` if one is told.
    """

    use: Use | None = None
    sample: Sample | None = None
    beside: Use | None = None
    together: bool = False
    twice: str = ""


@dataclass(slots=True)
class Tried:
    """What came of all witnesses of one record kind.

    base: whether a poorest record was found. samples: what was tried, by use; unreached: those for which
    no record was found. refused: codes that another table refuses, by what it says.
    """

    kind: RecordKind
    uses: list[Use]
    base: bool = False
    causes: dict[Issue, list[Cause]] = field(default_factory=lambda: defaultdict(list))
    samples: dict[Use, list[Sample]] = field(default_factory=dict)
    unreached: list[Use] = field(default_factory=list)
    refused: dict[Issue, list[Cause]] = field(default_factory=lambda: defaultdict(list))

    def note(self, issues: frozenset[Issue], known: frozenset[Issue] | set[Issue], cause: Cause) -> None:
        """`cause` brought about those of `issues` that are not `known`."""
        for issue in issues - known:
            self.causes[issue].append(cause)
