"""The parts of an R4 provision, each read strictly: what is not understood becomes an issue.

Issues name the element and the rule, never the value, because a Consent is about a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Final

from consent.actors import Actors
from consent.items import shipped
from consent.limits import UNLIMITED, Limits
from consent.matter import RESOURCE_TYPES, Code, Label, as_named, ranks
from consent.provisions import OPEN, Gate
from consent.when import first_moment, last_moment
from profiles.canonical import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    CONSENT_ACTION,
    CONSENT_LOCATION,
    DISCLOSURE_ITEM,
    PARTICIPATION_TYPE,
)
from profiles.outcome import Issue
from profiles.terminology import known, purposes_below

_NAMES: Final = frozenset({"code", "class", "securityLabel", "data", "dataPeriod", "actor", "action"})
_ACTOR: Final = frozenset({"role", "reference", "id"})
# Roles of one who receives (v3-ParticipationType); a custodian or an author is somebody else.
_RECIPIENTS: Final = frozenset({"IRCP", "PRCP", "REFT"})
_MEANINGS: Final = frozenset({"instance", "related", "dependents", "authoredby"})
_ACTIONS: Final = frozenset({"collect", "access", "use", "disclose", "correct"})
# What a recipient's reading is in consentaction: it has access, and so we disclose.
_READING: Final = frozenset({"access", "disclose"})


@dataclass(slots=True)
class Faults:
    """The issues found so far."""

    issues: list[Issue] = field(default_factory=list)

    def invalid(self, expression: str, rule: str) -> None:
        """`expression` holds something that cannot be relied on."""
        self.issues.append(Issue("error", "not-supported", rule, expression=expression))

    def required(self, expression: str, rule: str) -> None:
        """`expression` is missing."""
        self.issues.append(Issue("error", "required", rule, expression=expression))

    def unknown(self, place: str, name: str) -> None:
        """An element of a provision that this version does not understand; only FHIR's names are repeated."""
        where = f"{place}.{name}" if name in _NAMES | {"extension", "modifierExtension"} else place
        self.invalid(where, "holds an element that this version does not understand")


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading needs to know besides the Consent: where days begin, and who actors are."""

    zone: tzinfo
    actors: Actors
    faults: Faults


def list_of(provision: Mapping[str, Any], name: str, place: str, faults: Faults) -> list[Mapping[str, Any]]:
    """The objects in the repeating element `name`; an issue for anything else, an empty list included."""
    if name not in provision:
        return []
    value = provision[name]
    if not isinstance(value, list) or not value or not all(isinstance(one, Mapping) for one in value):
        faults.invalid(f"{place}.{name}", "is not a list of objects")
        return []
    return value


def codings(concept: Any, system: str) -> frozenset[str]:
    """The codes that a CodeableConcept gives in `system`."""
    return frozenset(code for of, code in all_codings(concept) if of == system)


def all_codings(concept: Any) -> frozenset[Code]:
    """Every coding of a CodeableConcept that has a system and a code."""
    found = concept.get("coding") if isinstance(concept, Mapping) else None
    return frozenset(
        code
        for coding in (found if isinstance(found, list) else [])
        if (code := coding_of(coding)) is not None
    )


def coding_of(coding: Any) -> Code | None:
    """A Coding as (system, code); None where it lacks one of them."""
    if not isinstance(coding, Mapping):
        return None
    system, code = coding.get("system"), coding.get("code")
    if not (isinstance(system, str) and isinstance(code, str) and system and code):
        return None
    if " " in system or code != code.strip():  # neither a uri nor a code of FHIR: it would match nothing
        return None
    return as_named(system), code


def gate(provision: Mapping[str, Any], place: str, reading: Reading) -> Gate:
    """To whom, for what, where and when a provision speaks."""
    starts, ends = period(provision, "period", place, reading)
    made = Gate(
        purposes=_purposes(provision, place, reading.faults),
        actors=_actors(provision, place, reading),
        places=_places(provision, place, reading),
        starts=starts,
        ends=ends,
        never=not _about_reading(provision, place, reading.faults),
    )
    return OPEN if made == OPEN else made


def limits(provision: Mapping[str, Any], place: str, reading: Reading) -> Limits:
    """Which data a provision speaks of."""
    faults = reading.faults
    labels, highest, lowest = _labels(provision, place, faults)
    dates = None
    if "dataPeriod" in provision:
        dates = period(provision, "dataPeriod", place, reading)
    made = Limits(
        codes=_codes(provision, place, faults),
        classes=_classes(provision, place, faults),
        labels=labels,
        highest=highest,
        lowest=lowest,
        data=_data(provision, place, faults),
        dates=dates,
    )
    return UNLIMITED if made == UNLIMITED else made


def _codes(provision: Mapping[str, Any], place: str, faults: Faults) -> frozenset[Code] | None:
    found: set[Code] = set()
    for concept in list_of(provision, "code", place, faults):
        named = all_codings(concept)
        unknown = [
            code for system, code in named if system == DISCLOSURE_ITEM and code not in shipped().entries
        ]
        listed = concept.get("coding")
        if not named or unknown or not isinstance(listed, list) or len(named) != len(listed):
            faults.invalid(f"{place}.code", "is not one of the disclosure items, nor another complete code")
        found |= named
    return frozenset(found) if "code" in provision else None


def _classes(provision: Mapping[str, Any], place: str, faults: Faults) -> frozenset[Code] | None:
    found: set[Code] = set()
    for coding in list_of(provision, "class", place, faults):
        named = coding_of(coding)
        if named is None:
            faults.invalid(f"{place}.class", "lacks its system or its code")
        else:
            found.add(named)
            if named[0].startswith("http://hl7.org/fhir/") and named[0].endswith("-types"):
                found.add((RESOURCE_TYPES, named[1]))
    return frozenset(found) if "class" in provision else None


def _labels(
    provision: Mapping[str, Any], place: str, faults: Faults
) -> tuple[frozenset[Label] | None, int | None, int | None]:
    """Labels without confidentiality, then the highest and the lowest confidentiality."""
    if "securityLabel" not in provision:
        return None, None, None
    labels: set[Label] = set()
    ranked: list[int] = []
    for coding in list_of(provision, "securityLabel", place, faults):
        named = coding_of(coding)
        if named is None or (named[0] in (CONFIDENTIALITY, ACT_CODE) and not known(*named)):
            faults.invalid(f"{place}.securityLabel", "is not a security label that this version knows")
        elif named[0] == CONFIDENTIALITY:
            ranked.append(ranks()[named[1]])
        else:
            labels.add(named)
    return frozenset(labels), max(ranked, default=None), min(ranked, default=None)


def _data(
    provision: Mapping[str, Any], place: str, faults: Faults
) -> tuple[tuple[str, frozenset[str]], ...] | None:
    found: dict[str, set[str]] = {}
    for one in list_of(provision, "data", place, faults):
        meaning, reference = one.get("meaning"), one.get("reference")
        literal = reference.get("reference") if isinstance(reference, Mapping) else None
        if not isinstance(meaning, str) or meaning not in _MEANINGS:
            faults.invalid(f"{place}.data.meaning", "is not a meaning of FHIR R4")
        elif not isinstance(literal, str) or not literal:
            faults.invalid(f"{place}.data.reference", "does not name a resource")
        else:
            named = found.setdefault(meaning, set())
            named.add(literal)
            if provision.get("type") == "deny":  # whatever server or version it is taken from
                named.add("/".join(literal.partition("/_history/")[0].split("/")[-2:]))
    if "data" not in provision:
        return None
    return tuple((meaning, frozenset(references)) for meaning, references in sorted(found.items()))


def _purposes(provision: Mapping[str, Any], place: str, faults: Faults) -> frozenset[Code] | None:
    """The purposes in `provision.purpose`, with all that they cover; None when it names none."""
    found: set[Code] = set()
    for coding in list_of(provision, "purpose", place, faults):
        named = coding_of(coding)
        below = purposes_below(named[1]) if named and named[0] == ACT_REASON else frozenset()
        if named is None or (named[0] == ACT_REASON and not below):
            faults.invalid(f"{place}.purpose", "is not a purpose of use")
        elif below:
            found.update((ACT_REASON, code) for code in below)
        else:
            found.add(named)
    return frozenset(found) if "purpose" in provision else None


def _actors(provision: Mapping[str, Any], place: str, reading: Reading) -> frozenset[str] | None:
    """The names of the recipients in `provision.actor`; None: everyone."""
    found: set[str] = set()
    where = f"{place}.actor"
    for actor in list_of(provision, "actor", place, reading.faults):
        if set(actor) - _ACTOR:
            reading.faults.unknown(where, "extension")
        if not _RECIPIENTS & codings(actor.get("role"), PARTICIPATION_TYPE):
            reading.faults.invalid(f"{where}.role", "is not the role of one who receives (IRCP, PRCP, REFT)")
        names = reading.actors.meant(actor.get("reference"))
        if names is None:
            reading.faults.invalid(f"{where}.reference", "is nobody who is known here")
        else:
            found |= names
    return frozenset(found) if "actor" in provision else None


def _places(provision: Mapping[str, Any], place: str, reading: Reading) -> frozenset[str] | None:
    """The Locations in the extension `consent-location`, the only one that a provision may have."""
    found: set[str] = set()
    for extension in list_of(provision, "extension", place, reading.faults):
        reference = extension.get("valueReference")
        literal = reference.get("reference") if isinstance(reference, Mapping) else None
        if extension.get("url") != CONSENT_LOCATION or not isinstance(literal, str) or not literal:
            reading.faults.unknown(place, "extension")
        else:
            found.add(literal)
    return frozenset(found) if "extension" in provision else None


def _about_reading(provision: Mapping[str, Any], place: str, faults: Faults) -> bool:
    """Whether it speaks of a recipient's reading. A deny of `use` does: what may not be used is not sent."""
    found: set[str] = set()
    for action in list_of(provision, "action", place, faults):
        named = codings(action, CONSENT_ACTION)
        if not named or not named <= _ACTIONS:
            faults.invalid(f"{place}.action", "is not an action that this version knows")
        found |= named
    speaks = _READING | {"use"} if provision.get("type") == "deny" else _READING
    return "action" not in provision or bool(speaks & found)


def acting_within(around: Mapping[str, Any], provision: Mapping[str, Any]) -> Mapping[str, Any]:
    """A nested provision with the actions that hold for it: its own, else those of the provision around it.

    Actions gate what is inside: within a deny of `use`, which we also read as a deny of reading, no permit is
    one of reading, whatever action it names.
    """
    if "action" not in around:
        return provision
    listed = around["action"] if isinstance(around["action"], list) else []
    reads = _READING & {code for one in listed for code in codings(one, CONSENT_ACTION)}
    inherited = {"action": around["action"]}
    return {**inherited, **provision} if reads else {**provision, **inherited}


def period(
    provision: Mapping[str, Any], name: str, place: str, reading: Reading
) -> tuple[datetime | None, datetime | None]:
    """First and last instant of the Period `name`, both inclusive; None where it is open."""
    if name not in provision:
        return None, None
    value, where = provision[name], f"{place}.{name}"
    if (
        not isinstance(value, Mapping)
        or not value.keys() & {"start", "end"}
        or set(value) - {"start", "end", "id"}
    ):
        reading.faults.invalid(where, "is not a period with start or end")
        return None, None
    try:
        starts = first_moment(value["start"], reading.zone) if "start" in value else None
        ends = last_moment(value["end"], reading.zone) if "end" in value else None
    except ValueError:
        reading.faults.invalid(where, "is not made of FHIR dateTimes")
        return None, None
    if starts and ends and starts > ends:
        reading.faults.invalid(where, "ends before it begins")
    return starts, ends
