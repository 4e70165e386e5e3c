"""Many agreements on file: found by their parties, verified once, read again only where a file changed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from agreement_world import HOSPITAL, PANTRY, URL, key, loaded, signed, terms_of

from consent import agreement, agreement_signing
from consent.agreement_book import AgreementBook, listing
from profiles.document import DocumentError

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def with_partner(name: str) -> dict[str, Any]:
    """The good agreement between the hospital and another partner."""
    text = json.dumps(terms_of()).replace(PANTRY, URL + name)
    return signed(json.loads(text) | {"id": f"hospital-{name}"}, {"hospital": "hospital", name: "pantry"})


def write(folder: Path, document: dict[str, Any], name: str = "") -> Path:
    path = folder / f"{name or document['id']}.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(20):
        write(tmp_path, with_partner(f"partner-{number}"))
    write(tmp_path, signed(terms_of()))
    return tmp_path


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The ids of the agreements whose signatures are verified from here on."""
    found: list[str] = []

    def counting(document: Any) -> Any:
        found.append(document["id"])
        return agreement_signing.verify(document)

    monkeypatch.setattr(agreement, "verify", counting)
    yield found


def test_only_those_of_the_two_are_found(folder: Path) -> None:
    book = AgreementBook.read(folder)
    assert len(book) == 21
    assert [one.id for one in book.between(HOSPITAL, PANTRY)] == ["hospital-pantry"]
    assert book.between(PANTRY, HOSPITAL) == ()
    assert [one.id for one in book.shared(PANTRY, HOSPITAL)] == ["hospital-pantry"]
    assert book.between(HOSPITAL, f"{URL}nobody") == ()
    assert book.between(HOSPITAL, HOSPITAL) == ()
    assert book.parties_of(PANTRY) == {HOSPITAL}
    assert len(book.parties_of(HOSPITAL)) == 21
    assert book.parties_of(f"{URL}nobody") == frozenset()


def test_signatures_are_verified_when_the_two_are_first_looked_up_and_never_again(
    folder: Path, verified: list[str]
) -> None:
    book = AgreementBook.read(folder)
    assert verified == []
    for _ in range(3):
        assert book.between(HOSPITAL, PANTRY)[0].signed
        assert book.are_partners(PANTRY, HOSPITAL, NOW)
    assert verified == ["hospital-pantry"]


def test_partners_are_those_with_an_agreement_in_force(folder: Path) -> None:
    write(folder, {**with_partner("partner-3"), "status": "suspended"})
    write(folder, {**with_partner("partner-4"), "signatures": []})
    book = AgreementBook.read(folder)
    assert book.are_partners(HOSPITAL, PANTRY, NOW)
    assert book.are_partners(PANTRY, HOSPITAL, NOW)
    assert not book.are_partners(HOSPITAL, f"{URL}partner-3", NOW)
    assert not book.are_partners(HOSPITAL, f"{URL}partner-4", NOW)
    assert not book.are_partners(HOSPITAL, PANTRY, datetime(2027, 6, 1, tzinfo=UTC))
    assert not book.are_partners(HOSPITAL, HOSPITAL, NOW)
    assert not book.are_partners(PANTRY, f"{URL}partner-5", NOW)


def test_what_has_not_changed_is_not_read_again(
    folder: Path, verified: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    book = AgreementBook.read(folder)
    assert book.between(HOSPITAL, PANTRY)[0].signed
    read: list[str] = []
    reads = agreement.reads
    monkeypatch.setattr(agreement, "reads", lambda text, name: (read.append(name), reads(text, name))[1])

    write(folder, {**with_partner("partner-7"), "status": "terminated"})
    write(folder, with_partner("new"))
    (folder / "hospital-partner-8.json").unlink()
    after = AgreementBook.read(folder, book)

    assert sorted(read) == ["hospital-new.json", "hospital-partner-7.json"]
    assert len(after) == 21
    assert after.between(HOSPITAL, PANTRY) == book.between(HOSPITAL, PANTRY)
    assert verified == ["hospital-pantry"]
    assert not after.are_partners(HOSPITAL, f"{URL}partner-7", NOW)
    assert after.are_partners(HOSPITAL, f"{URL}new", NOW)
    assert after.between(HOSPITAL, f"{URL}partner-8") == ()
    assert book.between(HOSPITAL, f"{URL}partner-8") == ()  # its file is gone: nothing is known of it now


def test_a_file_that_has_changed_under_the_book_gives_nothing_until_it_is_read_again(folder: Path) -> None:
    book = AgreementBook.read(folder)
    path, before = folder / "hospital-partner-2.json", listing(folder)
    good = path.read_text()
    path.write_text(good.replace("Minimal data", "mINIMAL DATA"))
    os.utime(path, ns=(before[path.name][0],) * 2)  # same size, same time: only the content tells
    assert listing(folder) == before
    assert book.between(HOSPITAL, f"{URL}partner-2") == ()
    path.write_text(good)
    assert book.are_partners(HOSPITAL, f"{URL}partner-2", NOW)


def test_the_same_version_twice_is_refused_as_one_of_them_may_be_an_old_copy(folder: Path) -> None:
    write(folder, signed(terms_of({"data.1.items.7": "address"})), "a-copy")
    with pytest.raises(DocumentError, match=r"on file already, as a-copy.json"):
        AgreementBook.read(folder)


def test_the_same_id_between_others_is_another_agreement(folder: Path) -> None:
    write(folder, with_partner("partner-1") | {"id": "hospital-pantry"}, "hospital-partner-1")
    assert len(AgreementBook.read(folder)) == 21


def test_a_bad_file_is_named_with_its_line(folder: Path) -> None:
    (folder / "bad.json").write_text('{\n  "id": "x",\n  "status": "signed"\n}')
    with pytest.raises(DocumentError, match=r"bad.json:3:\d+: status: must be one of"):
        AgreementBook.read(folder)
    (folder / "bad.json").write_bytes(b"\xff")
    with pytest.raises(DocumentError, match=r"bad.json.*not UTF-8"):
        AgreementBook.read(folder)


def test_three_parties_share_one_agreement() -> None:
    clinic = {
        "organization": f"{URL}clinic",
        "roles": ["referral-recipient"],
        "keys": [key("clinic").thumbprint()],
    }
    everyone = {"hospital": "hospital", "pantry": "pantry", "clinic": "clinic"}
    book = AgreementBook.of([loaded(signed(terms_of({"parties.2": clinic}), everyone))])
    assert book.are_partners(HOSPITAL, f"{URL}clinic", NOW)
    assert book.are_partners(PANTRY, f"{URL}clinic", NOW)
    assert book.between(PANTRY, f"{URL}clinic") == ()  # both may only be referred to
    assert book.parties_of(PANTRY) == {HOSPITAL, f"{URL}clinic"}
