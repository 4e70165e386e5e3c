"""Which data a provision speaks of: its codes, classes, labels, `data` and `dataPeriod`, as compiled.

Within one attribute any value will do; all attributes that are stated must fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from consent.matter import Code, Label, Matter


@dataclass(frozen=True, slots=True)
class Limits:
    """None: the attribute is not stated.

    highest and lowest: ranks of v3-Confidentiality. A permit of N covers N and below, a deny of R covers R
    and above (R4 Consent.provision.securityLabel: "high water mark").
    """

    codes: frozenset[Code] | None = None
    classes: frozenset[Code] | None = None
    labels: frozenset[Label] | None = None
    highest: int | None = None
    lowest: int | None = None
    data: tuple[tuple[str, frozenset[str]], ...] | None = None
    dates: tuple[datetime | None, datetime | None] | None = None

    def mask(self, matter: Matter, *, permit: bool) -> int:
        """The items that a permit (or a deny) so limited speaks of.

        What is not labelled at all, or of unknown identity, a permit does not reach and a deny does.
        """
        return self._mask(matter, permit, sure=permit)

    def within(self, matter: Matter, *, permit: bool, sure: bool) -> int:
        """The items of which a provision speaks that stands within a permit (or a deny) so limited.

        It inherits the limit: a permit (sure) never reaches what is not known to be inside, a deny does.
        """
        return self._mask(matter, permit, sure)

    def _mask(self, matter: Matter, permit: bool, sure: bool) -> int:
        found = matter.all
        # To ask whether anything at all may go: a limit lets a permit through, and spares from a deny.
        asked = matter.abstract if permit else 0
        if self.codes is not None:
            found &= matter.coded(self.codes) | asked
        if self.classes is not None:
            found &= matter.classed(self.classes, permit=permit)
        if self.labels is not None:
            labelled = matter.permitted_by_label if permit else matter.denied_by_label
            found &= labelled(self.labels, self.highest if permit else self.lowest, sure=sure) | asked
        if self.data is not None:
            meant = 0
            for meaning, references in self.data:
                meant |= matter.meant(meaning, references, sure=sure)
            found &= meant | asked
        if self.dates is not None:
            found &= matter.dated(*self.dates, sure=sure) | asked
        return found


UNLIMITED: Final = Limits()
"""Nothing is stated, so it speaks of everything."""
