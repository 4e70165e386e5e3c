"""The shipped mappings and their cases, and how a test changes one fact of one."""

from __future__ import annotations

import csv
import io
import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from mappings import LocalMapping, RecordError, load, shipped
from mappings.record import Record

CASES = Path(__file__).parent.parent / "cases" / "mapping"
STORIES = sorted(path for path in CASES.glob("*/*") if path.suffix != ".yaml")
SYSTEMS = sorted(path.name for path in CASES.iterdir() if path.is_dir())


@cache
def mapping_of(system: str) -> LocalMapping:
    return load(shipped(system))


def must_be_record(found: Record | RecordError) -> Record:
    if isinstance(found, RecordError):
        raise found
    return found


def with_change(good: Path, change: dict[str, Any], folder: Path) -> Path:
    """A copy of a good case in which one fact is another.

    CSV `{column: value}`; a folder `{file: Event.csv, row: 1, column: value}`; JSON `{path: value}`, or
    `{file_text: value}`; HL7 `{PID-7: value}`; XML and any text `{text: old, becomes: new}`.
    """
    if good.is_dir():
        copy = folder / good.name
        shutil.copytree(good, copy)
        told = dict(change)
        file, row = copy / told.pop("file"), int(told.pop("row", 1))
        file.write_bytes(_changed_cell(file.read_bytes(), told, row))
        return copy
    copy = folder / good.name
    body = good.read_bytes()
    if "becomes" in change:
        assert change["text"].encode() in body
        copy.write_bytes(body.replace(change["text"].encode(), change["becomes"].encode()))
    elif good.suffix == ".csv":
        copy.write_bytes(_changed_cell(body, change, 1))
    elif good.suffix == ".json":
        copy.write_bytes(_changed_member(body, change))
    else:
        ((field, value),) = change.items()
        copy.write_text(_changed_segment(body.decode(), field, value), "utf-8")
    return copy


def _changed_cell(body: bytes, change: dict[str, Any], row: int) -> bytes:
    rows = list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))
    ((column, value),) = change.items()
    if column not in rows[0]:  # one that the header may do without
        rows = [[*cells, column if cells is rows[0] else ""] for cells in rows]
    rows[row][rows[0].index(column)] = value
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _changed_member(body: bytes, change: dict[str, Any]) -> bytes:
    ((field, value),) = change.items()
    data = json.loads(body)
    *parents, name = [int(step) if step.isdecimal() else step for step in field.split(".")]
    target = data
    for parent in parents:
        target = target[parent]
    target[name] = value
    return json.dumps(data).encode()


def _changed_segment(text: str, field: str, value: str) -> str:
    """The field in the first segment of that name; for PRD in the one that is referred to."""
    name, _, number = field.partition("-")
    lines = text.split("\n")
    wanted = "PRD|RT" if name == "PRD" else f"{name}|"
    index = next(i for i, line in enumerate(lines) if line.startswith(wanted))
    fields = lines[index].split("|")
    place = int(number) - (name == "MSH")
    fields += [""] * (place + 1 - len(fields))
    fields[place] = value
    lines[index] = "|".join(fields)
    return "\n".join(lines)
