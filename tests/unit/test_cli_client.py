"""`waymeet client`: an operator registers systems, sees them, suspends them; and what is refused."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import stat
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from joserfc.jwk import RSAKey
from pytest import param
from sqlalchemy import select
from typer.core import TyperGroup
from typer.testing import CliRunner, Result

from gateway import audit as log
from gateway import settings
from gateway.cli import client as cli_client
from gateway.cli.client import app
from gateway.node import open_store
from gateway.oauth import registered
from gateway.oauth.registered import Registered
from gateway.signing import keys
from gateway.store.schema import audit
from gateway.store.vault import make_node_key

CONFIG = """
name: Elm City Hospital
kinds: [covered-entity]
contact: {name: Steward, telecom: "mailto:steward@elm.example"}
identities:
  - organization: https://directory.example.org/Organization/elm-city-hospital
    address: https://waymeet.elm.example
    listen: 127.0.0.1:8460
    key: keys/elm.pem
directory: {folder: directory, anchors: [keys/anchor.pub.json]}
agreements: agreements
data: data
node_key: keys/node.key
systems:
  hl7v2-referral: {mapping: hl7v2-referral}
  case-json: {mapping: case-json}
clients: clients
"""
KEY = keys.generate()
RSA = RSAKey.generate_key(2048)
RSA_JWK = dict(RSA.as_dict(private=False, kid="epic-1", alg="RS384", use="sig"))
URL = "https://ehr.example.org/jwks"


def write_node(folder: Path) -> None:
    (folder / "node.yaml").write_text(CONFIG)
    (folder / "keys").mkdir(mode=0o700)
    make_node_key(folder / "keys/node.key")


@pytest.fixture
def node(tmp_path: Path) -> Path:
    write_node(tmp_path)
    (tmp_path / "ehr.jwks.json").write_text(json.dumps({"keys": [keys.public_jwk(KEY), RSA_JWK]}))
    return tmp_path


def client(node: Path, *arguments: str | Path) -> Result:
    config = ("--config", str(node / "node.yaml"))
    return CliRunner().invoke(app, [*(str(one) for one in arguments), *config])


def added(node: Path, *arguments: str | Path, name: str = "ehr") -> dict[str, Any]:
    """What stands in the registration that came of it."""
    done = client(node, "add", name, *arguments)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads((node / "clients" / f"{name}.json").read_text())
    return found


# -- adding ---------------------------------------------------------------------------------------------


def test_a_system_gets_what_handing_in_records_takes_and_no_more(node: Path) -> None:
    assert added(node, "--system", "hl7v2-referral", "--jwks", node / "ehr.jwks.json") == {
        "id": "ehr",
        "systems": ["hl7v2-referral"],
        "scopes": "system/ServiceRequest.c system/Task.u",
        "addresses": [],
        "introspects": False,
        "status": "active",
        "auth": {"method": "private_key_jwt", "jwks": {"keys": [keys.public_jwk(KEY), RSA_JWK]}},
    }
    assert stat.S_IMODE((node / "clients").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        param(
            ["--consents"],
            {"scopes": "system/ServiceRequest.c system/Task.u system/Consent.c"},
            id="consents",
        ),
        param(["--scope", "system/Task.u"], {"scopes": "system/Task.u"}, id="other scopes"),
        param(
            ["--scope", "system/Task.u", "--scope", "system/Task.u", "--consents"],
            {"scopes": "system/Task.u system/Consent.c"},
            id="other scopes and consents",
        ),
        param(
            ["--address", "10.2.0.0/16", "--address", "2001:db8::7"],
            {"addresses": ["10.2.0.0/16", "2001:db8::7"]},
            id="addresses",
        ),
        param(["--introspects"], {"introspects": True}, id="asking about tokens"),
        param(["--name", "The hospital's records"], {"name": "The hospital's records"}, id="a name"),
        param(["--system", "case-json"], {"systems": ["hl7v2-referral", "case-json"]}, id="a second system"),
    ],
)
def test_what_is_said_is_what_it_gets(node: Path, options: list[str], changes: dict[str, Any]) -> None:
    base = ("--system", "hl7v2-referral", "--jwks", node / "ehr.jwks.json")
    assert added(node, *base, *options) == added(node, *base, name="plain") | {"id": "ehr"} | changes


def test_who_only_asks_about_tokens_or_hands_in_consents_gets_nothing_else(node: Path) -> None:
    assert added(node, "--introspects", "--jwks-url", URL)["scopes"] == ""
    assert added(node, "--consents", "--jwks-url", URL, name="intake")["scopes"] == "system/Consent.c"
    asks, intake = Registered(node / "clients").all()
    assert (asks.scopes, asks.systems, asks.introspects) == (frozenset(), frozenset(), True)
    assert (intake.scopes, intake.systems) == ({"system/Consent.c"}, frozenset())


def test_keys_that_it_publishes_itself(node: Path) -> None:
    auth = added(node, "--system", "hl7v2-referral", "--jwks-url", URL)["auth"]
    assert auth == {"method": "private_key_jwt", "jwks_url": URL}


def test_one_key_alone_is_taken_too_and_nothing_but_its_public_half_is_kept(node: Path) -> None:
    (node / "one.json").write_text(json.dumps({**RSA_JWK, "x5c": ["MIIB"], "note": "from our vendor"}))
    auth = added(node, "--system", "hl7v2-referral", "--jwks", node / "one.json")["auth"]
    assert auth["jwks"] == {"keys": [RSA_JWK]}


def test_a_secret_is_shown_once_and_only_its_digest_is_kept(node: Path) -> None:
    done = client(node, "add", "old", "--system", "case-json", "--secret")
    shown = re.findall(r"client_secret +(\S+)", done.stdout)
    assert len(shown) == 1 and len(shown[0]) == 43 and done.output.count(shown[0]) == 1
    kept = (node / "clients" / "old.json").read_text()
    assert shown[0] not in kept
    assert json.loads(kept)["auth"] == {
        "method": "client_secret",
        "secret_sha256": hashlib.sha256(shown[0].encode()).hexdigest(),
    }
    found = Registered(node / "clients").find("old")
    assert found is not None and found.secret == hashlib.sha256(shown[0].encode()).digest()
    for command in ("list", "show"):
        later = client(node, command, *(["old"] if command == "show" else []))
        assert later.exit_code == 0 and "secret" in later.output
        assert shown[0] not in later.output and found.secret.hex() not in later.output


def test_two_secrets_are_never_the_same(node: Path) -> None:
    digests = {
        added(node, "--system", "case-json", "--secret", name=one)["auth"]["secret_sha256"] for one in "ab"
    }
    assert len(digests) == 2


def test_a_small_system_is_given_a_key_pair(node: Path) -> None:
    content = added(node, "--system", "case-json", "--make-key", node / "small.pem")
    assert content["auth"]["jwks"] == keys.public_jwks(keys.load(node / "small.pem"))
    assert stat.S_IMODE((node / "small.pem").stat().st_mode) == 0o600


def test_the_operator_is_told_what_to_tell_the_system(node: Path) -> None:
    told = client(node, "add", "ehr", "--system", "hl7v2-referral", "--consents", "--jwks-url", URL).output
    for fact in (
        "client_id       ehr",
        "token endpoint  https://waymeet.elm.example/oauth/token",
        "scope           system/ServiceRequest.c system/Task.u system/Consent.c",
        "records         POST https://waymeet.elm.example/records/hl7v2-referral",
        "consents        POST https://waymeet.elm.example/records/consent or https://waymeet.elm.example/fhir/Consent",
    ):
        assert fact in told


REFUSED = [
    param(["--system", "hl7v2-referral"], "Say one way to prove who it is", id="no proof"),
    param(["--system", "hl7v2-referral", "--secret", "--jwks-url", URL], "Say one way", id="two proofs"),
    param(["--jwks-url", URL], "Say what it is for", id="for nothing"),
    param(["--system", "hl7", "--jwks-url", URL], "there is no hl7 in node.yaml", id="an unknown system"),
    param(
        ["--system", "case-json", "--jwks-url", "http://ehr.example.org/jwks"],
        "https URL",
        id="keys over http",
    ),
    param(
        ["--system", "case-json", "--jwks-url", URL, "--scope", "user/Task.r"],
        "a scope must be",
        id="a wrong scope",
    ),
    param(
        ["--system", "case-json", "--jwks-url", URL, "--address", "10.2.0.1/16"],
        "network such as",
        id="no network",
    ),
    param(["--system", "case-json", "--jwks", "missing.json"], "cannot be read", id="no file"),
]


@pytest.mark.parametrize(("options", "rule"), REFUSED)
def test_what_is_refused_registers_nothing(node: Path, options: list[str], rule: str) -> None:
    done = client(node, "add", "ehr", *options)
    assert done.exit_code == 2 and rule in done.output
    assert not (node / "clients" / "ehr.json").exists()


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        param(
            {"keys": [RSA_JWK, KEY.as_dict(private=True, kid="a")]},
            "keys[1]: a key holds private",
            id="private",
        ),
        param(KEY.as_dict(private=True, kid="a"), "a key holds private", id="one private key"),
        param({"keys": []}, "a list of 1 to 64 keys", id="none"),
        param({"keys": RSA_JWK}, "a list of 1 to 64 keys", id="not a list"),
        param({"keys": ["a"]}, "keys[0]: a key is no object", id="no keys"),
        param({"keys": [{name: RSA_JWK[name] for name in ("kty", "n", "e")}]}, "no kid", id="without a name"),
        param({"keys": [RSA_JWK, RSA_JWK]}, "two keys have the same kid", id="twice"),
        param([], "must be a mapping", id="a list"),
    ],
)
def test_keys_that_are_not_taken(node: Path, content: Any, rule: str) -> None:
    (node / "theirs.json").write_text(json.dumps(content))
    done = client(node, "add", "ehr", "--system", "case-json", "--jwks", node / "theirs.json")
    assert done.exit_code == 2 and rule in done.output
    assert str(KEY.as_dict(private=True)["d"]) not in done.output
    assert not (node / "clients").exists()


@pytest.mark.parametrize("name", ["../node", "a b", "", "x" * 65])
def test_what_is_no_id_leads_nowhere(node: Path, name: str) -> None:
    def files() -> list[Path]:
        return [path for path in sorted(node.rglob("*")) if "data" not in path.relative_to(node).parts]

    before = files()
    for command in (
        ("add", name, "--system", "case-json", "--make-key", node / "small.pem"),
        ("remove", name),
    ):
        assert client(node, *command).exit_code == 2
    assert files() == before


def test_nobody_is_registered_over_another(node: Path) -> None:
    before = added(node, "--system", "case-json", "--jwks-url", URL)
    done = client(node, "add", "ehr", "--system", "case-json", "--make-key", node / "small.pem")
    assert done.exit_code == 2 and "registered already" in done.output
    assert json.loads((node / "clients/ehr.json").read_text()) == before
    assert not (node / "small.pem").exists()


def test_a_key_file_that_is_there_is_not_overwritten(node: Path) -> None:
    keys.save(node / "small.pem", KEY)
    done = client(node, "add", "ehr", "--system", "case-json", "--make-key", node / "small.pem")
    assert done.exit_code == 2 and "File exists" in done.output
    assert keys.load(node / "small.pem").thumbprint() == KEY.thumbprint()
    assert not (node / "clients").exists()


# -- looking, suspending, removing ----------------------------------------------------------------------


def test_the_list_shows_every_system_and_what_it_may(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_client.out, "_width", 120)
    assert "No system of your own is registered" in client(node, "list").output
    added(node, "--system", "hl7v2-referral", "--jwks-url", URL, "--address", "10.2.0.0/16")
    added(node, "--system", "case-json", "--secret", name="old")
    client(node, "suspend", "old")
    shown = client(node, "list")
    assert shown.exit_code == 0
    assert [" ".join(line.split()) for line in shown.stdout.splitlines()] == [
        "id status systems may by from",
        "ehr active hl7v2-referral ServiceRequest.c keys at ehr.example.org 10.2.0.0/16",
        "Task.u",
        "old suspended case-json ServiceRequest.c secret anywhere",
        "Task.u",
    ]


def test_a_file_that_is_not_good_is_named_with_its_fault(node: Path) -> None:
    added(node, "--system", "case-json", "--jwks-url", URL)
    added(node, "--system", "case-json", "--jwks-url", URL, name="worse")
    path = node / "clients" / "worse.json"
    path.write_text(path.read_text().replace('"scopes"', '"scope"'))
    shown = client(node, "list")
    assert shown.exit_code == 1
    assert "Refused: worse.json:" in shown.output and "did you mean 'scopes'?" in shown.output
    assert "ehr " in shown.output
    for command in ("show", "suspend", "resume"):
        assert "worse.json:" in client(node, command, "worse").output
    assert client(node, "remove", "worse").exit_code == 0
    assert client(node, "list").exit_code == 0


def test_suspending_and_letting_in_again_changes_nothing_else(node: Path) -> None:
    before = added(node, "--system", "case-json", "--jwks", node / "ehr.jwks.json", "--introspects")
    clients = Registered(node / "clients")
    for command, status in (("suspend", "suspended"), ("suspend", "suspended"), ("resume", "active")):
        assert client(node, command, "ehr").exit_code == 0
        assert json.loads((node / "clients/ehr.json").read_text()) == before | {"status": status}
        found = clients.find("ehr")
        assert found is not None and found.active == (status == "active")


def test_what_others_could_have_written_is_not_made_good_by_suspending(node: Path) -> None:
    added(node, "--system", "case-json", "--jwks-url", URL)
    (node / "clients/ehr.json").chmod(0o666)
    for command in ("suspend", "resume"):
        done = client(node, command, "ehr")
        assert done.exit_code == 2 and "others than its owner can write to it" in done.output
    assert Registered(node / "clients").find("ehr") is None


def test_who_is_removed_is_not_known_any_more(node: Path) -> None:
    added(node, "--system", "case-json", "--jwks-url", URL)
    clients = Registered(node / "clients")
    assert clients.find("ehr") is not None
    assert client(node, "remove", "ehr").exit_code == 0
    assert clients.find("ehr") is None
    for command in ("show", "suspend", "resume", "remove"):
        done = client(node, command, "ehr")
        assert done.exit_code == 2 and "No system is registered by this id" in done.output


# -- what stands in the log -----------------------------------------------------------------------------


def logged(node: Path) -> list[tuple[str, dict[str, str]]]:
    """Action and details of each change of who may call, oldest first."""
    store = open_store(settings.read(node / "node.yaml"))
    with store.work() as work:
        found = work.tx.execute(select(audit.c.event).order_by(audit.c.number)).scalars().all()
    store.close()
    events = [json.loads(event) for event in found]
    assert all(event["subtype"][0]["code"] == "client" for event in events)
    details = [event["entity"][0]["detail"] for event in events]
    return [
        (event["action"], {one["type"]: one["valueString"] for one in each})
        for event, each in zip(events, details, strict=True)
    ]


def test_every_change_of_who_may_call_stands_in_the_log(node: Path) -> None:
    added(node, "--system", "case-json", "--jwks-url", URL, "--address", "10.2.0.0/16", "--introspects")
    for command in ("suspend", "resume", "remove", "list"):
        assert client(node, command, *(["ehr"] if command != "list" else [])).exit_code == 0
    rights = {
        "client": "ehr",
        "systems": "case-json",
        "scopes": "system/ServiceRequest.c system/Task.u",
        "addresses": "10.2.0.0/16",
        "introspects": "yes",
    }
    assert logged(node) == [
        ("C", rights | {"status": "active"}),
        ("U", rights | {"status": "suspended"}),
        ("U", rights | {"status": "active"}),
        ("D", {"client": "ehr"}),
    ]


def test_neither_a_secret_nor_its_digest_stands_in_the_log(node: Path) -> None:
    done = client(node, "add", "ehr", "--system", "case-json", "--secret")
    secret = re.search(r"client_secret\s+(\S+)", done.output)
    assert secret is not None
    said = json.dumps(logged(node))
    assert secret[1] not in said
    assert hashlib.sha256(secret[1].encode()).hexdigest() not in said


def test_what_was_not_done_is_not_logged(node: Path) -> None:
    added(node, "--system", "case-json", "--jwks-url", URL)
    for refused in (("add", "ehr", "--system", "case-json", "--secret"), ("suspend", "other")):
        assert client(node, *refused).exit_code == 2
    assert len(logged(node)) == 1


def test_what_cannot_be_logged_is_not_done(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = added(node, "--system", "case-json", "--jwks-url", URL)

    def full(*_: object) -> int:
        raise OSError("No space left on device")

    monkeypatch.setattr(log, "record", full)
    for command in (
        ["add", "new", "--system", "case-json", "--secret"],
        ["suspend", "ehr"],
        ["remove", "ehr"],
    ):
        done = client(node, *command)
        assert done.exit_code == 2 and "No space left on device" in done.output
        assert "client_secret" not in done.output
    assert [path.name for path in (node / "clients").iterdir()] == ["ehr.json"]
    assert json.loads((node / "clients/ehr.json").read_text()) == before


def test_one_system_in_full(node: Path) -> None:
    added(node, "--system", "case-json", "--jwks", node / "ehr.jwks.json")
    shown = client(node, "show", "ehr").output
    for fact in ("epic-1 (RSA)", f"{KEY.thumbprint()} (EC)", "2 keys", "anywhere", "active"):
        assert fact in shown
    assert "introspects" not in shown


# -- the pages ------------------------------------------------------------------------------------------

DOCS = Path(__file__).parents[2] / "docs"
HOW_TOS = [DOCS / "how-to" / name for name in ("connect-an-ehr.md", "connect-a-state-hie.md")]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_every_client_command_of_a_how_to_is_accepted_in_its_order(
    node: Path, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (node / "node").mkdir()
    write_node(node / "node")
    monkeypatch.chdir(node)
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line)[2:] for line in lines if line.startswith("waymeet client ")]
    assert commands
    for command in commands:
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, f"{command}: {done.output}"


@pytest.mark.parametrize("page", HOW_TOS, ids=lambda page: page.stem)
def test_every_piece_of_configuration_in_a_how_to_is_one(node: Path, page: Path) -> None:
    pieces = [yaml.safe_load(text) for text in blocks(page, "yaml")]
    pieces = [piece for piece in pieces if piece.keys() & {"systems", "connections"}]
    assert pieces
    for number, piece in enumerate(pieces):
        path = node / f"shown-{number}.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(CONFIG) | piece))
        settings.read(path)


def test_the_registration_that_the_reference_shows_is_one(node: Path) -> None:
    shown = [json.loads(text) for text in blocks(DOCS / "reference/clients.md", "json")]
    assert [registered.write(node / "clients", one).stem for one in shown] == ["ehr"]


def test_the_reference_names_every_member_and_every_option() -> None:
    page = (DOCS / "reference/clients.md").read_text(encoding="utf-8")
    schema = json.loads(Path(registered.__file__).with_name("client.schema.json").read_text(encoding="utf-8"))
    members = [*schema["properties"], *schema["properties"]["auth"]["properties"]]
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    options = [
        name for option in group.commands["add"].params for name in option.opts if name.startswith("--")
    ]
    commands = [f"`waymeet client {name}" for name in group.commands if name != "resume"]
    missing = [one for one in members if f"`{one}`" not in page and f'"{one}"' not in page]
    missing += [one for one in options if f"`{one}" not in page and one not in ("--config",)]
    assert missing + [one for one in commands if one not in page] == []
