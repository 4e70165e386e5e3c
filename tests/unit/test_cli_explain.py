"""`waymeet explain`: about a referral of a node's own, and about a request in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hospital_world import make_hospital, offered
from typer.testing import CliRunner

from gateway.cli.main import app
from gateway.demo.stories import RECORDS
from gateway.settings import Settings

runner = CliRunner()


@pytest.fixture
def sent(tmp_path: Path) -> tuple[Path, str]:
    """A hospital's node with an offered referral: its configuration, and the referral's id."""
    node = make_hospital(tmp_path)
    _, referral_id, _ = offered(node)
    settings: Settings = node.settings
    node.close()
    return settings.path, referral_id


def run(*arguments: str) -> tuple[int, str]:
    done = runner.invoke(app, ["explain", *arguments])
    return done.exit_code, done.output


def test_a_referral_item_by_item(sent: tuple[Path, str]) -> None:
    config, referral_id = sent
    code, said = run("--referral", referral_id, "-c", str(config))
    assert code == 0, said
    assert "Yes: the recipient may see what is needed, without the person." in said
    assert "45 CFR 164.506" in said
    assert "shown only after the referral is accepted" in " ".join(said.split())


def test_what_would_happen_if_the_consent_were_withdrawn(sent: tuple[Path, str]) -> None:
    config, referral_id = sent
    code, said = run("--referral", referral_id, "-c", str(config), "--what-if", "consent=withdrawn", "--json")
    assert code == 0, said
    (told,) = json.loads(said)
    assert told["what_if"]["difference"][0] == "The answer would be no (consent-revoked) instead of yes."
    assert not any(item["goes"] for item in told["what_if"]["then"]["items"])
    assert any(item["goes"] for item in told["items"])


@pytest.mark.parametrize("audience", ["PERSON", "STEWARD", "ENGINEER"])
def test_no_value_of_the_record_is_said_to_anyone(sent: tuple[Path, str], audience: str) -> None:
    config, referral_id = sent
    code, said = run(
        "--referral", referral_id, "-c", str(config), "--for", audience, "--what-if", "state=accepted"
    )
    assert code == 0, said
    person = next(
        segment
        for segment in (RECORDS / "1-hospital.hl7").read_text().splitlines()
        if segment.startswith("PID")
    )
    values = {part for field in person.split("|")[3:] for part in field.split("^") if len(part) > 4}
    assert len(values) > 4
    for value in values:
        assert value not in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--referral", "unknown"], "No referral with this id"),
        ([], "--referral ID, or a request"),
        (["--referral", "x", "--request", "y"], "--referral ID, or a request"),
    ],
)
def test_what_cannot_be_explained_is_said_in_one_line(
    sent: tuple[Path, str], arguments: list[str], says: str
) -> None:
    code, said = run(*arguments, "-c", str(sent[0]))
    assert code == 2
    assert says in said
    assert "Traceback" not in said


def test_a_change_that_is_none_is_told_with_what_would_be(sent: tuple[Path, str]) -> None:
    config, referral_id = sent
    code, said = run("--referral", referral_id, "-c", str(config), "--what-if", "consnt=withdrawn")
    assert code == 2
    assert "Nothing is called consnt. `--what-if help` lists what can be changed." in said
    code, said = run("--what-if", "help")
    assert code == 0
    assert "recipient.suspended: true or false" in said


def test_why_nothing_goes_of_a_closed_referral(sent: tuple[Path, str]) -> None:
    config, referral_id = sent
    code, said = run("--referral", referral_id, "-c", str(config), "--what-if", "state=completed", "--json")
    assert code == 0, said
    (told,) = json.loads(said)
    assert {item["why"] for item in told["what_if"]["then"]["items"]} == {"the referral is closed"}


REQUEST = {
    "now": "2026-06-01T12:00:00Z",
    "consents": [
        {
            "resourceType": "Consent",
            "id": "release",
            "status": "active",
            "scope": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                        "code": "patient-privacy",
                    }
                ]
            },
            "patient": {"reference": "Patient/one"},
            "dateTime": "2026-01-01",
            "policy": [{"uri": "https://example.org/policy"}],
            "provision": {
                "type": "permit",
                "purpose": [
                    {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}
                ],
            },
        }
    ],
    "query": {"patient": "Patient/one", "actor": ["Practitioner/a"], "purpose": ["COC"]},
    "content": {
        "resourceType": "Bundle",
        "entry": [{"resource": {"resourceType": "Observation", "id": "weight"}}],
    },
}


def test_a_request_and_one_part_of_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(REQUEST))
    code, said = run("--request", str(path), "--what-if", "query.purpose=HMARKT")
    assert code == 0, said
    assert "Decision: permit" in said
    assert "goes   Observation/weight" in said
    assert "Decision: deny" in said.partition("What if")[2]


def test_a_request_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    for text, says in (("[1]", "a request is a JSON object"), ("{", "request.json:1:"), ("{}", "query")):
        path.write_text(text)
        code, said = run("--request", str(path))
        assert code == 2, said
        assert says in said
        assert "Traceback" not in said


def test_a_part_that_a_request_does_not_have_cannot_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(REQUEST))
    for change in ("consents.9=1", "consents.first=1", "now.hour=1"):
        code, said = run("--request", str(path), "--what-if", change)
        assert code == 2 and "could be changed" in said and "Traceback" not in said
