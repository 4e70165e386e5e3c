"""Where a secret may lie: who else could read it, or put another in its place; and what opens it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway import durable
from gateway.signing import key_files, keys

PASSPHRASE = "correct horse battery staple"
NODE_USER, OTHER_USER, POD_GROUP = 61_234, 61_235, 61_236

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make files of other users")


def written(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir(0o700)
    keys.save(folder / "node.pem", keys.generate())
    return folder / "node.pem"


@pytest.fixture
def no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(key_files.FILE_VARIABLE, raising=False)


# ------------------------------------------------------------------ passphrase


@pytest.mark.usefixtures("no_passphrase")
def test_an_encrypted_key_is_opened_by_its_passphrase_and_by_no_other(tmp_path: Path) -> None:
    key = keys.generate()
    keys.save(tmp_path / "node.pem", key, PASSPHRASE)
    assert b"ENCRYPTED" in (tmp_path / "node.pem").read_bytes()
    assert keys.load(tmp_path / "node.pem", PASSPHRASE).thumbprint() == key.thumbprint()
    with pytest.raises(keys.KeyFileError, match="does not open") as refused:
        keys.load(tmp_path / "node.pem", PASSPHRASE + "!")
    assert PASSPHRASE not in str(refused.value)
    with pytest.raises(keys.KeyLocked, match="passphrase_file or WAYMEET_PASSPHRASE_FILE"):
        keys.load(tmp_path / "node.pem")


def test_the_environment_names_the_file_of_the_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.save(tmp_path / "node.pem", keys.generate(), PASSPHRASE)
    monkeypatch.setenv(key_files.FILE_VARIABLE, str(written(tmp_path / "secret", f"{PASSPHRASE}\n")))
    assert keys.load(tmp_path / "node.pem").is_private
    configured = written(tmp_path / "configured", "another passphrase of the file\n")
    assert keys.stated_passphrase(configured) == PASSPHRASE


@pytest.mark.usefixtures("no_passphrase")
def test_without_the_environment_the_configured_file_counts(tmp_path: Path) -> None:
    assert keys.stated_passphrase(written(tmp_path / "secret", f"{PASSPHRASE}\r\n")) == PASSPHRASE
    assert keys.stated_passphrase() is None


def test_a_key_that_is_not_encrypted_is_read_beside_those_that_are(saved: Path) -> None:
    assert keys.load(saved, PASSPHRASE).is_private


@pytest.mark.usefixtures("no_passphrase")
@pytest.mark.parametrize("text", ["", "\n", "short", "x" * 15 + "\n", f"{PASSPHRASE}\nand a second line\n"])
def test_a_passphrase_is_one_line_and_long(tmp_path: Path, text: str) -> None:
    with pytest.raises(keys.KeyFileError, match="16 characters or more"):
        keys.stated_passphrase(written(tmp_path / "secret", text))


@pytest.mark.usefixtures("no_passphrase")
def test_a_passphrase_that_others_can_read_is_none(tmp_path: Path) -> None:
    path = written(tmp_path / "secret", PASSPHRASE)
    path.chmod(0o644)
    with pytest.raises(keys.KeyFileError, match="others than its owner"):
        keys.stated_passphrase(path)
    with pytest.raises(keys.KeyFileMissing):
        keys.stated_passphrase(tmp_path / "absent")


# ------------------------------------------------------------------ folders


@pytest.mark.parametrize("mode", [0o777, 0o703, 0o772])
def test_a_folder_that_anybody_can_write_to_is_refused(saved: Path, mode: int) -> None:
    saved.parent.chmod(mode)
    with pytest.raises(keys.KeyFileError, match="others can write to this folder"):
        keys.load(saved)


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o1777])
def test_a_folder_where_only_the_owner_replaces_a_file_is_good(saved: Path, mode: int) -> None:
    saved.parent.chmod(mode)
    assert keys.load(saved).is_private


def test_the_folder_that_a_link_leads_to_counts_as_well(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "link.pem").symlink_to(saved)
    saved.parent.chmod(0o777)
    with pytest.raises(keys.KeyFileError, match="others can write"):
        keys.load(tmp_path / "link.pem")


@pytest.mark.parametrize("mode", [0o1777, 0o770, 0o720])
def test_where_keys_are_made_nobody_else_writes_at_all(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "operational"
    folder.mkdir(0o700)
    key_files.check_own_folder(folder)
    folder.chmod(mode)
    with pytest.raises(keys.KeyFileError, match="0700"):
        key_files.check_own_folder(folder)


# ------------------------------------------------------------------ mounted secrets


@pytest.fixture
def mounted() -> Iterator[Path]:
    """A secret as Kubernetes mounts it: `node.pem` leads over `..data` to a folder of this version."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        version = folder / "..2026_11_30_20_23_02.1478"
        version.mkdir(0o755)
        keys.save(version / "node.pem", keys.generate())
        (folder / "..data").symlink_to(version.name)
        (folder / "node.pem").symlink_to("..data/node.pem")
        folder.chmod(0o1777)
        yield folder / "node.pem"


def test_a_mounted_secret_is_read_through_its_links(mounted: Path) -> None:
    assert keys.load(mounted).is_private


def test_a_mounted_secret_that_all_can_read_is_refused(mounted: Path) -> None:
    mounted.chmod(0o644)  # what Kubernetes gives without defaultMode
    with pytest.raises(keys.KeyFileError, match="others than its owner"):
        keys.load(mounted)


def said_by(user: int, groups: list[int], act: Callable[[], object]) -> str:
    """What comes of `act` in a process of this user: "good", or the refusal."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "good"
        try:
            os.setgroups(groups)
            os.setgid(user)
            os.setuid(user)
            act()
        except BaseException as fault:
            said = str(fault)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


@as_root
def test_a_secret_of_roots_is_read_by_the_group_of_the_pod_and_of_nobody_else(mounted: Path) -> None:
    os.chown(mounted, 0, POD_GROUP)
    mounted.chmod(0o440)  # what Kubernetes gives with fsGroup and defaultMode 0400
    assert said_by(NODE_USER, [POD_GROUP], lambda: keys.load(mounted)) == "good"
    mounted.chmod(0o444)
    assert "others than its owner" in said_by(NODE_USER, [POD_GROUP], lambda: keys.load(mounted))
    mounted.chmod(0o460)
    assert "others than its owner" in said_by(NODE_USER, [POD_GROUP], lambda: keys.load(mounted))


@as_root
def test_a_group_that_has_other_members_reads_no_secret(mounted: Path) -> None:
    import grp
    import pwd

    peopled = next(
        (
            group.gr_gid
            for group in grp.getgrall()
            if any(user.pw_uid != 0 and user.pw_gid == group.gr_gid for user in pwd.getpwall())
        ),
        None,
    )
    if peopled is None:
        pytest.skip("there is no group on this machine that has a member")
    os.chown(mounted, 0, peopled)
    mounted.chmod(0o440)
    assert "others than its owner" in said_by(NODE_USER, [peopled], lambda: keys.load(mounted))


@as_root
def test_a_key_of_another_user_is_refused_also_where_it_could_be_read(mounted: Path) -> None:
    os.chown(mounted, OTHER_USER, OTHER_USER)
    assert said_by(OTHER_USER, [], lambda: keys.load(mounted)) == "good"
    with pytest.raises(keys.KeyFileError, match="belongs to another user"):
        keys.load(mounted)


@as_root
def test_a_folder_of_another_user_is_refused_as_he_could_replace_the_key(mounted: Path) -> None:
    os.chown(mounted.parent, OTHER_USER, OTHER_USER)
    with pytest.raises(keys.KeyFileError, match="belongs to another user, who could replace"):
        keys.load(mounted)


@as_root
def test_operational_keys_are_made_by_the_user_of_the_node_only(tmp_path: Path) -> None:
    folder = tmp_path / "operational"
    folder.mkdir(0o700)
    os.chown(folder, NODE_USER, NODE_USER)
    with pytest.raises(keys.KeyFileError, match="another user"):  # root would leave files of its own there
        key_files.check_own_folder(folder)


# ------------------------------------------------------------------ writing


def test_a_file_is_replaced_whole_and_what_a_killed_writer_left_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    durable.replace(path, b"one")
    (tmp_path / ".state.json.new").write_bytes(b"half of a li")
    durable.replace(path, b"two")
    assert path.read_bytes() == b"two"
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]
    assert path.stat().st_mode & 0o777 == 0o600
