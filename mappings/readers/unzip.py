"""Taking a ZIP apart that somebody sent: under limits, and with no name in it becoming a path."""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from mappings.record import RecordError, refuse

MAX_FILES = 200
MAX_RATIO = 200  # deflate makes 1 of 1,000 zeros; records seldom 1 of 20
MAX_UNPACKED = 2 * 1024 * 1024 * 1024
_MAX_DIRECTORY = 1024 * 1024  # of the list of files, which is read before they can be counted
_PIECE = 64 * 1024
_ENCRYPTED = 0x1
_DRIVE = re.compile(r"[A-Za-z]:")

Parts = dict[str, tuple[int, int]]


def is_zip(start: bytes) -> bool:
    """Whether a file that begins with these four bytes is a ZIP (one without files included)."""
    return start in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")


def unzip(file: BinaryIO, limit: int) -> tuple[BinaryIO, Parts]:
    """The files in a ZIP, one after the other in a temporary file without a name, and where each one is.

    The places are (start, size) by the files' own names without folders; hidden files are passed over.
    Raises RecordError for a ZIP that is damaged, encrypted or nested, whose files' names are paths out of it
    or alike, or that unpacks to more than `limit` bytes.
    """
    size = file.seek(0, os.SEEK_END)
    spool = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - the Source that it is for closes it
    try:
        with zipfile.ZipFile(cast(BinaryIO, _Guarded(file))) as archive:
            wanted = _wanted(archive.infolist(), size, limit)
            return spool, {name: _copy(archive, info, spool) for name, info in wanted.items()}
    except RecordError:
        spool.close()
        raise
    except OSError as fault:
        spool.close()
        raise refuse("exception", f"the ZIP cannot be unpacked here: {fault.strerror}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError):
        spool.close()
        raise refuse("structure", "the ZIP is damaged") from None


class _Guarded:
    """A file that never gives much at once: zipfile reads the list of files in one piece, however long."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable
        self._read = file.read

    def read(self, size: int = -1) -> bytes:
        data = self._read(size if 0 <= size <= _MAX_DIRECTORY else _MAX_DIRECTORY + 1)
        if len(data) > _MAX_DIRECTORY:
            raise refuse("too-costly", f"the ZIP holds more than {MAX_FILES} files")
        return data


def _wanted(infos: list[zipfile.ZipInfo], packed: int, limit: int) -> dict[str, zipfile.ZipInfo]:
    """What to unpack. Declared sizes can be relied on: zipfile reads no more, and then compares checksums."""
    if len(infos) > MAX_FILES:
        raise refuse("too-costly", f"the ZIP holds more than {MAX_FILES} files")
    if sum(info.compress_size for info in infos) > packed:
        raise refuse("structure", "the ZIP is damaged")
    wanted: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        path = _path(info.orig_filename)
        if info.is_dir() or path.parts[0] == "__MACOSX" or any(part.startswith(".") for part in path.parts):
            continue
        if info.flag_bits & _ENCRYPTED:
            raise refuse("not-supported", "the ZIP is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise refuse("not-supported", "the ZIP is packed by another method than deflate")
        if path.name == "[Content_Types].xml":
            raise refuse("not-supported", "the file is an office document; save it as CSV")
        if info.file_size > info.compress_size * MAX_RATIO:
            raise refuse("too-costly", f"a file in the ZIP unpacks to more than {MAX_RATIO} times its size")
        if path.name in wanted:
            raise refuse("duplicate", "two files in the ZIP have the same name")
        wanted[path.name] = info
    if not wanted:
        raise refuse("required", "the ZIP holds no file")
    if sum(info.file_size for info in wanted.values()) > limit:
        raise refuse("too-costly", f"the ZIP unpacks to more than {limit // 1024 // 1024} MiB")
    return wanted


def _path(name: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or _DRIVE.match(name):
        raise refuse("forbidden", "a file in the ZIP has a name that leads out of it")
    if not name.isprintable():
        raise refuse("forbidden", "a file in the ZIP has a name with control characters")
    return path


def _copy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, spool: BinaryIO) -> tuple[int, int]:
    start = spool.tell()
    with archive.open(info) as member:
        piece = member.read(_PIECE)
        if is_zip(piece[:4]):
            raise refuse("not-supported", "a file in the ZIP is a ZIP itself")
        while piece:
            spool.write(piece)
            piece = member.read(_PIECE)
    spool.flush()
    return start, spool.tell() - start
