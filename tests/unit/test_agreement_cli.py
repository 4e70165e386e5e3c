"""`waymeet agreement`: two agencies make one, sign it, check it, stop it, with nothing but files and keys."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import RSAKey
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from gateway.signing import keys

URL = "https://directory.example.org/Organization/"
HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "make-an-agreement.md"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Keys and directory entries of a hospital (EC) and a pantry (RSA), and the answers of their stewards."""
    before = Path.cwd()
    hospital = keys.generate()
    keys.save(tmp_path / "hospital.pem", hospital)
    pantry = generate_private_key(65537, 2048)
    pem = pantry.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "pantry.pem").write_bytes(pem)
    (tmp_path / "pantry.pem").chmod(0o600)
    keys.save(tmp_path / "stranger.pem", keys.generate())
    thumbprints = {"hospital": hospital.thumbprint(), "pantry": RSAKey.import_key(pantry).thumbprint()}
    for name, thumbprint in thumbprints.items():
        contact = {"name": f"Intake of {name}", "telecom": f"mailto:intake@{name}.example"}
        entry = {
            "organization": URL + name,
            "name": name.capitalize(),
            "jwks": {"keys": [{"kid": thumbprint}]},
            "contacts": {"primary": contact, "backup": {"name": "Night desk", "telecom": "tel:203-555-0100"}},
        }
        (tmp_path / f"{name}.json").write_text(json.dumps([entry]))
    answers = {
        "id": "hospital-pantry",
        "source": {"steward": {"name": "Priya"}, "approved": {"name": "Tom", "date": "2026-01-04"}},
        "recipient": {"steward": {"name": "Ana"}},
        "referralTypes": ["food-insecurity"],
        "start": "2020-01-01",
        "end": "2099-12-31",
        "request": {"name": "Lena", "reason": "Patients go home without food", "date": "2026-01-02"},
    }
    (tmp_path / "answers.json").write_text(json.dumps(answers))
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def run(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(
        app, ["agreement", *arguments], input=given, env={"COLUMNS": "200", "TERM": "dumb"}
    )


def new(*more: str) -> Result:
    return run(
        "new", "--from", "answers.json", "--source", "hospital.json", "--recipient", "pantry.json", *more
    )


def sign(name: str) -> Result:
    return run("sign", "agreement.json", "--key", f"{name}.pem", "--as", name)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_made_signed_by_both_and_in_force(folder: Path) -> None:
    assert new().exit_code == 0
    made = run("verify", "agreement.json")
    assert made.exit_code == 1
    assert "Hospital: has not signed." in made.output and "Pantry: has not signed." in made.output

    assert "Still to sign: Pantry." in sign("hospital").output
    half = run("verify", "agreement.json")
    assert half.exit_code == 1
    assert "Hospital: has signed" in half.output and "Pantry: has not signed." in half.output
    assert "In force? No: not signed by Pantry." in half.output

    assert "It is active." in sign("pantry").output
    whole = run("verify", "agreement.json")
    assert whole.exit_code == 0, whole.output
    assert "In force? Yes" in whole.output
    document = read(folder / "agreement.json")
    assert document["contacts"][1]["backup"]["phone"] == "203-555-0100"
    assert [one["name"] for one in document["approvals"]] == ["Tom"]
    assert {path.name for path in folder.glob("*agreement*")} == {"agreement.json"}


def test_a_change_after_signing_is_found_and_says_whose_signature_no_longer_holds(folder: Path) -> None:
    new(), sign("hospital"), sign("pantry")
    document = read(folder / "agreement.json")
    document["data"][1]["items"].append("address")
    (folder / "agreement.json").write_text(json.dumps(document))
    found = run("verify", "agreement.json")
    assert found.exit_code == 1
    assert "Pantry: its signature does not fit: what it was put under has been changed since" in found.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--key", "stranger.pem", "--as", "pantry"), "does not list this key"),
        (("--key", "pantry.pem", "--as", "clinic"), "is not one of the parties"),
        (("--key", "nowhere.pem", "--as", "pantry"), "cannot be read"),
        (("--key", "answers.json", "--as", "pantry"), "a private key needs mode 0600"),
    ],
)
def test_who_cannot_sign_is_told_why_and_nothing_is_written(
    folder: Path, arguments: tuple[str, ...], says: str
) -> None:
    new()
    before = (folder / "agreement.json").read_bytes()
    (folder / "answers.json").chmod(0o644)
    refused = run("sign", "agreement.json", *arguments)
    assert refused.exit_code == 2
    assert says in refused.output
    assert (folder / "agreement.json").read_bytes() == before


def test_one_party_suspends_resumes_and_ends_it(folder: Path) -> None:
    new(), sign("hospital"), sign("pantry")
    mine = ("agreement.json", "--key", "pantry.pem", "--as", "pantry")
    assert "The agreement is suspended." in run("suspend", *mine, "--reason", "Flood").output
    stopped = run("verify", "agreement.json")
    assert "Pantry: has stated suspended" in stopped.output and "because: Flood" in stopped.output
    assert "In force? No: it is suspended." in stopped.output
    assert stopped.exit_code == 0  # the signatures hold, and so does the statement
    assert "The agreement is active." in run("resume", *mine).output
    assert "In force? Yes" in run("verify", "agreement.json").output
    assert "The agreement is terminated." in run("terminate", *mine).output
    assert "for good" in run("resume", *mine).output


def test_a_statement_that_somebody_else_made_fails_the_check(folder: Path) -> None:
    new(), sign("hospital"), sign("pantry")
    run("suspend", "agreement.json", "--key", "pantry.pem", "--as", "pantry")
    document = read(folder / "agreement.json")
    document["statements"][0]["at"] = "2026-01-01T00:00:00+00:00"
    (folder / "agreement.json").write_text(json.dumps(document))
    found = run("verify", "agreement.json")
    assert found.exit_code == 1
    assert "Its signature does not fit" in found.output


def test_explain_needs_no_signature(folder: Path) -> None:
    new()
    told = run("explain", "agreement.json")
    assert told.exit_code == 0
    assert "agreement hospital-pantry v1, between Hospital and Pantry" in told.output
    assert "What may go from Hospital to Pantry" in told.output
    assert "Asked for by Lena of Hospital on 2026-01-02" in told.output


def test_an_aggregate_agreement_needs_no_referral_types(folder: Path) -> None:
    assert new("--template", "aggregate-only").exit_code == 2  # they are given, and it has none
    answers = read(folder / "answers.json")
    del answers["referralTypes"]
    (folder / "answers.json").write_text(json.dumps(answers))
    assert new("--template", "aggregate-only").exit_code == 0
    assert "Nothing about a person can go" in run("explain", "agreement.json").output


def test_a_next_version_replaces_the_first_once_both_have_signed_it(folder: Path) -> None:
    new(), sign("hospital"), sign("pantry")
    assert run("new", "--follows", "agreement.json", "--to", "second.json").exit_code == 0
    second = read(folder / "second.json")
    assert (second["version"], second["supersedes"], second["status"]) == (2, 1, "draft")
    assert run("verify", "second.json").exit_code == 1


def test_a_file_that_is_there_is_never_overwritten(folder: Path) -> None:
    new()
    before = (folder / "agreement.json").read_bytes()
    again = new()
    assert again.exit_code == 2 and "nothing was written" in again.output
    assert (folder / "agreement.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"start": "soon"}, "start: must be a valid date"),
        ({"request": {"name": "Lena"}}, "request: needs 'reason', 'date'"),
        ({"id": "with a space"}, "id: must match the pattern"),
        ({"referralTypes": ["food"]}, "no referral type food"),
        ({"recipient": {}}, "recipient: needs 'steward'"),
    ],
)
def test_answers_that_will_not_do_are_named(folder: Path, change: dict[str, Any], says: str) -> None:
    (folder / "answers.json").write_text(json.dumps(read(folder / "answers.json") | change))
    refused = new()
    assert refused.exit_code == 2
    assert says in refused.output
    assert not (folder / "agreement.json").exists()


def test_asked_at_the_terminal(folder: Path) -> None:
    said = [
        "hospital-pantry",
        "Priya", "203-555-0171", "", "Tom", "2026-01-04",
        "Ana", "", "ana@pantry.example", "",
        "food-insecurity, transportation-insecurity",
        "2020-01-01", "2099-12-31",
        "Lena", "Patients go home without food", "2026-01-02",
    ]  # fmt: skip
    made = run(
        "new",
        "--source",
        "hospital.json",
        "--recipient",
        "pantry.json",
        given="".join(f"{one}\n" for one in said),
    )
    assert made.exit_code == 0, made.output
    document = read(folder / "agreement.json")
    assert {clause["referralType"] for clause in document["data"]} == {
        "food-insecurity",
        "transportation-insecurity",
    }
    assert document["stewards"][0] == {
        "organization": f"{URL}hospital",
        "name": "Priya",
        "phone": "203-555-0171",
    }
    assert document["stewards"][1]["email"] == "ana@pantry.example"
    assert [one["organization"] for one in document["approvals"]] == [f"{URL}hospital"]


def test_the_keys_are_compared_with_those_of_the_directory(tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["init", str(tmp_path / "node"), "--organization", f"{URL}hospital"])
    assert made.exit_code == 0, made.output
    (file,) = (tmp_path / "node" / "agreements").iterdir()
    config = ("--config", str(tmp_path / "node" / "node.yaml"))
    good = run("verify", str(file), *config)
    assert good.exit_code == 0, good.output
    assert good.output.count("the keys that it lists are those of the directory") == 2

    document = read(file)
    stranger = keys.generate().thumbprint()
    document["parties"][0]["keys"] = [stranger]
    (tmp_path / "ours.json").write_text(json.dumps(document))
    other = run("verify", str(tmp_path / "ours.json"), *config)
    assert f"not its key by the directory of today: {stranger}" in other.output


def test_the_how_to_is_run_as_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command in its turn; where the page shows an output, it is this one."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", HOW_TO.read_text(), re.MULTILINE | re.DOTALL)
    said, ran = "", 0
    for kind, body in blocks:
        if kind == "json":
            Path("answers.json").write_text(body)
        elif kind == "sh":
            said = "".join(map(_typed, body.replace("\\\n", "").splitlines()))
            ran += 1
        else:
            shown = re.sub(r"\b[A-Za-z0-9_-]{43}\b", "KEY", said)
            in_force = re.sub(r"In force\? .*", "In force?", shown)
            assert re.sub(r"In force\? .*", "In force?", body).strip() == in_force.strip()
    assert ran == 8


def _typed(command: str) -> str:
    """What a command of the page prints; `waymeet` in this process, as a shell would start it eight times."""
    words = [word for word in shlex.split(command) if word not in ("||", "true")]
    if words[0] != "waymeet":
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout
    result = CliRunner().invoke(app, words[1:], env={"COLUMNS": "110", "TERM": "dumb"})
    assert result.exit_code == 0 or command.endswith("|| true"), result.output
    return result.output


@pytest.mark.parametrize("command", ["verify", "explain"])
def test_a_file_that_is_no_agreement_is_named_with_its_line(folder: Path, command: str) -> None:
    (folder / "bad.json").write_text('{\n  "id": "x",\n  "status": "signed"\n}')
    refused = run(command, "bad.json")
    assert refused.exit_code == 2
    assert "bad.json:3:" in refused.output
