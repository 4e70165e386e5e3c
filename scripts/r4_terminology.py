"""The value sets and code systems of FHIR R4 for `make_r4_base.py`: which are needed, and as little of each.

Every code system of HL7's own that R4 has whole is kept, so that a code it does not have can be refused. Kept
is what decides whether a code is a member: codes, what stands above what, filters and imports. Names, texts
and other properties of concepts are not.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any

CODES = "http://terminology.hl7.org/CodeSystem/"
HL7 = ("http://hl7.org/fhir/", "http://terminology.hl7.org/")
OF_OTHERS = "http://hl7.org/fhir/sid/"  # HL7's names for systems that it does not keep
# Not bound by R4 itself, but by guides that build on it.
ALSO = ("http://hl7.org/fhir/ValueSet/servicerequest-category",)
# What the package adds to R4, and a table whose codes came damaged.
NOT_R4 = (
    "http://hl7.org/fhir/detectedissue-status",
    "http://hl7.org/fhir/ValueSet/detectedissue-status",
    f"{CODES}v2-0550",
)
ADDED_CODES = {"http://hl7.org/fhir/questionnaire-item-control": {"multi-select"}}
MAXIMUM = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
CHECKED = ("required", "maximum", "extensible")
# Only recommended, and long lists of codes that are others' property: LOINC's, SNOMED CT's, DICOM's.
LEFT_OUT = (
    "http://hl7.org/fhir/ValueSet/c80-doc-typecodes",
    "http://hl7.org/fhir/ValueSet/c80-practice-codes",
    "http://dicom.nema.org/resources/ontology/DCM",
)
LARGEST_CLOSED_LIST = 300

Json = dict[str, Any]


class Terminology:
    """HL7's value sets and code systems, the closed lists that were asked for, and all that was reached."""

    def __init__(self, resources: Iterable[Json]) -> None:
        self._by_url = {
            resource["url"]: resource
            for resource in resources
            if "url" in resource and resource["url"] not in NOT_R4
        }
        self._reached: set[str] = set()
        self.closed_lists: dict[str, Json] = {}
        for url in (*ALSO, *filter(self._is_own_code_system, self._by_url)):
            self.reach(url)

    def closed(self, canonical: str) -> str | None:
        """The short name of this value set when it is a closed list of at most LARGEST_CLOSED_LIST codes."""
        url = canonical.split("|")[0]
        name = url.rsplit("/", 1)[-1]
        if name not in self.closed_lists:
            codes = self._expand(url)
            if codes is None or sum(len(list_) for list_ in codes.values()) > LARGEST_CLOSED_LIST:
                return None
            self.closed_lists[name] = codes
        return name

    def reach(self, canonical: str) -> None:
        """Keep this value set or code system, and every one that it refers to."""
        url = canonical.split("|")[0]
        resource = self._by_url.get(url)
        if resource is None or url in self._reached or url in LEFT_OUT:
            return
        if resource.get("content", "complete") != "complete":
            return
        self._reached.add(url)
        for part in parts(resource):
            for value_set in part.get("valueSet", []):
                self.reach(value_set)
            if "system" in part:
                self.reach(part["system"])

    def reached(self) -> list[Json]:
        return [trimmed(self._by_url[url]) for url in sorted(self._reached)]

    def _is_own_code_system(self, url: str) -> bool:
        own = url.startswith(HL7) and not url.startswith(OF_OTHERS) and "|" not in url
        return own and "concept" in self._by_url[url]

    def _expand(self, url: str) -> dict[str, list[str]] | None:
        """{system: codes}, or None when the list cannot be known from the definitions alone."""
        value_set = self._by_url.get(url)
        if value_set is None or "exclude" in value_set["compose"]:
            return None
        found: dict[str, list[str]] = {}
        for include in value_set["compose"]["include"]:
            if "filter" in include or "valueSet" in include:
                return None
            system = self._by_url.get(include["system"], {})
            concepts = include.get("concept") or system.get("concept")
            if not concepts:
                return None
            found.setdefault(include["system"], []).extend(codes_in(concepts))
        return found


def binding(element: Json) -> Json:
    """The binding of an element that is checked, {strength, valueSet}; empty when there is none.

    A maximum value set above a preferred one is required of a `code`. A CodeableConcept may be words alone,
    so there it is a `maximum`.
    """
    stated = element.get("binding", {})
    strength, canonical = stated.get("strength"), stated.get("valueSet")
    if strength == "preferred":
        for extension in stated.get("extension", []):
            if extension["url"] == MAXIMUM:
                coded = any(type_["code"] == "code" for type_ in element["type"])
                strength, canonical = "required" if coded else "maximum", extension["valueCanonical"]
    return {"strength": strength, "valueSet": canonical} if canonical and strength in CHECKED else {}


def parts(resource: Json) -> Iterator[Json]:
    compose = resource.get("compose", {})
    yield from compose.get("include", [])
    yield from compose.get("exclude", [])


def codes_in(concepts: list[Json]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from codes_in(concept.get("concept", []))


def trimmed(resource: Json) -> Json:
    kept: Json = {key: resource[key] for key in ("resourceType", "url", "version") if key in resource}
    if resource["resourceType"] == "ValueSet":
        compose = resource.get("compose", {})
        sides = {side: compose[side] for side in ("include", "exclude") if side in compose}
        return kept | {
            "compose": {side: [trimmed_part(part) for part in listed] for side, listed in sides.items()}
        }
    for key in ("content", "caseSensitive", "hierarchyMeaning"):
        if key in resource:
            kept[key] = resource[key]
    added = ADDED_CODES.get(resource["url"], ())
    return kept | {"concept": [trimmed_concept(concept, added) for concept in resource["concept"]]}


def trimmed_part(part: Json) -> Json:
    kept: Json = {key: part[key] for key in ("system", "version", "valueSet", "filter") if key in part}
    if "concept" in part:
        kept["concept"] = [{"code": concept["code"]} for concept in part["concept"]]
    return kept


def trimmed_concept(concept: Json, added: Container[str]) -> Json:
    """A concept with what stands below it: nested, or as property `child` where it stands below several."""
    kept: Json = {"code": concept["code"]}
    if below := [entry for entry in concept.get("property", []) if entry["code"] == "child"]:
        kept["property"] = below
    if "concept" in concept:
        kept["concept"] = [trimmed_concept(e, added) for e in concept["concept"] if e["code"] not in added]
    return kept
