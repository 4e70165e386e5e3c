"""XML: paths, picks, groups, namespaces; and every known way to attack who reads it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.readers import xml_tree
from mappings.readers.source import Source
from mappings.readers.xml_file import XmlReader
from mappings.readers.xml_tree import MAX_BYTES, MAX_DEPTH, MAX_PREFIXES
from mappings.record import PathError, Record, RecordError

SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "ccda"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
READER = XmlReader("urn:hl7-org:v3", {"sdtc": "urn:hl7-org:sdtc", "xsi": XSI})
NOTE = f"""<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="CDA.xsl"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:s="urn:hl7-org:sdtc" xmlns:xsi="{XSI}" classCode=" DOCCLIN ">
  <code code="57133-1" xsi:type="CE"/>
  <recordTarget><patientRole>
    <id root="1.2.3" extension="77"/>
    <telecom use="HP" value="tel:+1-555-0100"/>
    <telecom use="WP" value="mailto:ana@example.org"/>
    <telecom use="HP" value="tel:+1-555-0101"/>
    <patient>
      <name use="P"><given>Nan</given></name>
      <name use="L"><given>Ana</given><given> Maria </given><family qualifier="">O&apos;Souza</family></name>
      <birthTime nullFlavor="UNK"/>
      <s:raceCode code="asked"/>
      <raceCode code="refused"/>
    </patient>
  </patientRole></recordTarget>
  <component><structuredBody>
    <component><section>
      <templateId root="1"/><templateId root="2"/>
      <code code="10164-2"/><text>Lives alone</text>
    </section></component>
    <component><section>
      <templateId root="3"/>
      <code code="42349-1"/>
      <text>
        <table><tr><td>Food</td><td>insecurity &amp; more,<!-- so --> see<![CDATA[ <here>]]></td></tr></table>
        <paragraph>H<sub>2</sub>O</paragraph>
      </text>
      <entry><act><code code="A"/><participant><id root="p1"/></participant><participant/></act></entry>
      <entry><act><code code="B"/></act></entry>
      <entry/>
    </section></component>
  </structuredBody></component>
</ClinicalDocument>
"""


def only(body: bytes | str, reader: XmlReader = READER) -> Record:
    (record,) = reader.records(
        Source.of_bytes(body if isinstance(body, bytes) else body.encode(), "note.xml")
    )
    assert isinstance(record, Record)
    return record


def get(path: str, body: bytes | str = NOTE, reader: XmlReader = READER) -> object:
    return reader.getter(path)(only(body, reader).values)


def told(body: bytes | str) -> str:
    with pytest.raises(RecordError) as refused:
        only(body)
    (issue,) = refused.value.issues
    return issue.diagnostics()


PATIENT = "recordTarget/patientRole/patient"
BODY = "component/structuredBody/component"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("code/@code", "57133-1"),
        ("@classCode", "DOCCLIN"),
        ("@moodCode", None),
        ("code/@xsi:type", "CE"),
        ("code/@type", None),
        ("code", None),
        (f"{PATIENT}/name/given", "Nan"),
        (f"{PATIENT}/name/family", None),  # not of another name than that the given name is of
        (f"{PATIENT}/name[@use=L]/family", "O'Souza"),
        (f"{PATIENT}/name[2]/given", "Ana"),
        (f"{PATIENT}/name[2]/given[2]", "Maria"),
        (f"{PATIENT}/name[2]/given[3]", None),
        (f"{PATIENT}/name[2]/given[*]", ["Ana", "Maria"]),
        (f"{PATIENT}/name[*]/given", ["Nan", "Ana"]),
        (f"{PATIENT}/name[*]/given[*]", ["Nan", "Ana", "Maria"]),
        (f"{PATIENT}/name[*]/suffix", None),
        (f"{PATIENT}/name[given=Maria]/family", "O'Souza"),
        (f"{PATIENT}/name[@use=XX]/given", None),
        (f"{PATIENT}/name[@use=L]/family/@qualifier", None),
        (f"{PATIENT}/birthTime/@nullFlavor", "UNK"),
        (f"{PATIENT}/birthTime/@value", None),
        (f"{PATIENT}/sdtc:raceCode/@code", "asked"),
        (f"{PATIENT}/raceCode/@code", "refused"),
        ("recordTarget/patientRole/telecom[@use=HP]/@value", "tel:+1-555-0100"),
        ("recordTarget/patientRole/telecom[@use=HP][2]/@value", "tel:+1-555-0101"),
        ("recordTarget/patientRole/telecom[@use=HP][*]/@value", ["tel:+1-555-0100", "tel:+1-555-0101"]),
        (f"{BODY}[section/code/@code=42349-1]/section/entry/act/code/@code", "A"),
        ("//section[code/@code=42349-1]/text", "Food insecurity & more, see <here> H 2 O"),
        ("//section[templateId/@root=2]/code/@code", "10164-2"),
        ("//section[templateId/@root=2][code/@code=42349-1]/text", None),
        ("//section[*]/code/@code", ["10164-2", "42349-1"]),
        ("//section[2]//act[*]/code/@code", ["A", "B"]),
        ("//component[*]//act[*]/code/@code", ["A", "B"]),
        ("//nothing/@code", None),
        ("recordTarget//given", "Nan"),
    ],
)
def test_a_path_finds_text_or_an_attribute_or_nothing(path: str, expected: object) -> None:
    assert get(path) == expected


def test_a_group_is_of_all_elements_at_its_path() -> None:
    record = only(NOTE)
    sections = READER.group(f"{BODY}/section")
    found = sections.items(record.values)
    assert [sections.getter(".code/@code")(each) for each in found] == ["10164-2"]
    bodies = READER.group(BODY)
    found = bodies.items(record.values)
    assert [bodies.getter(".section/code/@code")(each) for each in found] == ["10164-2", "42349-1"]
    assert [bodies.getter(".//act/code/@code")(each) for each in found] == [None, "A"]
    entries = bodies.group(".section/entry")
    inner = entries.items(found[1])
    assert [entries.getter(".act/code/@code")(each) for each in inner] == ["A", "B", None]
    people = entries.group(".act/participant")
    assert [people.getter(".id/@root")(each) for each in people.items(inner[0])] == ["p1", None]
    assert people.names(".id/@root") == [f"{BODY}/section/entry/act/participant/id/@root"]
    assert READER.group("//nothing").items(record.values) == []


def test_a_group_may_be_picked_and_an_item_tested() -> None:
    record = only(NOTE)
    telecoms = READER.group("recordTarget/patientRole/telecom[@use=HP]")
    found = telecoms.items(record.values)
    assert [telecoms.getter(".@value")(each) for each in found] == ["tel:+1-555-0100", "tel:+1-555-0101"]
    assert telecoms.names(".@value") == ["recordTarget/patientRole/telecom/@value"]
    names = READER.group(f"{PATIENT}/name")
    found = names.items(record.values)
    assert [names.getter(".")(each) for each in found] == ["Nan", "Ana Maria O'Souza"]
    assert [names.getter(".[@use=L]")(each) for each in found] == [None, "Ana Maria O'Souza"]
    assert [names.getter(".[@use=L]/given")(each) for each in found] == [None, "Ana"]
    assert names.names(".") == [f"{PATIENT}/name"]
    assert len(READER.group(f"{PATIENT}/name[2]").items(record.values)) == 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("code/@code", 4),
        (f"{PATIENT}/name[@use=L]/given", 12),
        (f"{PATIENT}/name[@use=L]/suffix", 12),
        (f"{PATIENT}/maritalStatusCode/@code", 10),
        ("nothing", 3),
        (f"{PATIENT}/name.[@use=L]", 12),  # how a relative path is shown behind its group's
        ("/", 3),
    ],
)
def test_the_line_of_a_field_is_that_of_the_nearest_element(path: str, line: int) -> None:
    assert READER.place(only(NOTE), path) == line


def test_fields_list_paths_without_their_picks() -> None:
    assert READER.names(f"{PATIENT}/name[@use=L][2]/given[*]") == [f"{PATIENT}/name/given"]


def test_prefixes_are_those_of_the_document_and_of_the_mapping_where_it_declares_none() -> None:
    assert (
        get("a/@sdtc:b", '<v:r xmlns:v="urn:hl7-org:v3" xmlns:q="urn:hl7-org:sdtc"><v:a q:b="1"/></v:r>')
        == "1"
    )
    assert get("a/@sdtc:b", '<r><a sdtc:b="1"/></r>') == "1"
    assert get("a/@sdtc:b", '<r><a xmlns:sdtc="urn:other" sdtc:b="1"/></r>') is None
    assert get("a/b", '<r><a xmlns="urn:other"><b>1</b></a></r>') is None
    assert get("a/b", '<r><a xmlns="urn:other"/><c/><a><b>1</b></a></r>') == "1"
    assert get("a/@xml:lang", '<r><a xml:lang="en"/></r>') == "en"
    assert get("a", "<r><a>1</a></r>", XmlReader()) == "1"


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [("UTF-8", "utf-8"), ("ISO-8859-1", "latin-1"), ("iso-8859-1", "latin-1"), ("UTF-16", "utf-16")],
)
def test_encodings(encoding: str, codec: str) -> None:
    assert get("a", f'<?xml version="1.0" encoding="{encoding}"?><r><a>Zoë</a></r>'.encode(codec)) == "Zoë"


def test_long_text_is_not_torn_where_the_parser_hands_it_over_in_pieces() -> None:
    words = " ".join(f"word{number}" for number in range(20_000))
    assert get("a", f"<r><a>{words}</a></r>") == words
    assert get("a", "<r><a>one<!-- c -->word &lt;in&gt; pi<?x y?>eces</a></r>") == "oneword <in> pieces"


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
ATTACKS = {
    "billion laughs": f'<!DOCTYPE r [<!ENTITY l0 "lol">{LAUGHS}]><r>&l9;</r>',
    "quadratic blow-up": f'<!DOCTYPE r [<!ENTITY l "{"x" * 50_000}">]><r>{"&l;" * 50_000}</r>',
    "external entity": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r>&x;</r>',
    "parameter entity": '<!DOCTYPE r [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]><r/>',
    "external DTD": '<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x"><r/>',
    "public DTD": '<!DOCTYPE r PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://127.0.0.1:9/x"><r/>',
    "default attributes": '<!DOCTYPE r [<!ATTLIST r a CDATA "x">]><r/>',
}


@pytest.mark.parametrize("body", ATTACKS.values(), ids=ATTACKS)
def test_a_document_type_is_refused_before_anything_in_it_is_read(body: str) -> None:
    started = time.process_time()
    assert told(body) == "line 1: a DOCTYPE is not taken"
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the document is empty"),
        (b" \n", "the document is empty"),
        (b"hello", "line 1: not XML, or cut off: syntax error"),
        (b"<r>\n<a></r>", "line 2: not XML, or cut off: mismatched tag"),
        (b"<r>\n<a>", "line 2: not XML, or cut off: no element found"),
        (b"<r/><r/>", "line 1: not XML, or cut off: junk after document element"),
        (b'<r a="1" a="2"/>', "line 1: not XML, or cut off: duplicate attribute"),
        (b"<r>&x;</r>", "line 1: not XML, or cut off: undefined entity"),
        (b"<r>\0</r>", "line 1: not XML, or cut off: not well-formed (invalid token)"),
        (b"<r>\n&#0;</r>", "line 2: not XML, or cut off: reference to invalid character number"),
        (b"<r>&#xD800;</r>", "line 1: not XML, or cut off: reference to invalid character number"),
        (b"<r>\xe9</r>", "line 1: not XML, or cut off: not well-formed (invalid token)"),
        (b'<?xml version="1.0" encoding="UTF-7"?><r/>', "line 1: this encoding is not taken; UTF-8,"),
        (b'<?xml version="1.0" encoding="windows-1252"?><r/>', "line 1: this encoding is not taken; UTF-8,"),
        (b'<?xml version="1.0" encoding="idna"?><r/>', "line 1: this encoding is not taken; UTF-8,"),
        (b'<?xml version="1.0" encoding="UTF-16"?><r/>', "line 1: not XML, or cut off: encoding specified"),
        (b"<r>\n<x:a/></r>", "line 2: a namespace prefix is not declared"),
        (b'<r x:a="1"/>', "line 1: a namespace prefix is not declared"),
        (b'<r xmlns="urn:other"/>', "line 1: the root element is not in the mapping's namespace"),
        (b'<r xmlns=""/>', "line 1: the root element is not in the mapping's namespace"),
        (b"<r>" * (MAX_DEPTH + 1), f"line 1: elements are nested more than {MAX_DEPTH} deep"),
        (
            b"<r " + b" ".join(b'xmlns:a%d="u"' % number for number in range(MAX_PREFIXES)) + b"/>",
            f"line 1: more than {MAX_PREFIXES} namespace prefixes are declared",
        ),
        (b"<r>" + b"x" * MAX_BYTES, "the document is longer than 64 MiB"),
    ],
)
def test_what_is_not_taken_is_refused_by_line(body: bytes, message: str) -> None:
    assert told(body).startswith(message)


def test_the_parts_of_a_document_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_tree, "MAX_NODES", 5)
    assert get("a/@b", '<r><a b="1">2</a><a/></r>') == "1"
    for one_more in ("<a/>", "3"):
        assert told(f'<r><a b="1">2</a><a/>{one_more}</r>').startswith(
            "line 1: there are more than 5 elements"
        )


def test_nesting_and_size_up_to_the_limit_are_read() -> None:
    deep = MAX_DEPTH - 1
    assert (
        get("//a[" + "a/" * (deep - 2) + "a=x]", "<r>" + "<a>" * deep + "x" + "</a>" * deep + "</r>") == "x"
    )
    started = time.process_time()
    value = get("a/@b", b'<r><a b="' + b"x" * (32 * 2**20) + b'"/></r>')
    assert isinstance(value, str)
    assert len(value) == 32 * 2**20
    assert time.process_time() - started < 10


def test_a_search_below_each_of_many_nested_elements_ends() -> None:
    document = "<r>" + "<a>" * 190 + "<c/>" * 20_000 + "</a>" * 190 + "</r>"
    record = only(document)
    started = time.process_time()
    assert READER.getter("//a[*]//b")(record.values) is None
    assert time.process_time() - started < 2


def test_includes_are_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other.xml"
    other.write_text('<code xmlns="urn:hl7-org:v3" code="x"/>')
    include = f'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="{other.as_uri()}"/>'
    assert get("//code/@code", f'<r xml:base="{tmp_path.as_uri()}/">{include}</r>') is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/code",
        "code/",
        "code/@",
        "code/@a/b",
        "code//",
        "code[1",
        "code]",
        "code[0]",
        "code[]",
        "code[99999999999999999999999]",
        "code[x]",
        "code[@use='L']",
        "code[@use]",
        "code[=L]",
        "code[2][@use=L]",
        "code[//a=b]",
        "code[@a/b=c]",
        "x:code",
        "@x:code",
        "code[@x:a=1]",
        "co de",
        "*",
        "../code",
    ],
)
def test_what_is_not_a_path_is_refused_when_the_mapping_loads(path: str) -> None:
    with pytest.raises(PathError):
        READER.getter(path)


@pytest.mark.parametrize("path", ["", "code/@code", "/code", ".code"])
def test_what_is_not_a_group_is_refused_when_the_mapping_loads(path: str) -> None:
    with pytest.raises(PathError):
        READER.group(path)


@pytest.mark.parametrize("path", ["", "code", "./code", ".code/", ".x:code"])
def test_what_is_not_a_path_inside_a_group_is_refused_too(path: str) -> None:
    with pytest.raises(PathError):
        READER.group("component").getter(path)


CHANGES = st.lists(st.tuples(st.integers(0, len(NOTE)), st.integers(0, 9), st.binary(max_size=6)), max_size=5)


def damaged(changes: list[tuple[int, int, bytes]]) -> bytes:
    body = NOTE.encode()
    for place, length, new in changes:
        body = body[:place] + new + body[place + length :]
    return body


@given(st.binary() | st.builds(damaged, CHANGES))
def test_no_bytes_make_anything_but_a_record_or_a_record_error(body: bytes) -> None:
    try:
        record = only(body)
    except RecordError as fault:
        assert "Souza" not in str(fault)
        return
    for path in ("//section[code/@code=42349-1]/text", f"{PATIENT}/name[@use=L]/given[*]"):
        value = READER.getter(path)(record.values)
        assert value is None or value
        assert READER.place(record, path)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the C-CDA samples are not beside this checkout")
def test_published_notes_are_read() -> None:
    reason = "//section[code/@code=42349-1]/text"
    note = (SAMPLES / "Referral_Note.xml").read_bytes()
    assert str(get(reason, note)).startswith("Patient referral for")
    assert get(f"{PATIENT}/name[@use=L]/given", note)
    assert len(READER.group(BODY).items(only(note).values)) > 10
    fragment = (SAMPLES / "planned-referral-and-closing-note.xml").read_bytes()
    assert get("//section/title", fragment) == "Interventions"
