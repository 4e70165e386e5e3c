"""Scopes: what is well-formed, what it allows, and that narrowing never gives more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.oauth import scopes


@pytest.mark.parametrize(
    ("text", "type_", "letters", "version"),
    [
        ("system/Task.rus", "Task", "rus", 2),
        ("system/Task.cruds", "Task", "cruds", 2),
        ("system/*.rs", "*", "rs", 2),
        ("system/Task.read", "Task", "rs", 1),
        ("system/Task.write", "Task", "cud", 1),
        ("system/Task.*", "Task", "cruds", 1),
        ("system/*.read", "*", "rs", 1),
    ],
)
def test_a_well_formed_scope_is_understood(text: str, type_: str, letters: str, version: int) -> None:
    assert scopes.parse(text) == scopes.Scope(type_, frozenset(letters), version)


@pytest.mark.parametrize(
    "text",
    [
        "system/Task.sr",
        "system/Task.rsu",
        "system/Task.dus",
        "system/Task.rr",
        "system/Task.",
        "system/Task",
        "system/Task.x",
        "system/Task.Read",
        "system/task.rs",
        "system/.rs",
        "system/**.rs",
        "system/Task.rs?status=requested",
        "patient/Task.rs",
        "user/Task.rs",
        "SYSTEM/Task.rs",
        "openid",
        "system/Task.rs\n",
        " system/Task.rs",
        "",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(scopes.ScopeError):
        scopes.parse(text)


def test_a_scope_parameter_needs_single_blanks_and_a_bounded_number() -> None:
    assert scopes.split("system/Task.r system/Task.r system/Task.u") == ("system/Task.r", "system/Task.u")
    with pytest.raises(scopes.ScopeError):
        scopes.split("system/Task.r  system/Task.u")
    many = [f"system/T{'a' * length}.r" for length in range(1, 60)]
    assert len(scopes.split(" ".join(many))) == len(many)
    with pytest.raises(scopes.ScopeError, match="at most"):
        scopes.split(" ".join(many + [f"system/P{'a' * length}.r" for length in range(1, 60)]))


def test_a_scope_grants_its_letters_on_its_type_only() -> None:
    held = {"system/Task.rus", "system/ServiceRequest.read"}
    assert scopes.grants(held, "Task", "u")
    assert scopes.grants(held, "ServiceRequest", "s")
    assert not scopes.grants(held, "Task", "c")
    assert not scopes.grants(held, "ServiceRequest", "u")
    assert not scopes.grants(held, "Patient", "r")
    assert not scopes.grants((), "Task", "r")
    assert scopes.grants({"system/*.r"}, "Patient", "r")


@pytest.mark.parametrize(
    ("requested", "allowed", "granted"),
    [
        ("system/Task.rus", {"system/Task.rus"}, ("system/Task.rus",)),
        ("system/Task.cruds", {"system/Task.rus"}, ("system/Task.rus",)),
        ("system/Task.r system/Patient.r", {"system/Task.rs"}, ("system/Task.r",)),
        ("system/Patient.r", {"system/Task.rs"}, ()),
        ("system/*.rs", {"system/Task.rus", "system/Patient.r"}, ("system/Task.rs", "system/Patient.r")),
        ("system/Task.rs", {"system/*.rs"}, ("system/Task.rs",)),
        ("system/*.cruds", {"system/*.r", "system/Task.u"}, ("system/*.r", "system/Task.ru")),
        ("system/Task.read", {"system/Task.rs"}, ("system/Task.read",)),
        ("system/Task.read", {"system/Task.cruds"}, ("system/Task.read",)),
        ("system/Task.*", {"system/Task.rus"}, ("system/Task.read",)),
        ("system/Task.*", {"system/Task.cruds"}, ("system/Task.*",)),
        ("system/Task.write", {"system/Task.rus"}, ()),
        ("system/Task.read", {"system/Task.r"}, ()),
        ("system/Task.rs", {"system/Task.read"}, ("system/Task.rs",)),
    ],
)
def test_narrowing_answers_in_the_version_that_was_asked(
    requested: str, allowed: set[str], granted: tuple[str, ...]
) -> None:
    assert set(scopes.narrow(requested, allowed)) == set(granted)


_TYPE = st.sampled_from(["*", "Task", "Patient", "ServiceRequest"])
_V2 = st.sets(st.sampled_from("cruds"), min_size=1).map(lambda held: "".join(x for x in "cruds" if x in held))
_ACTION = st.one_of(_V2, st.sampled_from(["read", "write", "*"]))
_SCOPE = st.builds(lambda kind, action: f"system/{kind}.{action}", _TYPE, _ACTION)
_SCOPES = st.lists(_SCOPE, min_size=1, max_size=6)


@given(requested=_SCOPES, allowed=_SCOPES)
def test_nothing_is_granted_that_was_not_asked_for_or_not_allowed(
    requested: list[str], allowed: list[str]
) -> None:
    granted = scopes.narrow(" ".join(requested), allowed)
    for kind in ("Task", "Patient", "Observation"):
        for letter in "cruds":
            if scopes.grants(granted, kind, letter):
                assert scopes.grants(requested, kind, letter)
                assert scopes.grants(allowed, kind, letter)
    asked_versions = {scopes.parse(name).version for name in requested}
    assert {scopes.parse(name).version for name in granted} <= asked_versions


@given(requested=_SCOPES, allowed=_SCOPES)
def test_in_version_2_everything_that_is_asked_for_and_allowed_is_granted(
    requested: list[str], allowed: list[str]
) -> None:
    requested = [name for name in requested if scopes.parse(name).version == 2] or ["system/Task.r"]
    granted = scopes.narrow(" ".join(requested), allowed)
    for kind in ("Task", "Patient", "Observation"):
        for letter in "cruds":
            both = scopes.grants(requested, kind, letter) and scopes.grants(allowed, kind, letter)
            assert scopes.grants(granted, kind, letter) == both


@given(scopes_=_SCOPES)
def test_what_was_granted_whole_covers_what_was_asked(scopes_: list[str]) -> None:
    assert scopes.covers(scopes_, scopes_)


def test_less_than_asked_does_not_cover_it() -> None:
    assert scopes.covers(["system/Task.read"], ["system/Task.rs"])
    assert scopes.covers(["system/*.cruds"], ["system/Task.rs", "system/Patient.r"])
    assert not scopes.covers(["system/Task.r"], ["system/Task.rs"])
    assert not scopes.covers([], ["system/Task.r"])
    assert not scopes.covers(["system/Task.r"], ["system/*.r"])
