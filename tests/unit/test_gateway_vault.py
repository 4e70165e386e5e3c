"""The vault: what is sealed opens for its owner and name alone, and for nobody once the key is destroyed."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway.store.vault import Erased, Vault, make_node_key
from gateway.store.work import Store

SECRET = {"name": "Marrero"}


@pytest.fixture
def vault(store: Store) -> Vault:
    store.vault.create("one")
    store.vault.create("two")
    return store.vault


def test_what_is_sealed_opens_again_and_tells_nothing(vault: Vault) -> None:
    sealed = vault.seal("one", "record", SECRET)
    assert vault.open("one", "record", sealed) == b'{"name":"Marrero"}'
    assert b"Marrero" not in sealed
    assert vault.seal("one", "record", SECRET) != sealed  # never the same bytes for the same content


@pytest.mark.parametrize(("owner", "name"), [("two", "record"), ("one", "other"), ("two", "other")])
def test_it_opens_for_no_other_owner_and_under_no_other_name(vault: Vault, owner: str, name: str) -> None:
    with pytest.raises(Erased):
        vault.open(owner, name, vault.seal("one", "record", SECRET))


@hypothesis_settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(place=st.floats(0, 0.999), flip=st.integers(1, 255))
def test_no_bit_of_it_can_be_changed(vault: Vault, place: float, flip: int) -> None:
    sealed = bytearray(vault.seal("one", "record", SECRET))
    sealed[int(place * len(sealed))] ^= flip
    with pytest.raises(Erased):
        vault.open("one", "record", bytes(sealed))


def test_a_destroyed_key_takes_its_content_along_and_no_other(vault: Vault, tmp_path: Path) -> None:
    one, two = (vault.seal(owner, "record", SECRET) for owner in ("one", "two"))
    wrapped = kept_keys(tmp_path)["one"]
    vault.destroy("one")
    for broken in (lambda: vault.open("one", "record", one), lambda: vault.seal("one", "record", SECRET)):
        with pytest.raises(Erased):
            broken()
    with pytest.raises(Erased):
        vault.pseudonym("one", "her")
    assert vault.open("two", "record", two)
    assert list(kept_keys(tmp_path)) == ["two"]
    on_disk = b"".join(file.read_bytes() for file in (tmp_path / "data" / "vault").iterdir())
    assert wrapped not in on_disk  # in the write-ahead log neither


def kept_keys(tmp_path: Path) -> dict[str, bytes]:
    with sqlite3.connect(tmp_path / "data" / "vault" / "keys.db") as connection:
        return dict(connection.execute("select owner_id, wrapped from content_key"))


def test_an_owner_made_again_does_not_open_what_was_destroyed(vault: Vault) -> None:
    sealed = vault.seal("one", "record", SECRET)
    vault.destroy("one")
    vault.create("one")
    with pytest.raises(Erased):
        vault.open("one", "record", sealed)


@pytest.mark.parametrize(("node_key", "tenant"), [(b"x" * 32, "main"), (b"k" * 32, "other")])
def test_another_node_key_or_tenant_opens_nothing(
    vault: Vault, tmp_path: Path, node_key: bytes, tenant: str
) -> None:
    sealed = vault.seal("one", "record", SECRET)
    other = Vault(tmp_path / "data" / "vault" / "keys.db", node_key, tenant)
    try:
        with pytest.raises(Erased):
            other.open("one", "record", sealed)
        assert other.digest("subject", "a") != vault.digest("subject", "a")
    finally:
        other.close()


def test_digests_tell_apart_what_differs(vault: Vault) -> None:
    said = [("a", "b"), ("ab",), ("a", "", "b"), ("b", "a"), ("a",)]
    assert len({vault.digest("subject", *parts) for parts in said}) == len(said)
    assert vault.digest("subject", "a") != vault.digest("body", "a")
    assert vault.digest("subject", "a") == vault.digest("subject", "a")
    assert vault.pseudonym("one", "her") != vault.pseudonym("two", "her")


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_node_key_of_another_length_stops_the_start(tmp_path: Path, length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Vault(tmp_path / "keys.db", b"k" * length, "main")


def test_a_node_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "node.key"
    make_node_key(path)
    made = path.read_bytes()
    assert len(made) == 32 and path.stat().st_mode & 0o077 == 0
    with pytest.raises(FileExistsError):
        make_node_key(path)
    assert path.read_bytes() == made
