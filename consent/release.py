"""Writing a computable release, and finding what one still lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from consent.elements import ELEMENTS
from consent.items import shipped
from consent.provisions import CompiledConsent
from consent.r4 import compile_consent
from consent.regimes import Regime
from profiles import canonical


def new_consent(
    *,
    patient: tuple[str, str],
    source: str,
    recipients: Iterable[str],
    purpose: str,
    items: Iterable[str],
    start: str,
    end: str,
    signed: str,
    recorded: datetime,
    regime: str,
) -> dict[str, Any]:
    """A FHIR R4 Consent (WaymeetConsent) from plain answers.

    `patient` is the person's identifier (system, value) in the source's own system, `source` and
    `recipients` are directory URLs, `items` disclosure items, `start` and `end` FHIR dates (the last day
    counts), `signed` says how and where the signed form is kept. Lists exactly the items it is given: what
    the person was not asked about is not in it. Raises ValueError for an item, recipient list or time that
    cannot be in a release.
    """
    wanted, named = frozenset(items), list(recipients)
    if unknown := sorted(wanted - shipped().entries.keys()):
        raise ValueError(f"not disclosure items: {', '.join(unknown)}")
    if not wanted or not named:
        raise ValueError("a release names at least one item and one recipient")
    if recorded.tzinfo is None:
        raise ValueError("recorded needs a time zone")
    permitted = {"type": "permit", "code": [_item(code) for code in shipped().entries if code in wanted]}
    return {
        "resourceType": "Consent",
        "meta": {"profile": [canonical.CONSENT]},
        "status": "active",
        "scope": _concept(canonical.CONSENT_SCOPE, "patient-privacy"),
        "category": [_concept(canonical.ACT_CODE, "IDSCL")],
        "patient": {"identifier": {"system": patient[0], "value": patient[1]}},
        "dateTime": recorded.isoformat(timespec="seconds"),
        "organization": [{"reference": source}],
        "sourceAttachment": {"title": signed},
        "policyRule": _concept(canonical.REGIME, regime),
        "provision": {
            "type": "deny",
            "period": {"start": start, "end": end},
            "actor": [_recipient(organization) for organization in named],
            "action": [_concept(canonical.CONSENT_ACTION, "disclose")],
            "purpose": [{"system": canonical.ACT_REASON, "code": purpose}],
            "provision": [permitted],
        },
    }


def missing_elements(consent: Mapping[str, Any] | CompiledConsent, regime: Regime) -> tuple[str, ...]:
    """What a regime asks of a consent and this one does not state, in `consent.elements.ELEMENTS` order.

    Looks at every rule of the regime that can need a consent. Whether the consent can be used at all is
    another question: `compile_consent(consent).issues`.
    """
    compiled = consent if isinstance(consent, CompiledConsent) else compile_consent(consent)
    demanded = frozenset().union(*(rule.must_contain for rule in regime.consent))
    return tuple(element for element in ELEMENTS if element in demanded - compiled.contains)


def _recipient(organization: str) -> dict[str, Any]:
    return {
        "role": _concept(canonical.PARTICIPATION_TYPE, "IRCP"),
        "reference": {"reference": organization},
    }


def _item(code: str) -> dict[str, Any]:
    return _concept(canonical.DISCLOSURE_ITEM, code)


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
