"""The extensions that come with FHIR R4 for `make_r4_base.py`: what each asks of a value, and no texts.

Each becomes a StructureDefinition with a differential: what it asks beyond the type Extension itself. Only
allergyintolerance-substanceExposureRisk has a constraint of its own; it asks for an element that no extension
has, so that it can never hold, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from r4_terminology import binding

OWN = "http://hl7.org/fhir/StructureDefinition/"
HEAD = (
    "resourceType", "url", "version", "kind", "type", "derivation", "baseDefinition", "context",
    "contextInvariant",
)  # fmt: skip
# R4's own definitions use these where by their definition they may not stand, and the official validator lets
# them.
ALSO_ON = {
    f"{OWN}capabilitystatement-expectation": "Element",
    f"{OWN}capabilitystatement-prohibited": "Element",
    f"{OWN}regex": "ElementDefinition.type",
    f"{OWN}structuredefinition-fhir-type": "ElementDefinition.type",
    f"{OWN}structuredefinition-normative-version": "Element",
}
WHOLE_CHOICE = 50  # this many types a value may have that is not narrowed

Json = dict[str, Any]


def extensions(definitions: list[Json]) -> Iterator[Json]:
    """R4's extensions by URL, as little of each as decides what conforms."""
    for definition in sorted(definitions, key=lambda one: str(one["url"])):
        url = definition["url"]
        if url.startswith(OWN):
            head = {key: definition[key] for key in HEAD if key in definition}
            if url in ALSO_ON:
                head["context"] = [*head["context"], {"type": "element", "expression": ALSO_ON[url]}]
            elements = list(changes(definition["snapshot"]["element"]))
            yield head | {"differential": {"element": elements}}


def changes(elements: list[Json]) -> Iterator[Json]:
    """What the elements ask beyond the type Extension; one that asks for nothing more is left out."""
    sliced = {element["id"].rpartition(":")[0] for element in elements if "sliceName" in element}
    for element in elements:
        if asked := dict(stated(element, element["id"] in sliced)):
            yield {"id": element["id"], "path": element["path"]} | asked


def stated(element: Json, sliced: bool) -> Iterator[tuple[str, Any]]:
    path, base = element["path"], element["base"]
    if "sliceName" in element:
        yield "sliceName", element["sliceName"]
    if sliced:
        yield "slicing", {key: element["slicing"][key] for key in ("discriminator", "rules")}
        base = element  # codesystem-history forbids the parts that it then describes
    if path != "Extension":  # how often an extension may stand somewhere, what it stands on says
        yield from ((bound, element[bound]) for bound in ("min", "max") if element[bound] != base[bound])
    if path.endswith(".value[x]") and element["max"] != "0" and len(element["type"]) < WHOLE_CHOICE:
        yield "type", [type_(one) for one in element["type"]]
    if path != "Extension.url":  # by its own URL an extension is found
        yield from ((key, value) for key, value in element.items() if key.startswith(("fixed", "pattern")))
    if bound := binding(element):
        yield "binding", bound | {"valueSet": bound["valueSet"].partition("|")[0]}  # some say a wrong version
    if element["isModifier"]:
        yield "isModifier", True


def type_(stated: Json) -> Json:
    return {key: stated[key] for key in ("code", "profile", "targetProfile") if key in stated}
