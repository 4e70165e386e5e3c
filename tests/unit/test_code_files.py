"""A code table is the same as a CSV and as a ConceptMap; a CSV that is not right names its lines."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.code_files import read_csv_table, to_csv
from mappings.codes import load_code_table
from mappings.formulas import guarded, unguarded
from profiles.document import Document, DocumentError
from profiles.terminology import ConceptMapError

SYSTEMS = Path(__file__).parent.parent.parent / "mappings" / "systems"
HEADER = "code,target_system,target_code"

text = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=12)
words = st.one_of(
    text, st.sampled_from(["=1+1", "'=x", "+1", "-2", "@a", "a,b", 'a"b', "#x", "a\nb"])
).filter(lambda word: word == word.strip())
codes = st.one_of(
    st.from_regex(r"[A-Za-z0-9=+@'#,-]([ ]?[A-Za-z0-9.]){0,4}", fullmatch=True),
    st.sampled_from(["'", "-", "#"]),
)
systems = st.sampled_from(["http://a.example/x", "http://b.example/y", "urn:oid:2.16.840.1"])


def maybe(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


def both(one: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda a, b: a | b, one, other)


targets = both(
    st.fixed_dictionaries(
        {"code": codes, "equivalence": st.sampled_from(["equivalent", "wider", "inexact"])}
    ),
    maybe(display=words, comment=words),
)
nothing = both(st.just({"equivalence": "unmatched"}), maybe(comment=words))
elements = both(
    st.fixed_dictionaries(
        {
            "code": codes,
            "target": st.one_of(
                st.lists(targets, min_size=1, max_size=3, unique_by=lambda target: target["code"]),
                st.lists(nothing, min_size=1, max_size=1),
            ),
        }
    ),
    maybe(display=words),
)
groups = both(
    st.fixed_dictionaries(
        {
            "target": systems,
            "element": st.lists(elements, min_size=1, max_size=4, unique_by=lambda element: element["code"]),
        }
    ),
    maybe(source=systems, sourceVersion=words, targetVersion=words),
)
concept_maps = both(
    st.fixed_dictionaries(
        {
            "resourceType": st.just("ConceptMap"),
            "status": st.sampled_from(["draft", "active", "retired"]),
            "group": st.lists(
                groups,
                min_size=1,
                max_size=3,
                unique_by=lambda group: tuple(
                    group.get(key) for key in ("source", "sourceVersion", "target", "targetVersion")
                ),
            ),
        }
    ),
    maybe(url=systems, version=words, title=words, description=words, experimental=st.booleans()),
)


def read(tmp_path: Path, content: str | bytes) -> Document:
    path = tmp_path / "table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_csv_table(path)


def faults(tmp_path: Path, content: str | bytes) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read(tmp_path, content)
    return str(caught.value).splitlines()


@settings(max_examples=200)
@given(concept_map=concept_maps)
def test_a_concept_map_comes_back_from_its_csv(
    concept_map: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert read(tmp_path_factory.getbasetemp(), to_csv(concept_map)).data == concept_map


rows = st.lists(
    st.tuples(st.sampled_from("abcd"), systems, st.sampled_from("1234")), min_size=1, max_size=12, unique=True
)


@given(rows=rows)
def test_rows_keep_their_order_of_targets_for_each_code(
    rows: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    lines = "\n".join([HEADER, *(",".join(row) for row in rows)])
    made = read(folder, lines)
    table, _ = load_code_table("table", "reject", folder / "table.csv")
    for code in {code for code, _, _ in rows}:
        written = [{"system": system, "code": to} for of, system, to in rows if of == code]
        assert list(table.targets[code]) == written
    try:
        again = to_csv(made.data)
    except ConceptMapError:
        return  # the order needed two groups of the same systems
    assert read(folder, again).data == made.data


@pytest.mark.parametrize(
    "path", sorted(SYSTEMS.glob("*/codes/*")), ids=lambda path: f"{path.parts[-3]}-{path.stem}"
)
def test_every_shipped_table_is_the_same_in_the_other_form(path: Path, tmp_path: Path) -> None:
    concept_map = read_csv_table(path).data if path.suffix == ".csv" else json.loads(path.read_text("utf-8"))
    assert read(tmp_path, to_csv(concept_map)).data == concept_map


def test_a_csv_is_read_with_what_it_does_not_say_filled_in(tmp_path: Path) -> None:
    document = read(tmp_path, f"\ufeff# title: Need\n{HEADER},comment\nfood,http://a.example,1,\n")
    assert document.data == {
        "resourceType": "ConceptMap",
        "title": "Need",
        "status": "active",
        "group": [
            {
                "target": "http://a.example",
                "element": [{"code": "food", "target": [{"code": "1", "equivalence": "equivalent"}]}],
            }
        ],
    }
    assert document.line(("group", 0, "element", 0, "target", 0, "code")) == 3


def test_lines_that_a_spreadsheet_made_are_understood(tmp_path: Path) -> None:
    document = read(
        tmp_path, f"# title: Need, in words,,\n# url: http://a.example,,\n{HEADER}\na,http://b,1\n,,\n\n"
    )
    assert (document.data["title"], document.data["url"]) == ("Need, in words", "http://a.example")
    assert len(document.data["group"][0]["element"]) == 1


def test_a_code_without_a_counterpart_says_so(tmp_path: Path) -> None:
    document = read(tmp_path, f"{HEADER},equivalence\na,http://b,1,\nz,http://b,,unmatched\n")
    assert document.data["group"][0]["element"][1] == {"code": "z", "target": [{"equivalence": "unmatched"}]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("code,target_system\na,b\n", ["table.csv:1: target_code: the header lacks this column"]),
        (f"{HEADER},code\na,b,c,d\n", ["table.csv:1: code: the header has this column twice"]),
        (
            f"{HEADER}\na,b\nc,d,e,f\n",
            ["table.csv:2: the row and the header differ in length: 2 and 3", "table.csv:3: the row and"],
        ),
        (
            f"{HEADER}\na,,1\n,http://b,1\n",
            ["table.csv:2: target_system: is empty", "table.csv:3: code: is empty"],
        ),
        (f"{HEADER}\na,http://b,\n", ["table.csv:2: target_code: is empty"]),
        (
            f"{HEADER}\na,http://b,1\nb,http://b,1\na,http://b,1\n",
            ["table.csv:4: code: has this target already"],
        ),
        (
            f"{HEADER},equivalence\na,http://b,1,same\n",
            ["table.csv:2: equivalence: is none of relatedto, equi"],
        ),
        (f"{HEADER},equivalence\na,http://b,,equal\n", ["table.csv:2: target_code: is empty"]),
        (
            f"{HEADER},display\na,http://b,1,A\na,http://b,2,B\n",
            ["table.csv:3: display: has another display"],
        ),
        (f"{HEADER}\na,http://b,1\n b,http://b,1\n", ["table.csv:3: code: is not a valid code"]),
        (f"# titel: x\n{HEADER}\na,http://b,1\n", ["table.csv:1: begins with #"]),
        (f"# title: x\n# title: y\n{HEADER}\na,http://b,1\n", ["table.csv:2: title: is said twice"]),
        (f"# status: good\n{HEADER}\na,http://b,1\n", ["table.csv:1: status: "]),
        (f"# url: http://a\n{HEADER}\n", ["table.csv:2: there is no code under the header"]),
        ("", ["table.csv:1: there is no header"]),
        (f'{HEADER}\n"a,http://b,1\n', ["table.csv:2: the quoting is broken"]),
        (f"{HEADER}\na,http://b,1\n".encode() + b"\xe9,http://b,1\n", ["table.csv:3: the text is not UTF-8"]),
    ],
)
def test_what_is_not_right_is_named_with_its_line(
    content: str | bytes, expected: list[str], tmp_path: Path
) -> None:
    found = faults(tmp_path, content)
    assert len(found) == len(expected)
    for line, beginning in zip(found, expected, strict=True):
        assert line.startswith(beginning)


def test_an_unknown_column_is_named_by_its_place(tmp_path: Path) -> None:
    (found,) = faults(tmp_path, f"{HEADER},Ann Example\na,b,c,d\n")
    assert found.startswith("table.csv:1: column 4 is none of code, display, target_system")


def test_a_file_that_is_not_there_is_a_fault_of_it(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot be read"):
        read_csv_table(tmp_path / "none.csv")


def concept_map(element: dict[str, Any], **more: Any) -> dict[str, Any]:
    group = {"target": "http://a.example", "element": [element]}
    return {"resourceType": "ConceptMap", "status": "active", "group": [group], **more}


GOOD = {"code": "a", "target": [{"code": "1", "equivalence": "equal"}]}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (concept_map({"code": "a"}), r"group\[0\]\.element\[0\]\.target: has no target"),
        (
            concept_map(GOOD, extension=[{"url": "http://x", "valueCode": "y"}]),
            r"ConceptMap\.extension: is not",
        ),
        (concept_map(GOOD | {"id": "x"}), r"element\[0\]\.id: is not what a CSV can hold"),
        (
            concept_map(
                {
                    "code": "a",
                    "target": [GOOD["target"][0] | {"dependsOn": [{"property": "http://x", "value": "y"}]}],
                }
            ),
            r"element\[0\]\.target\[0\]\.dependsOn: is not",
        ),
        (
            concept_map({"code": "a", "target": [GOOD["target"][0], GOOD["target"][0]]}),
            "has this target already",
        ),
        (concept_map(GOOD, status="good"), r"ConceptMap\.status"),
        (
            concept_map(GOOD)
            | {
                "group": [
                    {
                        "target": "http://a",
                        "element": [
                            GOOD,
                            {**GOOD, "code": "b"},
                            GOOD | {"target": [{"code": "2", "equivalence": "equal"}]},
                        ],
                    }
                ]
            },
            "each code in one element",
        ),
    ],
)
def test_what_a_csv_cannot_hold_is_refused_and_not_dropped(content: dict[str, Any], place: str) -> None:
    with pytest.raises(ConceptMapError, match=place):
        to_csv(content)


def test_no_cell_of_a_written_table_is_a_formula() -> None:
    element = {
        "code": "=1+1",
        "display": "@x",
        "target": [{"code": "-1", "display": "+a", "equivalence": "equal"}],
    }
    _status, header, cells = csv.reader(io.StringIO(to_csv(concept_map(element))))
    row = dict(zip(header, cells, strict=True))
    assert row["code"] == "'=1+1"
    assert (row["display"], row["target_code"], row["target_display"]) == ("'@x", "-1", "'+a")


@given(cell=st.one_of(st.text(), st.text(alphabet="'=+-@ \t10.＝", max_size=6)))  # noqa: RUF001
def test_a_guarded_cell_is_read_as_it_was(cell: str) -> None:
    assert unguarded(guarded(cell)) == cell
    assert not guarded(cell).startswith(("\t", "\r", "\n"))
    assert not guarded(cell).lstrip().startswith(("=", "@", "＝"))  # noqa: RUF001
