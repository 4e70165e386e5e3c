"""How long consents, and the accounting of disclosures, are kept: stated by law or kind, and by the operator.

The periods here are what holds where the configuration says nothing. Counsel must confirm them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from consent import Policy
from profiles.document import DocumentError
from profiles.outcome import Issue

OTHER: Final = "other"

# Whole years with the leap days that can fall into them: a day too long rather than one too short.
THREE_YEARS: Final = 3 * 365 + 1
SIX_YEARS: Final = 6 * 365 + 2

# After the last day on which a consent had effect, by the law it was given under.
CONSENT_DAYS: Final[Mapping[str, int]] = {
    OTHER: SIX_YEARS,  # 45 CFR 164.508(b)(6) with 164.530(j)(2): a signed authorization, six years
    "vawa": THREE_YEARS,  # 2 CFR 200.334: records of a federal award, three years; our choice to add nothing
}

# After a disclosure, by what the agency is in law. Of several the longest.
DISCLOSURE_DAYS: Final[Mapping[str, int]] = {
    "covered-entity": SIX_YEARS,  # 45 CFR 164.528(a)(1): an accounting of the last six years
    "health-care-provider": SIX_YEARS,
    "part-2-program": THREE_YEARS,  # 42 CFR 2.24 and 2.25: a list of the last three years
    OTHER: THREE_YEARS,  # our choice
}


@dataclass(frozen=True, slots=True)
class Retention:
    """The periods that hold at one node, in days."""

    consent_days: Mapping[str, int]
    disclosure_days: int

    @classmethod
    def stated(cls, said: Mapping[str, Any], kinds: Iterable[str]) -> Retention:
        """What the configuration says (`retention`), and for the rest what this version assumes.

        A law that the configuration does not name follows its `other`, unless this version assumes less.
        """
        days = {**CONSENT_DAYS, **said.get("consent_days", {})}
        assumed = max(DISCLOSURE_DAYS.get(kind, DISCLOSURE_DAYS[OTHER]) for kind in kinds)
        return cls(days, said.get("disclosure_days", assumed))

    def consent_until(self, regime: str, ended: datetime) -> datetime:
        """Until when a consent under this law is kept that ended then."""
        return ended + self._of(regime)

    def consents_before(self, regime: str, now: datetime) -> datetime:
        """Before which moment a consent under this law must have ended to be erased now."""
        return now - self._of(regime)

    def disclosures_before(self, now: datetime) -> datetime:
        """Before which moment a disclosure must lie to be no longer accounted for."""
        return now - timedelta(days=self.disclosure_days)

    def check(self, policy: Policy, name: str) -> None:
        """Raises DocumentError, as about the file `name`, for a law that nobody has written down."""
        unknown = sorted(self.consent_days.keys() - policy.regimes.keys() - {OTHER})
        if unknown:
            known = ", ".join(sorted({OTHER, *policy.regimes}))
            message = f"there is no such law here (known: {known})"
            issues = [
                Issue("error", "not-found", message, field=f"retention.consent_days.{law}") for law in unknown
            ]
            raise DocumentError(issues, name)

    def _of(self, regime: str) -> timedelta:
        return timedelta(days=self.consent_days.get(regime, self.consent_days[OTHER]))
