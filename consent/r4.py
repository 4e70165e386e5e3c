"""A FHIR R4 Consent, compiled to what the engine reads. Whatever does not fit the profile makes it unusable.

FHIR R4 leaves the meaning of a Consent open, and HL7's own examples need two readings that exclude each
other. So this accepts one shape (that of IHE Privacy Consent on FHIR and of HL7 FAST Consent): patient, scope
`patient-privacy`, dateTime, policy or policyRule, and an explicit `type` on the root provision and on every
nested one. Whatever it does not understand could be a limit that the person set; such a Consent is unusable.

Not understood, therefore unusable: extensions of a provision other than `consent-location`, unknown elements
within it, codes without a system, actors whom nobody here knows, roles of anyone but a recipient, modifier
extensions, implicitRules.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from consent.actors import DIRECTORY, Actors, names_of
from consent.elements import STATED_BY_PROVISIONS, STATEMENTS
from consent.limits import Limits
from consent.provisions import CompiledConsent, Gate, Rule
from consent.r4_parts import Faults, Reading, acting_within, all_codings, codings, gate, limits, list_of
from consent.when import first_moment
from profiles.canonical import ACT_CODE, CONSENT_REPLACES, CONSENT_SCOPE, CONSENT_STATEMENT

ACTIVE: Final = "active"
ABSENT: Final = frozenset({"draft", "proposed", "rejected", "inactive", "entered-in-error"})
PRIVACY: Final = "patient-privacy"

_OTHER_SCOPES: Final = frozenset({"adr", "research", "treatment"})
_UNDERSTOOD: Final = frozenset(
    {
        *("type", "period", "actor", "action", "purpose", "securityLabel", "class", "code", "data"),
        *("dataPeriod", "extension", "provision", "id"),
    }
)
# v3-ActCode: policies by which all is permitted, or denied, but for what the provisions say.
_BASES: Final = {True: frozenset({"OPTIN", "OPTINR"}), False: frozenset({"OPTOUT", "OPTOUTE"})}
_DEPTH: Final = 32  # deeper than any consent a person could follow; bounds the work


def compile_consent(
    consent: Mapping[str, Any], *, zone: tzinfo = UTC, actors: Actors = DIRECTORY
) -> CompiledConsent:
    """A FHIR R4 Consent as the engine reads it.

    zone: where its date-only days begin and end; actors: who those are that it names.
    Never raises for what the Consent holds: a Consent that does not fit the profile comes back with
    `issues`, and an active one that is unusable makes every decision about this person a deny.
    """
    reading = Reading(zone, actors, Faults())
    return _Compiler(reading).compile(consent if isinstance(consent, Mapping) else {})


class _Compiler:
    """Reads one Consent and collects what is wrong with it and what its permits state."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.faults = reading.faults
        self.stated = STATED_BY_PROVISIONS  # narrowed by each permit
        self.permits = 0

    def compile(self, consent: Mapping[str, Any]) -> CompiledConsent:
        recorded = self._check_head(consent)
        root = consent.get("provision")
        if not isinstance(root, Mapping):
            self.faults.required("Consent.provision", "says nothing that can be computed")
            root = {}
        rule = self._rule(root, "provision", frozenset(), 1)
        if _BASES[not rule.permit] & codings(consent.get("policyRule"), ACT_CODE):
            # Which of the two is the base, HL7's own examples answer in both ways.
            self.faults.invalid("Consent.policyRule", "says the opposite of the root provision's type")
        disclosers = _disclosers(consent)
        return CompiledConsent(
            id=_text(consent.get("id")),
            status=_text(consent.get("status")),
            issues=tuple(self.faults.issues),
            permit=rule.permit,
            gate=rule.gate,
            limits=rule.limits,
            rules=rule.rules,
            disclosers=disclosers,
            contains=self.stated | _stated_once(consent, disclosers, recorded),
            permit_list=not rule.permit and self.permits > 0,
            foreign=_is_foreign(codings(consent.get("scope"), CONSENT_SCOPE)),
            patient=_patient(consent),
            recorded=recorded,
            replaces=frozenset(_replaced(consent)),
            categories=all_codings(consent.get("scope")).union(
                *(all_codings(one) for one in _objects(consent.get("category")))
            ),
        )

    def _check_head(self, consent: Mapping[str, Any]) -> datetime | None:
        """Faults of what stands above the provisions; returns when it was recorded."""
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
        if codings(consent.get("scope"), CONSENT_SCOPE) != {PRIVACY}:
            faults.invalid("Consent.scope", f"is not {PRIVACY}, or not that alone")
        if not consent.get("policy") and not consent.get("policyRule"):
            faults.required("Consent.policyRule", "names no policy or policyRule")
        try:
            return first_moment(consent["dateTime"], self.reading.zone)
        except (KeyError, ValueError):
            faults.required("Consent.dateTime", "does not say when the consent was recorded")
            return None

    def _rule(self, provision: Mapping[str, Any], path: str, inherited: frozenset[str], depth: int) -> Rule:
        """One provision; `inherited` are the elements that the provisions around it already state."""
        place = f"Consent.{path}"
        for name in sorted(set(provision) - _UNDERSTOOD):
            self.faults.unknown(place, name)
        kind = provision.get("type")
        if kind not in ("permit", "deny"):
            self.faults.required(f"{place}.type", "does not say permit or deny")
        speaks = gate(provision, place, self.reading)
        about = limits(provision, place, self.reading)
        stated = inherited | _stated(speaks, about)
        if kind == "permit" and not speaks.never:
            self.permits += 1
            self.stated &= stated
        # The root's items limit only the root itself, so a nested permit does not inherit them.
        passed_on = stated - {"items"} if depth == 1 else stated
        return Rule(kind == "permit", path, speaks, about, self._nested(provision, path, passed_on, depth))

    def _nested(
        self, provision: Mapping[str, Any], path: str, inherited: frozenset[str], depth: int
    ) -> tuple[Rule, ...]:
        inner = list_of(provision, "provision", f"Consent.{path}", self.faults)
        if inner and depth == _DEPTH:
            self.faults.invalid(f"Consent.{path}.provision", f"is nested deeper than {_DEPTH}")
            return ()
        rules = [
            self._rule(acting_within(provision, child), f"{path}.provision[{number}]", inherited, depth + 1)
            for number, child in enumerate(inner)
        ]
        return tuple(rule for rule in rules if not rule.gate.never)


def _patient(consent: Mapping[str, Any]) -> frozenset[str]:
    """Whose it is. What leads to no Patient outside of it names nobody, and so nobody else either."""
    patient = consent.get("patient")
    names = names_of(patient) if isinstance(patient, Mapping) else ()
    return frozenset(one for one in names if "Patient/" in one or "|" in one or ":" in one)


def _is_foreign(scopes: frozenset[str]) -> bool:
    """Whether it is about something else. What is about privacy as well may hold a limit of the person's."""
    return bool(scopes & _OTHER_SCOPES) and PRIVACY not in scopes


def _stated(speaks: Gate, about: Limits) -> frozenset[str]:
    """The elements that one provision states."""
    present = {
        "recipient": speaks.actors is not None,
        "purpose": speaks.purposes is not None,
        "end": speaks.ends is not None,
        "items": about.codes is not None or about.classes is not None or about.data is not None,
    }
    return frozenset(element for element, there in present.items() if there)


def _stated_once(
    consent: Mapping[str, Any], disclosers: frozenset[str] | None, recorded: datetime | None
) -> frozenset[str]:
    """The elements that stand once for the whole Consent."""
    statements = _statements(consent)
    signed = _signed_by(consent)
    present = {
        "patient": bool(consent.get("patient")),
        "discloser": bool(disclosers),
        "date": recorded is not None,
        "evidence": _evidence(consent),
        "expiry": "no-expiry" in statements or _has_end(consent.get("provision")),
        "signed-by-patient": "Patient" in signed,
        "signed-by-guardian": "RelatedPerson" in signed,
    }
    return frozenset(element for element, there in present.items() if there) | statements


def _has_end(root: Any) -> bool:
    period = root.get("period") if isinstance(root, Mapping) else None
    return isinstance(period, Mapping) and bool(period.get("end"))


def _statements(consent: Mapping[str, Any]) -> frozenset[str]:
    """What the form says in so many words: the codes of our extension `consent-statement`."""
    return STATEMENTS & {
        _text(extension.get("valueCode"))
        for extension in _objects(consent.get("extension"))
        if extension.get("url") == CONSENT_STATEMENT
    }


def _signed_by(consent: Mapping[str, Any]) -> frozenset[str]:
    """The types of those who agreed (Consent.performer): Patient, RelatedPerson."""
    own = frozenset(names_of(consent.get("patient")))
    found: set[str] = set()
    for performer in _objects(consent.get("performer")):
        literal = _text(performer.get("reference")).split("/")
        found.add(_text(performer.get("type")) or (literal[-2] if len(literal) > 1 else ""))
        if own & set(names_of(performer)):
            found.add("Patient")
    return frozenset(found)


def _replaced(consent: Mapping[str, Any]) -> set[str]:
    """The ids of the Consents that this one replaces."""
    named = {
        name.partition("/_history/")[0]
        for extension in _objects(consent.get("extension"))
        if extension.get("url") == CONSENT_REPLACES
        for name in names_of(extension.get("valueReference"))
    }
    ids = {name.rpartition("|")[2] for name in named if "|" in name or "/" not in name}
    return ids | {name.rpartition("/")[2] for name in named if name.split("/")[-2:-1] == ["Consent"]}


def _evidence(consent: Mapping[str, Any]) -> bool:
    """Whether it says where the signed form is: `source[x]` with something to find it by."""
    attachment, reference = consent.get("sourceAttachment"), consent.get("sourceReference")
    return (isinstance(attachment, Mapping) and _holds(attachment, "title", "url", "data", "hash")) or (
        isinstance(reference, Mapping) and _holds(reference, "reference", "identifier")
    )


def _disclosers(consent: Mapping[str, Any]) -> frozenset[str] | None:
    """The names of the organisations whose disclosure it governs; None when it does not say."""
    if "organization" not in consent:
        return None
    return frozenset(name for one in _objects(consent["organization"]) for name in names_of(one))


def _holds(value: Mapping[str, Any], *names: str) -> bool:
    return any(value.get(name) for name in names)


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
