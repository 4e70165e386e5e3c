"""Two worlds that differ only in what is withheld cannot be told apart by anything the shelter's node sends.

Stories 2 and 3 run in each world; every message to a partner is compared, sizes and counts included.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from worlds import HOSPITAL, Seen, Sent

from gateway.demo.agencies import ALIAS, PANTRY


def differences(one: Sent, other: Sent) -> list[str]:
    """Every message of one world that has no equal in the other."""
    return [
        f"{role} {name}, in world {world}: {size} bytes: {text}"
        for (role, name) in sorted({*one, *other})
        for world, more, less in (("1", one, other), ("2", other, one))
        for (size, text), _ in sorted((more.get((role, name), {}) - less.get((role, name), {})).items())
    ]


@pytest.mark.parametrize("other", ["same lengths", "other lengths"])
def test_what_is_withheld_changes_no_byte_that_is_sent(worlds: Mapping[str, Seen], other: str) -> None:
    assert differences(worlds["first"].sent, worlds[other].sent) == []


def test_the_whole_road_was_recorded(worlds: Mapping[str, Seen]) -> None:
    """The comparison is about something: the dossier was opened, and the hospital did ask."""
    sent = worlds["first"].sent
    assert set(sent) == {("answers", ALIAS), ("asks", PANTRY), ("asks", HOSPITAL)}
    answers = "\n".join(text for _, text in sent["answers", ALIAS])
    for expected in (
        '"resourceType":"Patient"',
        '"resourceType":"Observation"',
        '"total":0',
        "404 Not Found",
    ):
        assert expected in answers
    assert sum(sent["answers", ALIAS].values()) > 30


def test_a_permitted_field_does_change_what_is_sent(worlds: Mapping[str, Seen]) -> None:
    """The comparison can fail: this world differs in what she wants to be called, which the release names."""
    found = differences(worlds["first"].sent, worlds["other alias"].sent)
    assert found
    assert all('"resourceType":"Patient"' in text for text in found)


def test_the_hospital_cannot_tell_a_held_referral_from_none_at_all(worlds: Mapping[str, Seen]) -> None:
    """In one world the shelter holds a referral to the hospital; in the other there was never one."""
    with_one, without = worlds["first"], worlds["other alias"]
    assert with_one.held["state"] == "held" and without.held == {}
    assert with_one.sent["asks", HOSPITAL] == without.sent["asks", HOSPITAL]
    patient = [
        text for text in differences(with_one.sent, without.sent) if '"resourceType":"Patient"' not in text
    ]
    assert patient == []
