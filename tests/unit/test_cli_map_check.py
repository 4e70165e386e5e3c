"""`waymeet map check` and `waymeet map infer`: what is wrong or left to do, by file, line and column."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from map_cli import GOOD, SHELTER, changed, records, run, write

from mappings import load
from mappings.check import Finding
from mappings.infer import DOUBT

PLACE = re.compile(r"^(\S+):(\d+):(\d+): (error|warning|information): ")


def findings(*arguments: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run("check", *arguments, "--json").stdout.splitlines()]


# ---------------------------------------------------------------- check


def test_a_good_mapping() -> None:
    result = run("check", "shelter-csv")
    assert result.exit_code == 0
    assert "1 mapping checked: 0 errors" in result.stdout


def test_several_mappings_and_the_forms_of_their_names(tmp_path: Path) -> None:
    mapping = changed(tmp_path / "own")
    result = run("check", "shelter-csv", mapping, mapping.parent)
    assert result.exit_code == 0 and "3 mappings checked: 0 errors" in result.stdout


def test_an_error_of_the_mapping_is_told_with_file_line_and_column(tmp_path: Path) -> None:
    found = records()
    found["referral"]["resources"]["ServiceRequest"]["intent"] = "maybe"
    mapping = changed(tmp_path / "own", records=found)
    result = run("check", mapping)
    assert result.exit_code == 1
    told = [line for line in result.stdout.splitlines() if " error: " in line]
    assert told and all(PLACE.match(line) for line in told)
    file, line, _, _ = PLACE.match(told[0]).groups()  # type: ignore[union-attr]
    assert file == str(mapping)
    assert "intent: maybe" in mapping.read_text().splitlines()[int(line) - 1]
    assert "1 error" in result.stdout.splitlines()[-1]


def test_what_keeps_a_mapping_from_loading_is_an_error_too(tmp_path: Path) -> None:
    found = records()
    found["referral"]["resources"]["Patient"]["birthDay"] = {"from": "birth_date"}
    (first, *_) = findings(changed(tmp_path / "own", records=found))
    assert first["severity"] == "error" and first["line"] > 1 and "birthDate" in first["message"]


def test_a_sensitive_column_in_an_offer_is_an_error_and_in_the_dossier_is_not(tmp_path: Path) -> None:
    for column, wrong in (("urgency", True), ("safe_phone", False)):
        found = records()
        found["referral"]["sensitive"] = {column: "SDV"}
        told = findings(changed(tmp_path / column, records=found))
        assert any(one["code"] == "security" and one["severity"] == "error" for one in told) is wrong


def test_a_sample_shows_what_the_tables_lack(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", *[{"need": "owls"}] * 3)
    told = findings("shelter-csv", "--sample", file)
    lacking = {one["field"]: one["message"] for one in told if "sample has codes" in one["message"]}
    assert "'owls' (3)" in lacking["codes.need"]
    assert not any(GOOD[name] in json.dumps(told) for name in ("last_name", "street", "notes", "safe_phone"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nowhere",), "no shipped mapping has this name"),
        (("no/such/mapping.yaml",), "there is no such file"),
        (("shelter-csv", "case-json", "--sample", "x.csv"), "name one mapping"),
        (("shelter-csv", "--sample", "nowhere.csv"), "nowhere.csv"),
    ],
)
def test_when_nothing_is_checked_the_exit_status_is_two(arguments: tuple[str, ...], says: str) -> None:
    result = run("check", *arguments)
    assert result.exit_code == 2 and says in result.stderr and "Traceback" not in result.output


def test_for_programs_every_finding_is_one_object(tmp_path: Path) -> None:
    found = records()
    found["referral"]["resources"]["ServiceRequest"]["intent"] = "maybe"
    mapping = changed(tmp_path / "own", records=found)
    told = findings(mapping)
    assert {one["severity"] for one in told} >= {"error"}
    assert all({"file", "line", "severity", "code", "message"} <= one.keys() for one in told)
    assert all(one["file"] == str(mapping) or "/codes/" in one["file"] for one in told)


def test_a_folder_without_a_mapping_does_not_hide_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shelter-csv").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run("check", "shelter-csv").exit_code == 0
    (tmp_path / "shelter-csv" / "mapping.yaml").write_text("mine: true")
    assert run("check", "shelter-csv").exit_code == 1


# ---------------------------------------------------------------- infer


def test_a_proposal_is_written_loads_and_says_what_is_left_to_do(tmp_path: Path) -> None:
    file = write(
        tmp_path / "records.csv", *({"referral_ref": f"R-{n}", "urgency": "today"} for n in range(3))
    )
    to = tmp_path / "own"
    result = run("infer", file, "--name", "Safe Haven", "--out", to)
    assert result.exit_code == 0 and f"Written: {to}/" in result.stdout and "codes/need.csv" in result.stdout
    assert load(to / "mapping.yaml").system == "safe-haven"

    checked = run("check", to)
    assert checked.exit_code == 0
    written = (to / "mapping.yaml").read_text().splitlines()
    for number, line in enumerate(written, 1):
        if line.lstrip().startswith(DOUBT):
            assert (
                f"{to}/mapping.yaml:{number}:{line.index('#') + 1}: information: a doubt: " in checked.stdout
            )
    assert (
        f"{to}/codes/need.csv:4: warning: need: nobody has said yet what the code 'food' is" in checked.stdout
    )


def test_what_is_settled_is_told_no_more(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", *({"referral_ref": f"R-{n}"} for n in range(3)))
    run("infer", file, "--out", tmp_path / "own")
    for path in (tmp_path / "own").rglob("*.*"):
        kept = [line for line in path.read_text().splitlines() if not line.lstrip().startswith(DOUBT)]
        text = "\n".join(line.replace("unmatched", "equivalent") for line in kept)
        path.write_text(text + "\n")
    told = run("check", tmp_path / "own").stdout
    assert "a doubt" not in told and "nobody has said" not in told
    assert run("run", tmp_path / "own", file).exit_code == 0


def test_nothing_is_written_over(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", {})
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mapping.yaml").write_text("mine")
    result = run("infer", file, "--out", tmp_path / "own")
    assert result.exit_code == 2 and "is not empty" in result.stderr
    assert (tmp_path / "own" / "mapping.yaml").read_text() == "mine"


def test_a_file_of_which_nothing_can_be_made(tmp_path: Path) -> None:
    file = tmp_path / "records.csv"
    file.write_text("Ana,203-555-0101\nBo,203-555-0102\n")
    result = run("infer", file, "--out", tmp_path / "own")
    assert result.exit_code == 2 and "a header is needed" in result.stderr.replace("\n", " ")
    assert not (tmp_path / "own").exists()


def test_a_finding_reads_as_file_line_column() -> None:
    assert str(Finding("m.yaml", load(SHELTER).document.issue(("title",), "is dull"))).startswith("m.yaml:")
