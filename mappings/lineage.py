"""Which local field reaches which element: the proof of what can ever leave.

It comes from the compiled mapping, not from a record, and so holds for every record. A field that is only
looked at by a condition (function `when`) is listed too: the element tells something about it.
"""

from __future__ import annotations

import csv
import io

from mappings.table import LocalMapping


def lineage_csv(mapping: LocalMapping) -> str:
    """The lineage of all record kinds: record, field, function, element; for ignored fields the reason."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("record", "field", "function", "element", "reason"))
    for kind in mapping.kinds:
        for line in kind.lineage:
            writer.writerow((kind.name, line.field, line.function, line.element, ""))
        for field, reason in kind.ignored.items():
            writer.writerow((kind.name, field, "ignored", "", reason))
    return out.getvalue()
