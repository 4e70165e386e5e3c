"""`waymeet decide`: a request in, an answer out, for people and programs; faults with file, line and part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from consult_world import MRN, TYPES, bundle, confidentiality, consent, observation, recipient
from typer.testing import CliRunner, Result

from consent.request import answer
from gateway.cli import decide as cli_decide
from gateway.cli.main import app
from gateway.json_places import line_of


def run(*arguments: str | Path, stdin: bytes | str | None = None) -> Result:
    return CliRunner().invoke(app, ["decide", *(str(one) for one in arguments)], input=stdin)


def request(**changes: Any) -> dict[str, Any]:
    """A request that is permitted in part: what is restricted stays."""
    usual = {
        "now": "2026-06-01T12:00:00-04:00",
        "consents": [consent(provision=[{"type": "deny", "securityLabel": [confidentiality("R")]}])],
        "query": {"patient": "Patient/p1", "actor": ["Practitioner/7"], "purpose": ["TREAT"]},
        "content": bundle(observation("a"), observation("b", label="R")),
    }
    return {name: value for name, value in (usual | changes).items() if value is not None}


# ---------------------------------------------------------------- for programs


def test_json_is_exactly_the_answer(tmp_path: Path) -> None:
    text = json.dumps(request(), indent=2)
    (file := tmp_path / "request.json").write_text(text, "utf-8")
    for result in (
        run("--json", stdin=text),
        run("--json", "--request", file),
        run("--json", "-r", "-", stdin=text),
    ):
        assert result.exit_code == 0, result.output
        told = json.loads(result.stdout)
        assert told == answer(request())
        assert (told["decision"], told["released"]) == ("permit", ["Observation/a"])


@pytest.mark.parametrize(
    ("changes", "decision"),
    [({}, "permit"), ({"consents": []}, "no-consent"), ({"consents": [consent(type="deny")]}, "deny")],
)
def test_an_answer_is_a_success_whatever_it_says(changes: dict[str, Any], decision: str) -> None:
    result = run("--json", stdin=json.dumps(request(**changes)))
    assert result.exit_code == 0 and json.loads(result.stdout)["decision"] == decision


def test_a_byte_order_mark_is_passed_over() -> None:
    assert run("--json", stdin=b"\xef\xbb\xbf" + json.dumps(request()).encode()).exit_code == 0


# ---------------------------------------------------------------- for people


def test_in_plain_words() -> None:
    held = consent(period={"end": "2026-12-31"}, provision=request()["consents"][0]["provision"]["provision"])
    result = run(stdin=json.dumps(request(consents=[held])))
    assert result.stdout.splitlines() == [
        "Yes. A consent in force permits this.",
        "May go:",
        "  Observation/a",
        "Stays: The person has refused this.",
        "  Observation/b",
        "Rests on Consent/one provision",
        "Rests on Consent/one provision.provision[0]",
        "Holds until 2026-12-31T23:59:59.999999-04:00 at the latest; then ask again.",
    ]


def test_limits_in_plain_words() -> None:
    denied = {
        "type": "deny",
        "class": [{"system": TYPES, "code": "Condition"}, {"system": TYPES, "code": "Flag"}],
    }
    result = run(stdin=json.dumps(request(content=None, consents=[consent(provision=[denied])])))
    assert "Leave out whatever is marked or coded Condition or Flag." in result.stdout.splitlines()


def test_what_makes_a_consent_unusable_is_told() -> None:
    odd = consent(actor=[recipient(reference="Group/9")])
    result = run(stdin=json.dumps(request(consents=[odd])))
    first, second, *_ = result.stdout.splitlines()
    assert first.startswith("No. A consent cannot be read with certainty")
    assert second == "  Consent/one: Consent.provision.actor.reference is nobody who is known here"


# ---------------------------------------------------------------- what cannot be read


def test_every_problem_has_file_line_and_part(tmp_path: Path) -> None:
    broken = request(now="qzx", consents=[consent(), "qzx"], colour="qzx")
    broken["content"]["entry"][1]["resource"] = "qzx"
    broken["query"]["purpose"] = [{"code": 7}]
    (file := tmp_path / "request.json").write_text(json.dumps(broken, indent=1), "utf-8")
    result = run("--json", "-r", file)
    assert result.exit_code == 2 and result.stdout == ""
    text = file.read_text("utf-8")
    places = {
        "request has an unknown part; it may have agreement, consents, content, directory, now, query": None,
        "now is required: a FHIR instant, with a time zone": '"now"',
        "consents[1] is not an object": '  "qzx"',
        "content.entry[1].resource is not a resource": '"resource": "qzx"',
        "query.purpose[0] is not a code with its system": '"code": 7',
    }
    lines = {line.partition(": ")[2]: line.partition(": ")[0] for line in result.stderr.splitlines()}
    assert lines.keys() == places.keys()
    for said, marked in places.items():
        number = text[: text.index(marked)].count("\n") + 1 if marked else 1
        wanted = number - 1 if "purpose[0]" in said else number  # the brace around it
        assert lines[said] == f"{file}:{wanted}"
    assert "qzx" not in result.stderr


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "is empty"),
        (b"  \n ", "is empty"),
        (b"[]", "request is not a JSON object"),
        (b'{"now":', "is cut off"),
        (b'{\n"now": 1,\n"now": 2}', "standard input:3: has the key 'now' twice"),
        (b'{"now": NaN}', "has NaN"),
        (b'{"now": 1e400}', "too large or too small"),
        (b'{"now": "\xff"}', "is not in UTF-8"),
        (b'{"now": "\\ud800"}', "surrogate"),
        (b'{"query": ' + b"[" * 100_000, "is nested too deeply"),
        (b'{"query": ' + b'{"a":' * 100_000, "is nested too deeply"),
    ],
)
def test_what_is_no_request(body: bytes, says: str) -> None:
    result = run("--json", stdin=body)
    assert result.exit_code == 2 and result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if says in line]
    assert line.startswith("standard input:")


def test_a_request_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_decide, "MOST", 1024 * 1024)
    result = run("--json", stdin=b" " * (1024 * 1024) + json.dumps(request()).encode())
    assert result.exit_code == 2 and "is longer than 1 MB" in result.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = run("--json", "-r", tmp_path / "none.json")
    assert result.exit_code == 2 and "No such file" in " ".join(result.stderr.split())


def test_consents_of_several_people_of_whom_none_is_asked_for() -> None:
    theirs = consent("two")
    theirs["patient"] = {"identifier": {"system": MRN, "value": "2"}}
    mine = consent("one")
    mine["patient"] = {"identifier": {"system": MRN, "value": "1"}}
    result = run(
        "--json", stdin=json.dumps(request(consents=[mine, theirs], query={"actor": "Practitioner/7"}))
    )
    assert result.exit_code == 2
    assert "query.patient does not say whose consents to ask" in result.stderr


def test_an_agreement_that_cannot_be_read_names_its_part() -> None:
    result = run("--json", stdin=json.dumps(request(agreement={"id": "qzx"})))
    assert result.exit_code == 2 and "qzx" not in result.stderr
    assert all(": agreement" in line for line in result.stderr.splitlines())


# ---------------------------------------------------------------- many


def test_a_request_on_each_line_and_an_answer_on_each_line() -> None:
    good, none = json.dumps(request()), json.dumps(request(consents=[]))
    result = run("--lines", stdin=f"{good}\n{none}\n")
    assert result.exit_code == 0
    assert [json.loads(line)["decision"] for line in result.stdout.splitlines()] == ["permit", "no-consent"]


def test_a_bad_line_hinders_no_other(tmp_path: Path) -> None:
    good = json.dumps(request())
    bad = json.dumps(request(now="qzx", consents="qzx"))
    (file := tmp_path / "many.ndjson").write_text(f'{good}\n{bad}\n{{"now": \n{good}\n', "utf-8")
    result = run("--lines", "-r", file)
    assert result.exit_code == 2
    first, second, third, fourth = (json.loads(line) for line in result.stdout.splitlines())
    assert first == fourth == answer(request())
    assert second == {
        "error": [
            "line 2: now is required: a FHIR instant, with a time zone",
            "line 2: consents is not a list of at most 1,000 Consents",
        ]
    }
    assert third["error"][0].startswith("line 3: is not JSON")


# ---------------------------------------------------------------- where a part stands


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("now", 2),
        ("query", 3),
        ("query.actor[1]", 5),
        ("query.actor[7]", 4),
        ("consents[0]", 8),
        ("consents[1].provision.type", 13),
        ("consents[1].provision.purpose", 12),
        ("none", None),
    ],
)
def test_the_line_of_a_part(part: str, line: int | None) -> None:
    text = """{
 "now": "a, {b} [\\"c\\"]",
 "query": {
  "actor": ["x",
   "y"]
 },
 "consents": [
  {"id": "1", "provision": {"type": "now"}},
  {
   "id": [[1, 2], {"provision": 3}],
   "consents": [],
   "provision": {
    "type": "deny"
   }
  }
 ]
}"""
    assert line_of(text, part) == line
