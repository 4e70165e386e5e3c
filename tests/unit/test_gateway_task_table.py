"""Every pair of Task states, for either role, against the table as it stands in the design and the guide."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import referral
from gateway.errors import Refused

# SDOH Clinical Care 3.0.0, "Checking Task Status": from, to, by (o: owner, r: requester).
TABLE = """
draft        requested          r
draft        cancelled          r
requested    accepted           o
requested    rejected           o
requested    cancelled          or
accepted     in-progress        o
accepted     on-hold            o
accepted     completed          o
accepted     failed             o
accepted     cancelled          or
in-progress  on-hold            o
in-progress  completed          o
in-progress  failed             o
in-progress  cancelled          or
on-hold      in-progress        o
on-hold      completed          o
on-hold      failed             o
on-hold      cancelled          or
"""
ROLES = {"o": "owner", "r": "requester"}
STATES = (
    "draft", "requested", "accepted", "rejected", "in-progress", "on-hold", "completed", "failed",
    "cancelled", "entered-in-error",
)  # fmt: skip
CLOSED = ("rejected", "cancelled", "completed", "failed", "entered-in-error")
WAYS = {
    (start, end, ROLES[role])
    for start, end, roles in (line.split() for line in TABLE.strip().splitlines())
    for role in roles
} | {(state, "entered-in-error", "requester") for state in STATES if state != "entered-in-error"}
REASON = {"text": "Said why."}


@pytest.mark.parametrize(
    ("start", "end", "role"),
    [(*pair, role) for pair in itertools.permutations(STATES, 2) for role in ROLES.values()],
)
def test_a_change_passes_if_and_only_if_the_table_holds_it(start: str, end: str, role: referral.Role) -> None:
    if (start, end, role) in WAYS:
        referral.check_transition(start, end, role, REASON)
        assert end in referral.allowed(start, role)
        return
    with pytest.raises(Refused) as refused:
        referral.check_transition(start, end, role, REASON)
    assert refused.value.status == 409
    ways = sorted(to for frm, to, who in WAYS if (frm, who) == (start, role))
    said = refused.value.issues[0].message
    assert said.endswith(f"may set: {', '.join(ways)}." if ways else "start a new Task.")


@pytest.mark.parametrize("state", STATES)
def test_repeating_a_state_is_no_change(state: str) -> None:
    referral.check_transition(state, state, "owner", None)


@pytest.mark.parametrize("state", ["received", "ready", "", "Accepted", "accepted "])
def test_a_state_that_the_profile_does_not_know_is_refused_as_a_code(state: str) -> None:
    with pytest.raises(Refused) as refused:
        referral.check_transition("requested", state, "owner", REASON)
    assert refused.value.status == 422 and refused.value.issues[0].expression == "Task.status"


@pytest.mark.parametrize("state", ["rejected", "cancelled", "on-hold", "failed"])
@pytest.mark.parametrize("reason", [None, {}, {"text": ""}, {"coding": [{"code": "provider-other"}]}])
def test_a_task_that_stops_says_why_in_words(state: str, reason: dict[str, object] | None) -> None:
    start = "requested" if state in ("rejected", "cancelled") else "accepted"
    with pytest.raises(Refused) as refused:
        referral.check_transition(start, state, "owner", reason)
    assert refused.value.status == 422
    assert refused.value.issues[0].expression == "Task.statusReason.text"


def test_the_sets_of_states_are_those_of_the_design() -> None:
    assert set(STATES) == referral.STATES
    assert set(CLOSED) == referral.FINAL
    assert {"accepted", "in-progress", "on-hold"} == referral.OPEN
    assert {"rejected", "cancelled", "on-hold", "failed"} == referral.NEEDS_REASON


@given(st.lists(st.tuples(st.sampled_from(STATES), st.sampled_from(["owner", "requester"])), max_size=30))
def test_no_walk_ever_leaves_a_closed_state(steps: list[tuple[str, referral.Role]]) -> None:
    """Whatever is tried: once closed, a Task stays as it is, but for having been entered in error."""
    state = "draft"
    for wanted, role in steps:
        before = state
        try:
            referral.check_transition(state, wanted, role, REASON)
            state = wanted
        except Refused:
            continue
        if before in CLOSED and state != before:
            assert (state, role) == ("entered-in-error", "requester")


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(["owner", "requester"]))
def test_an_unknown_state_is_never_reached(start: str, end: str, role: referral.Role) -> None:
    if end not in STATES and end != start:
        with pytest.raises(Refused):
            referral.check_transition(start, end, role, REASON)


TASK = {
    "resourceType": "Task",
    "id": "1",
    "status": "requested",
    "for": {"reference": "Patient/2"},
    "meta": {},
}


@pytest.mark.parametrize("element", ["status", "statusReason", "businessStatus", "output", "meta", "text"])
def test_what_the_owner_may_change(element: str) -> None:
    referral.sole_changes(TASK, TASK | {element: "other"})


@pytest.mark.parametrize(
    "element", ["id", "for", "owner", "note", "input", "description", "resourceType", "x"]
)
def test_everything_else_is_the_requesters(element: str) -> None:
    for wanted in (TASK | {element: "other"}, {k: v for k, v in TASK.items() if k != element}):
        if wanted == TASK:
            continue
        with pytest.raises(Refused) as refused:
            referral.sole_changes(TASK, wanted)
        assert refused.value.status == 422 and refused.value.issues[0].expression == f"Task.{element}"
        assert "other" not in str(refused.value.outcome())
