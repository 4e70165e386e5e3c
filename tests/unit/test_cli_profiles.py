"""`waymeet profiles`: a package is taken up by a node, and what of it is not enforced is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway import settings
from gateway.cli.main import app
from gateway.demo.agencies import HOSPITAL, SHELTER, found
from gateway.node import Node
from profiles import validate

PROFILE = "http://x.example/StructureDefinition/patient-with-birth-date"


def profile(**changes: Any) -> dict[str, Any]:
    """A Patient that has a birth date. changes: of the element that says so."""
    return {
        "resourceType": "StructureDefinition",
        "url": PROFILE,
        "version": "1.0.0",
        "name": "PatientWithBirthDate",
        "status": "draft",
        "fhirVersion": "4.0.1",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {
            "element": [
                {"id": "Patient", "path": "Patient"},
                {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1} | changes,
            ]
        },
    }


def package(folder: Path, *definitions: dict[str, Any], **manifest: Any) -> Path:
    """An unpacked package with these definitions."""
    folder.mkdir()
    said = {"name": "x.example.guide", "version": "1.0.0", "fhirVersions": ["4.0.1"]} | manifest
    (folder / "package.json").write_text(json.dumps(said))
    for number, one in enumerate(definitions):
        (folder / f"definition-{number}.json").write_text(json.dumps(one))
    return folder


def waymeet(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    ports = {name: 9001 + n for n, name in enumerate((HOSPITAL, SHELTER, "harbor-food-pantry"))}
    agencies = found(tmp_path / "nodes", ports | {"maple-street-office": 9010}, "http://127.0.0.1:9/none")
    return agencies[HOSPITAL].config


def test_a_node_checks_against_an_added_package_from_its_next_start(tmp_path: Path, config: Path) -> None:
    claims = {"resourceType": "Patient", "meta": {"profile": [PROFILE]}}
    before = Node(settings.read(config))
    assert [issue.code for issue in validate(claims, held=before.definitions)] == ["not-supported"]
    before.close()

    added = waymeet("profiles", "add", package(tmp_path / "guide", profile()), "--config", config)

    assert added.exit_code == 0, added.output
    assert "Added: x.example.guide#1.0.0, 1 profile or extension." in added.output
    assert "started again" in added.output
    after = Node(settings.read(config))
    (issue,) = validate(claims, held=after.definitions)
    assert issue.severity == "error" and "birthDate" in issue.expression + issue.message
    after.close()


def test_the_same_again_is_said_and_other_content_needs_replace(tmp_path: Path, config: Path) -> None:
    first = package(tmp_path / "first", profile())
    other = package(tmp_path / "other", profile(max="1"))
    assert waymeet("profiles", "add", first, "-c", config).exit_code == 0

    again = waymeet("profiles", "add", first, "-c", config)
    refused = waymeet("profiles", "add", other, "-c", config)

    assert again.exit_code == 0 and "Kept already, the same" in again.output
    assert refused.exit_code == 2 and "--replace" in refused.output
    assert waymeet("profiles", "add", other, "-c", config, "--replace").exit_code == 0


def test_what_is_not_enforced_and_what_is_not_held_is_named(tmp_path: Path, config: Path) -> None:
    constraint = {"key": "x-1", "severity": "error", "human": "Of age.", "expression": "unheardOf($this)"}
    path = package(
        tmp_path / "guide", profile(constraint=[constraint]), dependencies={"hl7.fhir.us.core": "7.0.0"}
    )

    added = waymeet("profiles", "add", path, "-c", config)
    listed = waymeet("profiles", "list", "-c", config)

    assert added.exit_code == 0, added.output
    assert "packages that are not held: hl7.fhir.us.core#7.0.0." in added.output
    for shown in (added.output, listed.output):
        assert f"{PROFILE}|1.0.0 (Patient): " in shown and "1 not supported" in shown
        assert "    not supported: " in shown and "x-1" in shown


def test_the_list_without_a_node_shows_what_ships_and_what_is_given(tmp_path: Path) -> None:
    shipped = waymeet("profiles", "list")
    given = waymeet("profiles", "list", "--package", package(tmp_path / "guide", profile()))

    assert shipped.exit_code == 0 and "waymeet-referral-task|" in shipped.output
    assert PROFILE not in shipped.output and f"{PROFILE}|1.0.0 (Patient)" in given.output


def test_a_package_can_be_let_go_of(tmp_path: Path, config: Path) -> None:
    waymeet("profiles", "add", package(tmp_path / "guide", profile()), "-c", config)

    assert waymeet("profiles", "remove", "x.example.guide#1.0.0", "-c", config).exit_code == 0
    assert PROFILE not in waymeet("profiles", "list", "-c", config).output
    assert waymeet("profiles", "remove", "x.example.guide#1.0.0", "-c", config).exit_code == 1


def test_what_cannot_be_added_is_one_line_and_no_traceback(tmp_path: Path, config: Path) -> None:
    for path in (tmp_path / "none.tgz", package(tmp_path / "empty")):
        refused = waymeet("profiles", "add", path, "-c", config)
        assert refused.exit_code == 2 and path.name in refused.output.replace("\n", "")
        assert "Traceback" not in refused.output


def test_a_damaged_package_stops_the_start_and_is_named(tmp_path: Path, config: Path) -> None:
    waymeet("profiles", "add", package(tmp_path / "guide", profile()), "-c", config)
    (kept,) = settings.read(config).packages.iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"x\.example\.guide#1\.0\.0\.json: is damaged"):
        Node(settings.read(config))
