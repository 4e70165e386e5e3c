"""Whatever is changed in what was signed, the signatures no longer hold; however it is written, they do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from agreement_world import HOSPITAL, PANTRY, key, loaded, signed, stated, terms_of
from consent_world import put
from hypothesis import given
from hypothesis import strategies as st

from consent import agreement, agreement_signing, agreement_status
from consent.agreement_signing import OUTSIDE, SigningError, canonical, verify
from profiles.document import DocumentError

GOOD = signed(
    terms_of(
        {
            "request": {"name": "L. Moss", "reason": "Patients go home without food", "date": "2026-01-02"},
            "approvals": [{"organization": PANTRY, "name": "A. Ruiz", "date": "2026-01-03"}],
        }
    )
)


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*path, str(number)))
    else:
        yield path


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


_TERMS = {name: value for name, value in GOOD.items() if name not in OUTSIDE}
_PATHS = sorted(_leaves(_TERMS))


def test_the_good_one_is_good() -> None:
    assert [one.state for one in verify(GOOD)] == ["signed", "signed"]
    assert len(_PATHS) > 60


@given(st.sampled_from(_PATHS), st.data())
def test_changing_any_fact_that_was_signed_breaks_every_signature(
    path: tuple[str, ...], data: st.DataObject
) -> None:
    other = deepcopy(GOOD)
    before = _at(other, path)
    if isinstance(before, bool):
        after: Any = not before
    elif isinstance(before, int):
        after = data.draw(st.integers(0, 10**6).filter(lambda value: value != before))
    else:
        after = data.draw(
            st.text(st.characters(codec="utf-8"), max_size=30).filter(lambda new: new != before)
        )
    put(other, list(path), after)
    assert not any(one.state == "signed" for one in verify(other))


@given(st.sampled_from(_PATHS))
def test_taking_any_fact_away_breaks_every_signature(path: tuple[str, ...]) -> None:
    other = deepcopy(GOOD)
    holder = _at(other, path[:-1])
    if isinstance(holder, list):
        del holder[int(path[-1])]
    else:
        del holder[path[-1]]
    if path[0] == "parties":  # a party that is gone has nothing to sign; whoever is left has not signed this
        other["parties"] = [one for one in other["parties"] if "organization" in one]
    assert not any(one.state == "signed" for one in verify(other))


@given(st.sampled_from([0, 1]), st.data())
def test_changing_any_character_of_a_signature_breaks_it(number: int, data: st.DataObject) -> None:
    other = deepcopy(GOOD)
    token = other["signatures"][number]["jws"]
    place = data.draw(st.integers(0, len(token) - 1))
    new = data.draw(st.sampled_from("ABab019-_.=").filter(lambda char: char != token[place]))
    other["signatures"][number]["jws"] = token[:place] + new + token[place + 1 :]
    states = [one.state for one in verify(other)]
    assert states[number] == "bad"
    assert states[1 - number] == "signed"


@given(st.randoms(), st.sampled_from([None, 2, "\t"]), st.booleans())
def test_the_order_of_members_and_the_white_space_do_not_matter(
    random: Any, indent: Any, ascii_: bool
) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            names = list(value)
            random.shuffle(names)
            return {name: shuffled(value[name]) for name in names}
        return [shuffled(one) for one in value] if isinstance(value, list) else value

    text = json.dumps(shuffled(GOOD), indent=indent, ensure_ascii=ascii_)
    assert agreement.loads(text, "ours.json").signed


@given(st.text(max_size=60))
def test_no_text_in_place_of_a_signature_is_one_or_raises(text: str) -> None:
    other = {**GOOD, "signatures": [{"organization": HOSPITAL, "jws": text}]}
    assert [one.state for one in verify(other)] == ["bad", "missing"]


def test_what_is_signed_is_what_rfc_8785_says() -> None:
    """The example of RFC 8785, section 3.2.2, without its fractions, which no agreement holds."""
    value = {"numbers": [333, 4, 2], "string": '€$\u000f\nA\'B"\\\\"/', "literals": [None, True, False]}
    assert canonical(value).decode() == (
        '{"literals":[null,true,false],"numbers":[333,4,2],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


@pytest.mark.parametrize("value", [float("nan"), "\ud800", "x" * 200_000])
def test_what_has_no_one_form_is_not_signed(value: object) -> None:
    with pytest.raises(SigningError):
        canonical({"value": value})


def test_signing_makes_a_draft_active_with_the_last_party_and_can_be_done_again() -> None:
    first = agreement_signing.sign(terms_of(), HOSPITAL, key("hospital"))
    assert first["status"] == "draft"
    again = agreement_signing.sign(first, HOSPITAL, key("hospital"))
    assert len(again["signatures"]) == 1
    assert agreement_signing.sign(again, PANTRY, key("pantry"))["status"] == "active"


@pytest.mark.parametrize(
    ("organization", "name", "says"),
    [
        (f"{HOSPITAL}-2", "hospital", "is not a party"),
        (HOSPITAL, "stranger", "does not list this key"),
        (PANTRY, "hospital", "does not list this key"),
    ],
)
def test_who_cannot_sign_is_told_why(organization: str, name: str, says: str) -> None:
    with pytest.raises(SigningError, match=says):
        agreement_signing.sign(terms_of(), organization, key(name))


@pytest.mark.filterwarnings("ignore:Key size")
@pytest.mark.parametrize(("name", "says"), [("short", "2048 bits"), ("other-curve", "P-384")])
def test_a_weak_key_does_not_sign(name: str, says: str) -> None:
    listed = terms_of({"parties.0.keys.0": key(name).thumbprint()})
    with pytest.raises(SigningError, match=says):
        agreement_signing.sign(listed, HOSPITAL, key(name))


def test_a_draft_cannot_be_stopped_and_what_is_ended_cannot_be_resumed() -> None:
    moment = loaded(GOOD).starts
    with pytest.raises(SigningError, match="is a draft"):
        agreement_status.state(terms_of(), PANTRY, "suspended", key("pantry"), moment)
    with pytest.raises(SigningError, match="does not list this key"):
        agreement_status.state(GOOD, PANTRY, "suspended", key("hospital"), moment)
    over = agreement_status.state(GOOD, PANTRY, "terminated", key("pantry"), moment)
    assert over["status"] == "terminated"
    with pytest.raises(SigningError, match="for good"):
        agreement_status.state(over, PANTRY, "active", key("pantry"), moment)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("organization", HOSPITAL),
        ("status", "active"),
        ("at", "2026-05-02T09:00:00+00:00"),
        ("reason", "none"),
    ],
)
def test_a_statement_is_signed_in_every_part(member: str, value: str) -> None:
    said = stated(GOOD, [{"by": "pantry", "status": "suspended", "at": "2026-05-01T09:00:00+00:00"}])
    assert [one.fault for one in agreement_status.statements(said)] == [""]
    said["statements"][0][member] = value
    assert all(one.fault for one in agreement_status.statements(said))


def test_a_statement_is_about_these_terms_only() -> None:
    said = stated(GOOD, [{"by": "pantry", "status": "active", "at": "2026-05-01T09:00:00+00:00"}])
    for part in ({"id": "another"}, {"version": 2}, {"title": "another"}):
        assert all(one.fault for one in agreement_status.statements({**said, **part}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 2}, r"version: needs `supersedes`"),
        ({"version": 2, "supersedes": 2}, "supersedes: must be a lower version"),
        ({"supersedes": 1}, "supersedes: must be a lower version"),
        ({"period.start": "20260101"}, "period.start: must match the pattern"),
        (
            {"parties.1.keys.0": key("hospital").thumbprint()},
            r"parties\[1\].keys\[0\]: is another party's key",
        ),
        ({"obligations.retainDays": 30.0}, "obligations.retainDays: must be a whole number"),
        ({"title": "half a \ud83d sign"}, "cannot be signed"),
        (
            {"approvals": [{"organization": f"{HOSPITAL}-2", "name": "X", "date": "2026-01-01"}]},
            "is not a party",
        ),
        (
            {"approvals": [{"organization": HOSPITAL, "name": "X", "date": "2025-01-01"}]},
            "before the day on which",
        ),
        (
            {"signatures": [{"organization": HOSPITAL, "jws": ".."}] * 2},
            r"signatures\[1\].organization: signs twice",
        ),
        (
            {
                "statements": [
                    {"organization": HOSPITAL, "status": "active", "at": "2026-01-01T00:00:00", "jws": ".."}
                ]
            },
            "with its offset",
        ),
    ],
)
def test_terms_that_do_not_fit_together_are_refused_with_their_place(
    changes: dict[str, Any], says: str
) -> None:
    asked = {"request": {"name": "L. Moss", "reason": "Food", "date": "2025-12-01"}}
    with pytest.raises(DocumentError, match=says):
        loaded(terms_of(asked | changes))


def test_a_member_that_stands_twice_is_refused() -> None:
    text = json.dumps(GOOD)
    with pytest.raises(DocumentError, match="version"):
        agreement.loads(text.replace('"version": 1', '"version": 1, "version": 1'), "ours.json")
