"""CSV cells that a spreadsheet would run as a formula are made text, as OWASP's "CSV Injection" asks.

A single quote before the cell makes it text. Numbers with a sign stay as they are: they are no formulas.
"""

from __future__ import annotations

import re

# Also the full-width forms, which some spreadsheets read as the others, and what stands behind white space.
_FORMULA = re.compile(r"'*(?![+-]?[0-9]+(\.[0-9]+)?\Z)([\t\r\n]|\s*[=+\-@＝＋－＠])")  # noqa: RUF001


def guarded(cell: str) -> str:
    """`cell` so that no spreadsheet runs it."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unguarded(cell: str) -> str:
    """What `guarded` was given to make `cell`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
