"""Print the tables of docs/reference/task-states.md, drawn from the code.

    python scripts/task_states.py

`gateway.referral` says which state may follow which and who may set it, `consent.course` what the owner
may read meanwhile. A test compares what this prints with the page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from consent.course import VIEWS
from gateway import referral

# The order of a referral's life; every state of the table must be here.
ORDER = (
    "draft",
    "requested",
    "accepted",
    "in-progress",
    "on-hold",
    "completed",
    "failed",
    "rejected",
    "cancelled",
    "entered-in-error",
)
ROLES: tuple[referral.Role, ...] = ("requester", "owner")


def states() -> str:
    """One line a state: what the owner may read, whether a reason is needed, whether anything follows."""
    return _table(("State", "The owner may read", "Needs a reason", "Closed"), map(_state, _ordered()))


def transitions() -> str:
    """One line a state and what may follow it, by whom."""
    return _table(("From", "To", "By"), _transitions())


def tables() -> str:
    """Both tables under their headings, as they stand in the page."""
    return f"## States\n\n{states()}\n## What may follow\n\n{transitions()}"


def _ordered() -> tuple[str, ...]:
    if missing := referral.STATES.symmetric_difference(ORDER):
        raise ValueError(f"ORDER and the Task table differ: {', '.join(sorted(missing))}")
    return ORDER


def _state(name: str) -> tuple[str, ...]:
    # A draft has no reader yet: its view says what would be offered.
    view = "nothing yet" if name == "draft" else VIEWS[name]
    needs = "yes" if name in referral.NEEDS_REASON else ""
    return f"`{name}`", view, needs, "yes" if name in referral.FINAL else ""


def _transitions() -> Iterator[tuple[str, ...]]:
    for frm in _ordered():
        for to in _ordered():
            by = referral.TRANSITIONS.get((frm, to))
            if by:
                yield f"`{frm}`", f"`{to}`", " or ".join(role for role in ROLES if role in by)


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(tables())
