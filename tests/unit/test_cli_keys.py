"""`waymeet keys`: what is said of the keys, what the commands do to them, and a whole change of hands."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway import clock
from gateway.cli import directory as cli_directory
from gateway.cli import init as cli_init
from gateway.cli import keys as cli_keys
from gateway.signing import keys
from gateway.signing.operational import KeyRing, accepted

ORGANIZATION = "https://directory.example.org/Organization/own-agency"


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = datetime.now(UTC)
        monkeypatch.setattr(clock, "now", lambda: self.now)


@pytest.fixture(autouse=True)
def turned(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("WAYMEET_PASSPHRASE_FILE", raising=False)
    monkeypatch.setattr(cli_keys.out, "_width", 160)
    return Clock(monkeypatch)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A node's folder, as `waymeet init` writes it."""
    cli_init.init(tmp_path / "node")
    return tmp_path / "node"


def waymeet(folder: Path, command: str, *arguments: str | Path) -> Result:
    config = ("--config", folder / "node.yaml")
    return CliRunner().invoke(cli_keys.app, [command, *map(str, (*config, *arguments))])


def good(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.output


def federation(folder: Path) -> Path:
    return folder / "keys" / "own-agency.pem"


def ring(folder: Path) -> KeyRing:
    operational = folder / "keys" / "own-agency.operational"
    return KeyRing.opened(ORGANIZATION, federation(folder), operational, now=clock.now)


def made(said: str) -> str:
    """The key that was made, or the one of those that is in use from now on."""
    lines = said.splitlines()
    told = [line.split(": ")[1].split(".")[0] for line in lines if line.startswith("In use from now on: ")]
    return told[0] if told else next(line.split(": ")[1] for line in lines if line.startswith("Made: "))


# ------------------------------------------------------------------ list


def test_a_new_node_has_its_federation_key_and_it_signs_everything(node: Path) -> None:
    said = good(waymeet(node, "list"))
    assert "own-agency" in said and "federation key" in said and "signs everything, for now" in said
    assert keys.load(federation(node)).thumbprint()[:12] in said


def test_the_list_says_when_what_changes_in_the_agencys_own_time(node: Path, turned: Clock) -> None:
    turned.now = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)
    ring(node).rotate_if_due(turned.now)
    said = good(waymeet(node, "list"))
    assert "published, waits" in said and "signs: 2026-12-01 10:00" in said, "America/New_York"
    turned.now += timedelta(hours=25)
    ring(node).rotate_if_due(turned.now)
    said = good(waymeet(node, "list"))
    assert "signs the set of the others" in said and "the next one signs: 2026-12-02" in said


def test_what_is_wrong_is_said_and_the_exit_status_says_it_too(node: Path) -> None:
    federation(node).chmod(0o644)
    result = waymeet(node, "list")
    assert result.exit_code == 1 and "others than its owner have access" in result.output


# ------------------------------------------------------------------ rotate


def test_a_new_key_is_published_now_and_signs_in_a_day(node: Path, turned: Clock) -> None:
    said = good(waymeet(node, "rotate"))
    found = ring(node)
    assert found.signing.thumbprint() == found.federation
    assert found.verifying(made(said)) is not None
    assert f"signs: {(turned.now + timedelta(days=1)).astimezone(_zone(node)):%Y-%m-%d %H:%M}" in said


def test_an_urgent_key_signs_at_once_and_it_is_said_what_partners_will_see(node: Path) -> None:
    said = good(waymeet(node, "rotate", "--now"))
    assert ring(node).signing.thumbprint() == made(said)
    assert "within 10 seconds" in said and "5 minutes" in said and "waymeet keys revoke" in said


def test_days_ahead_are_made_once(node: Path) -> None:
    said = good(waymeet(node, "rotate", "--days", "5"))
    assert "and 3 more" in said
    assert len(list((node / "keys" / "own-agency.operational").glob("*.pem"))) == 5
    assert "Nothing to do" in good(waymeet(node, "rotate", "--days", "5"))


def test_no_more_days_than_a_signed_set_may_last(node: Path) -> None:
    assert waymeet(node, "rotate", "--days", "29").exit_code == 2


def test_where_a_node_has_several_names_one_says_which(tmp_path: Path) -> None:
    folder = tmp_path / "shelter"
    cli_init.init(folder, kind=cli_init.Kind.VICTIM_SERVICE_PROVIDER, system=cli_init.System.SHELTER_CSV)
    result = waymeet(folder, "rotate")
    assert result.exit_code == 2 and "--as: own-agency, " in result.output
    good(waymeet(folder, "rotate", "--as", "own-agency"))
    said = good(waymeet(folder, "list"))
    assert said.count("operational key") == 1 + 1, (
        "a key of the one name, whose beginning the other announces"
    )
    alias = next(path.stem for path in (folder / "keys").glob("????????.pem"))
    assert list((folder / "keys" / f"{alias}.operational").glob("*.pem")) == []


# ------------------------------------------------------------------ revoke


def test_a_key_is_taken_back_by_the_beginning_of_its_name(node: Path) -> None:
    kid = made(good(waymeet(node, "rotate", "--now")))
    said = good(waymeet(node, "revoke", kid[:12]))
    assert f"Taken back: {kid}" in said and "300 seconds" in said and "The federation key signs" in said
    found = ring(node)
    assert found.verifying(kid) is None
    served = found.published()
    assert served is not None
    listed = accepted(served[0], keys.public_jwks(keys.load(federation(node))), ORGANIZATION, clock.now())
    assert kid not in {key["kid"] for key in listed["keys"]}
    assert "taken back: refused" in good(waymeet(node, "list"))


@pytest.mark.parametrize("name", ["short", "nosuchkey", "federation", "twice"])
def test_what_names_no_operational_key_is_not_taken_back(node: Path, name: str) -> None:
    kid = made(good(waymeet(node, "rotate")))
    if name == "federation":
        name = keys.load(federation(node)).thumbprint()
    if name == "twice":
        good(waymeet(node, "revoke", kid))
        name = kid
    result = waymeet(node, "revoke", "--", name)
    assert result.exit_code == 2
    assert "see waymeet keys list" in result.output


# ------------------------------------------------------------------ federation key elsewhere


def test_the_federation_key_comes_out_of_the_safe_for_a_minute(
    node: Path, tmp_path: Path, turned: Clock
) -> None:
    good(waymeet(node, "rotate"))
    turned.now += timedelta(hours=25)
    ring(node).rotate_if_due(turned.now)
    safe = tmp_path / "usb-stick.pem"
    shutil.move(federation(node), safe)
    before = waymeet(node, "rotate")
    assert before.exit_code == 2 and "--federation-key" in before.output
    said = good(waymeet(node, "rotate", "--federation-key", safe, "--days", "14"))
    assert "Put the federation key away again" in said
    shutil.move(safe, tmp_path / "in-the-safe.pem")
    for _ in range(13):
        turned.now += timedelta(days=1)
        found = ring(node)
        found.rotate_if_due(turned.now)
        assert found.signing.thumbprint() != found.federation
    assert "kept elsewhere" in waymeet(node, "list").output


def test_taken_back_while_the_federation_key_is_in_the_safe_it_is_said_what_is_left_to_do(
    node: Path, tmp_path: Path
) -> None:
    good(waymeet(node, "rotate", "--days", "3"))
    lost = ring(node)
    kid = made(good(waymeet(node, "rotate", "--now")))
    safe = tmp_path / "in-the-safe.pem"
    shutil.move(federation(node), safe)
    result = waymeet(node, "revoke", kid)
    assert result.exit_code == 1 and "waymeet keys rotate --federation-key FILE" in result.output
    assert "In use: " in result.output
    assert "but still in the signed set" in waymeet(node, "list").output
    good(waymeet(node, "rotate", "--federation-key", safe))
    assert "but still in the signed set" not in waymeet(node, "list").output
    assert lost.verifying(kid) is None


def test_the_only_published_key_is_not_taken_back_while_the_federation_key_is_in_the_safe(
    node: Path, tmp_path: Path
) -> None:
    kid = made(good(waymeet(node, "rotate", "--now")))
    for path in (node / "keys" / "own-agency.operational").glob("*.pem"):
        if path.stem != kid:
            good(waymeet(node, "revoke", path.stem))
    for path in (node / "keys" / "own-agency.operational").glob("*.pem"):
        if path.stem != kid:
            path.unlink()
    safe = tmp_path / "in-the-safe.pem"
    shutil.move(federation(node), safe)
    refused = waymeet(node, "revoke", kid)
    assert refused.exit_code == 2 and "Name it with --federation-key" in refused.output
    assert ring(node).verifying(kid) is not None
    good(waymeet(node, "revoke", kid, "--federation-key", safe))


def test_another_key_is_not_taken_for_the_federation_key(node: Path, tmp_path: Path) -> None:
    good(waymeet(node, "rotate"))
    keys.save(tmp_path / "other.pem", keys.generate())
    result = waymeet(node, "rotate", "--federation-key", tmp_path / "other.pem")
    assert result.exit_code == 2 and "waymeet keys rotate --federation" in result.output


def test_the_first_keys_of_a_node_that_never_had_its_federation_key(node: Path, tmp_path: Path) -> None:
    safe = tmp_path / "in-the-safe.pem"
    shutil.move(federation(node), safe)
    said = good(waymeet(node, "rotate", "--federation-key", safe, "--days", "14"))
    assert "cannot start without" in said and "--now" in said
    good(waymeet(node, "rotate", "--federation-key", safe, "--days", "14", "--now"))
    assert ring(node).signing.is_private


def test_keys_are_encrypted_with_the_passphrase_that_the_configuration_names(node: Path) -> None:
    secret = node / "keys" / "passphrase"
    secret.touch(0o600)
    secret.write_text("correct horse battery staple\n")
    with (node / "node.yaml").open("a") as file:
        file.write("passphrase_file: keys/passphrase\n")
    good(waymeet(node, "rotate"))
    (path,) = (node / "keys" / "own-agency.operational").glob("*.pem")
    assert b"ENCRYPTED" in path.read_bytes()
    assert "published, waits" in good(waymeet(node, "list"))


# ------------------------------------------------------------------ another federation key


@pytest.fixture
def convener(node: Path, tmp_path: Path) -> Path:
    """The convening body of a directory that has this node, which has it too."""
    draft = tmp_path / "convener"
    directory("new", draft, "--issuer", "https://directory.example.org")
    entry = node / "directory-entry-own-agency.json"
    directory("entry", entry, "--key", federation(node))
    shutil.copy(draft / "keys" / "anchor.pub.json", node / "keys" / "anchor.pub.json")
    shutil.rmtree(node / "directory")
    publish(node, draft)
    return draft


def directory(*arguments: str | Path) -> None:
    result = CliRunner().invoke(cli_directory.app, [str(one) for one in arguments])
    assert result.exit_code == 0, result.output


def publish(node: Path, draft: Path) -> None:
    """What the convening body does with an entry that it was sent, and the mirror with what it publishes."""
    directory("add", node / "directory-entry-own-agency.jws", "--draft", draft)
    directory("sign", "--draft", draft)
    directory("publish", draft, node / "directory")


def test_another_federation_key_from_the_first_file_to_the_last_directory(
    node: Path, convener: Path, turned: Clock
) -> None:
    running = ring(node)
    running.rotate_if_due(turned.now)
    old = keys.load(federation(node))
    good(waymeet(node, "rotate", "--federation"))
    new = keys.load(node / "keys" / "own-agency.next.pem")
    assert keys.load(federation(node)).thumbprint() == old.thumbprint(), "in use as before"

    early = waymeet(node, "rotate", "--federation", "--finish")
    assert early.exit_code == 2 and "does not have the new key yet" in early.output
    publish(node, convener)
    early = waymeet(node, "rotate", "--federation", "--finish")
    assert early.exit_code == 2 and "at their own pace" in early.output
    turned.now += timedelta(hours=2)
    said = good(waymeet(node, "rotate", "--federation", "--finish"))
    assert keys.load(federation(node)).thumbprint() == new.thumbprint()
    assert running.refresh() and running.federation == new.thumbprint()
    served = running.published()
    assert served is not None
    assert accepted(served[0], keys.public_jwks(old, new), ORGANIZATION, turned.now)["keys"]

    (step,) = (line.split() for line in said.splitlines() if "waymeet directory entry" in line)
    assert step[:2] == ["waymeet", "directory"]
    directory("entry", node / step[3], *step[4:])
    publish(node, convener)
    entry = json.loads((node / "directory-entry-own-agency.json").read_text())[0]
    assert [key["kid"] for key in entry["jwks"]["keys"]] == [new.thumbprint()]
    assert len(entry["succession"]) == 2


def test_begun_twice_it_is_the_same_change(node: Path, convener: Path) -> None:
    good(waymeet(node, "rotate", "--federation"))
    before = (node / "directory-entry-own-agency.jws").read_bytes()
    said = good(waymeet(node, "rotate", "--federation"))
    assert (node / "directory-entry-own-agency.jws").read_bytes() == before and "What to do now" in said


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        (["--federation", "--finish"], "begin with waymeet keys rotate --federation"),
        (["--federation", "--entry", "nowhere.json"], "--entry"),
        (["--finish"], "go with --federation"),
        (["--entry", "nowhere.json"], "go with --federation"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(
    node: Path, arguments: list[str], rule: str
) -> None:
    before = sorted(path.name for path in (node / "keys").iterdir())
    result = waymeet(node, "rotate", *arguments)
    assert result.exit_code == 2 and rule in result.output
    assert sorted(path.name for path in (node / "keys").iterdir()) == before


def test_a_mounted_federation_key_is_changed_where_it_comes_from(node: Path, convener: Path) -> None:
    good(waymeet(node, "rotate", "--federation"))
    publish(node, convener)
    federation(node).rename(node / "keys" / "mounted.pem")
    federation(node).symlink_to("mounted.pem")
    result = waymeet(node, "rotate", "--federation", "--finish", "--now")
    assert result.exit_code == 2 and "mounted from elsewhere" in result.output


def _zone(node: Path) -> object:
    from gateway import settings

    return settings.read(node / "node.yaml").timezone
