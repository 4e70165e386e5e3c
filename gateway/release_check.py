"""Can a consent be used, what does each law miss in it, and what would it permit: found, not yet told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import consent
from consent.elements import ADULT
from consent.policy import Policy
from consent.reading import Permitted, limited_by_more, read
from consent.regimes import Regime
from consent.release import Lacking, lacking
from gateway import clock
from gateway.release_answers import LAW, implied_by, regimes_of
from gateway.settings import Settings
from profiles import validate
from profiles.canonical import REGIME
from profiles.outcome import Issue, errors


@dataclass(frozen=True, slots=True)
class Checked:
    """All that is found.

    missing: by regime, what each rule lacks. permits: only of a usable consent; implied: items that the law
    takes as meant by any release to refer, listed or not.
    """

    issues: tuple[Issue, ...]
    status: str
    missing: tuple[tuple[Regime, tuple[Lacking, ...]], ...]
    permits: tuple[Permitted, ...]
    implied: frozenset[str]
    more: bool
    begins: datetime | None
    ended: bool
    minor: bool | None

    @property
    def complete(self) -> bool:
        """Whether it can be used and lacks nothing that surely applies.

        A rule about labelled information, or about minors where the age was not given, may not apply.
        """
        return not self.issues and not any(
            (one.elements or one.rule.consent == "refused") and self.surely(regime, one)
            for regime, found in self.missing
            for one in found
        )

    def surely(self, regime: Regime, one: Lacking) -> bool:
        """Whether this rule is about everything that the consent lets go."""
        return regime.whole and one.rule.labels is None and (one.rule.person != "minor" or self.minor is True)


def check(
    resource: Mapping[str, Any],
    regimes: Iterable[Regime],
    *,
    kinds: Iterable[str] | None = None,
    minor: bool | None = None,
    found: Settings | None = None,
) -> Checked:
    """Everything there is to say of one Consent; `found` gives the zone where its days begin and end.

    minor: whether the person is one; where it is not said, as the form says it.
    """
    now, laws = clock.now(), tuple(regimes)
    compiled = consent.compile_consent(resource, zone=found.timezone if found else UTC)
    issues = (*errors(validate(resource)), *compiled.issues, *_unnamed(resource))
    if minor is None and ADULT in compiled.contains:
        minor = False
    begun = compiled.gate.begun(now)
    at = now if begun or compiled.gate.starts is None else compiled.gate.starts
    return Checked(
        issues=_once(issues),
        status=compiled.status,
        missing=tuple((one, lacking(compiled, one, kinds=kinds, minor=minor)) for one in laws),
        permits=() if issues or compiled.gate.ended(now) else read(compiled, at),
        implied=implied_by(laws),
        more=limited_by_more(compiled),
        begins=None if begun else at,
        ended=compiled.gate.ended(now),
        minor=minor,
    )


def chosen(
    named: list[str] | None, found: Settings | None, policy: Policy, resource: Mapping[str, Any]
) -> tuple[Regime, ...]:
    """The laws to go by: those that are named; those of the node; the one that the consent names; or all.

    Raises ValueError for an unknown one.
    """
    if named:
        if unknown := sorted(set(named) - policy.regimes.keys()):
            raise ValueError(f"There is no law {unknown[0]} here. There are: {', '.join(policy.regimes)}.")
        return tuple(policy.regimes[one] for one in dict.fromkeys(named))
    if found:
        return regimes_of(found, policy)
    rule = resource.get("policyRule")
    codes = [
        LAW.get(str(coding.get("code")), str(coding.get("code")))
        for coding in (rule.get("coding", []) if isinstance(rule, Mapping) else [])
        if isinstance(coding, Mapping) and coding.get("system") == REGIME
    ]
    return tuple(policy.regimes[code] for code in codes if code in policy.regimes) or tuple(
        policy.regimes.values()
    )


def _unnamed(resource: Mapping[str, Any]) -> list[Issue]:
    """A node finds the consents of a person by the identifier of its own system, and by nothing else."""
    patient = resource.get("patient")
    identifier = patient.get("identifier") if isinstance(patient, Mapping) else None
    if not isinstance(patient, Mapping) or (isinstance(identifier, Mapping) and identifier.get("value")):
        return []
    message = "does not name the person by an identifier, so a node would not find this consent"
    return [Issue("error", "required", message, expression="Consent.patient.identifier")]


def _once(issues: Iterable[Issue]) -> tuple[Issue, ...]:
    """Each element once, and nothing within one that is missing as a whole: there is one thing to do."""
    found: dict[str, Issue] = {}
    for issue in issues:
        found.setdefault(issue.expression or issue.message, issue)
    missing = tuple(f"{place}." for place, issue in found.items() if issue.code == "required")
    return tuple(issue for place, issue in found.items() if not place.startswith(missing))
