"""Code tables as people keep them in a spreadsheet: rows of a CSV for a FHIR ConceptMap, without loss.

What holds for the whole table stands in lines at the top. Then comes a row for each target of a code:

    # url: https://waymeet.example/fhir/ConceptMap/need
    # status: active
    code,display,target_system,target_code,target_display,equivalence,comment
    hungry,No food at home,http://snomed.info/sct,733423003,Food insecurity,equivalent,

`code`, `target_system` and `target_code` must be there; a code without a target says `unmatched`. Further
columns are `source_system`, `source_version` and `target_version`. Where nothing is said, the status is
`active` and the equivalence `equivalent`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mappings.code_rows import COLUMNS, ELEMENT, GROUP, REQUIRED, TARGET, TOP, read_table
from mappings.formulas import guarded
from profiles.document import Document, DocumentError
from profiles.outcome import Issue
from profiles.structure import check
from profiles.terminology import ConceptMapError


def read_csv_table(path: Path) -> Document:
    """The ConceptMap in the CSV file at `path`. Raises DocumentError naming every line that is not right."""
    try:
        with path.open("rb") as file:
            return read_table(file, path.name)
    except OSError:
        raise DocumentError([Issue("error", "not-found", "the file cannot be read")], path.name) from None


def to_csv(concept_map: Mapping[str, Any]) -> str:
    """A ConceptMap as CSV text, from which `read_csv_table` makes the same ConceptMap again.

    Raises ConceptMapError for one that is not valid, or that holds what a CSV cannot hold: `dependsOn`,
    extensions, contacts, a code without a word on its target.
    """
    if issues := check(concept_map) or list(_unheld(concept_map)):
        raise ConceptMapError(issues)
    rows = [_cells(group, element, target) for group, element, target in _targets(concept_map)]
    used = [name for name in COLUMNS if name in REQUIRED or any(name in row for row in rows)]
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerows([f"# {key}: {_as_text(concept_map[key])}"] for key in TOP if key in concept_map)
    writer.writerow(used)
    writer.writerows([guarded(row.get(name, "")) for name in used] for row in rows)
    text = out.getvalue()
    _read_again(text, concept_map)
    return text


def _unheld(concept_map: Mapping[str, Any]) -> Iterator[Issue]:
    places = [("ConceptMap", concept_map, {"resourceType", "group", *TOP})]
    for g, group in enumerate(concept_map.get("group", [])):
        where = f"ConceptMap.group[{g}]"
        places.append((where, group, {"element", *GROUP}))
        for e, element in enumerate(group["element"]):
            places.append((f"{where}.element[{e}]", element, {"target", *ELEMENT}))
            if "target" not in element:
                message = "has no target: say `unmatched` in it, for a CSV"
                yield Issue("error", "required", message, f"{where}.element[{e}].target")
            for t, target in enumerate(element.get("target", [])):
                places.append((f"{where}.element[{e}].target[{t}]", target, set(TARGET)))
    for place, data, known in places:
        for key in data:
            if key not in known:
                yield Issue("error", "not-supported", "is not what a CSV can hold", f"{place}.{key}")


def _targets(concept_map: Mapping[str, Any]) -> Iterator[tuple[Any, Any, Any]]:
    for group in concept_map.get("group", []):
        for element in group["element"]:
            for target in element["target"]:
                yield group, element, target


def _cells(*parts: Mapping[str, Any]) -> dict[str, str]:
    """The row for a group, an element and a target, as column to cell."""
    columns = zip(parts, (GROUP, ELEMENT, TARGET), strict=True)
    return {names[key]: part[key] for part, names in columns for key in names if key in part}


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_again(text: str, concept_map: Mapping[str, Any]) -> None:
    """Raises ConceptMapError unless `text` gives `concept_map` again."""
    try:
        same = read_table(io.BytesIO(text.encode()), "").data == concept_map
    except DocumentError as fault:
        raise ConceptMapError([Issue("error", "invalid", issue.message) for issue in fault.issues]) from None
    if not same:
        message = "is not as a CSV has it: each pair of systems in one group, each code in one element"
        raise ConceptMapError([Issue("error", "structure", message, "ConceptMap.group")])
