"""Which definitions are held: those that ship with this software, and FHIR packages that were added.

Several versions of a package may stand side by side. A canonical URL without a version is looked up in the
package that says it, then in the packages that one depends on, then in the newest version held of any.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

_HERE = Path(__file__).parent
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, eq=False)
class Package:
    """A FHIR package: its name and version, what it depends on ({name: version}) and its resources."""

    name: str
    version: str
    dependencies: Mapping[str, str] = field(default_factory=dict)
    resources: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """One definition (StructureDefinition, ValueSet, CodeSystem, ...) and the package it came with."""

    resource: Mapping[str, Any]
    package: Package

    @property
    def url(self) -> str:
        """The canonical URL, without a version."""
        url: str = self.resource["url"]
        return url

    @property
    def version(self) -> str:
        """The business version, or that of the package when the resource has none."""
        version: str = self.resource.get("version") or self.package.version
        return version


class Definitions:
    """An unchanging set of definitions, looked up by canonical URL (`url` or `url|version`).

    `kept` is for what others make of them, and lives as long as they do.
    """

    def __init__(self, packages: Iterable[Package] = ()) -> None:
        self.kept: dict[type, Any] = {}
        self.packages = (*_shipped(), *packages)
        self._by_url: dict[str, list[Held]] = {}
        for package in self.packages:
            for resource in package.resources:
                if isinstance(resource.get("url"), str):
                    self._by_url.setdefault(resource["url"], []).append(Held(resource, package))
        for several in self._by_url.values():
            # R4's own come last: its code systems have dates for versions, which would pass for newer.
            several.sort(
                key=lambda held: (held.package is not self.packages[0], _rank(held.version)), reverse=True
            )

    def find(self, canonical: str, within: Package | None = None) -> Held | None:
        """The definition of that canonical URL as `within` means it; None when it is not held."""
        url, _, version = canonical.partition("|")
        candidates = self._by_url.get(url, [])
        if version:
            return next((held for held in candidates if held.version == version), None)
        return min(candidates, key=lambda held: _distance(held.package, within), default=None)

    def has_url(self, url: str) -> bool:
        """Whether any version of the definition with that URL is held."""
        return url in self._by_url

    def all(self, resource_type: str) -> Iterator[Held]:
        """Every definition of a resource type beyond those of R4, package by package as they were given."""
        for package in self.packages[1:]:
            for resource in package.resources:
                if resource["resourceType"] == resource_type:
                    yield Held(resource, package)


def _distance(package: Package, within: Package | None) -> int:
    if within is None or package is within:
        return 0
    return 1 if meets(package.version, within.dependencies.get(package.name, "")) else 2


def meets(version: str, wanted: str) -> bool:
    """Whether a version is what a dependency asks for: `7.0.0`, `7.0.x`, `latest`."""
    if wanted in ("latest", "current", "dev"):
        return True
    return version == wanted or (wanted.endswith(".x") and version.startswith(wanted[:-1]))


def _rank(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Newer ranks higher; a release stands above its own pre-releases (`3.0.0` above `3.0.0-ballot`)."""
    number, dash, label = version.partition("-")
    return tuple(int(part) for part in _NUMBER.findall(number)), not dash, label


@cache
def _shipped() -> tuple[Package, ...]:
    ours = tuple(
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((_HERE / "definitions").glob("*.json"))
    )
    r4 = tuple(
        resource
        for name in ("terminology.json", "extensions.json")
        for resource in msgspec.json.decode((_HERE / "base" / name).read_bytes())
    )
    return Package("hl7.fhir.r4.core", "4.0.1", resources=r4), Package("waymeet", "", resources=ours)


@cache
def shipped() -> Definitions:
    """The definitions that come with this software: ours, and the terminology and extensions of R4."""
    return Definitions()
