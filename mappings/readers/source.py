"""What a reader reads: one file, or a set of named files, from a folder or a ZIP.

A ZIP comes from outside and is taken apart under limits: none of its names becomes a path, and its files go
into one temporary file that has no name, so that nothing of it stays on the disk.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from mappings.readers.unzip import MAX_UNPACKED, is_zip, unzip
from mappings.record import refuse

MAX_UNPACKED_IN_MEMORY = 64 * 1024 * 1024  # of a ZIP that came as bytes, as from the network


class Source:
    """One file or a set of files, each of which can be opened again and again.

    names: the files' own names, without folders; is_set: whether readers must ask for one by name;
    size: of all files together, in bytes.
    """

    def __init__(
        self,
        files: Mapping[str, tuple[int, Callable[[], BinaryIO]]],
        *,
        is_set: bool,
        spool: BinaryIO | None = None,
    ) -> None:
        self._files = files
        self._spool = spool
        self.is_set = is_set
        self.names = tuple(files)
        self.size = sum(size for size, _ in files.values())

    @classmethod
    def of_bytes(cls, body: bytes, name: str = "") -> Source:
        """`body` as one file, or as the set of files that it packs when it is a ZIP. Raises RecordError."""
        if is_zip(body[:4]):
            return cls._of_zip(io.BytesIO(body), MAX_UNPACKED_IN_MEMORY)
        return cls({name: (len(body), lambda: io.BytesIO(body))}, is_set=False)

    @classmethod
    def of_path(cls, path: Path) -> Source:
        """A file, a folder (its own files, without links and hidden ones) or a ZIP. Raises RecordError."""
        try:
            if path.is_dir():
                files = sorted(each for each in path.iterdir() if _is_plain(each))
                if not files:
                    raise refuse("required", "the folder holds no file")
                return cls({each.name: _on_disk(each) for each in files}, is_set=True)
            if not path.is_file():
                raise refuse("not-found", "there is no such file or folder")
            with path.open("rb") as file:
                if is_zip(file.read(4)):
                    return cls._of_zip(file, MAX_UNPACKED)
            return cls({path.name: _on_disk(path)}, is_set=False)
        except OSError as fault:
            raise refuse("not-found", f"cannot be opened: {fault.strerror}") from None

    @classmethod
    def _of_zip(cls, file: BinaryIO, limit: int) -> Source:
        spool, parts = unzip(file, limit)

        def part(start: int, size: int) -> tuple[int, Callable[[], BinaryIO]]:
            return size, lambda: io.BufferedReader(_Slice(spool, start, size))

        return cls({name: part(*place) for name, place in parts.items()}, is_set=True, spool=spool)

    def open(self, name: str = "") -> BinaryIO:
        """The file `name` of a set, or the one file that there is, at its beginning.

        Raises RecordError with the code not-found.
        """
        if not name and len(self.names) == 1:
            name = self.names[0]
        if name not in self._files:
            missing = f"there is no file {name}" if name else "these are several files, and one is needed"
            raise refuse("not-found", missing)
        try:
            return self._files[name][1]()
        except OSError as fault:
            raise refuse("not-found", f"cannot be opened: {fault.strerror}") from None

    def close(self) -> None:
        """What was unpacked goes; files still open cannot be read on."""
        if self._spool is not None:
            self._spool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and not path.name.startswith(".")


def _on_disk(path: Path) -> tuple[int, Callable[[], BinaryIO]]:
    return path.stat().st_size, lambda: path.open("rb")


class _Slice(io.RawIOBase):
    """A part of an open file as a file of its own."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._start = start
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        room = memoryview(buffer)[: max(0, self._size - self._position)]
        count = os.preadv(self._file.fileno(), [room], self._start + self._position)
        self._position += count
        return count
