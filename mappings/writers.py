"""From rendered values to bytes: JSON, CSV with a header, HL7 version 2.

Each writer guards its format against the text it carries: HL7 separators are escaped, and a CSV cell that a
spreadsheet would run as a formula is made text (see `mappings.formulas`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from mappings.formulas import guarded
from mappings.readers.csv_rows import CsvForm

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_ESCAPES = str.maketrans(
    {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\n": "\\.br\\"}
    | {chr(code): f"\\X{code:02X}\\" for code in (*range(10), *range(11, 32), 127)}
)
_RFC_4180: Final = CsvForm()

Field = str | Sequence[str | None] | None
"""An HL7 field: text, or its components."""


def write_json(values: Mapping[str, Any]) -> bytes:
    """One JSON object; decimals keep their digits."""
    return _ENCODER.encode(values)


def write_csv(columns: Sequence[str], values: Mapping[str, Any], form: CsvForm = _RFC_4180) -> bytes:
    """A header and one line, as RFC 4180 has them. Raises UnicodeEncodeError for what `form` cannot hold."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=form.delimiter, quotechar=form.quote)
    writer.writerow(columns)
    writer.writerow([_cell(values.get(column)) for column in columns])
    return out.getvalue().encode(form.encoding)


def write_hl7v2(segments: Sequence[tuple[str, Mapping[int, Field]]]) -> bytes:
    """Segments (name, fields by number) as ER7, each ended by CR. MSH-1 and MSH-2 are added."""
    return "".join(f"{_segment(name, fields)}\r" for name, fields in segments).encode("utf-8")


def _cell(value: Any) -> str:
    return "" if value is None else guarded(str(value))


def _segment(name: str, fields: Mapping[int, Field]) -> str:
    last = max((number for number, value in fields.items() if value is not None), default=0)
    if name == "MSH":
        return "|".join(["MSH", "^~\\&", *(_field(fields.get(number)) for number in range(3, last + 1))])
    return "|".join([name, *(_field(fields.get(number)) for number in range(1, last + 1))])


def _field(value: Field) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return _escape(value)
    return "^".join("" if part is None else _escape(part) for part in value).rstrip("^")


def _escape(text: str) -> str:
    return text.replace("\r\n", "\n").translate(_ESCAPES)
