"""What the command line says to wrong files, wrong names and typing errors: what to do, and no traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app

ANSWERS = {
    "patient": {"system": "https://waymeet.example/fhir/sid/case-json-client", "value": "Qzxperson"},
    "recipients": ["example-food-pantry"],
    "items": ["need", "priority"],
    "signed": "Case file",
}
FILES = {
    "cut-off.json": '{"id": "Qzxperson",',
    "list.json": '["Qzxperson"]',
    "object.json": '{"id": "Qzxperson"}',
    "item.json": json.dumps({**ANSWERS, "items": ["need", "fone"]}),
    "recipient.json": json.dumps({**ANSWERS, "recipients": ["any agency"]}),
}
NODE = ("--config", "node/node.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wrong-hands")
    for name, text in FILES.items():
        (made / name).write_text(text, encoding="utf-8")
    (made / "utf-16.json").write_bytes("{}".encode("utf-16"))
    done = CliRunner().invoke(app, ["init", str(made / "node")])
    assert done.exit_code == 0, done.output
    return made


@pytest.fixture(autouse=True)
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("WAYMEET_CONFIG", raising=False)
    yield


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("send", "object.json"), "node.yaml: there is no such file; name the node's with --config FILE"),
        (("send", *NODE, "none.json"), "none.json: No such file"),
        (("send", *NODE, "--system", "case-jsn", "object.json"), "no system case-jsn in node.yaml; there is"),
        (("status", *NODE, "none"), "There is no referral with this id here. `waymeet status` lists"),
        (("explain", *NODE), "Name a referral with --referral ID, or a request with --request FILE."),
        (("explain", *NODE, "--referral", "none"), "No referral with this id was sent from here."),
        (("explain", "--request", "cut-off.json"), "cut-off.json:1: is not JSON: it is cut off"),
        (("explain", "--request", "utf-16.json"), "utf-16.json:1: is not in UTF-8"),
        (("consent", "show", *NODE, "none"), "There is no consent with this id here."),
        (("consent", "new", *NODE, "--from", "item.json"), "item.json:1:"),
        (("consent", "new", *NODE, "--from", "item.json"), "is not a disclosure item; did you mean phone?"),
        (("consent", "new", *NODE, "--from", "recipient.json"), "neither a name from `recipients` in this"),
        (("consent", "check", *NODE, "recipient.json"), "recipient.json:1:"),
        (("retry", *NODE, "7"), "Nothing with the number 7 was given up: see `waymeet status`."),
        (("init", "other", "--organization", "my agency"), "--organization is the directory's issuer"),
        (("init", "other", "--port", "70000"), "less than or equal to 65526"),
        (("init", "node"), "node is not empty; nothing was written."),
        (("agreement", "new", "--from", "cut-off.json"), "cut-off.json:1:"),
        (("agreement", "new", "--from", "list.json"), "list.json:1:1:"),
        (("agreement", "new", "--from", "object.json", "--source", "object.json"), "object.json:1:1:"),
        (("agreement", "explain", "utf-16.json"), "utf-16.json: the file is not UTF-8 text"),
        (("directory", "sign"), "directory.yaml: the file cannot be read"),
        (("directory", "entry", "object.json", "--key", "k"), "k: cannot be read"),
    ],
)
def test_it_says_what_is_wrong(arguments: tuple[str, ...], says: str) -> None:
    done = CliRunner().invoke(app, list(arguments))
    said = " ".join(done.output.split())
    assert done.exit_code == 2, said
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert says in said
    assert "Qzxperson" not in said
    assert not Path("other").exists()
