"""FHIR packages: what is read of one, what is refused, and how it is kept."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from profiles import package_files, package_store, packages
from profiles.document import parse
from profiles.packages import PackageError
from profiles.registry import Definitions

CASES = Path(__file__).parent.parent / "cases" / "packages"
MANIFEST = {"name": "x.example.guide", "version": "1.0.0", "fhirVersions": ["4.0.1"]}
VALUE_SET = {
    "resourceType": "ValueSet",
    "url": "http://x.example/ValueSet/one",
    "status": "draft",
    "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">one</div>'},
}
QUANTITY = {
    "resourceType": "CodeSystem",
    "url": "http://x.example/CodeSystem/two",
    "version": "0.1.0",
    "status": "draft",
    "content": "complete",
    "concept": [{"code": "a", "property": [{"code": "weight", "valueDecimal": 2.0}]}],
}
GOOD: dict[str, Any] = {
    "package/package.json": MANIFEST,
    "package/ValueSet-one.json": VALUE_SET,
    "package/CodeSystem-two.json": json.dumps(QUANTITY).replace("2.0", "2.00"),
    "package/.index.json": "not looked at",
    "package/example/Patient-x.json": "not looked at",
    "package/other/spec.internals": "not looked at",
}


def archive(folder: Path, files: Mapping[str, Any], encoding: str = "utf-8") -> Path:
    """A `.tgz` with these files; a file that is None is left out."""
    path = folder / "guide.tgz"
    with tarfile.open(path, "w:gz") as made:
        for name, content in files.items():
            if content is not None:
                text = content if isinstance(content, str) else json.dumps(content)
                body = text.encode(encoding)
                entry = tarfile.TarInfo(name)
                entry.size = len(body)
                made.addfile(entry, io.BytesIO(body))
    return path


def unpacked(folder: Path, files: Mapping[str, Any]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return folder


# ---------------------------------------------------------------- reading


def test_an_archive_and_its_folder_are_the_same_package(tmp_path: Path) -> None:
    of_archive = packages.read(archive(tmp_path, GOOD))
    folder = unpacked(tmp_path / "folder", GOOD)

    assert packages.identity(of_archive) == "x.example.guide#1.0.0"
    assert [one["url"] for one in of_archive.resources] == [QUANTITY["url"], VALUE_SET["url"]]
    for path in (folder, folder / "package"):
        assert packages.read(path).resources == of_archive.resources


def test_narrative_is_left_out_and_decimals_keep_their_digits(tmp_path: Path) -> None:
    system, values = packages.read(archive(tmp_path, GOOD)).resources
    assert "text" not in values
    weight = system["concept"][0]["property"][0]["valueDecimal"]
    assert isinstance(weight, Decimal) and str(weight) == "2.00"


def test_a_folder_without_a_manifest_is_named_by_what_its_definitions_agree_on(tmp_path: Path) -> None:
    profile = {
        "resourceType": "StructureDefinition",
        "url": "http://hl7.org/fhir/us/core/StructureDefinition/a",
        "version": "7.0.0",
        "name": "A",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "fhirVersion": "4.0.1",
    }
    system = QUANTITY | {"url": "http://hl7.org/fhir/us/core/CodeSystem/b"}  # a version of its own
    folder = unpacked(tmp_path, {"a.json": profile, "b.json": system})
    assert packages.identity(packages.read(folder)) == "hl7.fhir.us.core#7.0.0"

    unpacked(folder, {"c.json": profile | {"url": "http://other.example/StructureDefinition/c"}})
    with pytest.raises(PackageError, match="name cannot be told; say --as"):
        packages.read(folder)
    assert packages.identity(packages.read(folder, "mine#2")) == "mine#2"

    unpacked(folder, {"a.json": profile | {"version": "6.1.0"}, "c.json": profile})
    with pytest.raises(PackageError, match="version cannot be told"):
        packages.read(folder)


def test_a_folder_is_named_by_its_implementation_guide(tmp_path: Path) -> None:
    guide = {
        "resourceType": "ImplementationGuide",
        "packageId": "hl7.fhir.us.mine",
        "version": "3.0.0",
        "fhirVersion": ["4.0.1"],
        "dependsOn": [{"packageId": "hl7.fhir.us.core", "version": "7.0.0"}],
    }
    package = packages.read(unpacked(tmp_path, {"guide.json": guide, "one.json": VALUE_SET}))
    assert packages.identity(package) == "hl7.fhir.us.mine#3.0.0"
    assert package.dependencies == {"hl7.fhir.us.core": "7.0.0"}


def test_one_file_of_licensed_codes_is_a_package_under_a_given_name(tmp_path: Path) -> None:
    unpacked(tmp_path, {"codes.json": QUANTITY})
    package = packages.read(tmp_path / "codes.json", "our.licensed.codes#2026")
    assert Definitions([package]).find(str(QUANTITY["url"])) is not None


def _refused() -> list[Any]:
    schema = {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name", "says"],
            "properties": {
                "name": {"type": "string"},
                "files": {"type": "object"},
                "manifest": {"type": "object"},
                "encoding": {"type": "string"},
                "says": {"type": "array"},
            },
        },
    }
    found = parse((CASES / "refused.yaml").read_text("utf-8"), schema, "refused.yaml").data
    return [pytest.param(case, id=case["name"]) for case in found]


@pytest.mark.parametrize("case", _refused())
def test_what_cannot_be_used_is_refused_and_named(tmp_path: Path, case: Mapping[str, Any]) -> None:
    files = GOOD | {"package/package.json": MANIFEST | case.get("manifest", {})} | case.get("files", {})
    if files["package/ValueSet-one.json"] is None:
        files["package/CodeSystem-two.json"] = None
    path = archive(tmp_path, files, case.get("encoding", "utf-8"))

    with pytest.raises(PackageError) as refused:
        packages.read(path)

    said = str(refused.value)
    assert [word for word in ("guide.tgz", *case["says"]) if str(word) not in said] == [], said
    assert "qzx" not in said


# ---------------------------------------------------------------- archives that mean harm


def entry(name: str = "package/x.json", **changes: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in changes.items():
        setattr(made, key, value)
    return made


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (entry("../../outside.json"), "outside the package"),
        (entry("package/../../outside.json"), "outside the package"),
        (entry("/etc/outside.json"), "outside the package"),
        (entry(type=tarfile.SYMTYPE, linkname="/etc/passwd"), "not a plain file"),
        (entry(type=tarfile.LNKTYPE, linkname="package/package.json"), "not a plain file"),
        (entry(type=tarfile.CHRTYPE), "not a plain file"),
        (entry(type=tarfile.FIFOTYPE), "not a plain file"),
        (entry(size=package_files.MAX_FILE + 1), "longer than 64 MB"),
        (entry("other/x", size=package_files.MAX_TOTAL + 1), "longer than 512 MB when it is unpacked"),
        (entry(type=tarfile.XHDTYPE, size=3_000_000_000), "something in it has no end"),
        (entry(type=tarfile.GNUTYPE_LONGNAME, size=3_000_000_000), "something in it has no end"),
    ],
)
def test_a_member_that_means_harm(tmp_path: Path, member: tarfile.TarInfo, says: str) -> None:
    """What follows the header is zeros that unpack to more than any package may hold."""
    path = tmp_path / "guide.tgz"
    with gzip.open(path, "wb", compresslevel=1) as made:
        made.write(member.tobuf() + bytes(4 * 1024 * 1024))
    began = time.process_time()
    with pytest.raises(PackageError, match=says):
        packages.read(path)
    assert time.process_time() - began < 1


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_files, "MAX_FILES", 3)
    with pytest.raises(PackageError, match="more than 3 files"):
        packages.read(archive(tmp_path, GOOD))
    with pytest.raises(PackageError, match="more than 3 files"):
        packages.read(unpacked(tmp_path / "f", {f"{name}.json": VALUE_SET for name in "abcd"}))


@pytest.mark.parametrize("cut", [0, 5, 40, -30, -4])
def test_an_archive_that_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = archive(tmp_path, GOOD)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(PackageError, match=r"not a \.tgz, or it is cut off"):
        packages.read(path)


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    path = tmp_path / "guide.tgz"
    for body in (b"hello", gzip.compress(b"hello" * 1000)):
        path.write_bytes(body)
        with pytest.raises(PackageError, match=r"not a \.tgz"):
            packages.read(path)


@pytest.mark.parametrize("opening", ["[", '{"extension":', '{"compose":{"include":'])
def test_a_definition_nested_without_end(tmp_path: Path, opening: str) -> None:
    text = json.dumps(VALUE_SET)[:-1] + ', "extension": ' + opening * 100_000
    with pytest.raises(PackageError, match=r"ValueSet-one\.json.*nested too deeply"):
        packages.read(archive(tmp_path, GOOD | {"package/ValueSet-one.json": text}))


# ---------------------------------------------------------------- keeping


def test_a_kept_package_is_found_again_as_it_was(tmp_path: Path) -> None:
    package = packages.read(archive(tmp_path, GOOD))
    assert package_store.kept(tmp_path / "kept") == ()
    assert package_store.keep(package, tmp_path / "kept")

    (again,) = package_store.kept(tmp_path / "kept")

    assert (again.name, again.version, again.dependencies) == ("x.example.guide", "1.0.0", {})
    assert again.resources == package.resources
    assert str(again.resources[0]["concept"][0]["property"][0]["valueDecimal"]) == "2.00"
    assert not package_store.keep(package, tmp_path / "kept"), "the same again is fine, and said"


def test_other_content_under_a_kept_name_needs_replace(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    package_store.keep(packages.read(archive(tmp_path, GOOD)), kept)
    other = packages.read(archive(tmp_path, GOOD | {"package/CodeSystem-two.json": None}))

    with pytest.raises(PackageError, match=r"x\.example\.guide#1\.0\.0 is kept already, with other content"):
        package_store.keep(other, kept)
    assert len(package_store.kept(kept)[0].resources) == 2

    assert package_store.keep(other, kept, replace=True)
    assert len(package_store.kept(kept)[0].resources) == 1


def test_versions_stand_side_by_side_and_the_newest_is_meant_without_a_version(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    for version in ("2.3.0", "3.0.0", "3.0.0-ballot"):
        manifest = {"package/package.json": MANIFEST | {"version": version}}
        package_store.keep(packages.read(archive(tmp_path, GOOD | manifest)), kept)
    held = Definitions(package_store.kept(kept))

    meant = held.find(str(VALUE_SET["url"]))
    older = held.find(f"{VALUE_SET['url']}|2.3.0")

    assert meant is not None and meant.package.version == "3.0.0"
    assert older is not None and older.package.version == "2.3.0"


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept"
    package_store.keep(packages.read(archive(tmp_path, GOOD)), kept)
    other = packages.read(archive(tmp_path, GOOD | {"package/CodeSystem-two.json": None}))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(package_store.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        package_store.keep(other, kept, replace=True)

    assert [path.name for path in kept.iterdir()] == ["x.example.guide#1.0.0.json"]
    assert len(package_store.kept(kept)[0].resources) == 2


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b'{"name": "x"}',
        b'{"name": "other", "version": "1", "dependencies": {}, "resources": []}',
    ],
)
def test_a_kept_file_that_is_damaged_is_named(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "x.example.guide#1.0.0.json").write_bytes(damage)
    with pytest.raises(PackageError, match=r"x\.example\.guide#1\.0\.0\.json: "):
        package_store.kept(tmp_path)


def test_a_package_can_be_let_go_of_and_nothing_else(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    package_store.keep(packages.read(archive(tmp_path, GOOD)), kept)
    (tmp_path / "secret#1.json").write_text("{}")

    with pytest.raises(PackageError, match="name#version"):
        package_store.remove("../secret#1", kept)
    assert package_store.remove("x.example.guide#1.0.0", kept)
    assert not package_store.remove("x.example.guide#1.0.0", kept)

    assert (tmp_path / "secret#1.json").exists()
    assert package_store.kept(kept) == ()


def test_what_a_package_rests_on_and_is_not_held(tmp_path: Path) -> None:
    wanted = {
        "hl7.fhir.r4.core": "4.0.1",  # comes with this software
        "x.example.base": "1.2.x",
        "x.example.any": "latest",
        "x.example.other": "2.0.0",
        "x.example.alias": "npm:x.example.real@3.0.0",
    }
    manifest = {"package/package.json": MANIFEST | {"dependencies": wanted}}
    package = packages.read(archive(tmp_path, GOOD | manifest))
    there = [
        packages.read(archive(tmp_path, GOOD), f"x.example.{name}")
        for name in ("base#1.2.7", "any#5", "other#2.1.0")
    ]
    missing = package_store.missing(package, Definitions(there).packages)
    assert missing == ["x.example.other#2.0.0", "x.example.real#3.0.0"]
