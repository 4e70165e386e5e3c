"""`waymeet map run`: Bundles out, what cannot be mapped told without a value, in little memory."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import map_cli
import pytest
from map_cli import GOOD, changed, run, write
from pytest import param

from gateway import map_records
from gateway.map_sources import bytes_in, opened
from mappings import load, shipped
from profiles import registry, validate
from profiles.outcome import errors

BAD = {"birth_date": "the day of the comet", "urgency": "when the owl calls"}
SECRETS = [value for value in (*GOOD.values(), *BAD.values()) if len(value) > 3]


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def kinds(bundle: Any) -> list[str]:
    return [entry["resource"]["resourceType"] for entry in bundle["entry"]]


# ---------------------------------------------------------------- what comes out


def test_one_valid_bundle_a_record_on_standard_output(tmp_path: Path) -> None:
    result = run("run", "shelter-csv", write(tmp_path / "records.csv", {}, {"referral_ref": "R-2"}))
    assert result.exit_code == 0
    first, second = lines(result.stdout)
    assert kinds(first) == [
        "Patient",
        "ServiceRequest",
        "Observation",
        "Observation",
        "Observation",
        "Provenance",
    ]
    assert first["entry"][0]["fullUrl"] != second["entry"][0]["fullUrl"]
    assert errors(validate(first)) == []
    assert "2 records: 2 mapped, 0 rejected, 0 skipped." in result.stderr


def test_a_bad_record_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", {}, BAD, {})
    result = run("run", "shelter-csv", file, columns=300)
    assert result.exit_code == 1
    assert len(lines(result.stdout)) == 2
    assert "birth_date" in result.stderr and "urgency" in result.stderr and " 3 " in result.stderr
    assert "3 records: 2 mapped, 1 rejected, 0 skipped." in result.stderr


def test_what_is_told_of_a_bad_record_holds_no_value_of_it(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", BAD, BAD)
    shown, written = run("run", "shelter-csv", file), run("run", "shelter-csv", file, "--json")
    assert not [secret for secret in SECRETS if secret in shown.output or secret in written.output]


def test_rejected_records_and_the_summary_for_programs(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", {}, BAD)
    result = run("run", "shelter-csv", file, "--json")
    rejected, summary = lines(result.stderr)
    assert rejected["file"] == str(file) and rejected["line"] == 3
    assert [(issue["field"], issue["line"], issue["code"]) for issue in rejected["issues"]] == [
        ("birth_date", 3, "value"),
        ("urgency", 3, "code-invalid"),
    ]
    assert all(issue["message"] for issue in rejected["issues"])
    assert summary == {
        "summary": {
            "mapping": "shelter-csv",
            "version": "1",
            "fingerprint": load(shipped("shelter-csv")).fingerprint,
            "records": 2,
            "mapped": 1,
            "rejected": 1,
            "skipped": {},
            "broken_off": 0,
        }
    }


def test_out_writes_two_files_for_their_owner_only(tmp_path: Path) -> None:
    to = tmp_path / "made" / "here"
    file = write(tmp_path / "records.csv", {}, BAD)
    result = run("run", "shelter-csv", file, "--out", to, "--json")
    assert result.exit_code == 1 and result.stderr == ""
    assert [one["summary"]["mapped"] for one in lines(result.stdout)] == [1]
    assert sorted(path.name for path in to.iterdir()) == ["bundles.ndjson", "rejected.ndjson"]
    assert [kinds(bundle)[0] for bundle in lines((to / "bundles.ndjson").read_text())] == ["Patient"]
    assert [one["line"] for one in lines((to / "rejected.ndjson").read_text())] == [3]
    assert {stat.S_IMODE(path.stat().st_mode) for path in to.iterdir()} == {0o600}


def test_a_second_run_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    run("run", "shelter-csv", write(tmp_path / "records.csv", BAD, {}, {}), "--out", tmp_path)
    run("run", "shelter-csv", write(tmp_path / "records.csv", {}), "--out", tmp_path)
    assert len(lines((tmp_path / "bundles.ndjson").read_text())) == 1
    assert (tmp_path / "rejected.ndjson").read_text() == ""


def test_a_resource_that_is_not_valid_rejects_its_record_by_field_and_element(tmp_path: Path) -> None:
    records = map_cli.records()
    records["referral"]["resources"]["ServiceRequest"]["priority"] = {"from": "urgency"}
    mapping = changed(tmp_path / "own", records=records)
    result = run("run", mapping, write(tmp_path / "records.csv", {}), "--json")
    rejected, _ = lines(result.stderr)
    assert result.exit_code == 1 and result.stdout == ""
    (issue,) = rejected["issues"]
    assert (issue["field"], issue["element"]) == ("urgency", "ServiceRequest.priority")


def test_skipped_records_are_counted_by_reason(tmp_path: Path) -> None:
    records = map_cli.records()
    skip = {"kind": "skip", "when": {"from": "need", "is": "none"}, "because": "Nobody asked for anything."}
    fields = records["referral"]["fields"]
    mapping = changed(
        tmp_path / "own",
        fields=fields,
        ignored=records["referral"].pop("ignored"),
        records={
            "nothing": skip,
            "referral": {key: value for key, value in records["referral"].items() if key != "fields"}
            | {"when": {"from": "need", "present": True}},
        },
    )
    result = run("run", mapping, write(tmp_path / "records.csv", {}, {"need": "none"}, {"need": "none"}))
    assert result.exit_code == 0
    assert "3 records: 1 mapped, 0 rejected, 2 skipped." in result.stderr
    assert "skipped 2: Nobody asked for anything." in result.stderr


# ---------------------------------------------------------------- what goes in


def test_several_files_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    good = write(tmp_path / "good.csv", {})
    broken = tmp_path / "broken.csv"
    broken.write_text("a,b\n1,2\n")
    result = run("run", "shelter-csv", broken, good, "--json")
    rejected, summary = lines(result.stderr)
    assert result.exit_code == 1 and len(lines(result.stdout)) == 1
    assert rejected["file"] == str(broken)
    assert (summary["summary"]["records"], summary["summary"]["broken_off"]) == (1, 1)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        param(b"", "empty", id="empty"),
        param(b"a,b\n1,2\n", "the header lacks this column", id="another header"),
        param(b"\xff\xfe\x00", "", id="no text"),
    ],
)
def test_when_nothing_can_be_read_the_exit_status_is_two(tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "records.csv"
    file.write_bytes(content)
    result = run("run", "shelter-csv", file, columns=300)
    assert result.exit_code == 2 and result.stdout == "" and says in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("shelter-csv", "nowhere.csv"), "nowhere.csv"),
        (("shelter-csvv", "x"), "no shipped mapping"),
        (("no/such/mapping.yaml", "x"), "there is no such file"),
    ],
)
def test_what_is_not_there_is_said(arguments: tuple[str, ...], says: str) -> None:
    result = run("run", *arguments)
    assert result.exit_code == 2 and says in result.stderr and "Traceback" not in result.output


def test_a_mapping_with_a_fault_is_named_with_its_line(tmp_path: Path) -> None:
    mapping = changed(tmp_path / "own", title=7)
    result = run("run", mapping, write(tmp_path / "records.csv", {}))
    assert result.exit_code == 2 and "mapping.yaml:" in result.stderr and "title" in result.stderr


@pytest.mark.parametrize("form", ["folder", "zip", "files"])
def test_tables_come_as_a_folder_a_zip_or_single_files(tmp_path: Path, form: str) -> None:
    sample = shipped("hmis-csv").parent / "sample" / "fy2026"
    files = sorted(sample.glob("*.csv"))
    if form == "zip":
        with zipfile.ZipFile(tmp_path / "export.zip", "w") as packed:
            for file in files:
                packed.write(file, file.name)
    given = {"folder": [sample], "zip": [tmp_path / "export.zip"], "files": files}[form]
    result = run("run", "hmis-csv", *given, "--json")
    assert result.exit_code in (0, 1)
    assert len(lines(result.stdout)) == lines(result.stderr)[-1]["summary"]["mapped"] > 0


def test_every_byte_that_is_read_moves_the_bar_once(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", *[{}] * 50)
    moved: list[int] = []
    made = list(map_records.each(load(shipped("shelter-csv")), [file], registry.shipped(), "", moved.append))
    assert len(made) == 50 and sum(moved) == file.stat().st_size
    with opened([file], moved.append) as source:
        for _ in range(2):
            with source.open() as again:
                again.read()
    assert sum(moved) == 2 * file.stat().st_size


def test_what_there_is_to_read_is_known_beforehand(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_bytes(b"x" * 100)
    with zipfile.ZipFile(tmp_path / "two.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("two.csv", b"y" * 1000)
    assert bytes_in([tmp_path]) == bytes_in([tmp_path / "one.csv", tmp_path / "two.zip"]) == 1100


# ---------------------------------------------------------------- as a program among others


def test_whoever_has_read_enough_closes_the_pipe(tmp_path: Path) -> None:
    file = write(tmp_path / "records.csv", *[{}] * 400)
    command = f"'{sys.executable}' -m gateway.cli.main map run shelter-csv '{file}' | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert len(done.stdout.splitlines()) == 1 and "Traceback" not in done.stderr


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    mapping, held = load(shipped("shelter-csv")), registry.shipped()

    def peak(rows: int) -> int:
        file = write(tmp_path / f"{rows}.csv", *[{}] * rows)
        tracemalloc.start()
        count = sum(1 for _ in map_records.each(mapping, [file], held, "2026-11-20T00:00:00Z"))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == rows
        return found

    peak(20)  # what is kept for good
    assert peak(1500) < peak(150) + 512 * 1024
