"""FHIR R4 Consent → `CompiledConsent`, and the rules for which Consents the engine accepts.

R4 leaves the meaning of a Consent open, and HL7's own examples need two readings that exclude each other.
So this accepts one shape (that of IHE Privacy Consent on FHIR and of HL7 FAST Consent): patient, scope
`patient-privacy`, dateTime, policy or policyRule, and an explicit `type` on the root provision and on every
nested one. Whatever it does not understand could be a limit that the person set; such a Consent is unusable.

Not understood by this version, therefore unusable: securityLabel, class, data, dataPeriod, extensions and
unknown elements within a provision, codes that are not disclosure items, actions without `disclose`, actors
that are not organisations (Group, Practitioner, relative references), modifier extensions, implicitRules.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any, Final

from consent.elements import ELEMENTS
from consent.provisions import CompiledConsent, Gate, Rule
from consent.r4_parts import Faults, actors, codings, gate_period, items, list_of, purposes
from profiles.canonical import CONSENT_ACTION, CONSENT_SCOPE

ACTIVE: Final = "active"
ABSENT: Final = frozenset({"draft", "proposed", "rejected", "inactive", "entered-in-error"})
PRIVACY: Final = "patient-privacy"

_UNDERSTOOD: Final = frozenset({"type", "period", "actor", "action", "purpose", "code", "provision", "id"})
_DEPTH: Final = 32  # deeper than any consent a person could follow; bounds the work
_WHOLE: Final = frozenset({"discloser", "evidence"})  # stated once for the whole Consent
_OPEN: Final = Gate()


def compile_consent(consent: Mapping[str, Any], *, zone: tzinfo = UTC) -> CompiledConsent:
    """A FHIR R4 Consent as the engine reads it; `zone` is where its date-only days begin and end.

    Never raises for what the Consent holds: a Consent that does not fit the profile comes back with
    `issues`, and an active one that is unusable makes every decision about this person a deny.
    """
    return _Compiler(zone).compile(consent if isinstance(consent, Mapping) else {})


class _Compiler:
    """Reads one Consent and collects what is wrong with it and what its permits state."""

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self.faults = Faults()
        self.stated = frozenset(ELEMENTS)  # narrowed by each permit
        self.permits = 0

    def compile(self, consent: Mapping[str, Any]) -> CompiledConsent:
        self._check_head(consent)
        root = consent.get("provision")
        if not isinstance(root, Mapping):
            self.faults.required("Consent.provision", "says nothing that can be computed")
            root = {}
        rule = self._rule(root, "provision", _WHOLE, 1)
        disclosers = _disclosers(consent)
        whole = {"discloser": bool(disclosers), "evidence": _evidence(consent)}
        return CompiledConsent(
            id=_text(consent.get("id")),
            status=_text(consent.get("status")),
            issues=tuple(self.faults.issues),
            permit=rule.permit,
            gate=rule.gate,
            items=rule.items,
            rules=rule.rules,
            disclosers=disclosers,
            contains=self.stated - {element for element, there in whole.items() if not there},
            permit_list=not rule.permit and self.permits > 0,
        )

    def _check_head(self, consent: Mapping[str, Any]) -> None:
        faults = self.faults
        if consent.get("resourceType") != "Consent":
            faults.invalid("Consent", "is not a Consent resource")
        if _text(consent.get("status")) not in ABSENT | {ACTIVE}:
            faults.invalid("Consent.status", "is not a status of FHIR R4 Consent")
        if "implicitRules" in consent:
            faults.invalid("Consent.implicitRules", "is not understood")
        if "modifierExtension" in consent:
            faults.invalid("Consent.modifierExtension", "is not understood")
        patient = consent.get("patient")
        if not isinstance(patient, Mapping) or not (patient.get("reference") or patient.get("identifier")):
            faults.required("Consent.patient", "does not say whose consent this is")
        if PRIVACY not in codings(consent.get("scope"), CONSENT_SCOPE):
            faults.invalid("Consent.scope", f"is not {PRIVACY}")
        if faults.moment(consent.get("dateTime"), self.zone) is None:
            faults.required("Consent.dateTime", "does not say when the consent was recorded")
        if not consent.get("policy") and not consent.get("policyRule"):
            faults.required("Consent.policyRule", "names no policy or policyRule")

    def _rule(self, provision: Mapping[str, Any], path: str, inherited: frozenset[str], depth: int) -> Rule:
        """One provision; `inherited` are the elements that the provisions around it already state."""
        place = f"Consent.{path}"
        for name in sorted(set(provision) - _UNDERSTOOD):
            self.faults.unknown(place, name)
        kind = provision.get("type")
        if kind not in ("permit", "deny"):
            self.faults.required(f"{place}.type", "does not say permit or deny")
        self._check_action(provision, place)
        wanted = items(provision, place, self.faults)
        starts, ends = gate_period(provision.get("period"), place, self.zone, self.faults)
        gate = Gate(
            purposes(provision, place, self.faults), actors(provision, place, self.faults), starts, ends
        )
        gate = _OPEN if gate == _OPEN else gate
        stated = inherited | _stated(gate, wanted)
        if kind == "permit":
            self.permits += 1
            self.stated &= stated
        # The root's items limit only the root itself, so a nested permit does not inherit them.
        passed_on = stated - {"items"} if depth == 1 else stated
        return Rule(
            permit=kind == "permit",
            path=path,
            gate=gate,
            items=wanted,
            rules=self._nested(provision, path, passed_on, depth),
        )

    def _nested(
        self, provision: Mapping[str, Any], path: str, inherited: frozenset[str], depth: int
    ) -> tuple[Rule, ...]:
        inner = list_of(provision, "provision", f"Consent.{path}", self.faults)
        if inner and depth == _DEPTH:
            self.faults.invalid(f"Consent.{path}.provision", f"is nested deeper than {_DEPTH}")
            return ()
        return tuple(
            self._rule(child, f"{path}.provision[{number}]", inherited, depth + 1)
            for number, child in enumerate(inner)
        )

    def _check_action(self, provision: Mapping[str, Any], place: str) -> None:
        actions = list_of(provision, "action", place, self.faults)
        if actions and not any("disclose" in codings(action, CONSENT_ACTION) for action in actions):
            self.faults.invalid(f"{place}.action", "is about something else than disclosing")


def _evidence(consent: Mapping[str, Any]) -> bool:
    """Whether it says where the signed form is: `source[x]` with something to find it by."""
    attachment, reference = consent.get("sourceAttachment"), consent.get("sourceReference")
    return (isinstance(attachment, Mapping) and _holds(attachment, "title", "url", "data", "hash")) or (
        isinstance(reference, Mapping) and _holds(reference, "reference", "identifier")
    )


def _stated(gate: Gate, wanted: frozenset[str] | None) -> frozenset[str]:
    present = {
        "recipient": gate.actors is not None,
        "purpose": gate.purposes is not None,
        "end": gate.ends is not None,
        "items": wanted is not None,
    }
    return frozenset(element for element, there in present.items() if there)


def _disclosers(consent: Mapping[str, Any]) -> frozenset[str] | None:
    """The organisations whose disclosure it governs; None when it does not say."""
    if "organization" not in consent:
        return None
    organizations = consent["organization"]
    found = organizations if isinstance(organizations, list) else []
    return frozenset(_text(one.get("reference")) for one in found if isinstance(one, Mapping)) - {""}


def _holds(value: Mapping[str, Any], *names: str) -> bool:
    return any(value.get(name) for name in names)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
