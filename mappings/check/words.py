"""How the validator's findings are said to a mapping's author."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from mappings.check.bench import element
from mappings.check.r4_types import closed_list
from mappings.line import Line
from profiles.outcome import Issue

_MOST_CODES: Final = 8  # that are named in one message


def said(issue: Issue) -> str:
    """What is wrong, where, and by which rule."""
    if issue.constraint:
        return f"{issue.expression} breaks {rule(issue)} ({issue.message.rstrip('.')})"
    return f"{issue.expression}: {issue.message} ({rule(issue)})"


def rule(issue: Issue) -> str:
    """What was broken: a constraint, a profile, or R4 itself."""
    profile = issue.profile.rpartition("/")[2] or "FHIR R4"
    return f"{issue.constraint} of {profile}" if issue.constraint else profile


def last(issue: Issue) -> str:
    """The name of the element that the issue is about."""
    return issue.expression.rpartition(".")[2]


def listed(codes: list[str]) -> str:
    """Codes in quotes, not all of very many."""
    shown = [repr(code) for code in codes[:_MOST_CODES]]
    return ", ".join([*shown, "…"] if len(codes) > _MOST_CODES else shown)


def instead(issue: Issue, given: str) -> str:
    """Which codes there are instead of `given`, as far as R4 lists them; empty where it does not."""
    codes = closed_list(issue.expression) if issue.code == "code-invalid" else []
    close = get_close_matches(given, codes, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"there are {listed(codes)}" if codes else ""


def makes(line: Line, issue: Issue) -> bool:
    """Whether the issue is about what this entry makes, and not about what stands around or beside it."""
    own = element(line.element)
    return issue.expression == own or issue.expression.startswith(f"{own}.")


def is_part(line: Line, issue: Issue) -> bool:
    """Whether this entry makes a part of what has no code that fits."""
    return issue.code == "code-invalid" and element(line.element).startswith(f"{issue.expression}.")


def touches(line: Line, path: str) -> bool:
    """Whether this entry makes `path`, something in it, or what it is in."""
    own = element(line.element)
    return own == path or own.startswith(f"{path}.") or path.startswith(f"{own}.")
