"""`waymeet validate`: files in, issues out, for people and programs; exit status 0 only without errors."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_cli_profiles import PROFILE, package, profile
from typer.testing import CliRunner, Result

from gateway.cli.main import app
from profiles import canonical, json_files
from profiles.json_files import texts

GOOD: dict[str, Any] = {"resourceType": "Patient", "gender": "female"}
BAD: dict[str, Any] = {"resourceType": "Patient", "gender": "qzx"}
WARNED: dict[str, Any] = GOOD | {"meta": {"profile": ["http://x.example/StructureDefinition/unknown"]}}


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["validate", *(str(one) for one in arguments)], input=stdin)


def write(path: Path, *resources: Any) -> Path:
    path.write_text("\n".join(json.dumps(one) for one in resources), "utf-8")
    return path


def outcomes(result: Result) -> list[dict[str, Any]]:
    """What --json printed: each line must be an OperationOutcome."""
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(one["resourceType"] == "OperationOutcome" for one in found)
    return found


# ---------------------------------------------------------------- for people


def test_a_good_record(tmp_path: Path) -> None:
    result = run(write(tmp_path / "good.json", GOOD))
    assert result.exit_code == 0
    assert result.stdout == "1 resource checked, 0 with errors: 0 errors, 0 warnings.\n"


def test_a_bad_record_is_told_with_file_place_and_rule_and_without_its_value(tmp_path: Path) -> None:
    file = write(tmp_path / "bad.json", BAD)
    result = run(file)
    assert result.exit_code == 1
    first, second, *_ = result.stdout.splitlines()
    assert first == str(file)
    assert second.split()[0] == "error" and "Patient.gender: " in second
    assert "1 resource checked, 1 with errors: 1 error" in result.stdout
    assert "qzx" not in result.output


def test_a_warning_alone_is_no_error_and_says_what_would_help(tmp_path: Path) -> None:
    result = run(write(tmp_path / "warned.json", WARNED))
    assert result.exit_code == 0
    assert "warning" in result.stdout and "--package PATH" in result.stdout


def test_one_bad_file_among_good_ones_decides_the_exit_status(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{n}.json", BAD if n == 1 else GOOD) for n in range(3)]
    result = run(*files)
    assert result.exit_code == 1 and "3 resources checked, 1 with errors" in result.stdout
    assert "0.json" not in result.stdout and "1.json" in result.stdout


def test_many_issues_of_one_resource_are_cut_short_for_people_only(tmp_path: Path) -> None:
    file = write(tmp_path / "bad.json", {"resourceType": "Patient", "name": [{"use": "qzx"}] * 200})
    shown, whole = run(file), run("--json", file)
    assert len(shown.stdout.splitlines()) < 60 and "more; --json shows them all" in shown.stdout
    assert len(outcomes(whole)[0]["issue"]) > 60


# ---------------------------------------------------------------- for programs


def test_json_is_one_outcome_for_each_resource_in_order_and_nothing_else(tmp_path: Path) -> None:
    lines = write(tmp_path / "many.ndjson", GOOD, BAD, GOOD)
    result = run("--json", write(tmp_path / "bad.json", BAD), lines)
    assert result.exit_code == 1 and result.stderr == ""
    severities = [one["issue"][0]["severity"] for one in outcomes(result)]
    assert severities == ["error", "information", "error", "information"]


def test_a_bundle_is_one_resource_whose_entries_are_named(tmp_path: Path) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": f"urn:uuid:00000000-0000-4000-8000-00000000000{n}", "resource": one}
            for n, one in enumerate((GOOD, BAD))
        ],
    }
    (outcome,) = outcomes(run("--json", write(tmp_path / "bundle.json", bundle)))
    places = [place for issue in outcome["issue"] for place in issue.get("expression", ())]
    assert any(place.startswith("Bundle.entry[1].resource") for place in places)
    assert not any(place.startswith("Bundle.entry[0].resource.gender") for place in places)


# ---------------------------------------------------------------- forms of text


@pytest.mark.parametrize(
    ("body", "line", "says"),
    [
        (b"", 1, "cut off"),
        (b'{"resourceType": "Patient",\n', 1, "cut off"),
        (b'{"resourceType": "Patient",\n"gender": "male",\n"gender": "female"}', 3, "'gender' twice"),
        (b'\n\n{"resourceType": "Patient",\n\n"gender": "male",\n"gender": "female"}', 6, "'gender' twice"),
        (b'{"resourceType": "Patient",\n"multipleBirthInteger": 1e400}', 2, "too large"),
        (b'{"resourceType": "Patient",\n"multipleBirthInteger": NaN}', 2, "NaN"),
        (b'{"resourceType": "Patient",\n"language": "\\ud800"}', 2, "surrogate"),
        ('{"resourceType": "Patient",\n"language": "\xe9"}'.encode("latin-1"), 2, "UTF-8"),
        (b'{"resourceType": "Patient", "extension": ' + b"[" * 100_000, 1, "nested too deeply"),
    ],
)
def test_a_text_that_is_not_one_resource(tmp_path: Path, body: bytes, line: int, says: str) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(body)
    result = run("--json", file)
    ((issue,),) = (one["issue"] for one in outcomes(result))
    assert result.exit_code == 1 and issue["severity"] == "error"
    assert says in issue["diagnostics"]
    assert issue["diagnostics"].startswith(f"line {line}: ")


def test_one_bad_line_hinders_no_other(tmp_path: Path) -> None:
    file = tmp_path / "many.ndjson"
    good = json.dumps(GOOD).encode()
    file.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join((good, b'{"resourceType":', b"", good, b"[]", good)))
    result = run("--json", file)
    first, cut, second, array, third = (one["issue"][0] for one in outcomes(result))
    assert cut["diagnostics"].startswith("line 2: is not JSON")
    assert array["severity"] == "error"
    assert {one["severity"] for one in (first, second, third)} == {"information"}
    assert f"{file}, line 2" in run(file).stdout


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b'{"resourceType":"Patient"}', 1),
        (b'{"resourceType":"Patient"}\n\n', 1),
        (b'\n{"resourceType":"Patient"}\n\n{"resourceType":"Patient"}\n', 2),
        (b'{"resourceType":"Patient","meta":{}\n,"active":true}', 1),
        (b'{\n"resourceType":"Patient"\n}', 1),
    ],
)
def test_several_lines_or_one_document_is_told_by_the_content(body: bytes, count: int) -> None:
    found = list(texts(io.BytesIO(body), "stdin"))
    assert len(found) == count and found[0].alone == (count == 1)
    assert [json.loads(one.body or b"")["resourceType"] for one in found] == ["Patient"] * count


def test_standard_input_is_read_and_named() -> None:
    result = run("-", stdin=json.dumps(BAD).encode())
    assert result.exit_code == 1 and result.stdout.startswith("standard input\n")


def test_a_line_that_is_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_files, "MAX_TEXT", 100)
    source = io.BytesIO(b'{"a":1}\n' + b"x" * 1000 + b'\n{"b":2}\n' + b"y" * 101)
    found = [(one.line, one.body) for one in texts(source, "many.ndjson")]
    assert found == [(1, b'{"a":1}\n'), (2, None), (3, b'{"b":2}\n'), (4, None)]
    for document in (b"[" + b"1,\n" * 100, b"[\n" + b"1," * 100, b"[" + b"1," * 100):
        assert [one.body for one in texts(io.BytesIO(document), "one.json")] == [None]


def test_many_lines_take_no_more_memory_than_one() -> None:
    class Source(io.RawIOBase):
        """20 MB of lines that exist only while they are read."""

        left = 2000

        def readline(self, size: int | None = -1, /) -> bytes:
            self.left -= 1
            return b'{"a": "%s"}\n' % (b"x" * 10_000) if self.left >= 0 else b""

    tracemalloc.start()
    count = sum(1 for _ in texts(Source(), "many.ndjson"))  # type: ignore[arg-type]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 2000 and most < 1_000_000


# ---------------------------------------------------------------- profiles


def test_a_profile_of_a_package_is_applied_when_it_is_asked_for(tmp_path: Path) -> None:
    file, guide = write(tmp_path / "good.json", GOOD), package(tmp_path / "guide", profile())
    assert run(file, "--package", guide).exit_code == 0
    asked = run(file, "--package", guide, "--profile", PROFILE)
    assert asked.exit_code == 1 and "birthDate" in asked.stdout and PROFILE in asked.stdout


def test_a_shipped_profile_needs_no_package(tmp_path: Path) -> None:
    result = run(write(tmp_path / "good.json", GOOD), "--profile", canonical.PATIENT)
    assert result.exit_code == 1 and "waymeet-patient" in result.stdout


# ---------------------------------------------------------------- arguments


def _unusable(folder: Path) -> Iterator[tuple[list[str | Path], str]]:
    good = write(folder / "good.json", GOOD)
    yield [folder / "none.json"], "no such file"
    yield [folder], "is a folder"
    yield [good, "--profile", "http://x.example/none"], "is not held"
    yield [good, "--package", folder / "none.tgz"], "none.tgz"
    yield [good, "--package", good], "holds no definition"
    yield [good, "--config", folder / "none.yaml"], "none.yaml"


def test_arguments_that_cannot_be_used(tmp_path: Path) -> None:
    for arguments, says in _unusable(tmp_path):
        result = run("--json", *arguments)
        assert result.exit_code == 2, arguments
        assert says in result.stderr.replace("\n", "") and result.stdout == ""
        assert "Traceback" not in result.stderr
