"""What is wrong with an element of what was made, told by the fields of the record that it was made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from mappings.result import Lineage
from profiles.outcome import Issue

_PICK = re.compile(r"\[[^\[\]]*\]")


def with_fields(issue: Issue, lineage: Sequence[Lineage]) -> Issue:
    """A finding about an element, with the fields that lead to the element or into it."""
    wanted = _steps(issue.expression)
    fields = [
        line.field
        for line in lineage
        if all(mine == theirs for mine, theirs in zip(_steps(line.element), wanted, strict=False))
    ]
    return replace(issue, field=", ".join(dict.fromkeys(fields))) if len(wanted) > 1 else issue


def _steps(element: str) -> list[str]:
    return _PICK.sub("", element).split(".")
