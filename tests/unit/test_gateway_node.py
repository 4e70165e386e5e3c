"""What a running node takes up when its files change, and whose record a record is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unserved import agencies_in

from gateway import own_system, settings
from gateway.demo.agencies import HOSPITAL, PANTRY, SHELTER, Agency, organization
from gateway.demo.stories import RECORDS
from gateway.node import Node


@pytest.fixture
def agencies(tmp_path: Path) -> dict[str, Agency]:
    return agencies_in(tmp_path)


def partners(node: Node) -> set[str]:
    return {entry.organization for entry in node.partners(node.home.organization)}


def change_agreement(agency: Agency, **values: object) -> None:
    (path,) = (agency.folder / "agreements").glob(f"{HOSPITAL}-*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_suspended_agreement_ends_the_partnership_without_a_restart(agencies: dict[str, Agency]) -> None:
    node = Node(settings.read(agencies[HOSPITAL].config))
    assert organization(PANTRY) in partners(node)
    assert not node.refresh()

    change_agreement(agencies[HOSPITAL], status="suspended")

    assert node.refresh()
    assert organization(PANTRY) not in partners(node)


def test_an_agreement_with_a_mistake_changes_nothing(
    agencies: dict[str, Agency], caplog: pytest.LogCaptureFixture
) -> None:
    node = Node(settings.read(agencies[HOSPITAL].config))

    change_agreement(agencies[HOSPITAL], status="suspendd")

    assert not node.refresh()
    assert organization(PANTRY) in partners(node)
    assert "status: must be one of" in caplog.text


@pytest.mark.parametrize(
    ("agency", "record", "person"),
    [
        (HOSPITAL, "1-hospital.hl7", ("urn:oid:2.16.840.1.113883.19.4.6", "EC-480213")),
        (SHELTER, "2-shelter.csv", ("https://waymeet.example/fhir/sid/shelter-csv-client", "C-0417")),
    ],
)
def test_whose_record_it_is(
    agencies: dict[str, Agency], agency: str, record: str, person: tuple[str, str]
) -> None:
    assert own_system.person_in(settings.read(agencies[agency].config), RECORDS / record) == person


def test_a_record_of_another_system_is_nobodys(agencies: dict[str, Agency]) -> None:
    with pytest.raises(ValueError, match="no mapping of this node"):
        own_system.person_in(settings.read(agencies[HOSPITAL].config), RECORDS / "2-shelter.csv")
