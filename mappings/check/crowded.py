"""Records that hold much: all that can be there at once, two items of a group, two values of a field."""

from __future__ import annotations

from collections.abc import Sequence

from mappings.check.attempts import Attempts
from mappings.check.bench import Outcome
from mappings.check.fields import Fields
from mappings.check.tried import Cause, Tried
from mappings.check.uses import Use
from mappings.check.wants import Wants, merged
from profiles.outcome import Issue


class Crowded:
    """Makes such records of one kind from `base`, the poorest one; `seen` is what poorer ones have shown."""

    def __init__(
        self, attempts: Attempts, fields: Fields, tried: Tried, base: Wants, seen: set[Issue]
    ) -> None:
        self._attempts = attempts
        self._fields = fields
        self._tried = tried
        self._base = base
        self._seen = seen

    def lists(self, use: Use) -> None:
        """A record with two values in the field of `use`, if it can hold several."""
        values = [sample.value for sample in self._tried.samples.get(use, ())][:2]
        glue = next((argument for name, argument in use.chain if name == "split"), None)
        several = glue is not None or any("[*]" in path for key in use.keys for path in key)
        if not several or len(use.keys) != 1 or None in values or len(values) < 2:
            return
        value = glue.join(values) if glue is not None else values
        for way in use.ways:
            both = merged(self._base, way)
            if both is not None:
                found = self._attempts.run({**self._fields.of(both), use.keys[0]: value})
                self._several(found, Cause(use, twice="".join(use.keys[0])))
                return

    def together(self) -> None:
        """One record with all that can be there at once, then with each of its groups twice."""
        fields = self._fields.of(self._attempts.beside(self._base, self._tried.uses))
        found = self._attempts.run(fields)
        if not isinstance(found, Outcome):
            return
        for issue in found.issues - self._seen:
            self._tried.causes[issue].append(self._pair(issue))
        self._seen |= found.issues
        for group in {key[:depth]: None for key in fields for depth in range(1, len(key))}:
            self._several(self._attempts.run(fields, group), Cause(twice="".join(group)))

    def _several(self, found: Outcome | list[Issue] | None, cause: Cause) -> None:
        if isinstance(found, Outcome):
            self._tried.note(found.issues, self._seen, cause)
            self._seen |= found.issues

    def _pair(self, issue: Issue) -> Cause:
        """The two uses that bring an issue about together, as far as it takes no more."""
        resource = issue.expression.partition(".")[0]
        uses = [
            use for use in self._tried.uses if use.line.element.startswith((f"{resource}.", f"{resource}["))
        ]
        first = self._last(issue, self._base, uses)
        wants = self._attempts.beside(self._base, [first]) if first is not None else self._base
        second = self._last(issue, wants, [use for use in uses if use is not first])
        return Cause(first, beside=second, together=True)

    def _last(self, issue: Issue, wants: Wants, uses: Sequence[Use]) -> Use | None:
        """The use that brings the issue about, when one after the other is added."""
        for use in uses:
            wants = self._attempts.beside(wants, [use])
            found = self._attempts.run(self._fields.of(wants))
            if isinstance(found, Outcome) and issue in found.issues:
                return use
        return None
