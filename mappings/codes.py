"""Code tables: FHIR ConceptMaps read into dictionaries, with what to do with a code they do not hold.

`reject` refuses the record, `text` keeps the local word as CodeableConcept.text, `drop` leaves the element
out. The mapping must choose one; a code whose target is `unmatched` counts as one that is not mapped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mappings.code_files import read_csv_table
from mappings.record import Rejected
from profiles.document import Document, load
from profiles.terminology import ConceptMap, ConceptMapError, Translation, load_concept_map

Unmapped = Literal["reject", "text", "drop"]


@dataclass(frozen=True, slots=True)
class CodeTable:
    """One ConceptMap. `targets[local code]` are the codings it becomes, in the file's order."""

    name: str
    unmapped: Unmapped
    targets: Mapping[str, tuple[Mapping[str, str], ...]]
    source: Mapping[str, str]  # target code → local code

    def code(self, value: Any) -> str | None:
        """The first target's code, for elements of type `code`."""
        found = self._find(value)
        return found[0]["code"] if found else None

    def coding(self, value: Any) -> dict[str, str] | None:
        """The first target, as a Coding."""
        found = self._find(value)
        return dict(found[0]) if found else None

    def concept(self, value: Any) -> dict[str, Any] | None:
        """All targets as a CodeableConcept; for an unmapped code in a `text` table the local word alone."""
        found = self._find(value)
        if found:
            return {"coding": [dict(coding) for coding in found]}
        return {"text": str(value)} if self.unmapped == "text" else None

    def local_code(self, value: Any) -> str | None:
        """The local code for a target code: the table read backwards."""
        found = self.source.get(value) if isinstance(value, str) else None
        if found is None:
            self._not_found()
        return found

    def ambiguous(self) -> list[str]:
        """Target codes that several local codes become, so that the table cannot be read backwards."""
        counts = Counter(coding["code"] for codings in self.targets.values() for coding in codings)
        return sorted(code for code, count in counts.items() if count > 1)

    def _find(self, value: Any) -> tuple[Mapping[str, str], ...]:
        found = self.targets.get(value if isinstance(value, str) else str(value))
        if not found:
            self._not_found()
            return ()
        return found

    def _not_found(self) -> None:
        if self.unmapped == "reject":
            raise Rejected("code-invalid", f"the code table {self.name!r} does not have this code")


def load_code_table(name: str, unmapped: Unmapped, path: Path) -> tuple[CodeTable, Document]:
    """The table `name` from a ConceptMap in JSON or a CSV of its rows, and that ConceptMap.

    Raises DocumentError.
    """
    document = _document(path)
    try:
        concept_map = load_concept_map(document.data)
    except ConceptMapError as fault:
        raise document.error(fault.issues) from None
    if concept_map.unmapped:
        message = "has group.unmapped; what happens to other codes is said in the mapping"
        raise document.error([document.issue(("group",), message)])
    return _code_table(name, unmapped, concept_map), document


def _document(path: Path) -> Document:
    return read_csv_table(path) if path.suffix == ".csv" else load(path, {"type": "object"})


def _code_table(name: str, unmapped: Unmapped, concept_map: ConceptMap) -> CodeTable:
    """Local records seldom name a code's system, so that the groups of a table are read as one."""
    targets: dict[str, tuple[Mapping[str, str], ...]] = {}
    for translations in concept_map.table.values():
        for code, found in translations.items():
            targets[code] = targets.get(code, ()) + tuple(_coding(translation) for translation in found)
    source = {coding["code"]: local for local, codings in targets.items() for coding in codings}
    return CodeTable(name, unmapped, targets, source)


def _coding(translation: Translation) -> dict[str, str]:
    coding = {"system": translation.system, "code": translation.code}
    return coding | {"display": translation.display} if translation.display else coding
