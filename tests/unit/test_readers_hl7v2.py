"""HL7 version 2: separators, escapes, repetitions, selectors, groups, orders, line ends, frames, damage."""

from __future__ import annotations

import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.readers.hl7v2 import MAX_MESSAGE, MAX_SEGMENTS, Hl7v2Reader
from mappings.readers.source import Source
from mappings.record import Group, PathError, Record, RecordError

READER = Hl7v2Reader({"ORM": "ORC"})
MESSAGE = "\r".join(
    [
        r"MSH|^~\&|APP|FAC^1.2^ISO|||20261116||REF^I12|M1|P|2.5.1",
        "PRD|RP^Referring|||||||| ",
        r"PRD|RT^Referred|||||pantry^ORG",
        r"PID|1||77^^^ECH&1.2.3&ISO^MR~999^^^SSA^SS||O\T\B\F\C^Ana~^Nan^^^^^N||"
        r"\X41C3A9\||\E\.br\.br\x|a\.br\b\.sp2\c|\H\loud\N\|\Zq\|half\Fopen|\XZZ\|\.in+4\x\P\ ",
        "OBX|1|NM|63512-8^Size^LN||4",
        'OBX|2|ST|DIET^Diet^L||""',
        "NTE|1||first",
        "NTE|2||",
        "NTE|3||third",
        "ZPA|1||NO~YES^at work",
    ]
)
ORDERS = "\r".join(
    [
        r"MSH|^~\&|APP|||||| ORM ^O01|M1|P|2.5.1",
        "PID|1||77",
        "NTE|1||about the person",
        "ORC|NW|A1",
        "OBR|1|||FOOD",
        "NTE|1||about the food",
        "ORC|NW|A2",
        "OBR|2|||RIDE",
    ]
)


def read(text: str | bytes, reader: Hl7v2Reader = READER) -> list[Record | RecordError]:
    return list(reader.records(Source.of_bytes(text if isinstance(text, bytes) else text.encode(), "a.hl7")))


def only(text: str | bytes) -> Record:
    (record,) = read(text)
    assert isinstance(record, Record), record
    return record


def get(path: str, message: str | bytes = MESSAGE) -> object:
    return READER.getter(path)(only(message).values)


def told(outcome: Record | RecordError) -> str:
    assert isinstance(outcome, RecordError)
    (issue,) = outcome.issues
    return issue.diagnostics()


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
        ("PRD[1.2=Referred]-6", "pantry"),
        ("PRD-1.2", "Referring"),
        ("PID-3", "77"),
        ("PID-3.4", "ECH"),
        ("PID-3.4.2", "1.2.3"),
        ("PID-3.4.9", None),
        ("PID-3.1.2", None),
        ("PID-3[5=SS].1", "999"),
        ("PID-3[4=SSA].1", "999"),
        ("PID-3[5=XX].1", None),
        ("PID-5.1", "O&B|C"),
        ("PID-5[7=N].2", "Nan"),
        ("PID-7", "Aé"),
        ("PID-9", "\\.br\nx"),
        ("PID-10", "a\nb\nc"),
        ("PID-11", "loud"),
        ("PID-12", "\\Zq\\"),
        ("PID-13", "half\\Fopen"),
        ("PID-14", "\\XZZ\\"),
        ("PID-15", "x#"),
        ("OBX[3=63512-8]-5", "4"),
        ("OBX[3.3=LN]-5", "4"),
        ("OBX[3=DIET]-5", None),
        ("NTE[*]-3", ["first", "third"]),
        ("NTE[*]-9", None),
        ("NK1-2", None),
        ("ZPA-3", "NO"),
        ("ZPA-3[2=at work]", "YES"),
    ],
)
def test_a_path_finds_a_field_or_nothing(path: str, expected: object) -> None:
    assert get(path) == expected


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_a_byte_order_mark_make_no_difference(end: str, mark: str) -> None:
    record = only(mark + MESSAGE.replace("\r", end) + end)
    assert READER.getter("OBX[3=63512-8]-5")(record.values) == "4"
    assert READER.place(record, "ZPA-3") == 10


def test_separators_are_those_the_header_declares() -> None:
    message = "MSH*$+!@*APP\rPID*1****Fam!S!ily@van$Ana+x"
    assert get("PID-5.1", message) == "Fam$ily"
    assert get("PID-5.1.2", message) == "van"
    assert get("PID-5.2", message) == "Ana"
    assert get("PID-3", "MSH|^~\\&#|APP\rPID|1||7") == "7"


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("", "utf-8"), ("ASCII", "utf-8"), ("UNICODE UTF-8", "utf-8"), ("8859/1", "latin-1")],
)
def test_text_is_in_the_character_set_of_the_header(charset: str, encoding: str) -> None:
    header = "MSH|^~\\&|A|||||||||||||||" + charset
    assert get("PID-3", f"{header}\rPID|1||Zoë".encode(encoding)) == "Zoë"
    escaped = "".join(f"{byte:02X}" for byte in "Zoë".encode(encoding))
    assert get("PID-3", f"{header}\rPID|1||\\X{escaped}\\") == "Zoë"


def test_messages_come_one_by_one_framed_or_not_and_out_of_their_batch() -> None:
    file = "\r".join(
        [
            r"FHS|^~\&|APP",
            r"BHS|^~\&|APP",
            MESSAGE,
            "\x0b" + MESSAGE.replace("|77^", "|78^"),
            "\x1c",
            "\ufeff" + MESSAGE.replace("|77^", "|79^"),
            "BTS|99",
            "FTS|1",
        ]
    )
    records = read(file)
    assert [READER.getter("PID-3")(each.values) for each in records if isinstance(each, Record)] == [
        "77",
        "78",
        "79",
    ]
    assert [each.line for each in records if isinstance(each, Record)] == [3, 13, 24]
    assert {each.name for each in records if isinstance(each, Record)} == {"a.hl7"}


def test_a_file_is_read_message_by_message() -> None:
    taken = 0

    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            nonlocal taken
            taken += 1
            return (MESSAGE + "\r").encode()

    records = READER.records(Source({"": (0, Endless)}, is_set=False))
    assert all(isinstance(next(records), Record) for _ in range(100))
    assert taken < 105


def test_an_order_is_a_record_with_what_stands_before_the_first() -> None:
    first, second = read(ORDERS)
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert [READER.getter("ORC-2")(each.values) for each in (first, second)] == ["A1", "A2"]
    assert [READER.getter("OBR-4")(each.values) for each in (first, second)] == ["FOOD", "RIDE"]
    assert [READER.getter("PID-3")(each.values) for each in (first, second)] == ["77", "77"]
    assert READER.getter("NTE[*]-3")(first.values) == ["about the person", "about the food"]
    assert READER.getter("NTE[*]-3")(second.values) == ["about the person"]
    assert (first.line, second.line) == (4, 7)
    assert [READER.place(each, "OBR-4") for each in (first, second)] == [5, 8]


def test_a_message_of_another_type_or_without_orders_is_one_record() -> None:
    assert len(read(ORDERS.replace("ORM", "OMG"))) == 1
    assert len(read(ORDERS.replace("ORC", "ZRC"))) == 1


def items(path: str, relative: str, message: str = MESSAGE) -> list[object]:
    group = READER.group(path)
    return [group.getter(relative)(item) for item in group.items(only(message).values)]


@pytest.mark.parametrize(
    ("path", "relative", "expected"),
    [
        ("PID-3", ".", ["77", "999"]),
        ("PID-3", ".5", ["MR", "SS"]),
        ("PID-3", ".4.2", ["1.2.3", None]),
        ("PID-3[5=SS]", ".1", ["999"]),
        ("PID-99", ".", []),
        ("NK1-5", ".", []),
        ("PRD-1", ".2", ["Referring"]),
        ("PRD[*]-1", ".2", ["Referring", "Referred"]),
        ("PRD[1=RT]-1", ".2", ["Referred"]),
        ("OBX", ".5", ["4", None]),
        ("OBX", ".3.2", ["Size", "Diet"]),
        ("OBX[3=DIET]", ".1", ["2"]),
        ("OBX[3=XX]", ".1", []),
        ("PID", ".3[5=SS].4", ["SSA"]),
        ("PID", ".99", [None]),
    ],
)
def test_a_group_is_of_segments_or_of_repetitions(path: str, relative: str, expected: list[object]) -> None:
    assert items(path, relative) == expected


def test_blank_repetitions_are_no_items() -> None:
    assert items("PID-13", ".1", "MSH|^~\\&|A\rPID" + "|" * 13 + " ~555-0100~~") == ["555-0100"]


def test_a_field_repeats_inside_a_segment_that_repeats() -> None:
    segments = READER.group("PID")
    (pid,) = segments.items(only(MESSAGE).values)
    numbers = segments.group(".3")
    assert [numbers.getter(".1")(item) for item in numbers.items(pid)] == ["77", "999"]
    assert numbers.names(".1") == ["PID-3"]
    with pytest.raises(PathError):
        numbers.group(".1")
    with pytest.raises(PathError):
        segments.group(".3.1")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (READER.names("PRD[1=RT]-7.1"), ["PRD-1", "PRD-7"]),
        (READER.names("NTE[*]-3"), ["NTE-3"]),
        (READER.group("OBX[3=DIET]").names(".5.1"), ["OBX-3", "OBX-5"]),
        (READER.group("PID-13").names(".12"), ["PID-13"]),
        (READER.names("nothing"), ["nothing"]),
    ],
)
def test_the_fields_that_a_path_reads(shown: list[str], expected: list[str]) -> None:
    assert shown == expected


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"PID|1||7", "line 1: a message starts with an MSH segment"),
        (b"MSH", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"MSH|^~\\", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"MSH|^^\\&|A", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"MSHAB~\\&A", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"MSH|\x01~\\&|A", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"MSH|\xc3\xa9~\\&|A", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"MSH|^~\\&XY|A", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"MSH|^~\\&#Y|A", "line 1, MSH-2: the separators that MSH declares are not usable"),
        (b"MSH|^~\\&|A\rPID|1\rhalf a line", "line 3: not a segment"),
        (b"MSH|^~\\&|A\rPI", "line 2: not a segment"),
        (b"MSH|^~\\&|A\rPID|\xe9", "line 2: the text is not UTF-8, the character set by MSH-18"),
        (b"MSH|^~\\&|A\rPID|\x00", "line 2: the text holds a NUL character"),
        (b"MSH|^~\\&|A|||||||||||||||8859/1\rPID|\x95", "line 2: a byte is no letter of ISO 8859-1"),
        (b"MSH|^~\\&|A|||||||||||||||8859/15", "line 1, MSH-18: this character set is not taken; ASCII"),
        (b"MSH|^~\\&|A|||||||||||||||ASCII~8859/1", "line 1, MSH-18: this character set is not taken"),
        (b"\x0bMSH|^~\\&|A\rPID|1", "line 1: cut off: the MLLP frame has a start and no end"),
        (b"\x0bMSH|^~\\&|A\r\x1c\rPID|1", "line 1: there is more after the end of the MLLP frame"),
        (b"\x0bPID|1\r\x1c\r", "line 1: a message starts with an MSH segment"),
        # Read as one message, these would make one person of two.
        (b"MSH|^~\\&|A\rPID|1||7\rOBX|1|SMSH|^~\\&|A\rPID|1||8", "line 1: cut off: another message's header"),
        (b"MSH|^~\\&|A\rPID|1||7\rXSH|^~\\&|A\rPID|1||8", "line 1: cut off: another message's header"),
    ],
)
def test_a_damaged_message_is_refused_by_line_and_field_and_the_next_goes_on(
    body: bytes, message: str
) -> None:
    damaged, sound = read(body + b"\r" + MESSAGE.encode())
    assert told(damaged).startswith(message)
    assert isinstance(sound, Record)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "there is no message"),
        (b"\xef\xbb\xbf \r\n\r\n", "there is no message"),
        (b"FHS|^~\\&|A\rFTS|0", "there is no message"),
        ("MSH|^~\\&|A".encode("utf-16"), "line 1: the text is UTF-16; UTF-8 is needed"),
        (b"MSH|^~\\&|A\rOBX|" + b"x" * (MAX_MESSAGE + 2**21), "line 2: a message has more than"),
        (b"MSH|^~\\&|A\r" + b"OBX|xx\r" * (MAX_SEGMENTS + 1), "line 1: a message has more than"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_as_a_whole(body: bytes, message: str) -> None:
    with pytest.raises(RecordError) as refused:
        read(body)
    assert told(refused.value).startswith(message)


def test_a_field_of_ten_megabytes_is_read_in_passing() -> None:
    started = time.process_time()
    assert get("ZPA-3", MESSAGE.replace("OBX|2|ST|DIET", "OBX|2|ED|" + "A" * 10_000_000)) == "NO"
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "path",
    [
        "",
        "PID",
        "PID.5",
        "pid-5",
        "PID-",
        "PID-0",
        "PID-5.",
        "PID-5.0",
        "PID-5[MR].1",
        "PRD[RT]-7",
        "PIDX-5",
        ".5",
    ],
)
def test_what_is_not_a_path_is_refused_when_the_mapping_loads(path: str) -> None:
    with pytest.raises(PathError):
        READER.getter(path)


@pytest.mark.parametrize(
    ("group", "relative"),
    [
        (READER.group("OBX"), "."),
        (READER.group("OBX"), "5"),
        (READER.group("OBX"), "OBX-5"),
        (READER.group("PID-13"), ".1[2=x]"),
        (READER.group("PID-13"), "1"),
        (READER.group("PID-13"), ""),
    ],
)
def test_what_is_not_a_path_inside_a_group_is_refused_too(group: Group, relative: str) -> None:
    with pytest.raises(PathError):
        group.getter(relative)


@pytest.mark.parametrize("path", ["", "obx", "PID-13.1", "OBX[x]", ".13"])
def test_what_is_not_a_group_is_refused_when_the_mapping_loads(path: str) -> None:
    with pytest.raises(PathError):
        READER.group(path)


PATHS = ["MSH-2", "MSH-9", "PID-3[5=MR].4.2", "OBX[3.1=DIET]-5", "NTE[*]-3", "ZPA-3.2"]
DAMAGED = st.lists(
    st.tuples(st.integers(0, len(MESSAGE)), st.integers(0, 5), st.binary(max_size=4)), min_size=1, max_size=6
)


def damaged(text: str, changes: list[tuple[int, int, bytes]]) -> bytes:
    body = text.encode()
    for place, length, new in changes:
        body = body[:place] + new + body[place + length :]
    return body


@given(st.binary() | st.builds(damaged, st.just(MESSAGE + "\r" + ORDERS), DAMAGED))
def test_no_bytes_make_anything_but_records_and_record_errors(body: bytes) -> None:
    try:
        records = read(body)
    except RecordError as fault:
        records = [fault]
    for each in records:
        if isinstance(each, RecordError):
            assert "Ana" not in str(each)
        else:
            for path in PATHS:
                value = READER.getter(path)(each.values)
                assert value is None or value
            for item in (group := READER.group("PID-3")).items(each.values):
                group.getter(".4.2")(item)
