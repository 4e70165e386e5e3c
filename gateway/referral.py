"""Where a referral may go from where it stands: the Task states, as one table, blind to I/O.

SDOH Clinical Care 3.0.0, "Checking Task Status" state machine; `received` and `ready` do not exist in its
referral profile. `draft` → `cancelled` is ours: a referral that was never offered can be taken back.
`docs/reference/task-states.md` is drawn from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from gateway.errors import Refused, refuse

Role = Literal["requester", "owner"]

_OWNER: frozenset[Role] = frozenset({"owner"})
_REQUESTER: frozenset[Role] = frozenset({"requester"})
_EITHER: frozenset[Role] = frozenset({"requester", "owner"})

TRANSITIONS: Mapping[tuple[str, str], frozenset[Role]] = {
    ("draft", "requested"): _REQUESTER,
    ("draft", "cancelled"): _REQUESTER,
    ("requested", "accepted"): _OWNER,
    ("requested", "rejected"): _OWNER,
    ("requested", "cancelled"): _EITHER,
    ("accepted", "in-progress"): _OWNER,
    ("accepted", "on-hold"): _OWNER,
    ("accepted", "completed"): _OWNER,
    ("accepted", "failed"): _OWNER,
    ("accepted", "cancelled"): _EITHER,
    ("in-progress", "on-hold"): _OWNER,
    ("in-progress", "completed"): _OWNER,
    ("in-progress", "failed"): _OWNER,
    ("in-progress", "cancelled"): _EITHER,
    ("on-hold", "in-progress"): _OWNER,
    ("on-hold", "completed"): _OWNER,
    ("on-hold", "failed"): _OWNER,
    ("on-hold", "cancelled"): _EITHER,
    **{
        (status, "entered-in-error"): _REQUESTER
        for status in (
            "draft",
            "requested",
            "accepted",
            "in-progress",
            "on-hold",
            "rejected",
            "cancelled",
            "completed",
            "failed",
        )
    },
}

STATES = frozenset(status for pair in TRANSITIONS for status in pair)
FINAL = frozenset({"rejected", "cancelled", "completed", "failed", "entered-in-error"})
OPEN = frozenset({"accepted", "in-progress", "on-hold"})
NEEDS_REASON = frozenset({"rejected", "cancelled", "on-hold", "failed"})

# What a recipient may change in a Task; the guide's Light pattern leaves the rest to the requester.
OWNER_ELEMENTS = ("status", "statusReason", "businessStatus", "output")


def allowed(status: str, role: Role) -> tuple[str, ...]:
    """The states that `role` may set from `status`, in alphabetical order."""
    return tuple(sorted(to for (frm, to), roles in TRANSITIONS.items() if frm == status and role in roles))


def check_transition(current: str, wanted: str, role: Role, reason: Mapping[str, Any] | None) -> None:
    """Let a change of state pass, or raise Refused.

    409 with the allowed states when the table does not hold the change (repeating the current state is no
    change and passes); 422 when the wanted state needs `statusReason.text` and `reason` has none.
    """
    if wanted == current:
        return
    if wanted not in STATES:
        raise refuse(
            422,
            "code-invalid",
            f"Task.status must be one of {', '.join(sorted(STATES))}.",
            expression="Task.status",
        )
    if role not in TRANSITIONS.get((current, wanted), frozenset()):
        raise illegal_transition(current, wanted, role)
    if wanted in NEEDS_REASON and not (reason or {}).get("text"):
        raise refuse(
            422,
            "required",
            f"A Task that becomes {wanted} says why: statusReason.text is required.",
            expression="Task.statusReason.text",
        )


def illegal_transition(current: str, wanted: str, role: Role) -> Refused:
    """The 409 for a change that the table does not hold."""
    ways = allowed(current, role)
    return refuse(
        409,
        "business-rule",
        f"A Task that is {current} cannot become {wanted}. "
        + (
            f"From here the {role} may set: {', '.join(ways)}." if ways else "It is closed; start a new Task."
        ),
        expression="Task.status",
    )


def sole_changes(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse (422) an update that touches what a recipient may not change.

    `meta` and `text` are the server's own and are ignored.
    """
    for element in sorted((current.keys() | wanted.keys()) - {*OWNER_ELEMENTS, "meta", "text"}):
        if current.get(element) != wanted.get(element):
            raise refuse(
                422,
                "business-rule",
                f"A recipient may change {', '.join(OWNER_ELEMENTS)} of this Task, and nothing else.",
                expression=f"Task.{element}",
            )
