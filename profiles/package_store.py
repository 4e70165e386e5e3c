"""The packages that are kept: one JSON file each, in one folder, several versions side by side."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import msgspec

from profiles.packages import NAME, VERSION, PackageError, identity
from profiles.registry import Package

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def missing(package: Package, held: Iterable[Package]) -> list[str]:
    """The packages that this one depends on and that are not held, each as `name#version`."""
    there = [(one.name, one.version) for one in held]
    return [
        f"{name}#{wanted}"
        for name, wanted in package.dependencies.items()
        if not any(name == other and _meets(version, wanted) for other, version in there)
    ]


def keep(package: Package, folder: Path, *, replace: bool = False) -> bool:
    """Keep a package in `folder`, whole or not at all. Says whether it was not there before.

    Raises PackageError when the same name and version is there with other content, unless `replace`.
    """
    target = folder / f"{identity(package)}.json"
    body = _encoder.encode(
        {
            "name": package.name,
            "version": package.version,
            "dependencies": package.dependencies,
            "resources": package.resources,
        }
    )
    before = target.read_bytes() if target.exists() else None
    if before == body:
        return False
    if before is not None and not replace:
        raise PackageError(f"{identity(package)} is kept already, with other content; say --replace")
    folder.mkdir(parents=True, exist_ok=True)
    _write(target, body)
    return True


def kept(folder: Path) -> tuple[Package, ...]:
    """The packages that are kept in `folder`, by name. Raises PackageError for one that is damaged."""
    paths = sorted(folder.glob("*#*.json")) if folder.is_dir() else []
    return tuple(_kept(path) for path in paths)


def remove(name: str, folder: Path) -> bool:
    """Let go of the package `name#version`. Says whether it was there."""
    package, _, version = name.partition("#")
    if not (NAME.fullmatch(package) and VERSION.fullmatch(version)):
        raise PackageError("name the package as `waymeet profiles list` does: name#version")
    target = folder / f"{name}.json"
    there = target.is_file()
    target.unlink(missing_ok=True)
    return there


def _kept(path: Path) -> Package:
    try:
        content = _decoder.decode(path.read_bytes())
        package = Package(**{**content, "resources": tuple(content["resources"])})
    except (msgspec.MsgspecError, ValueError, TypeError, KeyError, RecursionError):
        raise PackageError(f"{path}: is damaged; remove the file and add the package again") from None
    if f"{identity(package)}.json" != path.name:
        raise PackageError(f"{path}: holds {identity(package)}, which is not its name")
    return package


def _write(target: Path, body: bytes) -> None:
    """Replace `target` as one act: whoever reads it sees the old content or the new."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _meets(version: str, wanted: str) -> bool:
    """Whether a version is what a dependency asks for: `7.0.0`, `7.0.x`, `latest`."""
    if wanted in ("latest", "current", "dev"):
        return True
    return version == wanted or (wanted.endswith(".x") and version.startswith(wanted[:-1]))
