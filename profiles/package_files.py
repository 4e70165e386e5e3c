"""The files of a FHIR package as bytes, from wherever it lies: a `.tgz`, a folder, or one file.

A package comes from outside, so nothing in it is trusted: nothing is unpacked to disk, and sizes, numbers and
kinds of entries are bounded before anything is read.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MAX_FILE = 64 * 1024 * 1024
MAX_TOTAL = 512 * 1024 * 1024
MAX_FILES = 20_000
_MB = 1024 * 1024
_SLACK = _MB  # what tar's own headers and its reading ahead may take beside a member's content

MANIFEST = "package.json"


class PackageError(ValueError):
    """A package that cannot be used. The message names the file and what is wrong with it."""


def files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Each JSON file of a package with its name, the manifest among them where there is one.

    `path`: a `.tgz` with the folder `package` (hl7.org/fhir/packages.html), that folder unpacked or the one
    around it, any folder of definitions, or a single file. Folders below it (examples and the like) and files
    that begin with a dot are left out. Raises PackageError, and OSError when there is no such path.
    """
    if path.is_dir():
        inner = path / "package"
        yield from _of_folder(inner if (inner / MANIFEST).is_file() else path)
    elif path.suffix.lower() == ".json":
        yield path.name, _bounded(path)
    else:
        yield from _of_archive(path)


def _of_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    total = 0
    for number, path in enumerate(sorted(folder.iterdir()), start=1):
        if number > MAX_FILES:
            raise PackageError(f"has more than {MAX_FILES} files")
        if _is_wanted(path.name) and path.is_file():
            body = _bounded(path)
            total += len(body)
            if total > MAX_TOTAL:
                raise PackageError(f"is longer than {MAX_TOTAL // _MB} MB")
            yield path.name, body


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        body = file.read(MAX_FILE + 1)
    if len(body) > MAX_FILE:
        raise PackageError(f"{path.name}: is longer than {MAX_FILE // _MB} MB")
    return body


def _is_wanted(name: str) -> bool:
    return name.lower().endswith(".json") and not name.startswith(".")


class _Unpacked(gzip.GzipFile):
    """What is in the archive, as far as there is `left` to read: a tar header may claim any length."""

    left = _SLACK

    def read(self, size: int | None = -1) -> bytes:
        """As GzipFile's. Raises PackageError beyond the allowance."""
        data = super().read(size)
        self.left -= len(data)
        if self.left < 0:
            raise PackageError("is not a package: something in it has no end")
        return data


def _of_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        # As a stream: a member is seen before its content, and nothing is read that is not asked for.
        with _Unpacked(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            yield from _members(archive, unpacked)
            unpacked.left = _SLACK
            while unpacked.read(_SLACK):
                pass  # to the checksum, which stands at the end
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError):
        raise PackageError("is not a .tgz, or it is cut off") from None


def _members(archive: tarfile.TarFile, unpacked: _Unpacked) -> Iterator[tuple[str, bytes]]:
    total, seen = 0, set[str]()
    for number, member in enumerate(archive, start=1):
        total += _checked(member).size
        if number > MAX_FILES:
            raise PackageError(f"has more than {MAX_FILES} files")
        if total > MAX_TOTAL:
            raise PackageError(f"is longer than {MAX_TOTAL // _MB} MB when it is unpacked")
        unpacked.left = member.size + _SLACK
        folder, _, name = str(PurePosixPath(member.name)).rpartition("/")
        if folder != "package" or not member.isreg() or not _is_wanted(name):
            continue
        if member.size > MAX_FILE:
            raise PackageError(f"{name}: is longer than {MAX_FILE // _MB} MB")
        if name in seen:
            raise PackageError(f"{name}: stands in the package twice")
        seen.add(name)
        content = archive.extractfile(member)
        assert content is not None  # a regular file has content
        yield name, content.read()


def _checked(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """`member` if it is a plain file or folder inside the package. Raises PackageError."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise PackageError(f"{_shown(member.name)}: lies outside the package")
    if not (member.isdir() or member.isreg()) or member.issparse():
        raise PackageError(f"{_shown(member.name)}: is not a plain file (a link, a device or the like)")
    return member


def _shown(name: str) -> str:
    return ascii(name[:100])[1:-1]
