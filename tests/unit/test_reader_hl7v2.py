"""HL7 version 2: separators, escapes, repetitions, selectors, line ends, frames."""

from __future__ import annotations

import pytest

from mappings.reader_hl7v2 import Hl7v2Reader
from mappings.record import PathError, RecordError

READER = Hl7v2Reader()
MESSAGE = "\r".join(
    [
        r"MSH|^~\&|APP|FAC^1.2^ISO|||20261116||REF^I12|M1|P|2.5.1",
        "PRD|RP^Referring|||||||| ",
        r"PRD|RT^Referred|||||pantry^ORG",
        r"PID|1||77^^^ECH&1.2.3&ISO^MR~999^^^SSA^SS||O\T\B\F\C^Ana~^Nan^^^^^N||"
        r"\X41C3A9\||\E\.br\.br\x|a\.br\b|\H\loud\N\|\Zq\|half\Fopen|\XZZ\ ",
        "OBX|1|NM|63512-8^Size^LN||4",
        'OBX|2|ST|DIET^Diet^L||""',
        "NTE|1||first",
        "NTE|2||",
        "NTE|3||third",
        "ZZZ|own",
    ]
)


def get(path: str, message: str = MESSAGE) -> object:
    (record,) = READER.read(message.encode())
    return READER.getter(path)(record.values)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-3", "APP"),
        ("MSH-4.2", "1.2"),
        ("MSH-9.2", "I12"),
        ("MSH-99", None),
        ("PRD[1=RT]-6", "pantry"),
        ("PRD[1=RT]-6.2", "ORG"),
        ("PRD[1=XX]-6", None),
        ("PRD-1.2", "Referring"),
        ("PID-3", "77"),
        ("PID-3.4", "ECH"),
        ("PID-3.4.2", "1.2.3"),
        ("PID-3.4.9", None),
        ("PID-3[5=SS].1", "999"),
        ("PID-3[4=SSA].1", "999"),
        ("PID-3[5=XX].1", None),
        ("PID-5.1", "O&B|C"),
        ("PID-5[7=N].2", "Nan"),
        ("PID-7", "Aé"),
        ("PID-9", "\\.br\nx"),
        ("PID-10", "a\nb"),
        ("PID-11", "loud"),
        ("PID-12", "\\Zq\\"),
        ("PID-13", "half\\Fopen"),
        ("PID-14", "\\XZZ\\"),
        ("OBX[3=63512-8]-5", "4"),
        ("OBX[3.3=LN]-5", "4"),
        ("OBX[3=DIET]-5", None),
        ("NTE[*]-3", ["first", "third"]),
        ("NK1-2", None),
        ("ZZZ-1", "own"),
    ],
)
def test_a_path_finds_a_field_or_nothing(path: str, expected: object) -> None:
    assert get(path) == expected


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark_make_no_difference(end: str, mark: str) -> None:
    assert get("OBX[3=63512-8]-5", mark + MESSAGE.replace("\r", end) + end) == "4"


def test_separators_are_those_the_header_declares() -> None:
    assert get("PID-5.2", "MSH*$+!@*APP\rPID*1****Fam!S!ily$Ana+x") == "Ana"
    assert get("PID-5.1", "MSH*$+!@*APP\rPID*1****Fam!S!ily$Ana+x") == "Fam$ily"
    assert get("PID-3", "MSH|^~\\&#|APP\rPID|1||7") == "7"


def test_one_mllp_frame_is_taken_off() -> None:
    assert get("MSH-3", "\x0b" + MESSAGE + "\r\x1c\r") == "APP"


def test_two_messages_are_two_records() -> None:
    first, second = READER.read((MESSAGE + "\r" + MESSAGE.replace("|77^", "|78^")).encode())
    assert READER.getter("PID-3")(first.values) == "77"
    assert READER.getter("PID-3")(second.values) == "78"


def test_the_line_of_a_field_is_its_segments() -> None:
    (record,) = READER.read(MESSAGE.encode())
    assert READER.place(record, "PID-5.1") == 4
    assert READER.place(record, "NK1-2") == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the record is empty"),
        (b"PID|1||7", "line 1: a message starts with an MSH segment"),
        (b"MSH", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"MSH|^~\\", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"MSH|^^\\&|A", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"MSHAB~\\&A", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"MSH|^~\\&XY|A", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"FHS|^~\\&|A\rMSH|^~\\&|A", "line 1: batches are not taken; send messages one by one"),
        (b"MSH|^~\\&|A\rPID|1\rhalf a line", "line 3: not a segment"),
        (b"MSH|^~\\&|A\rPID|\xe9", "line 2: the text is not UTF-8"),
        (b"MSH|^~\\&|A\rPID|\x00", "line 2: the text holds a NUL character"),
        (b"MSH|^~\\&|A|||||||||||||||8859/1", "line 1, MSH-18: this character set is not taken; UTF-8 is"),
        (b"\x0bMSH|^~\\&|A\rPID|1", "cut off: the MLLP frame has a start and no end"),
        (b"\x0bMSH|^~\\&|A\r\x1c\r\x0bMSH", "there is more after the end of the MLLP frame"),
    ],
)
def test_what_cannot_be_read_is_refused_by_line_and_field(body: bytes, message: str) -> None:
    with pytest.raises(RecordError) as refused:
        READER.read(body)
    assert refused.value.issues[0].diagnostics().startswith(message)


@pytest.mark.parametrize(
    "path", ["", "PID", "PID.5", "pid-5", "PID-", "PID-5.", "PID-5[MR].1", "PRD[RT]-7", "PIDX-5"]
)
def test_what_is_not_a_path_is_refused_when_the_mapping_loads(path: str) -> None:
    with pytest.raises(PathError):
        READER.getter(path)
