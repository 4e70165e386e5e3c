"""What a security label says of who may see: which codes are labels, and what a set of them comes to.

HL7 Healthcare Privacy and Security Classification System (HCS): a sensitivity says why data are sensitive,
confidentiality how freely they may be seen, and of several the highest counts (the high water mark).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Final

from consent.matter import Label
from profiles.canonical import ACT_CODE, ACT_REASON, CONFIDENTIALITY, OBSERVATION_VALUE
from profiles.registry import shipped
from profiles.terminology import above, known, subsumes
from profiles.value_sets import code_system

RESTRICTED: Final[Label] = (CONFIDENTIALITY, "R")

# What policy files may give as labels: sensitivities, laws, and what a holder must do or refrain from.
_LABELS: Final = frozenset({"_InformationSensitivityPolicy", "_ActPrivacyLaw", "SecurityPolicy"})
_SENSITIVITY: Final = "_InformationSensitivityPolicy"
# Laws under which nothing is handled as ordinary health information.
_STRICT_LAWS: Final = frozenset({"42CFRPart2", "Title38Section7332", "HIPAAPsyNotes", "HIPAASelfPay"})
# Systems whose codes are no sensitivities: purposes of use and marks of integrity.
_HARMLESS: Final = frozenset({ACT_REASON, OBSERVATION_VALUE})


def label_named(code: str) -> Label | None:
    """The label that policy files mean by a bare code of v3-Confidentiality or v3-ActCode; None: not a label.

    v3-ActCode also has kinds of encounter, of coverage and much else; those are no labels, nor are the
    headings of its hierarchy.
    """
    if known(CONFIDENTIALITY, code):
        return (CONFIDENTIALITY, code)
    heading = code.startswith("_") or code in _LABELS
    if not heading and known(ACT_CODE, code) and not _LABELS.isdisjoint(above(ACT_CODE, code)):
        return (ACT_CODE, code)
    return None


@cache
def sensitivities() -> frozenset[str]:
    """The codes of v3-ActCode that say by themselves that something is sensitive."""
    system = code_system(ACT_CODE, shipped())
    if system is None:
        raise LookupError(f"the code system {ACT_CODE} is not held")
    return frozenset(code for code in system.descendants(_SENSITIVITY) if not code.startswith("_"))


def implies_restricted(label: Label) -> bool:
    """Whether what carries this label is restricted unless a higher confidentiality is stated.

    So is what carries a label that cannot be read: it was put there for a reason.
    """
    system, code = label
    if system == CONFIDENTIALITY:
        return not known(system, code)
    if system == ACT_CODE and known(system, code):
        return code in _STRICT_LAWS or code in sensitivities()
    return system not in _HARMLESS


def settled(labels: Iterable[Label]) -> frozenset[Label]:
    """Labels with the one confidentiality they come to: the highest, at least R for what is sensitive."""
    return _settled(labels if isinstance(labels, frozenset) else frozenset(labels))


@lru_cache(maxsize=4096)
def _settled(labels: frozenset[Label]) -> frozenset[Label]:
    stated = {label for label in labels if label[0] == CONFIDENTIALITY and known(*label)}
    found = stated | ({RESTRICTED} if any(map(implies_restricted, labels)) else set())
    if len(found) < 2:
        return labels | found
    highest = max(found, key=lambda one: sum(subsumes(CONFIDENTIALITY, one[1], other[1]) for other in found))
    return (labels - stated) | {highest}
