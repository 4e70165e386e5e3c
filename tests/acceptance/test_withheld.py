"""What is withheld of a shelter's records is found nowhere, and changes nothing that its node sends.

Every field is a canary; only the permitted ones are found, where they may be. Searched: every byte that the
shelter's node sent to partners, every file of the three nodes (while the dossier was open, at the end, and
after stopping), every row of their stores, and every refusal. And stories 2 and 3 run in worlds that differ
only in what is withheld: every message to a partner is compared, sizes and counts included.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote

import canaries
import msgspec
import pytest
import worlds as world
from worlds import Seen, differences

from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY

NEVER = {
    **{f"released row, {name}": value for name, value in canaries.WITHHELD.items()},
    **{f"held row, {name}": value for name, value in canaries.HELD_FIELDS.items()},
    **{f"spoilt row, {value[:4]}": value for value in canaries.SPOILT_VALUES},
}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Seen]:
    """`first`; two that differ from it in what is withheld; and one that differs in what is not."""
    plans = {
        "first": (canaries.RELEASED, canaries.HELD, canaries.SPOILT),
        "same lengths": (canaries.SAME_LENGTHS, canaries.HELD_SAME_LENGTHS, []),
        "other lengths": (canaries.OTHER_LENGTHS, canaries.HELD_OTHER_LENGTHS, []),
        "other alias": (canaries.RELEASED | {"first_name_or_alias": "Luzqzxother"}, None, []),
    }
    return {name: world.run(tmp_path_factory.mktemp("world"), *plan) for name, plan in plans.items()}


@pytest.fixture(scope="module")
def seen(worlds: Mapping[str, Seen]) -> Seen:
    return worlds["first"]


def places(seen: Seen) -> Iterator[tuple[str, bytes]]:
    """Everything that is searched, with its name."""
    for number, connection in enumerate(seen.wire):
        yield f"connection {number} with {connection.at}", bytes(connection.asked + connection.answered)
    yield "the pantry's own system", msgspec.json.encode(seen.pantry_records)
    yield "refusals to the shelter's own system", msgspec.json.encode([seen.refusals, seen.held])
    yield from seen.files.items()
    for name, rows in seen.rows.items():
        yield f"rows of {name}", rows.encode()


def test_no_withheld_value_is_found_anywhere(seen: Seen) -> None:
    coded = {name: list(canaries.encodings(value)) for name, value in NEVER.items()}
    found = [
        f"{name}: in {place}"
        for place, content in places(seen)
        for folded in (content.lower(),)
        for name, codings in coded.items()
        if any(one in folded for one in codings)
    ]
    assert found == []


def test_no_file_of_any_node_holds_even_a_permitted_value(seen: Seen) -> None:
    found = [
        f"{name}: in {place}"
        for place, content in [
            *seen.files.items(),
            *((name, rows.encode()) for name, rows in seen.rows.items()),
        ]
        for name, value in canaries.PERMITTED.items()
        if canaries.found_in(content, value)
    ]
    assert found == []


def test_permitted_values_reach_the_pantry_and_nobody_else(seen: Seen) -> None:
    """The search can find: what the release names did travel, in clear, to the one it names."""
    sent = b"".join(bytes(one.answered) for one in seen.wire)
    for value in canaries.PERMITTED.values():
        assert canaries.found_in(sent, value)
    to_hospital = b"".join(bytes(one.asked) for one in seen.wire if one.at == HOSPITAL)
    assert to_hospital
    assert not any(canaries.found_in(to_hospital, value) for value in canaries.PERMITTED.values())
    client = seen.case["client"]
    assert client == {
        "alias": canaries.PERMITTED["first_name_or_alias"],
        "diet": canaries.PERMITTED["diet"],
        "contact_rule": canaries.PERMITTED["safe_contact_rule"],
        "household_size": int(canaries.CODED["household_size"]),
    }


def test_an_offer_names_no_person(seen: Seen) -> None:
    """Before it is accepted, the pantry's system knows the area and nothing of her."""
    (offer,) = [one for one in seen.pantry_records if one["type"] == "offer"]
    said = msgspec.json.encode(offer)
    assert canaries.found_in(said, canaries.PERMITTED["county"])
    for name in ("first_name_or_alias", "diet", "safe_contact_rule"):
        assert not canaries.found_in(said, canaries.PERMITTED[name])


def test_each_refusal_names_the_field_and_the_line(seen: Seen) -> None:
    assert len(seen.refusals) == len(canaries.SPOILT_VALUES)
    for refusal, field in zip(seen.refusals, canaries._SPOILT_VALUES, strict=True):
        assert refusal["resourceType"] == "OperationOutcome"
        said = [issue["diagnostics"] for issue in refusal["issue"]]
        if field == "partner":  # read well, and then not known: the field is that of every system
            assert "recipient" in said[0]
        else:
            assert said[0].startswith(f"line 2, {field}: ")


ENCODED: Mapping[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "in upper case": lambda text: text.upper().encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "hex": lambda text: text.encode().hex().upper().encode(),
    "url": lambda text: quote(text).encode(),
    "md5": lambda text: hashlib.md5(text.encode()).hexdigest().encode(),
    "sha1": lambda text: hashlib.sha1(text.encode()).hexdigest().encode(),
    "sha256": lambda text: hashlib.sha256(text.lower().encode()).hexdigest().encode(),
    "base64 of sha256": lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()),
    "base64 at 0": lambda text: base64.b64encode(f"abc{text}xyz".encode()),
    "base64 at 1": lambda text: base64.urlsafe_b64encode(f"a{text}xyz".encode()),
    "base64 at 2": lambda text: base64.b64encode(f"ab{text}xyz".encode()),
}


@pytest.mark.parametrize("value", [*canaries.WITHHELD.values(), *canaries.SPOILT_VALUES])
@pytest.mark.parametrize("coding", ENCODED)
def test_the_search_finds_a_planted_canary(value: str, coding: str) -> None:
    planted = b"some bytes before " + ENCODED[coding](value) + b" and after"
    assert canaries.found_in(planted, value)
    assert not canaries.found_in(b"some bytes before and after", value)


def test_the_pantry_was_the_only_one_spoken_to_about_her(seen: Seen) -> None:
    notified = [one.at for one in seen.wire if b"event-notification" in one.asked]
    assert set(notified) == {PANTRY}


# -- two worlds ------------------------------------------------------------------------------------------


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
