"""Files, folders and ZIPs: what is inside, and what a ZIP must not do to us."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.readers import source as source_module
from mappings.readers.source import Source
from mappings.readers.unzip import MAX_FILES
from mappings.record import RecordError


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", method) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return body.getvalue()


def refused(body: bytes) -> tuple[str, str]:
    with pytest.raises(RecordError) as caught:
        Source.of_bytes(body)
    (issue,) = caught.value.issues
    return issue.code, issue.message


def entry(body: bytes, offset: int, form: str, value: int) -> bytes:
    """`body` with a field of the first entry in its directory written over."""
    start = body.index(b"PK\x01\x02") + offset
    return body[:start] + struct.pack(form, value) + body[start + struct.calcsize(form) :]


def test_bytes_are_one_file_that_can_be_opened_again() -> None:
    with Source.of_bytes(b"abc", "list.csv") as source:
        assert (source.names, source.is_set, source.size) == (("list.csv",), False, 3)
        assert [source.open().read(), source.open("list.csv").read()] == [b"abc", b"abc"]


def test_a_path_is_one_file_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"abc")
    source = Source.of_path(tmp_path / "list.csv")
    assert (source.names, source.is_set, source.size) == (("list.csv",), False, 3)
    with source.open() as file:
        assert file.read() == b"abc"


def test_a_folder_is_the_set_of_its_own_plain_files(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "deep.csv").write_bytes(b"x")
    (folder / "b.csv").write_bytes(b"bb")
    (folder / "a.csv").write_bytes(b"a")
    (folder / ".hidden").write_bytes(b"x")
    (tmp_path / "outside.csv").write_bytes(b"x")
    (folder / "link.csv").symlink_to(tmp_path / "outside.csv")
    os.mkfifo(folder / "pipe.csv")
    source = Source.of_path(folder)
    assert (source.names, source.is_set, source.size) == (("a.csv", "b.csv"), True, 3)
    with source.open("b.csv") as file:
        assert file.read() == b"bb"


@pytest.mark.parametrize("of_path", [False, True])
def test_a_zip_is_a_set_by_the_files_own_names(tmp_path: Path, of_path: bool) -> None:
    body = packed(
        {
            "export/": b"",
            "export/Event.csv": b"event" + os.urandom(44_990) + b"final",
            "export\\Client.csv": b"client",
            "Empty.csv": b"",
            "__MACOSX/export/._Event.csv": b"x",
            "export/.DS_Store": b"x",
        }
    )
    (tmp_path / "export.bin").write_bytes(body)
    with Source.of_path(tmp_path / "export.bin") if of_path else Source.of_bytes(body) as source:
        assert (source.names, source.is_set) == (("Event.csv", "Client.csv", "Empty.csv"), True)
        assert source.size == 45_006
        first, second = source.open("Event.csv"), source.open("Event.csv")
        assert first.read(5) == b"event"
        assert second.seek(44_995) == 44_995
        assert (second.read(100), second.read(1), second.seek(-2, os.SEEK_END)) == (b"final", b"", 44_998)
        assert first.read()[-5:] == b"final"
        assert source.open("Client.csv").read() == b"client"
        assert source.open("Empty.csv").read() == b""


def test_what_a_zip_holds_leaves_no_name_on_the_disk_and_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Source.of_bytes(packed({"a.csv": b"abc", "b.csv": b"abc"})) as source:
        file = source.open("a.csv")
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        file.read()


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a")
    for source in (Source.of_path(tmp_path), Source.of_bytes(b"a", "a.csv")):
        with pytest.raises(RecordError, match=r"there is no file b\.csv"):
            source.open("b.csv")
    for path in (tmp_path / "nowhere", Path("/dev/null")):
        with pytest.raises(RecordError, match="there is no such file or folder"):
            Source.of_path(path)
    source = Source.of_path(tmp_path / "a.csv")
    (tmp_path / "a.csv").unlink()
    with pytest.raises(RecordError) as caught:
        source.open()
    assert caught.value.issues[0].code == "not-found"


def test_a_path_that_may_not_be_read_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "marisol.csv").write_bytes(b"a")
    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(RecordError) as caught:
        Source.of_path(tmp_path / "marisol.csv")
    assert str(caught.value) == "cannot be opened: Permission denied"


def test_a_set_is_read_as_one_file_only_when_it_holds_just_one() -> None:
    assert Source.of_bytes(packed({"a.csv": b"abc"})).open().read() == b"abc"
    with pytest.raises(RecordError, match="these are several files, and one is needed"):
        Source.of_bytes(packed({"a.csv": b"abc", "b.csv": b""})).open()


def test_a_set_without_files_is_refused(tmp_path: Path) -> None:
    assert refused(packed({})) == ("required", "the ZIP holds no file")
    assert refused(packed({"a/": b"", ".b": b""})) == ("required", "the ZIP holds no file")
    with pytest.raises(RecordError, match="the folder holds no file"):
        Source.of_path(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../a.csv", "a/../../b.csv", "..\\a.csv", "\\a.csv", "C:a.csv", "c:\\a.csv", "a/../b/"],
)
def test_a_name_that_leads_out_of_a_zip_is_refused(name: str) -> None:
    assert refused(packed({name: b"x"})) == ("forbidden", "a file in the ZIP has a name that leads out of it")


@pytest.mark.parametrize("name", ["a\x1b[2J.csv", "a\nb.csv"])
def test_a_name_that_a_terminal_would_obey_is_refused(name: str) -> None:
    assert refused(packed({name: b"x"})) == (
        "forbidden",
        "a file in the ZIP has a name with control characters",
    )


def test_a_zip_in_a_zip_is_refused_whatever_its_name() -> None:
    for inner in (packed({"a.csv": b"x"}), packed({})):
        assert refused(packed({"a.csv": inner})) == ("not-supported", "a file in the ZIP is a ZIP itself")


def test_an_office_document_is_refused_with_advice() -> None:
    body = packed({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"})
    assert refused(body) == ("not-supported", "the file is an office document; save it as CSV")


def test_an_encrypted_zip_is_refused() -> None:
    assert refused(entry(packed({"a.csv": b"x"}), 8, "<H", 1)) == ("not-supported", "the ZIP is encrypted")


def test_two_files_with_one_name_are_refused() -> None:
    assert refused(packed({"2025/Event.csv": b"x", "2026/Event.csv": b"y"})) == (
        "duplicate",
        "two files in the ZIP have the same name",
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_packed_by_a_method_that_unpacks_without_measure_is_refused(method: int) -> None:
    assert refused(packed({"a.csv": b"x"}, method)) == (
        "not-supported",
        "the ZIP is packed by another method than deflate",
    )


@pytest.mark.parametrize("count", [MAX_FILES + 1, 30_000])
def test_a_zip_of_too_many_files_is_refused(count: int) -> None:
    body = packed({f"{number}.csv": b"" for number in range(count)}, zipfile.ZIP_STORED)
    assert refused(body) == ("too-costly", "the ZIP holds more than 200 files")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed({"a.csv": bytes(10_000_000)})
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    assert refused(bomb) == ("too-costly", "a file in the ZIP unpacks to more than 200 times its size")


def test_all_files_together_are_limited_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(source_module, "MAX_UNPACKED_IN_MEMORY", 2 * 1024 * 1024)
    body = packed({name: os.urandom(700_000) for name in ("a.csv", "b.csv", "c.csv")})
    assert refused(body) == ("too-costly", "the ZIP unpacks to more than 2 MiB")
    (tmp_path / "big.zip").write_bytes(body)
    assert Source.of_path(tmp_path / "big.zip").size == 2_100_000


def test_a_bomb_that_declares_small_sizes_is_not_unpacked() -> None:
    bomb = packed({"a.csv": bytes(10_000_000)})
    assert refused(entry(bomb, 24, "<I", 100)) == ("structure", "the ZIP is damaged")


def test_a_bomb_that_declares_a_large_packed_size_is_refused() -> None:
    bomb = packed({"a.csv": bytes(10_000_000)})
    assert refused(entry(bomb, 20, "<I", 1_000_000)) == ("structure", "the ZIP is damaged")


def test_a_bomb_of_files_that_share_their_content_is_refused() -> None:
    body = packed({"a.csv": os.urandom(100_000)})
    start, end = body.index(b"PK\x01\x02"), body.index(b"PK\x05\x06")
    once = body[start:end]
    directory = b"".join(once.replace(b"a.csv", b"%c.csv" % letter) for letter in b"abcdefgh")
    count, size = struct.pack("<HH", 8, 8), struct.pack("<I", len(directory))
    tail = body[end : end + 8] + count + size + body[end + 16 :]
    assert refused(body[:start] + directory + tail) == ("structure", "the ZIP is damaged")


@pytest.mark.parametrize("cut", [4, 10, 50, -1, -30])
def test_a_damaged_zip_is_refused(cut: int) -> None:
    assert refused(packed({"a.csv": b"abc" * 100})[:cut])[0] == "structure"


def test_a_full_disk_is_said_and_not_taken_for_a_bad_zip(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    assert refused(packed({"a.csv": b"x"})) == (
        "exception",
        "the ZIP cannot be unpacked here: No space left on device",
    )


@given(data=st.data())
def test_any_damage_to_a_zip_is_refused_or_does_no_harm(data: st.DataObject) -> None:
    body = packed({"export/Event.csv": b"EventID\n1\n" * 20, "Client.csv": b"PersonalID\n"})
    start = data.draw(st.integers(4, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 12)))
    try:
        source = Source.of_bytes(body[:start] + data.draw(st.binary(max_size=12)) + body[end:])
    except RecordError:
        return
    with source:
        for name in source.names:
            source.open(name).read()


@given(st.binary(max_size=200))
def test_any_bytes_behind_the_mark_of_a_zip_are_refused(body: bytes) -> None:
    with pytest.raises(RecordError):
        Source.of_bytes(b"PK\x03\x04" + body)
