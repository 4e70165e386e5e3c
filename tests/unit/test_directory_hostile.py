"""Directories that somebody has tampered with, damaged or made to hurt: refused, and nothing else happens."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from directory_world import (
    CLINIC,
    GOOD,
    ISSUER,
    NOW,
    PANTRY,
    entry,
    jws_of,
    many,
    published,
    read,
    shard_of,
    text_of,
    written,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.signing import keys
from gateway.trust.directory import DirectoryError
from gateway.trust.directory_form import MAX_SHARD_BYTES
from gateway.trust.directory_shards import laid_out, number_of
from gateway.trust.succession import hand_over


def named(folder: Path, digest: str) -> Path:
    return folder / "shards" / f"{digest}.json"


def test_any_byte_of_the_manifest_that_is_changed_is_noticed(tmp_path: Path) -> None:
    published(tmp_path)
    path = tmp_path / "manifest.jws"
    good = path.read_bytes()
    for place in range(len(good)):
        for other in (good[place] ^ 1, ord("A") if good[place] != ord("A") else ord("B")):
            path.write_bytes(good[:place] + bytes([other]) + good[place + 1 :])
            with pytest.raises(DirectoryError):
                read(tmp_path)
    path.write_bytes(good)
    assert len(read(tmp_path)) == 2


def test_any_byte_of_a_shard_that_is_changed_is_noticed(tmp_path: Path) -> None:
    path = named(tmp_path, published(tmp_path).shards[0])
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(DirectoryError, match="hash the manifest holds"):
            read(tmp_path)


@pytest.mark.parametrize("part", ["manifest", "shard"])
@pytest.mark.parametrize("how", ["cut", "added", "empty", "absent", "a folder", "long"])
def test_a_file_that_is_not_as_it_was_written_is_refused(part: str, how: str, tmp_path: Path) -> None:
    digest = published(tmp_path).shards[0]
    path = named(tmp_path, digest) if part == "shard" else tmp_path / "manifest.jws"
    good = path.read_bytes()
    path.unlink()
    match how:
        case "cut":
            path.write_bytes(good[:-1])
        case "added":
            path.write_bytes(good + b"\n")
        case "empty":
            path.touch()
        case "a folder":
            path.mkdir()
        case "long":
            path.write_bytes(good + b" " * MAX_SHARD_BYTES)
    with pytest.raises(DirectoryError):
        read(tmp_path)


AGENCIES = many(600)  # they fill four shards


def test_the_more_entries_the_more_shards_and_each_is_found(tmp_path: Path) -> None:
    published(tmp_path, AGENCIES)
    found = read(tmp_path)
    assert (len(found), len(found.shards)) == (600, 4)
    for one in AGENCIES:
        held = found.entry(one["organization"])
        assert held is not None
        assert held.address == one["address"]
    assert found.entry(f"{ISSUER}/Organization/agency-600") is None
    assert {one.organization for one in found.entries} == {one["organization"] for one in AGENCIES}


def test_a_shard_in_the_place_of_another_is_refused(tmp_path: Path) -> None:
    first, second, *_ = published(tmp_path, AGENCIES).shards
    content = named(tmp_path, first).read_bytes()
    named(tmp_path, second).write_bytes(content)
    with pytest.raises(DirectoryError, match="shard 1: is not the one"):
        read(tmp_path)


def test_shards_that_were_signed_in_another_order_are_refused(tmp_path: Path) -> None:
    first, second, *rest = laid_out(AGENCIES)
    with pytest.raises(DirectoryError, match="wrong shard"):
        read(written(tmp_path, second, first, *rest))


def test_entries_out_of_their_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="not in its order"):
        read(written(tmp_path, text_of(sorted(GOOD, key=lambda one: one["organization"], reverse=True))))


def test_an_entry_that_is_too_much_for_one_shard_gets_more_of_them(tmp_path: Path) -> None:
    entries = copy.deepcopy(AGENCIES[:80])
    for one in entries:
        one["services"] = [
            {"referral_type": "food-insecurity", "area": f"{number} " + "x" * 200, "languages": []}
            for number in range(256)
        ]
    published(tmp_path, entries)
    found = read(tmp_path)
    assert (len(found), len(found.shards)) == (80, 2)
    for digest in found.shards:
        assert named(tmp_path, digest).stat().st_size <= MAX_SHARD_BYTES


def test_a_shard_beyond_the_size_limit_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="longer than"):
        read(written(tmp_path, b" " * (MAX_SHARD_BYTES + 1)))


DEEP = 100_000


@pytest.mark.parametrize(
    "shard",
    [
        b"",
        b"null",
        b"{}",
        b"[null]",
        b"[[]]",
        b"[" * DEEP + b"]" * DEEP,
        b'[{"organization":' + b"[" * DEEP + b"]" * DEEP + b"}]",
        b'[{"organization":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}]",
        b'["\xff\xfe"]',
        b'[{"name":"\\ud800"}]',
        b'[{"name":"\x00"}]',
        b"[1e999999999]",
        b"[" + b"9" * 100_000 + b"]",
        b"[NaN]",
        shard_of(GOOD) + b"\n",
        shard_of(GOOD).replace(b'"name":"Harbor', b'"name":"Mill","name":"Harbor'),
        shard_of(GOOD).replace(b'"status":"active"', b'"status":"suspended","status":"active"', 1),
        shard_of(GOOD).replace(b'"Harbor', b'"\\u0048arbor', 1),
        shard_of(GOOD).replace(b",", b", ", 1),
        b"\xef\xbb\xbf" + shard_of(GOOD),
    ],
    ids=map(str, range(20)),  # their content holds keys that are made anew each time
)
def test_json_that_is_made_to_hurt_is_refused(shard: bytes, tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match="shard 0"):
        read(written(tmp_path, shard))


def test_claims_that_are_made_to_hurt_are_refused(tmp_path: Path) -> None:
    for payload in (b"[" * 80_000, b'{"iss":' * 10_000, b'{"iat":' + b"9" * 5_000 + b"}", b"\xff", b"1"):
        with pytest.raises(DirectoryError, match="manifest"):
            read(written(tmp_path, manifest=jws_of(payload)))


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for name in value:
            yield from _places(value[name], (*path, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places(item, (*path, number))


FULL = entry(PANTRY, "https://pantry.example.org") | {
    "endpoints": {"fhir": "https://ehr.example.org/R4", "token": "https://ehr.example.org/token"},
    "succession": [hand_over(PANTRY, keys.public_jwks(keys.generate()), keys.generate(), NOW)],
    "wire": ["rest-hook/1"],
    "profiles": ["sdoh-clinicalcare/3.0.0"],
    "name_source": "2-1-1",
    "name_assured": "2026-11-01",
}


def test_an_entry_with_every_member_is_read(tmp_path: Path) -> None:
    found = read(written(tmp_path, shard_of([FULL, GOOD[1]]))).entry(PANTRY)
    assert found is not None
    assert (found.fhir_base, found.issuer) == ("https://ehr.example.org/R4", "https://pantry.example.org")


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_whatever_stands_in_an_entry_it_is_read_in_full_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    changed = copy.deepcopy(FULL)
    *way, last = data.draw(st.sampled_from(list(_places(FULL))[1:]))
    inside: Any = changed
    for part in way:
        inside = inside[part]
    if data.draw(st.booleans()):
        inside[last] = data.draw(_ANY)
    elif isinstance(inside, dict):
        del inside[last]
    folder = tmp_path_factory.mktemp("any")
    try:
        shard = shard_of([changed, GOOD[1]])
    except (TypeError, UnicodeEncodeError):
        return  # half a surrogate pair, which no JSON text in UTF-8 can hold
    try:
        found = read(written(folder, shard))
    except DirectoryError:
        return
    # What passed is usable to the last member: nothing is left to fail when a request comes.
    assert {one.organization for one in found.entries} == {CLINIC, changed["organization"]}
    for one in found.entries:
        assert found.entry(one.organization) == one
        assert one.thumbprints


def test_shards_that_have_not_changed_are_not_read_again(tmp_path: Path) -> None:
    before = published(tmp_path, AGENCIES)
    known = read(tmp_path)
    later = copy.deepcopy(AGENCIES)
    later[7]["name"] = "Another Name"
    published(tmp_path, later, sequence=13, previous=[before.digest])
    for digest in before.shards:
        named(tmp_path, digest).unlink()  # only the changed one is a new file
    after = read(tmp_path, 13, known)
    assert after.name(later[7]["organization"]) == "Another Name"
    assert after.name(later[8]["organization"]) == known.name(later[8]["organization"])
    assert known.name(later[7]["organization"]) == "Agency 7"
    changed = [number for number in range(4) if after.shards[number] != before.shards[number]]
    assert changed == [number_of(later[7]["organization"], 4)]


_SIZES = st.sampled_from([0, 1, 2, 255, 256, 257, 512, 513, 600])


@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(_SIZES, st.sets(st.integers(0, 599), max_size=4)), min_size=2, max_size=5))
def test_read_on_top_of_the_one_before_it_is_as_if_read_anew(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, set[int]]]
) -> None:
    """However many join or leave, so that shards are split and merged, and whoever changes."""
    folder, known = tmp_path_factory.mktemp("steps"), None
    for sequence, (size, renamed) in enumerate(steps, 1):
        entries = copy.deepcopy(AGENCIES[:size])
        for number in renamed & set(range(size)):
            entries[number]["name"] = f"Named anew {sequence}"
        published(folder, entries, sequence=sequence)
        known, anew = read(folder, sequence, known), read(folder, sequence)
        assert (known.digest, known.shards, len(known)) == (anew.digest, anew.shards, size)
        for number, one in enumerate(AGENCIES):
            found = known.entry(one["organization"])
            assert found == anew.entry(one["organization"])
            assert (found.name if found else None) == (entries[number]["name"] if number < size else None)


@pytest.mark.parametrize("member", ["address", "jwks"])
def test_what_a_changed_shard_takes_from_one_that_has_not_changed_is_refused(
    member: str, tmp_path: Path
) -> None:
    published(tmp_path, AGENCIES)
    known = read(tmp_path)
    later = copy.deepcopy(AGENCIES)
    here = number_of(later[7]["organization"], 4)
    other = next(one for one in later if number_of(one["organization"], 4) != here)
    later[7][member] = other[member]
    with pytest.raises(DirectoryError, match=f"{member}: stands in two entries"):
        read(written(tmp_path, *laid_out(later)), known=known)


def test_another_bodys_shards_are_not_taken_over(tmp_path: Path) -> None:
    known = published(tmp_path / "a")
    shard = named(tmp_path / "a", known.shards[0]).read_bytes()
    with pytest.raises(DirectoryError, match="iss followed"):
        read(written(tmp_path / "b", shard, iss="https://other.example.org"), known=known)


def test_what_else_lies_in_the_folder_is_not_looked_at(tmp_path: Path) -> None:
    published(tmp_path)
    (tmp_path / "shards" / "evil.json").write_text("[]")
    (tmp_path / "directory.jws").write_text("old")
    assert len(read(tmp_path)) == 2


def test_a_reader_never_finds_half_of_a_directory(tmp_path: Path) -> None:
    """The manifest that was fetched before a new one was laid over it still finds its shards."""
    first = published(tmp_path)
    manifest = (tmp_path / "manifest.jws").read_bytes()
    second = published(tmp_path, GOOD[:1], sequence=13)
    (tmp_path / "manifest.jws").write_bytes(manifest)
    assert read(tmp_path).digest == first.digest
    published(tmp_path, GOOD[:1], sequence=13)
    published(tmp_path, [], sequence=14)
    assert not named(tmp_path, first.shards[0]).exists()
    assert named(tmp_path, second.shards[0]).exists()


def test_nothing_is_written_over_a_good_directory_when_the_next_is_refused(tmp_path: Path) -> None:
    good = published(tmp_path)
    with pytest.raises(DirectoryError):
        published(tmp_path, [GOOD[0] | {"status": "gone"}], sequence=13)
    assert read(tmp_path).digest == good.digest
