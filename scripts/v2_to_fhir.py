"""Print the tables of docs/reference/mappings/v2-to-fhir.md, drawn from tests/cases/v2-to-fhir.yaml.

    python scripts/v2_to_fhir.py

A test compares what this prints with the page, and the file with the compiled mapping.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from profiles.document import load

FACTS = Path(__file__).parent.parent / "tests" / "cases" / "v2-to-fhir.yaml"
# The groups of rows, by what their fields begin with; the first that fits counts.
_TITLES = {
    "PID-3.": "PID-3, by the components of CX",
    "PID-5.": "PID-5, by the components of XPN",
    "PID-11.": "PID-11, by the components of XAD",
    "PID-13.": "PID-13, by the components of XTN",
    "PID": "PID: the person",
    "PV1": "PV1: the visit",
    "ORC": "ORC: the order",
}


def rows() -> list[Mapping[str, Any]]:
    """The facts, one for each field."""
    found: list[Mapping[str, Any]] = load(FACTS, {"type": "array"}).data
    return found


def tables() -> str:
    """One heading and table for each group of rows; what neither maps is named below."""
    return "\n".join(_section(title, list(group)) for title, group in groupby(rows(), _title))


def _title(row: Mapping[str, Any]) -> str:
    return next(title for start, title in _TITLES.items() if row["field"].startswith(start))


def _section(title: str, group: list[Mapping[str, Any]]) -> str:
    lines = [f"## {title}", "", "| field | HL7 | ours | |", "| --- | --- | --- | --- |", *_lines(group)]
    neither = [row["field"] for row in group if row["verdict"] == "neither"]
    if neither:
        lines += ["", f"Neither maps {', '.join(neither)}."]
    return "\n".join(lines) + "\n"


def _lines(group: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for row in group:
        if row["verdict"] != "neither":
            why = f"**{row['verdict']}**" + (f": {row['why']}" if "why" in row else "")
            cells = (f"{row['field']} {row['name']}", _codes(row["hl7"]), _codes(row["ours"]), why)
            yield f"| {' | '.join(cells)} |"


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


if __name__ == "__main__":
    sys.stdout.write(tables())
