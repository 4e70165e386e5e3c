"""A FHIR resource as a data item of a decision: its codes and labels, when it was, by whom, about whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any, Final

from consent.actors import DIRECTORY, Actors, names_of
from consent.labelling import LabelTable
from consent.matter import Code, Datum
from consent.when import first_moment, last_moment
from profiles.canonical import ACT_REASON, OBSERVATION_VALUE

# Where a resource says when what it tells happened, the nearest to the fact first.
_WHEN: Final = (
    *("effectiveDateTime", "effectivePeriod", "effectiveInstant", "effectiveTiming"),
    *("performedDateTime", "performedPeriod", "performedString", "performedAge", "performedRange"),
    *("occurrenceDateTime", "occurrencePeriod", "occurrenceTiming", "occurrenceString"),
    *("onsetDateTime", "onsetPeriod", "onsetAge", "onsetRange", "onsetString"),
    *("servicedDate", "servicedPeriod", "period", "started", "authoredOn", "authored", "recordedDate"),
    *("dateAsserted", "date", "created", "issued", "sent", "recorded"),
)
_AUTHORS: Final = (
    *("author", "performer", "recorder", "asserter", "requester", "informationSource", "sender"),
    *("enterer", "attester", "contributor"),
)
_SUBJECTS: Final = ("subject", "patient", "beneficiary", "individual", "for", "candidate")
# In meta.security, but no label of what the resource tells.
_NO_LABEL: Final = frozenset({ACT_REASON, OBSERVATION_VALUE})
_URI: Final = "urn:ietf:rfc:3986"
_DEPTH: Final = 4  # Bundles within Bundles; each level is read once more for its labels

Names = frozenset[str]


@dataclass(slots=True)
class Content:
    """What one entry holds: the resource itself, and resources within it.

    about: the parties that it is about, each by all its names; a Patient is about itself. data: itself, then
    whatever else is in it: a deny of one of those takes the entry along. whole: whether all was looked at.
    """

    data: list[Datum]
    about: list[Names]
    whole: bool = True


@dataclass(slots=True)
class _Seen:
    """What was met on the way through a resource. inner: resources within it; contained ones apart."""

    codes: set[Code] = field(default_factory=set)
    refers: set[str] = field(default_factory=set)
    contained: list[Mapping[str, Any]] = field(default_factory=list)
    inner: list[Mapping[str, Any]] = field(default_factory=list)


def content(
    resource: Mapping[str, Any],
    key: str,
    labels: LabelTable,
    zone: tzinfo,
    *,
    url: str = "",
    authors: Iterable[str] = (),
    actors: Actors = DIRECTORY,
    depth: int = _DEPTH,
) -> Content:
    """One entry of a Bundle. url: its `fullUrl`; authors: those whom a Provenance in the Bundle names;
    actors: who else they are, such as the practitioner of a PractitionerRole.

    Codes are those found anywhere in it (R4 Consent.provision.code: "if this code is found in an instance").
    """
    seen = _look_through(resource)
    kind = str(resource["resourceType"])
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    if isinstance(profiles, list):
        seen.codes.update((_URI, one) for one in profiles if isinstance(one, str))
    identity = resource.get("id")
    by = as_named(authors_of(resource).union(authors))
    itself = Datum(
        key=key,
        type=kind,
        codes=frozenset(seen.codes),
        labels=_labels(resource, labels),
        date=clinical_date(resource, zone),
        itself=as_named((url, f"{kind}/{identity}" if identity else "")),
        refers=as_named(seen.refers),
        authors=actors.asking(by) if by and actors is not DIRECTORY else by,
    )
    found = Content([itself], _about(resource, seen, url))
    # Contained resources have no life of their own: their date, labels and names are those around them.
    for one in seen.contained:
        found.data.append(replace(itself, type=str(one["resourceType"])))
        names = frozenset(names_of({"identifier": one.get("identifier")}))
        if one["resourceType"] == "Patient" and names:
            found.about.append(names)
    if seen.inner and not depth:
        found.whole = False
        return found
    for one in seen.inner:
        within = content(one, key, labels, zone, actors=actors, depth=depth - 1)
        found.data += within.data
        found.about += within.about
        found.whole = found.whole and within.whole
    return found


def provenance_authors(resources: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Reference → those whom the Provenances among `resources` name as its agents."""
    found: dict[str, set[str]] = {}
    for resource in resources:
        if resource.get("resourceType") == "Provenance":
            agents = references(resource.get("agent"))
            for target in as_named(references(resource.get("target"))):
                found.setdefault(target, set()).update(agents)
    return found


def authors_of(resource: Mapping[str, Any]) -> set[str]:
    """Those whom a resource itself names as who it is by."""
    return {name for part in _AUTHORS if part in resource for name in references(resource[part])}


def as_named(references: Iterable[str]) -> frozenset[str]:
    """References as a consent may give them: an absolute one, or one of a version, by type and id as well."""
    found = set(references)
    for one in references:
        if "://" in one or "/_history/" in one:
            parts = one.partition("/_history/")[0].split("/")
            found.add("/".join(parts[-2:]))
    found.discard("")
    return frozenset(found)


def references(value: Any) -> set[str]:
    """Every literal reference in an element, to other resources only."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            literal = node.get("reference")
            if isinstance(literal, str) and literal and literal[0] != "#":
                found.add(literal)
            waiting += [one for one in node.values() if isinstance(one, (dict, list))]
        elif isinstance(node, list):
            waiting += node
    return found


def _look_through(resource: Mapping[str, Any]) -> _Seen:
    """Everything in one resource; resources in a Bundle or in Parameters count apart."""
    seen = _Seen()
    codes, refers = seen.codes, seen.refers
    waiting: list[Any] = [resource]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
            continue
        if not isinstance(node, dict):
            continue
        code, literal = node.get("code"), node.get("reference")
        if isinstance(code, str) and isinstance(system := node.get("system"), str):
            codes.add((system, code))
        if isinstance(literal, str) and literal and literal[0] != "#":
            refers.add(literal)
        for name, one in node.items():
            if one.__class__ is str or not isinstance(one, (dict, list)):  # most parts are text
                continue
            if name == "contained" and isinstance(one, list):
                seen.contained += [each for each in one if _is_resource(each)]
            if name == "resource" and _is_resource(one):
                seen.inner.append(one)
            elif name != "meta":
                waiting.append(one)
    return seen


def _is_resource(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("resourceType"), str)


def _about(resource: Mapping[str, Any], seen: _Seen, url: str) -> list[Names]:
    """Whom a resource is about: a Patient is about itself; one that says nothing, about all it refers to."""
    if resource["resourceType"] == "Patient":
        return [frozenset(name for name in (url, *names_of(_identified(resource))) if name)]
    found = [
        names
        for part in _SUBJECTS
        if part in resource
        for one in _each(resource[part])
        if (names := frozenset(name for name in names_of(one) if _may_be_a_person(name, one)))
    ]
    return found or [frozenset({name}) for name in sorted(seen.refers) if "Patient/" in name]


def _identified(patient: Mapping[str, Any]) -> dict[str, Any]:
    """A Patient as a Reference to it."""
    identity = patient.get("id")
    named = {"reference": f"Patient/{identity}"} if identity else {}
    return {**named, "identifier": patient.get("identifier")}


def _may_be_a_person(name: str, reference: Mapping[str, Any]) -> bool:
    """Whether a subject is a Patient: a Group, a Device or a Location is not."""
    if name.startswith("#"):
        return False
    return (
        "Patient/" in name
        or name.startswith("urn:")
        or ("|" in name and reference.get("type", "Patient") == "Patient")
    )


def _each(value: Any) -> list[Mapping[str, Any]]:
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, dict)]


def _labels(resource: Mapping[str, Any], labels: LabelTable) -> frozenset[Code]:
    found = labels.of_resource(resource)
    if all(label[0] not in _NO_LABEL for label in found):
        return found
    return frozenset(label for label in found if label[0] not in _NO_LABEL)


def clinical_date(resource: Mapping[str, Any], zone: tzinfo) -> tuple[datetime, datetime] | None:
    """The first and last moment of its clinical date; None where it says none, or an open or vague one."""
    for name in _WHEN:
        value = resource.get(name)
        if value is None:
            continue
        try:
            if isinstance(value, str):
                return first_moment(value, zone), last_moment(value, zone)
            if isinstance(value, dict) and "start" in value and "end" in value:
                return first_moment(value["start"], zone), last_moment(value["end"], zone)
        except ValueError:
            return None
        return None  # a period that is open at one side may reach into any other
    return None
