"""Constraints of R4 (4.0.1) whose FHIRPath does not say what their text says, and what is evaluated instead.

HL7 has corrected them in later versions of FHIR, and the official validator evaluates the corrected forms as
well. `matches()` was thought to look at the whole text when R4 was written; since FHIRPath 2.0.0 it looks for
a part. The expression, not the key, is what is looked up: profiles repeat them under keys of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

_CORRECTED: Mapping[str, str] = {
    # ref-1: without a reference there is nothing to find; `#` alone means the container.
    "reference.startsWith('#').not() or (reference.substring(1).trace('url') in"
    " %rootResource.contained.id.trace('ids'))": (
        "reference.startsWith('#').not() or reference.empty() or reference = '#'"
        " or (reference.substring(1) in %rootResource.contained.id)"
    ),
    # Names that software can use (adf-0, cpb-0, ..., vsd-0): only where there is one, and the whole of it.
    "name.matches('[A-Z]([A-Za-z0-9_]){0,254}')": (
        "name.exists() implies name.matches('^[A-Z]([A-Za-z0-9_]){0,254}$')"
    ),
    # ras-2: without a probability there is nothing to limit.
    "probability is decimal implies (probability as decimal) <= 100": (
        "probability.empty() or ((probability is decimal) implies ((probability as decimal) <= 100))"
    ),
    # que-12: "more than one" is two or more.
    "enableWhen.count() > 2 implies enableBehavior.exists()": (
        "enableWhen.count() >= 2 implies enableBehavior.exists()"
    ),
    # eld-19, eld-20: the whole path.
    r"""path.matches('[^\\s\\.,:;\\\'"\\/|?!@#$%&*()\\[\\]{}]{1,64}(\\.[^\\s\\.,:;\\\'"\\/|?!@#$%&*()\\[\\]{}]"""
    r"""{1,64}(\\[x\\])?(\\:[^\\s\\.]+)?)*')""": (
        r"""path.matches('^[^\\s\\.,:;\\\'"\\/|?!@#$%&*()\\[\\]{}]{1,64}(\\.[^\\s\\.,:;\\\'"\\/|?!@#$%&*()\\[\\]{}]"""
        r"""{1,64}(\\[x\\])?(\\:[^\\s\\.]+)?)*$')"""
    ),
    r"path.matches('[A-Za-z][A-Za-z0-9]*(\\.[a-z][A-Za-z0-9]*(\\[x])?)*')": (
        r"path.matches('^[A-Za-z][A-Za-z0-9]*(\\.[a-z][A-Za-z0-9]*(\\[x])?)*$')"
    ),
}


def corrected(expression: str) -> str:
    """The expression to evaluate in place of a published one; itself for all but a few."""
    return _CORRECTED.get(expression, expression)


def corrections() -> Mapping[str, str]:
    """Every published expression that is not evaluated as it stands."""
    return _CORRECTED
