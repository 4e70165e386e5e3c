"""FHIR packages (hl7.org/fhir/packages.html): what is in the files of one, checked.

Of a package validation needs its name, version and dependencies, and its definitions without their
narrative. A definition that does not have the form R4 asks for is refused here, so the engine can rely on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from profiles import strict_json, structure
from profiles.package_files import MANIFEST, PackageError, files
from profiles.registry import Package

__all__ = ["NAME", "VERSION", "PackageError", "identity", "read"]

KEPT_TYPES = frozenset({"StructureDefinition", "ValueSet", "CodeSystem", "ConceptMap"})

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}")
_R4 = re.compile(r"4\.0(\.\d+)?(-.*)?")
_CANONICAL = re.compile(r"[^\s|#]{1,2000}")
# What the engine takes for granted of a definition. A code that R4 does not know does it no harm.
_FORM = frozenset({"structure", "required", "too-costly"})

_Found = list[tuple[str, dict[str, Any]]]


def read(path: Path, named: str = "") -> Package:
    """The package at `path`: a `.tgz`, a folder, or one file with a definition.

    named: `name#version` for definitions that come without a manifest and do not say it themselves.
    Raises PackageError, naming the file in the package and what is wrong; OSError when there is no such path.
    """
    try:
        return _read(path, named)
    except PackageError as fault:
        raise PackageError(f"{path}: {fault}") from None


def identity(package: Package) -> str:
    """`name#version`, as packages are spoken of."""
    return f"{package.name}#{package.version}"


def _read(path: Path, named: str) -> Package:
    manifest: dict[str, Any] = {}
    guide: dict[str, Any] = {}
    found: _Found = []
    for name, body in files(path):
        content = _object(name, body)
        kind = content.get("resourceType")
        if name == MANIFEST:
            manifest = content
        elif kind == "ImplementationGuide":
            guide = content
        elif not isinstance(kind, str | None):
            raise PackageError(f"{name}: resourceType must be text")
        elif kind in KEPT_TYPES:
            found.append((name, _definition(name, content)))
    if path.is_file() and path.suffix.lower() != ".json" and not manifest:
        raise PackageError(f"has no package/{MANIFEST}, so it is not a FHIR package")
    if not found:
        raise PackageError(f"holds no definition ({', '.join(sorted(KEPT_TYPES))})")
    name, version = _identity(manifest, guide, found, named)
    _only_r4(manifest, guide, found)
    _each_once(found, version)
    dependencies = _dependencies(manifest, guide)
    ordered = sorted((one for _, one in found), key=lambda one: (one["resourceType"], one["url"]))
    return Package(name, version, dependencies, tuple(ordered))


def _object(name: str, body: bytes) -> dict[str, Any]:
    try:
        content = strict_json.read(body)
    except strict_json.JsonError as fault:
        raise PackageError(f"{name}, line {fault.line}: {fault}") from None
    if not isinstance(content, dict):
        raise PackageError(f"{name}: must be a JSON object")
    return content


def _definition(name: str, content: dict[str, Any]) -> dict[str, Any]:
    """The definition without its narrative, once it has the form that R4 asks for."""
    url = content.get("url")
    if not isinstance(url, str) or not _CANONICAL.fullmatch(url):
        raise PackageError(f"{name}: needs a url, by which it can be named")
    wrong = [issue for issue in structure.check(content) if issue.code in _FORM]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise PackageError(f"{name}: {wrong[0].expression}: {wrong[0].message}{more}")
    return {key: value for key, value in content.items() if key != "text"}


def _identity(
    manifest: Mapping[str, Any], guide: Mapping[str, Any], found: _Found, named: str
) -> tuple[str, str]:
    """Name and version: as given, as the manifest or the guide says, or as the definitions agree on."""
    name: Any
    version: Any
    if named:
        name, _, version = named.partition("#")
    elif manifest:
        name, version = manifest.get("name"), manifest.get("version")
    elif guide:
        name, version = guide.get("packageId"), guide.get("version")
    else:
        name, version = _common(found)
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise PackageError("its name cannot be told; say --as NAME#VERSION")
    if not (isinstance(version, str) and VERSION.fullmatch(version)):
        raise PackageError("its version cannot be told; say --as NAME#VERSION")
    return name, version


def _common(found: _Found) -> tuple[str, str]:
    """What the definitions of a folder without a manifest agree on; empty where they do not.

    The name is made of what their URLs begin with, as HL7 makes it: `http://hl7.org/fhir/us/core/…` is
    `hl7.fhir.us.core`. A folder's profiles share a version; its code systems often have their own.
    """
    bases = {one["url"].partition(f"/{one['resourceType']}/")[0] for _, one in found}
    profiles = [one for _, one in found if one["resourceType"] == "StructureDefinition"]
    versions = {one.get("version", "") for one in profiles or (one for _, one in found)}
    return (
        _name_of(bases.pop()) if len(bases) == 1 else "",
        versions.pop() if len(versions) == 1 else "",
    )


def _name_of(base: str) -> str:
    try:
        parts = urlsplit(base)
    except ValueError:
        return ""
    host = (parts.hostname or "").rpartition(".")[0]
    return ".".join(part for part in (host, *parts.path.split("/")) if part).lower()


def _only_r4(manifest: Mapping[str, Any], guide: Mapping[str, Any], found: _Found) -> None:
    """Raises PackageError for a package of another FHIR; one that says nothing and has no profile may do."""
    stated = manifest.get("fhirVersions") or manifest.get("fhir-version-list") or guide.get("fhirVersion")
    if not stated:
        stated = [one["fhirVersion"] for _, one in found if "fhirVersion" in one]
    versions = [one for one in stated if isinstance(one, str)] if isinstance(stated, list) else []
    if stated and not any(_R4.fullmatch(one) for one in versions):
        said = ", ".join(sorted({one for one in versions if VERSION.fullmatch(one)})) or "something else"
        raise PackageError(f"it is for FHIR {said}; this software knows R4 (4.0.1)")


def _each_once(found: _Found, version: str) -> None:
    seen: dict[tuple[str, str], str] = {}
    for name, one in found:
        other = seen.setdefault((one["url"], one.get("version", version)), name)
        if other != name:
            raise PackageError(f"{name}: has the same url and version as {other}")


def _dependencies(manifest: Mapping[str, Any], guide: Mapping[str, Any]) -> dict[str, str]:
    stated = manifest.get("dependencies", {})
    if not isinstance(stated, dict) or not all(isinstance(one, str) for one in stated.values()):
        raise PackageError(f"{MANIFEST}: dependencies must be names with versions")
    found = dict(_plain(name, version) for name, version in stated.items())
    for one in _entries(guide.get("dependsOn")):
        if isinstance(one.get("packageId"), str) and isinstance(one.get("version"), str):
            found.setdefault(one["packageId"], one["version"])
    return found


def _entries(value: Any) -> Iterator[dict[str, Any]]:
    yield from (one for one in value if isinstance(one, dict)) if isinstance(value, list) else ()


def _plain(name: str, version: str) -> tuple[str, str]:
    """A dependency under its own name; npm's alias is `"us-core-old": "npm:hl7.fhir.us.core@3.1.1"`."""
    alias, at, wanted = version.removeprefix("npm:").rpartition("@")
    return (alias, wanted) if version.startswith("npm:") and at else (name, version)
