"""A node's key: who may read it, what it may be, and what of it may be seen."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, RSAKey

from gateway.signing import keys

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "node.pem"
    keys.save(path, keys.generate())
    return path


def test_a_saved_key_is_the_key_that_is_loaded(tmp_path: Path) -> None:
    key = keys.generate()
    keys.save(tmp_path / "node.pem", key)
    loaded = keys.load(tmp_path / "node.pem")
    assert loaded.as_dict(private=True) == key.as_dict(private=True)
    assert loaded.curve_name == "P-384"


def test_only_the_owner_can_read_a_saved_key_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keys.save(tmp_path / "node.pem", keys.generate())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "node.pem").stat().st_mode) == 0o600


def test_an_existing_key_is_never_overwritten(saved: Path) -> None:
    content = saved.read_bytes()
    with pytest.raises(FileExistsError):
        keys.save(saved, keys.generate())
    assert saved.read_bytes() == content


def test_a_key_that_could_not_be_written_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        keys.save(tmp_path / "node.pem", keys.generate())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o777])
def test_a_key_that_others_have_access_to_is_refused(saved: Path, mode: int) -> None:
    saved.chmod(mode)
    with pytest.raises(keys.KeyFileError, match="0600"):
        keys.load(saved)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_that_only_its_owner_can_read_is_accepted(saved: Path, mode: int) -> None:
    saved.chmod(mode)
    assert keys.load(saved).is_private


def test_the_rules_apply_to_what_a_link_points_to(saved: Path, tmp_path: Path) -> None:
    link = tmp_path / "mounted.pem"
    link.symlink_to(saved)
    assert keys.load(link).is_private
    saved.chmod(0o644)
    with pytest.raises(keys.KeyFileError, match="0600"):
        keys.load(link)


def test_a_missing_key_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pem", tmp_path):
        with pytest.raises(keys.KeyFileError, match="cannot be read"):
            keys.load(path)


def test_a_device_is_no_key_file() -> None:
    with pytest.raises(keys.KeyFileError, match="not a regular file"):
        keys.load(Path(os.devnull))


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (ECKey.generate_key("P-256").as_pem(private=True), "EC key on P-384"),
        (ECKey.generate_key("P-521").as_pem(private=True), "EC key on P-384"),
        (RSAKey.generate_key(2048).as_pem(private=True), "EC key on P-384"),
        (ECKey.generate_key("P-384").as_pem(private=False), "not a private key"),
        (ECKey.generate_key("P-384").as_pem(private=True, password=PASSPHRASE), "is encrypted"),
        (b"", "not a private key"),
        (b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", "not a private key"),
    ],
    ids=["P-256", "P-521", "RSA", "public", "encrypted", "empty", "garbled"],
)
def test_anything_but_a_private_key_on_p384_is_refused(tmp_path: Path, content: bytes, rule: str) -> None:
    path = tmp_path / "node.pem"
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(keys.KeyFileError, match=rule) as refused:
        keys.load(path)
    assert "c2VjcmV0" not in str(refused.value)


def test_what_is_published_has_a_name_and_no_private_member() -> None:
    first, second = keys.generate(), keys.generate()
    published = keys.public_jwks(first, second)["keys"]
    assert [set(key) for key in published] == [{"kty", "crv", "x", "y", "kid", "alg", "use"}] * 2
    assert [key["kid"] for key in published] == [first.thumbprint(), second.thumbprint()]
    assert {(key["alg"], key["use"]) for key in published} == {("ES384", "sig")}


def test_a_published_key_verifies_under_the_name_it_has(tmp_path: Path) -> None:
    # The thumbprint of RFC 7638 is over public members only, so both halves have one name.
    key = keys.generate()
    assert ECKey.import_key(keys.public_jwk(key)).thumbprint() == key.thumbprint()
