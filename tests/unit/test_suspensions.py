"""The suspension list: one good one, and refusals that each change one fact of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from directory_world import ANCHOR, CLINIC, ISSUER, NOW, PANTRY, SUSPENDER, jws_of, public, text_of

from gateway.trust import suspensions
from gateway.trust.directory import DirectoryError
from gateway.trust.suspensions import Suspensions

CLAIMS = {
    "iss": ISSUER,
    "iat": int(NOW.timestamp()) - 60,
    "exp": int((NOW + timedelta(hours=24)).timestamp()) - 60,
    "sequence": 3,
    "organizations": [PANTRY],
}


def listed(claims: Any = CLAIMS, key: Any = SUSPENDER, **header: Any) -> str:
    return jws_of(claims, key, **{"typ": suspensions.TYPE, "kid": SUSPENDER.thumbprint(), **header})


def read(text: str, tmp_path: Path, minimum_sequence: int = 0) -> Suspensions:
    path = tmp_path / "suspensions.jws"
    path.write_text(text)
    return suspensions.read(path, public(SUSPENDER), ISSUER, NOW, minimum_sequence)


def test_a_signed_list_is_read_back(tmp_path: Path) -> None:
    text = suspensions.sign(ISSUER, [PANTRY, PANTRY], SUSPENDER, sequence=3, now=NOW - timedelta(minutes=1))
    found = read(text, tmp_path, minimum_sequence=3)
    assert found.holds(PANTRY)
    assert not found.holds(CLINIC)
    assert (found.issuer, found.sequence) == (ISSUER, 3)
    assert found.issued == NOW - timedelta(minutes=1)
    assert found.expires == found.issued + timedelta(hours=24)
    assert found.digest == read(listed(), tmp_path).digest


def test_a_list_of_nobody_is_one(tmp_path: Path) -> None:
    found = read(suspensions.sign(ISSUER, [], SUSPENDER, sequence=1, now=NOW), tmp_path)
    assert found.organizations == frozenset()


def test_an_expired_list_is_read_and_says_so(tmp_path: Path) -> None:
    text = suspensions.sign(ISSUER, [PANTRY], SUSPENDER, sequence=1, now=NOW - timedelta(hours=3), hours=3)
    found = read(text, tmp_path)
    assert found.expired(NOW)
    assert not found.expired(NOW - timedelta(seconds=1))
    assert found.holds(PANTRY)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        pytest.param(lambda: listed(key=ANCHOR), "does not verify", id="another's signature"),
        pytest.param(
            lambda: listed(key=ANCHOR, kid=ANCHOR.thumbprint()),
            "not signed by the key",
            id="not the suspender",
        ),
        pytest.param(lambda: listed(typ="waymeet-directory+jwt"), "typ", id="a directory"),
        pytest.param(lambda: listed()[:-1], "suspensions: ", id="cut"),
        pytest.param(lambda: listed() + "\n", "suspensions: ", id="added to"),
        pytest.param(lambda: listed(CLAIMS | {"iss": "https://other.example.org"}), "iss: ", id="other body"),
        pytest.param(
            lambda: listed(CLAIMS | {"reason": "x"}), "unknown member 'reason'", id="unknown member"
        ),
        pytest.param(lambda: listed(CLAIMS | {"sequence": 2}), "2 is older than 3", id="rollback"),
        pytest.param(lambda: listed(CLAIMS | {"exp": CLAIMS["iat"]}), "later than iat", id="never in force"),
        pytest.param(
            lambda: listed(CLAIMS | {"iat": CLAIMS["iat"] + 3600}), "in the future", id="in the future"
        ),
        pytest.param(
            lambda: listed(CLAIMS | {"organizations": ["https://other.example.org/Organization/x"]}),
            r"organizations\[0\]: must be iss",
            id="another body's participant",
        ),
        pytest.param(lambda: listed(CLAIMS | {"organizations": [PANTRY, PANTRY]}), "twice", id="twice"),
        pytest.param(lambda: listed(CLAIMS | {"organizations": PANTRY}), "organizations: ", id="no list"),
        pytest.param(
            lambda: listed(text_of(CLAIMS).replace(b'"sequence":3', b'"sequence":9,"sequence":3')),
            "not canonical",
            id="a member twice",
        ),
        pytest.param(lambda: listed(b"[" * 50_000), "suspensions: ", id="deep"),
    ],
)
def test_a_list_with_one_wrong_fact_is_refused(text: Callable[[], str], rule: str, tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match=rule):
        read(text(), tmp_path, minimum_sequence=3)


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="cannot be read"):
        suspensions.read(tmp_path / "absent", public(SUSPENDER), ISSUER, NOW)


@pytest.mark.parametrize(
    ("organizations", "hours", "rule"),
    [
        (["https://other.example.org/Organization/x"], 24, "must be iss"),
        (["harbor-food-pantry"], 24, "organizations"),
        ([PANTRY], 0, "later than iat"),
    ],
)
def test_what_no_node_would_read_is_not_signed(organizations: list[str], hours: int, rule: str) -> None:
    with pytest.raises(DirectoryError, match=rule):
        suspensions.sign(ISSUER, organizations, SUSPENDER, sequence=1, now=NOW, hours=hours)


def test_any_byte_that_is_changed_is_noticed(tmp_path: Path) -> None:
    good = listed()
    for place in range(len(good)):
        with pytest.raises(DirectoryError):
            read(good[:place] + chr(ord(good[place]) ^ 1) + good[place + 1 :], tmp_path)
