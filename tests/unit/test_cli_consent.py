"""`waymeet consent new, print, check`: from a talk with the person to a Consent, and a page."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import consent
from consent.items import shipped
from gateway import settings
from gateway.cli.main import app
from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY, SHELTER, Agency, found
from gateway.release_answers import build, policy_of, regimes_of
from profiles import canonical, errors, validate

SDOHCC = Path(__file__).parents[3] / "shared/refs/sdoh-clinicalcare-3.0.0/examples"
PERSON = {"system": "https://waymeet.example/fhir/sid/shelter-csv-client", "value": "C-0417"}
ANSWERS: dict[str, Any] = {
    "patient": PERSON,
    "recipients": [PANTRY],
    "items": ["need", "priority", "alias", "household-size"],
    "signed": "Case file, office safe",
}
# A form that was scanned and never encoded, as SDOH Clinical Care's own example is.
BARE: dict[str, Any] = {
    "resourceType": "Consent",
    "status": "active",
    "scope": {"coding": [{"system": canonical.CONSENT_SCOPE, "code": "patient-privacy"}]},
    "category": [{"coding": [{"system": canonical.ACT_CODE, "code": "IDSCL"}]}],
    "patient": {"identifier": PERSON},
    "dateTime": "2026-05-01",
    "sourceAttachment": {"contentType": "application/pdf", "data": "JVBERi0="},
    "policyRule": {"coding": [{"system": canonical.CONSENT_POLICY, "code": "hipaa-auth"}]},
}


@pytest.fixture(scope="module")
def agencies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Agency]:
    ports = {name: 9011 + number for number, name in enumerate((HOSPITAL, PANTRY, SHELTER, ALIAS))}
    return found(tmp_path_factory.mktemp("agencies"), ports, "http://127.0.0.1:9/none")


@pytest.fixture
def shelter(agencies: dict[str, Agency]) -> Path:
    return agencies[SHELTER].config


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["consent", *map(str, arguments)], input=stdin)


def written(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def answered(tmp_path: Path, config: Path, **more: Any) -> Result:
    file = written(tmp_path / "answers.json", ANSWERS | more)
    return run("new", "-c", config, "--from", file, "--dry-run")


def asked(config: Path, *options: str | Path, signers: Iterable[str], rest: Iterable[str] = ()) -> Result:
    """A talk about food for Luz, who is safe to be told of by her nickname alone."""
    known = policy_of(settings.read(config)).minimum
    minimum = known["food-insecurity"]
    titles = list(dict.fromkeys(one.title for _, one in sorted(known.items())))
    wanted = {"need", "alias"}
    talk = [
        PERSON["system"],
        PERSON["value"],
        str(titles.index(minimum.title) + 1),
        *("y" if one.item in wanted else "" for one in (*minimum.offer, *minimum.dossier)),
        "n",  # anything else
        "the bakery",  # nobody by that name
        "Harbor Food Pantry, 1",
        "",  # purpose
        "yesterday",  # no day
        "21",
        *signers,
        "es",
        "y",  # our page
        "Case file",
        *rest,
    ]
    return run("new", "-c", config, *options, stdin="\n".join(talk) + "\n")


def consent_of(result: Result) -> dict[str, Any]:
    """What was written to standard output, after the echo of what was typed."""
    found: dict[str, Any] = json.loads(result.stdout[result.stdout.index("{") :])
    return found


# ---------------------------------------------------------------- new


@pytest.mark.parametrize("agency", [HOSPITAL, PANTRY, SHELTER])
@pytest.mark.parametrize("minor", [False, True])
def test_what_new_writes_is_complete_for_the_agencys_own_law(
    agencies: dict[str, Agency], agency: str, minor: bool
) -> None:
    told = settings.read(agencies[agency].config)
    partner = "https://directory.example.org/Organization/other"
    signers = {"signers": ["patient", "guardian"], "guardian-not-abuser": True} if minor else {}
    resource = build(told, ANSWERS | {"recipients": [partner]} | signers)
    assert not errors(validate(resource, canonical.CONSENT))
    for regime in regimes_of(told, policy_of(told)):
        assert consent.missing_elements(resource, regime, minor=minor) == (), regime.id


def test_a_shelters_release_is_short_and_names_its_law(tmp_path: Path, shelter: Path) -> None:
    resource = json.loads(answered(tmp_path, shelter).stdout)
    period = resource["provision"]["period"]
    days = date.fromisoformat(period["end"]) - date.fromisoformat(period["start"])
    assert timedelta(days=14) <= days <= timedelta(days=30)
    assert resource["policyRule"]["coding"][0]["code"] == "vawa"


def test_a_shelters_release_has_an_end_whatever_the_answers_say(tmp_path: Path, shelter: Path) -> None:
    result = answered(tmp_path, shelter, **{"no-expiry": True})
    assert result.exit_code == 2 and "asks for an end date" in result.stderr
    both = answered(tmp_path, shelter, **{"no-expiry": True, "end": "2030-01-01"})
    assert both.exit_code == 2 and "leave one out" in both.stderr


def test_a_hospitals_release_may_hold_until_it_is_taken_back(
    tmp_path: Path, agencies: dict[str, Agency]
) -> None:
    resource = json.loads(answered(tmp_path, agencies[HOSPITAL].config, **{"no-expiry": True}).stdout)
    assert "end" not in resource["provision"]["period"]
    assert consent.compile_consent(resource).usable


def test_a_guardian_signs_a_shelters_release_only_once_it_was_asked_who_the_guardian_is(
    tmp_path: Path, shelter: Path
) -> None:
    result = answered(tmp_path, shelter, signers=["patient", "guardian"])
    assert result.exit_code == 2 and "not the person who abused the client" in result.stderr
    told = answered(tmp_path, shelter, signers=["patient", "guardian"], **{"guardian-not-abuser": True})
    assert told.exit_code == 0


def test_answers_that_do_not_fit_are_named_with_their_line(tmp_path: Path, shelter: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text('{\n  "patient": {"system": "s", "value": "v"},\n  "recipient": []\n}', encoding="utf-8")
    result = run("new", "-c", shelter, "--from", file, "--dry-run")
    assert result.exit_code == 2
    assert "answers.json:3" in result.stderr and "did you mean 'recipients'" in result.stderr


def test_a_talk_becomes_a_release(shelter: Path) -> None:
    result = asked(shelter, "--dry-run", signers=["n"])
    assert result.exit_code == 0, result.output
    resource = consent_of(result)
    assert not errors(validate(resource, canonical.CONSENT))
    permit = resource["provision"]["provision"][0]
    assert [one["coding"][0]["code"] for one in permit["code"]] == ["need", "alias"]
    end = date.fromisoformat(resource["provision"]["period"]["end"])
    assert end - date.fromisoformat(resource["provision"]["period"]["start"]) == timedelta(days=21)
    assert resource["sourceAttachment"] == {"title": "Case file", "language": "es"}
    assert "the bakery is none of these" in result.stderr and "That is no day" in result.stderr
    assert "the pantry must be able to call someone" in result.stderr  # why each item is asked for


def test_the_abuser_never_signs(shelter: Path) -> None:
    result = asked(shelter, "--dry-run", signers=["y", "y", "y", "y"])
    assert result.exit_code == 2 and "resourceType" not in result.stdout
    assert "this guardian can never sign" in result.stderr


def test_a_minor_and_a_guardian_sign(shelter: Path) -> None:
    result = asked(shelter, "--dry-run", signers=["y", "y", "y", "n"])
    performers = consent_of(result)["performer"]
    assert [one["type"] for one in performers] == ["Patient", "RelatedPerson"]


def test_a_form_that_lacks_what_the_law_asks_is_taken_with_a_warning(
    tmp_path: Path, agencies: dict[str, Agency]
) -> None:
    file = written(tmp_path / "a.json", ANSWERS | {"statements": []})
    result = run("new", "-c", agencies[SHELTER].config, "--from", file, "--dry-run")
    assert result.exit_code == 0
    assert "VAWA" in result.stderr and "services do not depend on signing it" in result.stderr


def test_what_is_not_signed_is_not_recorded_but_kept_for_later(tmp_path: Path, shelter: Path) -> None:
    result = asked(shelter, "--print", tmp_path / "forms", signers=["n"], rest=["n"])
    assert result.exit_code == 1 and "Nothing is recorded." in result.stdout
    page, kept = tmp_path / "forms/release.es.html", tmp_path / "forms/release.es.json"
    assert "Mi permiso para compartir" in page.read_text("utf-8")
    later = run("new", "-c", shelter, "--from", kept, "--signed-on", "2026-11-02", "--dry-run")
    assert json.loads(later.stdout) == json.loads(kept.read_text("utf-8")) | {"dateTime": "2026-11-02"}


# ---------------------------------------------------------------- print


def test_the_page_names_agencies_as_people_know_them(tmp_path: Path, shelter: Path) -> None:
    file = written(tmp_path / "answers.json", ANSWERS)
    result = run("print", file, "-c", shelter, "--to", tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "page.html").read_text("utf-8")
    for name in ("Safe Haven", "Maple Street Office", "Harbor Food Pantry", "also told: when I need it."):
        assert name in page
    assert "directory.example.org" not in page


def test_without_a_place_the_page_is_written_beside_the_file(tmp_path: Path, shelter: Path) -> None:
    file = written(tmp_path / "answers.json", ANSWERS | {"language": "es"})
    assert run("print", file, "-c", shelter).exit_code == 0
    assert run("print", file, "-c", shelter, "--language", "en").exit_code == 0
    assert {one.name for one in tmp_path.glob("*.html")} == {"answers.es.html", "answers.en.html"}


def test_what_cannot_be_printed_is_told_and_nothing_is_written(tmp_path: Path, shelter: Path) -> None:
    result = run("print", written(tmp_path / "bare.json", BARE), "-c", shelter)
    assert result.exit_code == 2 and "of the form that" in result.stderr
    assert list(tmp_path.glob("*.html")) == []


# ---------------------------------------------------------------- check


def made(tmp_path: Path, config: Path, **more: Any) -> Path:
    return written(tmp_path / "consent.json", json.loads(answered(tmp_path, config, **more).stdout))


def test_a_complete_release_and_what_it_permits(tmp_path: Path, shelter: Path) -> None:
    file = made(tmp_path, shelter, end="2099-01-31")
    result = run("check", file, "-c", shelter, "--adult")
    assert result.exit_code == 0, result.output
    assert "This consent can be used" in result.stdout
    assert "VAWA, VOCA and FVPSA confidentiality: nothing is missing." in result.stdout
    assert (
        "Harbor Food Pantry may be told, for coordination of the person's care, "
        "until 2099-01-31, that day included:\n"
        f"  {shipped().listed(ANSWERS['items'])}\n"
        f"  and, as nobody can be referred without a word: {shipped().display('period')}\n" in result.stdout
    )


def test_the_answers_can_be_checked_before_anything_is_signed(tmp_path: Path, shelter: Path) -> None:
    file = written(tmp_path / "answers.json", ANSWERS)
    assert run("check", file, "-c", shelter).exit_code == 0
    alone = run("check", file)
    assert alone.exit_code == 2 and "--config" in alone.stderr


def test_what_is_missing_is_said_in_words_to_act_on(tmp_path: Path, shelter: Path) -> None:
    resource = json.loads(answered(tmp_path, shelter).stdout)
    del resource["provision"]["period"]["end"], resource["meta"]
    result = run("check", written(tmp_path / "c.json", resource))
    assert result.exit_code == 1
    assert (
        "VAWA, VOCA and FVPSA confidentiality: 2 things are missing.\n"
        "  The release does not say until when it holds. "
        "Write an end date; for a shelter 14 to 30 days is usual.\n" in result.stdout
    )


def test_what_is_asked_of_a_minor_alone_counts_when_the_person_is_one(tmp_path: Path, shelter: Path) -> None:
    file = made(tmp_path, shelter)
    unknown, minor = run("check", file, "--regime", "vawa"), run("check", file, "--regime", "vawa", "--minor")
    assert (unknown.exit_code, minor.exit_code) == (0, 1)
    assert "Only by this rule: For a minor, the minor and a parent or guardian sign." in unknown.stdout
    assert "For a record without a date of birth a node asks for both." in unknown.stdout
    assert "No parent or guardian has signed." in minor.stdout
    stated = run("check", made(tmp_path, shelter, adult=True), "--regime", "vawa")
    assert stated.exit_code == 0 and "minor" not in stated.stdout


def test_what_the_recipient_is_decides_which_rule_asks(tmp_path: Path, agencies: dict[str, Agency]) -> None:
    file = made(tmp_path, agencies[HOSPITAL].config, **{"no-expiry": True})
    asking = ("check", file, "--regime", "42-cfr-part-2", "--adult", "--recipient-kind")
    assert run(*asking, "health-care-provider").exit_code == 0
    assert run(*asking, "community-organization").exit_code == 1


def test_a_scanned_form_authorises_nothing_until_a_steward_has_encoded_it(tmp_path: Path) -> None:
    result = run("check", written(tmp_path / "bare.json", BARE), "--regime", "vawa", "--adult")
    assert result.exit_code == 1
    assert "By itself it authorises nothing. A data steward has to read the signed form" in result.stdout
    assert "1 thing to correct" in result.stdout
    for gone in ("who may receive", "what may be shared", "what the information is for", "until when"):
        assert gone in result.stdout
    assert "may be told" not in result.stdout


@pytest.mark.skipif(not SDOHCC.is_dir(), reason="the SDOH Clinical Care examples are not here")
def test_the_example_of_sdoh_clinical_care_is_such_a_form() -> None:
    for file in sorted(SDOHCC.glob("Consent-*.json")):
        result = run("check", file)
        assert result.exit_code == 1 and "A data steward has to read the signed form" in result.stdout
        assert "Write the person's identifier from your own records" in result.stdout


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dateTime": "soon"}, "Write the day it was signed, as YYYY-MM-DD."),
        ({"scope": {"text": "privacy"}}, "Write the scope patient-privacy"),
        ({"patient": {"reference": "Patient/1"}}, "Write the person's identifier from your own records"),
        ({"modifierExtension": [{"url": "https://e.example", "valueCode": "x"}]}, "Take it out"),
    ],
)
def test_each_thing_to_correct_comes_with_what_to_do(
    tmp_path: Path, shelter: Path, change: dict[str, Any], says: str
) -> None:
    resource = json.loads(answered(tmp_path, shelter).stdout) | change
    result = run("check", written(tmp_path / "c.json", resource), "--adult")
    assert result.exit_code == 1 and "cannot be used" in result.stdout
    assert says in result.stdout


def test_a_withdrawn_and_an_ended_release_permit_nothing_now(tmp_path: Path, shelter: Path) -> None:
    resource = json.loads(answered(tmp_path, shelter, start="2020-01-01", end="2020-01-31").stdout)
    ended = run("check", written(tmp_path / "c.json", resource), "--adult")
    assert "Its last day is over" in ended.stdout and "may be told" not in ended.stdout
    withdrawn = json.loads(answered(tmp_path, shelter).stdout) | {"status": "inactive"}
    told = run("check", written(tmp_path / "c.json", withdrawn), "--adult")
    assert 'Its status is "inactive", so it permits nothing now.' in told.stdout


def test_a_refusal_in_it_is_told(tmp_path: Path, shelter: Path) -> None:
    resource = json.loads(answered(tmp_path, shelter).stdout)
    permit = resource["provision"]["provision"][0]
    resource["provision"]["provision"].append({"type": "deny", "code": permit["code"][2:3]})
    result = run("check", written(tmp_path / "c.json", resource), "-c", shelter, "--adult")
    told = result.stdout.splitlines()
    allowed = next(number for number, line in enumerate(told) if "may be told" in line)
    refused = next(number for number, line in enumerate(told) if "must not be told" in line)
    assert shipped().display("alias") not in told[allowed + 1]
    assert told[refused + 1].strip() == shipped().display("alias")


def test_programs_get_the_same_as_people(tmp_path: Path, shelter: Path) -> None:
    file = made(tmp_path, shelter, statements=[], end="2099-01-31")
    result = run("check", file, "-r", "vawa", "--adult", "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 1 and not told["complete"] and told["usable"]
    (rule,) = told["regimes"][0]["rules"]
    assert rule["id"] == "written-release" and rule["applies"] == "surely"
    assert [one["element"] for one in rule["missing"]] == ["voluntary"]
    (permitted,) = told["permits"]
    assert permitted["items"] == ANSWERS["items"] and permitted["purpose"] == "COC"
    assert permitted["until"].startswith("2099-01-31")


def test_no_file_no_law_no_json(tmp_path: Path, shelter: Path) -> None:
    assert run("check", tmp_path / "none.json").exit_code == 2
    text = tmp_path / "text.json"
    text.write_text("a release", encoding="utf-8")
    assert run("check", text).exit_code == 2
    result = run("check", made(tmp_path, shelter), "--regime", "magna-carta")
    assert result.exit_code == 2 and "There is no law magna-carta here" in result.stderr
