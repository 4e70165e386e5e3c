"""`waymeet directory`: from nobody to two participants, a key change, a suspension; and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from directory_world import CLINIC, ISSUER, NOW, PANTRY, entry
from joserfc.jwk import RSAKey
from typer.testing import CliRunner

from gateway import clock
from gateway.cli.directory import app
from gateway.signing import keys
from gateway.trust.directory_draft import Draft


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WAYMEET_PASSPHRASE_FILE", raising=False)
    monkeypatch.setattr(clock, "now", lambda: NOW)


def run(*arguments: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == status, done.output
    return done.output


def agency(name: str, organization: str) -> dict[str, Any]:
    """An agency's own folder: its key and its entry, as `waymeet init` writes them."""
    folder = Path(name)
    folder.mkdir(mode=0o700)
    key = keys.generate()
    keys.save(folder / "key.pem", key)
    made = entry(organization, f"https://{name}.example.org", key)
    (folder / "entry.json").write_text(json.dumps([made], indent=2))
    return made


@pytest.fixture
def signed() -> None:
    """A directory of a pantry and a clinic, signed once and published in `www`."""
    run("new", "convener", "--issuer", ISSUER)
    for name, organization in (("pantry", PANTRY), ("clinic", CLINIC)):
        agency(name, organization)
        run("entry", f"{name}/entry.json", "--key", f"{name}/key.pem")
    run("add", "--draft", "convener", "pantry/entry.jws", "clinic/entry.jws")
    run("sign", "--draft", "convener")
    run("publish", "convener", "www")


VERIFY = ("verify", "www", "--anchor", "convener/keys/anchor.pub.json")


def test_from_nobody_to_a_published_directory(tmp_path: Path) -> None:
    said = run("new", "convener", "--issuer", ISSUER)
    held = Draft.open(Path("convener"))
    for key in held.anchors():
        assert key.thumbprint() in said
    assert Path("convener/keys/anchor.pem").stat().st_mode & 0o777 == 0o600
    kid = agency("pantry", PANTRY)["jwks"]["keys"][0]["kid"]
    assert kid in run("entry", "pantry/entry.json", "--key", "pantry/key.pem")
    said = run("add", "-d", "convener", "pantry/entry.jws")
    assert f"Harbor Food Pantry (harbor-food-pantry) is new. Confirm its keys by telephone: {kid}" in said
    said = run("sign", "-d", "convener", "--days", "3")
    assert f"Signed: number 1 of {ISSUER}, 1 participant in 1 shard." in said
    assert "joined   Harbor Food Pantry (harbor-food-pantry), key" in said
    assert "nobody joined, left or changed" in run("sign", "-d", "convener")
    assert "Published to www: number 2" in run("publish", "convener", "www")
    said = run(*VERIFY)
    assert "Good: number 2" in said
    assert "nobody is suspended" in said
    assert "Good: number 2" in run("verify", "convener")


def test_a_key_changes_and_everybody_sees_by_whose_word(signed: None) -> None:
    run("publish", "convener", "before")
    new = keys.generate()
    keys.save(Path("clinic/new.pem"), new)
    run("entry", "clinic/entry.json", "--key", "clinic/new.pem", "--old-key", "clinic/key.pem")
    # The file that the agency keeps has taken it up, so that the next statement tells it too.
    held = json.loads(Path("clinic/entry.json").read_text())[0]
    assert [key["kid"] for key in held["jwks"]["keys"]] == [new.thumbprint()]
    assert len(held["succession"]) == 1
    said = run("add", "-d", "convener", "clinic/entry.jws")
    assert "signed by a key that it had" in said
    assert "nothing has changed" in run("add", "-d", "convener", "clinic/entry.jws")
    assert "changed  Mill Street Clinic" in run("sign", "-d", "convener")
    said = run("diff", "before", "convener", "--anchor", "convener/keys/anchor.pub.json")
    assert f"new key {new.thumbprint()}, gone key" in said
    assert "NOT" not in said


def test_a_key_that_the_body_vouched_for_is_told_apart(signed: None) -> None:
    run("publish", "convener", "before")
    keys.save(Path("clinic/new.pem"), keys.generate())
    text = json.loads(Path("clinic/entry.json").read_text())
    text[0].pop("jwks")  # the old key is lost
    Path("clinic/entry.json").write_text(json.dumps(text))
    run("entry", "clinic/entry.json", "--key", "clinic/new.pem")
    assert "the keys are new" in run("add", "-d", "convener", "clinic/entry.jws", status=2)
    run("add", "-d", "convener", "clinic/entry.jws", "--vouched")
    run("sign", "-d", "convener")
    assert "NOT signed by a key that it had" in run(
        "diff", "before", "convener", "--anchor", "convener/keys/anchor.pub.json"
    )


def test_who_joined_left_and_changed(signed: None) -> None:
    run("publish", "convener", "before")
    agency("library", f"{ISSUER}/Organization/library")
    run("entry", "library/entry.json", "--key", "library/key.pem")
    run("add", "-d", "convener", "library/entry.jws")
    run("remove", "-d", "convener", "mill-street-clinic")
    Path("facts.json").write_text(json.dumps({"organization": PANTRY, "name": "Harbor Pantry"}))
    said = run("add", "-d", "convener", "--source", "2-1-1", "--assured", "2026-01-31", "facts.json")
    assert f"{PANTRY}: name and services as 2-1-1 describes them since 2026-01-31" in said
    run("sign", "-d", "convener")
    said = run("diff", "before", "convener", "--anchor", "convener/keys/anchor.pub.json")
    assert "joined   Library (library), key" in said
    assert "left     Mill Street Clinic (mill-street-clinic)" in said
    assert "changed  Harbor Pantry (harbor-food-pantry): name, name_source, name_assured" in said


def test_an_agency_is_suspended_tonight_and_restored(signed: None) -> None:
    said = run("suspend", "-d", "convener", "harbor-food-pantry", "--to", "www")
    assert "Suspension list: number 2, in force until 2026-11-21 12:00 UTC" in said
    assert f"  {PANTRY}" in said
    assert "Published to www" in said
    assert f"  {PANTRY}" in run(*VERIFY)
    said = run("suspend", "-d", "convener", "--renew", "--hours", "6", "--to", "www")
    assert "Suspension list: number 3, in force until 2026-11-20 18:00 UTC" in said
    assert f"  {PANTRY}" in said
    said = run("restore", "-d", "convener", PANTRY)
    assert "No node knows yet. Next: waymeet directory publish convener FOLDER" in said
    assert f"  {PANTRY}" in run(*VERIFY)
    run("publish", "convener", "www")
    assert "nobody is suspended" in run(*VERIFY)


@pytest.mark.parametrize(
    ("days", "says"), [(2, "The suspension list has expired"), (8, "The directory has expired")]
)
def test_what_has_expired_is_not_called_good(
    days: int, says: str, signed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(days=days))
    assert says in run("verify", "convener", status=1)


def test_a_directory_without_the_list_that_it_names_is_not_called_good(signed: None) -> None:
    Path("www/suspensions.jws").unlink()
    assert "Without a list in force nodes open no new dossier" in run(*VERIFY, status=1)


def test_the_next_anchor_takes_over(signed: None) -> None:
    Path("convener/keys/next-anchor.pem").rename("safe.pem")  # as it should have been
    safe = keys.load(Path("safe.pem")).thumbprint()
    said = run("anchor", "-d", "convener")
    assert f"The anchor is now {safe}, which nodes pin already." in said
    assert "convener/keys/anchor.pem: cannot be read" in run("sign", "-d", "convener", status=2)
    run("sign", "-d", "convener", "--anchor", "safe.pem")
    run("publish", "convener", "www")
    assert "kid: is not signed by an anchor" in run(
        "verify",
        "www",
        "--anchor",
        next(map(str, Path("convener/keys").glob("anchor-retired*.json"))),
        status=2,
    )
    assert "Good: number 2" in run("verify", "www", "--anchor", "convener/keys/anchor.pub.json")


def test_a_stolen_key_for_suspensions_is_replaced(signed: None) -> None:
    run("suspend", "-d", "convener", "harbor-food-pantry", "--to", "www")
    said = run("suspender", "-d", "convener")
    assert "Retired: suspender-retired-" in said
    assert f"  {PANTRY}" in said
    assert "is not signed by the key" in run("publish", "convener", "www", status=2)
    run("sign", "-d", "convener")
    run("publish", "convener", "www")
    assert f"  {PANTRY}" in run(*VERIFY)


def test_keys_may_be_encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple")
    passphrase.chmod(0o600)
    monkeypatch.setenv("WAYMEET_PASSPHRASE_FILE", str(passphrase))
    run("new", "convener", "--issuer", ISSUER)
    assert "ENCRYPTED" in Path("convener/keys/anchor.pem").read_text()
    run("sign", "-d", "convener")


def test_an_entry_with_an_rsa_key_keeps_the_name_that_its_owner_gave_it(signed: None) -> None:
    rsa = RSAKey.generate_key(2048)
    Path("pantry/rsa.pem").write_bytes(rsa.as_pem(private=True))
    Path("pantry/rsa.pem").chmod(0o600)
    public = rsa.as_dict(private=False) | {"kid": "ehr-2026", "alg": "RS384", "use": "sig"}
    text = json.loads(Path("pantry/entry.json").read_text())
    text[0]["jwks"]["keys"].append(public)
    Path("pantry/entry.json").write_text(json.dumps(text))
    both = ("--key", "pantry/key.pem", "--key", "pantry/rsa.pem")
    said = run("entry", "pantry/entry.json", *both, "--old-key", "pantry/key.pem")
    assert "signed with 2 keys" in said
    assert "ehr-2026" in said
    run("add", "-d", "convener", "pantry/entry.jws")
    assert f"new key {rsa.thumbprint()}" in run("sign", "-d", "convener")


def _line(text: str, of: str) -> int:
    return text[: text.index(of)].count("\n") + 1


@pytest.mark.parametrize(
    ("change", "at", "rule"),
    [
        pytest.param(
            lambda e: e.update(address="HTTPS://Pantry"),
            '"address"',
            "address: must be an origin",
            id="address",
        ),
        pytest.param(
            lambda e: e.update(kind="shelter"), '"kind"', "unknown member 'kind'", id="unknown member"
        ),
        pytest.param(
            lambda e: e["contacts"]["backup"].update(telecom="at the door"),
            '"telecom": "at the door"',
            "contacts.backup.telecom: must be like",
            id="telecom",
        ),
        pytest.param(
            lambda e: e["services"][0].update(languages=["en", "en"]),
            '"languages"',
            "services[0].languages: has the same entry twice",
            id="language twice",
        ),
        pytest.param(lambda e: e.pop("status"), "{", "needs the member 'status'", id="missing member"),
        pytest.param(
            lambda e: e.update(jwks=keys.public_jwks(keys.generate())),
            '"jwks"',
            "jwks: is not what you sign with",
            id="other keys",
        ),
    ],
)
def test_a_wrong_entry_is_refused_with_its_line(
    change: Callable[[dict[str, Any]], object], at: str, rule: str
) -> None:
    made = agency("pantry", PANTRY)
    change(made)
    text = json.dumps([made], indent=2)
    Path("pantry/entry.json").write_text(text)
    said = run("entry", "pantry/entry.json", "--key", "pantry/key.pem", status=2)
    assert f"entry.json:{_line(text, at)}:" in said
    assert rule in said
    for value in ("HTTPS", "shelter", "at the door"):
        assert value not in said
    assert not Path("pantry/entry.jws").exists()
    assert Path("pantry/entry.json").read_text() == text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("new", "convener", "--issuer", ISSUER), "convener is not empty; nothing was written"),
        (("new", "other", "--issuer", f"{ISSUER}/"), "--issuer: must be an origin"),
        (("add", "pantry/entry.jws"), "directory.yaml: the file cannot be read"),
        (("add", "-d", "convener", "pantry/entry.json"), "pantry/entry.json: is not a compact JWS"),
        (("add", "-d", "convener", "none.jws"), "none.jws: No such file"),
        (("add", "-d", "convener", "www/manifest.jws"), "typ waymeet-entry+jwt"),
        (("add", "-d", "convener", "--source", "2-1-1", "pantry/entry.json"), "must be a mapping"),
        (("add", "-d", "convener", "--source", "2-1-1", "pantry/entry.jws"), "entry.jws:1:1: "),
        (("add", "-d", "convener", "--assured", "2026-01-01", "pantry/entry.jws"), "goes with --source"),
        (("add", "-d", "convener", "--source", "x", "--assured", "soon", "a"), "a day like"),
        (("add", "-d", "convener", "--source", "x", "--assured", "2026-11-21", "a"), "a day that has come"),
        (("remove", "-d", "convener", "nobody"), "nobody: takes no part"),
        (("remove", "-d", "convener", "no body"), "must be iss followed by"),
        (("sign", "-d", "convener", "--anchor", "pantry/key.pem"), "neither of the anchors that nodes pin"),
        (("verify", "www"), "say with --anchor whose signature counts"),
        (("verify", "www", "--anchor", "pantry/entry.json"), "is not one public key on P-384"),
        (("verify", "www", "--anchor", "convener/keys/suspender.pub.json"), "not signed by an anchor"),
        (("verify", "none", "--anchor", "convener/keys/anchor.pub.json"), "cannot be read"),
        (("publish", "www", "elsewhere"), "directory.yaml: the file cannot be read"),
        (("suspend", "-d", "convener"), "Name whom to suspend, or say --renew"),
        (("suspend", "-d", "convener", "--renew", "harbor-food-pantry"), "Name whom to suspend, or"),
        (("suspend", "-d", "convener", "harbor-food-pantri"), f"did you mean {PANTRY}?"),
        (("restore", "-d", "convener", "harbor-food-pantry"), "is not suspended"),
        (("entry", "pantry/entry.json", "--key", "clinic/key.pem"), "jwks: is not what you sign with"),
        (("entry", "pantry/entry.json", "--key", "pantry/entry.json"), "pantry/entry.json: others than"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, tuple) else "",
)
def test_a_slip_is_said_plainly_and_changes_nothing(
    arguments: tuple[str, ...], says: str, signed: None
) -> None:
    Path("pantry/entry.json").chmod(0o644)
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    said = run(*arguments, status=2)
    assert says in said
    assert "Traceback" not in said
    after = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert {path for path in after if path.name != ".lock"} == {p for p in before if p.name != ".lock"}
    assert all(after[path] == before[path] for path in before)
