"""Files named on the command line as what a mapping reads: each for itself, or together as one record set."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from mappings import LocalMapping
from mappings.readers.source import Source
from mappings.record import refuse

Advance = Callable[[int], None]


def bytes_in(paths: Sequence[Path]) -> int:
    """How much there is to read in all files, those in folders and ZIPs included. Raises OSError."""
    files = (each for path in paths for each in (path.iterdir() if path.is_dir() else [path]))
    return sum(map(_size, files))


def sets(mapping: LocalMapping, paths: Sequence[Path]) -> list[list[Path]]:
    """Which of the files are read together: of a mapping of CSV tables all, of any other none."""
    told = mapping.document.data["format"]
    return [list(paths)] if told["type"] == "csv" and "tables" in told else [[path] for path in paths]


def _size(path: Path) -> int:
    if zipfile.is_zipfile(path):
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as packed:
            return sum(each.file_size for each in packed.infolist())
    return path.stat().st_size


@contextmanager
def opened(paths: Sequence[Path], advance: Advance | None = None) -> Iterator[Source]:
    """One file, folder or ZIP, or several files as one set. Raises RecordError.

    advance: is told how many more bytes have been read.
    """
    with Source.of_path(paths[0]) if len(paths) == 1 else _set(paths) as source:
        yield source if advance is None else _watched(source, advance)


def _set(paths: Sequence[Path]) -> Source:
    if len({path.name for path in paths}) < len(paths):
        raise refuse("duplicate", "two of the files have the same name")
    return Source({path.name: (path.stat().st_size, partial(_binary, path)) for path in paths}, is_set=True)


def _binary(path: Path) -> BinaryIO:
    return path.open("rb")


def _watched(source: Source, advance: Advance) -> Source:
    """`source`, of which each byte that is read for the first time is told to `advance`."""
    read = dict.fromkeys(source.names, 0)

    def watched(name: str) -> BinaryIO:
        def seen(position: int) -> None:
            advance(max(0, position - read[name]))
            read[name] = max(read[name], position)

        return io.BufferedReader(_Watched(source.open(name), seen))

    return Source({name: (0, partial(watched, name)) for name in source.names}, is_set=source.is_set)


class _Watched(io.RawIOBase):
    """A file that tells how far it has been read."""

    def __init__(self, file: BinaryIO, seen: Callable[[int], None]) -> None:
        super().__init__()
        self._file = file
        self._seen = seen

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        body = self._file.read(len(buffer))
        buffer[: len(body)] = body
        self._seen(self._file.tell())
        return len(body)

    def close(self) -> None:
        self._file.close()
        super().close()
