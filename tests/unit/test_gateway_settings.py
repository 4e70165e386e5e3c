"""A node's configuration: each refusal changes one line of a good file, and names file, line, key."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import settings
from gateway.demo.agencies import HOSPITAL, SHELTER, found
from gateway.node import Node
from profiles.document import DocumentError


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    listens = {name: 40000 + n for n, name in enumerate((HOSPITAL, SHELTER, "harbor-food-pantry"))}
    listens["maple-street-office"] = 40009
    agencies = found(tmp_path_factory.mktemp("nodes"), listens, "http://127.0.0.1:40010/cases")
    return {name: agency.config for name, agency in agencies.items()}


def changed(file: Path, old: str, new: str) -> tuple[Path, int]:
    """A copy of the file with one text replaced, and the line where that was."""
    text = file.read_text("utf-8")
    assert text.count(old) == 1, old
    copy = file.with_name("changed.yaml")
    copy.write_text(text.replace(old, new), "utf-8")
    return copy, text[: text.index(old)].count("\n") + 1


def test_what_init_writes_is_read_whole(files: dict[str, Path]) -> None:
    hospital = settings.read(files[HOSPITAL])
    assert hospital.name == "Elm City Hospital" and hospital.kinds == {"covered-entity"}
    assert hospital.home == hospital.sends_as
    assert hospital.node_key.is_file() and (hospital.directory.folder / "manifest.jws").is_file()
    assert (hospital.clients / "own-system.json").is_file()
    assert hospital.systems["hl7v2-referral"].recipients["harbor-food-pantry"].endswith("/harbor-food-pantry")


def test_a_shelter_sends_under_its_alias_and_is_at_home_under_its_name(files: dict[str, Path]) -> None:
    shelter = settings.read(files[SHELTER])
    assert shelter.home.organization.endswith("/safe-haven") and not shelter.home.alias
    assert shelter.sends_as.organization.endswith("/maple-street-office") and shelter.sends_as.alias
    assert shelter.home.port != shelter.sends_as.port


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("timezone: America/New_York", "time_zone: America/New_York", "time_zone"),
        ("timezone: America/New_York", "timezone: America/Newhaven", "timezone"),
        ("kinds: [covered-entity]", "kinds: [Hospital]", "kinds"),
        ("kinds: [covered-entity]", "state: Connecticut", "state"),
        ("    inbox: true", "    inbox: maybe", "inbox"),
        ("    inbox: true", "    in_box: true", "in_box"),
        ("node_key: keys/node.key", "", "node_key"),
        ("data: data", "data: 7", "data"),
        ("clients: clients", "clients: []", "clients"),
        ("  folder: directory", "  file: directory.jws", "file"),
        ("networks: [127.0.0.0/8]", "networks: [127.0.0.1/8]", "network"),
        ("networks: [127.0.0.0/8]", "proxies: [the proxy]", "proxies"),
        ("networks: [127.0.0.0/8]", "limits: {requests_per_second: 0}", "requests_per_second"),
        ("networks: [127.0.0.0/8]", "connections: {someone: {profile: none}}", "connections"),
        (
            "    key: keys/elm-city-hospital.pem",
            "    key: keys/elm-city-hospital.pem\n    alias: true",
            "alias",
        ),
        (
            "    key: keys/elm-city-hospital.pem",
            "    key: keys/elm-city-hospital.pem\n    tls: {certificate: c.pem, key: k.pem}",
            "the address says http",
        ),
    ],
)
def test_what_is_wrong_is_told_with_file_line_and_key(
    files: dict[str, Path], old: str, new: str, names: str
) -> None:
    copy, line = changed(files[HOSPITAL], old, new)
    with pytest.raises(DocumentError) as refused:
        settings.read(copy)
    said = str(refused.value)
    assert "changed.yaml" in said and names in said
    if new and "alias" not in new and "tls" not in new:
        assert f"changed.yaml:{line}:" in said, said


def test_everything_wrong_is_told_at_once(files: dict[str, Path]) -> None:
    copy, _ = changed(files[HOSPITAL], "kinds: [covered-entity]", "kinds: [hospital]\ncolour: red")
    with pytest.raises(DocumentError) as refused:
        settings.read(copy)
    assert "kinds" in str(refused.value) and "colour" in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises((DocumentError, OSError), match=r"node\.yaml"):
        settings.read(tmp_path / "node.yaml")


def test_a_kind_of_agency_that_no_regime_speaks_of_stops_the_start(files: dict[str, Path]) -> None:
    copy, _ = changed(files[HOSPITAL], "kinds: [covered-entity]", "kinds: [covered-entity, circus]")
    with pytest.raises(ValueError, match="no regime on file speaks of circus"):
        Node(settings.read(copy))
