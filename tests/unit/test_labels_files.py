"""The labels folder: our own lists and FHIR ValueSets side by side, and what is said of one that is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import consent
from consent.label_files import load_labels
from consent.label_list import ICD_10_CM
from consent.policy import SHIPPED
from profiles.canonical import ACT_CODE, LOINC, SNOMED
from profiles.document import DocumentError

FAULTS: list[Mapping[str, str]] = yaml.safe_load(
    (Path(__file__).parents[1] / "cases/labels/faults.yaml").read_text()
)
URL = "http://example.org/ValueSet/ours"


def value_set(*include: Mapping[str, Any], url: str = URL, focus: str = "", **more: Any) -> dict[str, Any]:
    made = {"resourceType": "ValueSet", "url": url, "status": "active", "compose": {"include": list(include)}}
    if focus:
        made["useContext"] = [
            {
                "code": {
                    "system": "http://terminology.hl7.org/CodeSystem/usage-context-type",
                    "code": "focus",
                },
                "valueCodeableConcept": {"coding": [{"system": ACT_CODE, "code": focus}]},
            }
        ]
    return made | more


def put(folder: Path, *sets: Mapping[str, Any], naming: str = "", labels: str = "[STD]") -> Path:
    for number, one in enumerate(sets):
        (folder / f"set{number}.json").write_text(json.dumps(one))
    if naming:
        (folder / "ours.yaml").write_text(
            f"id: ours\ntitle: Ours\nlabels: {labels}\ncitation: c\ntext: Ours.\nvalue-sets: [{naming!r}]\n"
        )
    return folder


def found(folder: Path, system: str, code: str) -> list[str]:
    return sorted(label for _, label in load_labels([folder]).of_codes([(system, code)]))


@pytest.mark.parametrize("fault", FAULTS, ids=[fault["story"] for fault in FAULTS])
def test_a_file_that_cannot_be_used_is_refused_with_its_line(
    fault: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / fault["file"]).write_text(fault["text"])
    with pytest.raises(DocumentError) as refused:
        load_labels([tmp_path])
    assert fault["says"] in str(refused.value)
    assert str(refused.value).startswith(f"{fault['file']}:")


def test_a_list_ties_labels_to_a_value_set(tmp_path: Path) -> None:
    put(tmp_path, value_set({"system": LOINC, "concept": [{"code": "1-8"}]}), naming=URL)
    assert found(tmp_path, LOINC, "1-8") == ["R", "STD"]
    assert found(tmp_path, LOINC, "2-6") == []


def test_a_value_set_may_state_its_labels_itself_and_a_list_add_to_them(tmp_path: Path) -> None:
    put(tmp_path, value_set({"system": LOINC, "concept": [{"code": "1-8"}]}, focus="HIV"))
    assert found(tmp_path, LOINC, "1-8") == ["HIV", "R"]
    put(tmp_path, naming=URL, labels="[V]")
    assert found(tmp_path, LOINC, "1-8") == ["HIV", "V"]


def test_a_whole_code_system_beside_single_codes(tmp_path: Path) -> None:
    ours = "http://example.org/CodeSystem/shelter-notes"
    put(tmp_path, value_set({"system": ours}, {"system": SNOMED, "concept": [{"code": "1"}]}, focus="SDV"))
    assert found(tmp_path, ours, "whatever") == ["R", "SDV"]
    assert found(tmp_path, SNOMED, "1") == ["R", "SDV"]
    assert found(tmp_path, SNOMED, "2") == []


def test_a_value_set_made_of_others_and_one_that_takes_codes_out(tmp_path: Path) -> None:
    other = "http://example.org/ValueSet/other"
    part = {"system": LOINC, "concept": [{"code": "1-8"}, {"code": "2-6"}]}
    out = {"exclude": [{"system": LOINC, "concept": [{"code": "2-6"}]}]}
    whole = value_set({"valueSet": [other]}, focus="STD")
    whole["compose"] |= out
    put(tmp_path, value_set(part, url=other, focus="SEX"), whole)
    assert found(tmp_path, LOINC, "1-8") == ["R", "SEX", "STD"]
    assert found(tmp_path, LOINC, "2-6") == ["R", "SEX"]


def test_where_the_code_system_is_not_held_the_expansion_is_asked(tmp_path: Path) -> None:
    below = {"system": SNOMED, "filter": [{"property": "concept", "op": "is-a", "value": "1"}]}
    listed = {"timestamp": "2026-01-01T00:00:00Z", "contains": [{"system": SNOMED, "code": "11"}]}
    put(tmp_path, value_set(below, focus="SEX", expansion=listed))
    assert found(tmp_path, SNOMED, "11") == ["R", "SEX"]


def test_a_node_adds_a_folder_to_what_is_shipped(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    put(tmp_path / "labels", value_set({"system": ICD_10_CM, "concept": [{"code": "S82.101A"}]}, focus="VIO"))
    table = consent.load_policy(SHIPPED, tmp_path).labels
    assert {label for _, label in table.of_codes([(ICD_10_CM, "S82101A")])} == {"R", "VIO"}
    assert {label for _, label in table.of_codes([(ICD_10_CM, "B20")])} == {"R", "HIV"}
    assert consent.load_policy().labels.of_codes([(ICD_10_CM, "S82.101A")]) == frozenset()


def test_an_id_and_a_url_are_given_once(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="this id is already in use"):
        load_labels([SHIPPED / "labels", SHIPPED / "labels"])
    one = value_set({"system": LOINC, "concept": [{"code": "1-8"}]}, focus="HIV")
    put(tmp_path, one, one)
    with pytest.raises(DocumentError, match="this URL is already in use"):
        load_labels([tmp_path])


def test_a_folder_without_labels_has_none(tmp_path: Path) -> None:
    assert load_labels([tmp_path / "labels"]).lists == ()


def test_the_documentation_names_every_list_with_its_labels() -> None:
    text = (Path(__file__).parents[2] / "docs/reference/labels.md").read_text()
    for one in load_labels([SHIPPED / "labels"]).lists:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{one.id}.yaml` |"))
        assert {code.strip("`") for code in row.split("|")[2].split()} == {code for _, code in one.labels}
