"""Writing a computable release, and finding what one still lacks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from consent.elements import ADULT, ELEMENTS, STATED_BY_PROVISIONS
from consent.items import shipped
from consent.provisions import CompiledConsent
from consent.r4 import compile_consent
from consent.regimes import ConsentRule, Regime
from profiles import canonical
from profiles.canonical import ACT_REASON
from profiles.terminology import purposes_below

# What the form itself says, beside who may have what; each is an element that a regime may demand.
FORM_SAYS: Final = ("right-to-revoke", "consequences", "redisclosure-statement", "voluntary")
NO_EXPIRY: Final = "no-expiry"
SIGNERS: Final = ("patient", "guardian")


def new_consent(
    *,
    patient: tuple[str, str],
    source: str,
    recipients: Iterable[str],
    purpose: str,
    items: Iterable[str],
    start: str,
    end: str | None,
    signed: str,
    recorded: datetime,
    regime: str,
    statements: Iterable[str] = FORM_SAYS,
    signers: Iterable[str] = ("patient",),
    adult: bool = False,
    replaces: str = "",
    signed_on: str = "",
    language: str = "",
) -> dict[str, Any]:
    """A FHIR R4 Consent (WaymeetConsent) from plain answers.

    `patient` is the person's identifier (system, value) in the source's own system, `source` and
    `recipients` are directory URLs, `items` disclosure items, `start` and `end` FHIR dates (the last day
    counts), `signed` says how and where the signed form is kept. Lists exactly the items it is given: what
    the person was not asked about is not in it.

    `statements` are those that the signed form holds; the printed page of `consent.form` holds all four.
    `signers`: `patient`, `guardian` or both. `adult`: the form says that the person is of age, which counts
    where the record does not tell. `replaces`: id of an earlier Consent that this one takes the
    place of. `signed_on`: FHIR date, when that is not the day of `recorded`. `language`: of the form. An
    `end` of None says outright that there is none; whether the law lets a release do so is the caller's to
    know. Our profile demands an end, so such a Consent does not claim it.

    Raises ValueError for an item, recipient list, statement, signer or time that cannot be in a release.
    """
    wanted, named, says, who = frozenset(items), list(recipients), frozenset(statements), frozenset(signers)
    _known("disclosure items", wanted, shipped().entries)
    _known("statements of a release", says, FORM_SAYS)
    _known("signers of a release", who, SIGNERS)
    if not wanted or not named:
        raise ValueError("a release names at least one item and one recipient")
    if not who:
        raise ValueError("a release is signed by someone: patient, guardian or both")
    if recorded.tzinfo is None:
        raise ValueError("recorded needs a time zone")
    period = {"start": start} if end is None else {"start": start, "end": end}
    permitted = {"type": "permit", "code": [_item(code) for code in shipped().entries if code in wanted]}
    form = {"title": signed} | ({"language": language} if language else {})
    return {
        "resourceType": "Consent",
        **({} if end is None else {"meta": {"profile": [canonical.CONSENT]}}),
        **_extensions(says | ({ADULT} if adult else set()), replaces, ends=end is not None),
        "status": "active",
        "scope": _concept(canonical.CONSENT_SCOPE, "patient-privacy"),
        "category": [_concept(canonical.ACT_CODE, "IDSCL")],
        "patient": {"identifier": {"system": patient[0], "value": patient[1]}},
        "dateTime": signed_on or recorded.isoformat(timespec="seconds"),
        "performer": [performer for signer, performer in _performers(patient).items() if signer in who],
        "organization": [{"reference": source}],
        "sourceAttachment": form,
        "policyRule": _concept(canonical.REGIME, regime),
        "provision": {
            "type": "deny",
            "period": period,
            "actor": [_recipient(organization) for organization in named],
            "action": [_concept(canonical.CONSENT_ACTION, "disclose")],
            "purpose": [{"system": canonical.ACT_REASON, "code": purpose}],
            "provision": [permitted],
        },
    }


@dataclass(frozen=True, slots=True)
class Lacking:
    """What one rule of a regime asks of a consent and this one does not state, in the order of the form.

    Of a rule that refuses whatever the person signs, nothing: no consent helps there.
    """

    rule: ConsentRule
    elements: tuple[str, ...]


def lacking(
    consent: Mapping[str, Any] | CompiledConsent,
    regime: Regime,
    *,
    kinds: Iterable[str] | None = None,
    purpose: str | None = None,
    minor: bool | None = None,
) -> tuple[Lacking, ...]:
    """Rule by rule, what a regime asks of a consent: every rule that may come to decide, in its order.

    kinds: of the recipient; purpose: what for, if not for all that the consent serves; minor: whether the
    person is one. What is not given may be anything. As in deciding, the first rule that fits ends the
    list, where it is certain that it fits. A rule that refuses stands in it only where that is certain.
    """
    compiled = consent if isinstance(consent, CompiledConsent) else compile_consent(consent)
    # Where nothing is permitted, no permit states anything.
    states = compiled.contains if compiled.grants else compiled.contains - STATED_BY_PROVISIONS
    served = _purposes(compiled) if purpose is None else purposes_below(purpose)
    recipient = None if kinds is None else frozenset(kinds)
    found = []
    for rule in regime.rules:
        fits = _fits(rule, served, recipient, minor)
        if fits or (fits is None and rule.consent != "refused"):
            found.append(Lacking(rule, _in_order(rule.must_contain - states)))
        if fits:
            break
    return tuple(found)


def missing_elements(
    consent: Mapping[str, Any] | CompiledConsent,
    regime: Regime,
    *,
    kinds: Iterable[str] | None = None,
    purpose: str | None = None,
    minor: bool | None = None,
) -> tuple[str, ...]:
    """What the rules that `lacking` finds ask for and the consent does not state, in the order of the form.

    Whether the consent can be used at all is another question: `compile_consent(consent).issues`.
    """
    rules = lacking(consent, regime, kinds=kinds, purpose=purpose, minor=minor)
    return _in_order(frozenset(element for one in rules for element in one.elements))


def _purposes(compiled: CompiledConsent) -> frozenset[str] | None:
    """What the consent says it serves, with all that this covers; None: anything."""
    found = compiled.gate.purposes
    nested = [rule.gate.purposes for rule in compiled.rules]
    if found is None and nested and None not in nested:
        found = frozenset().union(*(purposes or () for purposes in nested))
    return None if found is None else frozenset(code for system, code in found if system == ACT_REASON)


def _fits(
    rule: ConsentRule, served: frozenset[str] | None, recipient: frozenset[str] | None, minor: bool | None
) -> bool | None:
    """Whether a rule fits all that may be asked under a consent; None: some of it, or not known."""
    whole = rule.labels is None
    if rule.purposes is not None:
        if served is not None and rule.purposes.isdisjoint(served):
            return False
        whole = whole and served is not None and served <= rule.purposes
    if rule.recipients is not None:
        if recipient is not None and rule.recipients.isdisjoint(recipient):
            return False
        whole = whole and recipient is not None
    if rule.person != "any":
        if minor is not None and minor != (rule.person == "minor"):
            return False
        whole = whole and minor is not None
    return True if whole else None


def _in_order(elements: frozenset[str]) -> tuple[str, ...]:
    return tuple(element for element in ELEMENTS if element in elements)


def _known(what: str, given: frozenset[str], known: Collection[str]) -> None:
    if unknown := sorted(given.difference(known)):
        raise ValueError(f"not {what}: {', '.join(unknown)}")


def _extensions(statements: frozenset[str], replaces: str, *, ends: bool) -> dict[str, Any]:
    says = [code for code in (*FORM_SAYS, ADULT) if code in statements] + ([] if ends else [NO_EXPIRY])
    found: list[dict[str, Any]] = [{"url": canonical.CONSENT_STATEMENT, "valueCode": code} for code in says]
    if replaces:
        found.append(
            {"url": canonical.CONSENT_REPLACES, "valueReference": {"reference": f"Consent/{replaces}"}}
        )
    return {"extension": found} if found else {}


def _performers(patient: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """Who may have signed: of the guardian no more than that there is one."""
    identifier = {"system": patient[0], "value": patient[1]}
    return {
        "patient": {"type": "Patient", "identifier": identifier},
        "guardian": {"type": "RelatedPerson"},
    }


def _recipient(organization: str) -> dict[str, Any]:
    return {
        "role": _concept(canonical.PARTICIPATION_TYPE, "IRCP"),
        "reference": {"reference": organization},
    }


def _item(code: str) -> dict[str, Any]:
    return _concept(canonical.DISCLOSURE_ITEM, code)


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
