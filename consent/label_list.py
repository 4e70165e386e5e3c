"""A list of codes and the labels they give, in the project's own YAML form (docs/reference/labels.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from consent.items import SCHEMAS
from consent.matter import Label
from consent.sensitivity import label_named, settled
from profiles.canonical import LOINC, SNOMED
from profiles.document import Document, load, read_schema
from profiles.outcome import Issue

ICD_10_CM: Final = "http://hl7.org/fhir/sid/icd-10-cm"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
CPT: Final = "http://www.ama-assn.org/go/cpt"
HCPCS: Final = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"

# Systems whose codes say what they belong under: F11.20 is under F11. Only here may a list name a beginning.
PREFIXED: Final = frozenset({ICD_10_CM})

# Other names that records use for the same systems. WHO's ICD-10 has the same categories, and records from
# the United States often name it and mean the clinical modification.
SPELLED: Final[Mapping[str, str]] = {
    "http://hl7.org/fhir/sid/icd-10": ICD_10_CM,
    "http://hl7.org/fhir/sid/icd-10-us": ICD_10_CM,
    "urn:oid:2.16.840.1.113883.6.3": ICD_10_CM,
    "urn:oid:2.16.840.1.113883.6.90": ICD_10_CM,
    "urn:oid:2.16.840.1.113883.6.1": LOINC,
    "urn:oid:2.16.840.1.113883.6.12": CPT,
    "urn:oid:2.16.840.1.113883.6.88": RXNORM,
    "urn:oid:2.16.840.1.113883.6.96": SNOMED,
    "urn:oid:2.16.840.1.113883.6.285": HCPCS,
}

_BEGINNING: Final = re.compile(r"[A-Z]([0-9]([0-9A-Z](\.[0-9A-Z]{1,4})?)?)?")


@dataclass(frozen=True, slots=True)
class CodeGroup:
    """Codes of one system and where they were taken from.

    exact: these codes; below: these and all that begin with them; whole: every code of the system.
    """

    system: str
    source: str
    exact: frozenset[str] = frozenset()
    below: frozenset[str] = frozenset()
    whole: bool = False


@dataclass(frozen=True, slots=True)
class LabelList:
    """What a list says: every code in `groups` carries `labels`, a confidentiality among them.

    `value_sets` are the canonical URLs of FHIR ValueSets whose codes it labels too, put in as groups when
    they are loaded.
    """

    id: str
    title: str
    labels: frozenset[Label]
    citation: str
    text: str
    groups: tuple[CodeGroup, ...]
    value_sets: tuple[str, ...] = ()


def load_list(path: Path) -> tuple[LabelList, Document]:
    """A list from a YAML file. Raises DocumentError with file and line, also for labels it does not know."""
    document = load(path, _schema())
    issues = list(_unknown_terms(document))
    if issues:
        raise document.error(issues)
    data = document.data
    made = LabelList(
        id=data["id"],
        title=data["title"],
        labels=settled(label for code in data["labels"] if (label := label_named(code))),
        citation=data["citation"],
        text=data["text"],
        groups=tuple(_group(each) for each in data.get("codes", ())),
        value_sets=tuple(data.get("value-sets", ())),
    )
    return made, document


def plain(code: str) -> str:
    """A code of a system read by prefix, without what records write in different ways: its dot and case."""
    return code.replace(".", "").upper()


def _schema() -> Mapping[str, Any]:
    return read_schema(SCHEMAS / "labels.schema.json")


def _group(each: Mapping[str, Any]) -> CodeGroup:
    return CodeGroup(
        system=each["system"],
        source=each["source"],
        exact=frozenset(each.get("exact", ())),
        below=frozenset(each.get("below", ())),
        whole=each.get("whole", False),
    )


def _unknown_terms(document: Document) -> Iterator[Issue]:
    """What the schema cannot see: labels that mean nothing, beginnings where codes have none."""
    for number, code in enumerate(document.data["labels"]):
        if label_named(code) is None:
            yield document.issue(("labels", number), "is not a security label this version knows")
    for at, each in enumerate(document.data.get("codes", ())):
        where = ("codes", at, "below")
        if "below" in each and SPELLED.get(each["system"], each["system"]) not in PREFIXED:
            yield document.issue(where, "is for ICD-10-CM: codes of this system do not show their group")
            continue
        for number, code in enumerate(each.get("below", ())):
            if not _BEGINNING.fullmatch(code):
                yield document.issue((*where, number), "is not the beginning of an ICD-10-CM code")
