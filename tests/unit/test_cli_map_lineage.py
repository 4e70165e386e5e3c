"""`waymeet map lineage` and `export`: which column reaches what and can leave to whom; other forms."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from map_cli import GOOD, run
from unserved import agencies_in

import consent
from consent import Decision
from consent.items import shipped as shipped_items
from gateway import clock, settings
from gateway.cli import consent as cli_consent
from gateway.demo.agencies import HOSPITAL, PANTRY, SHELTER, organization
from gateway.item_fields import destinations, item_fields, staying_fields
from gateway.node import Node
from gateway.permission import record_consent, withdraw_consent
from gateway.recording import Ask
from mappings import Record, load, shipped
from mappings.code_files import read_csv_table
from mappings.table import LocalMapping
from profiles import validate
from profiles.outcome import errors

# What the mapping reads beside the columns of a usual export: whom the client fears.
FIELDS = {*GOOD, "never_to", "never_people"}
RELEASE = {
    "patient": {"system": "https://waymeet.example/fhir/sid/shelter-csv-client", "value": GOOD["client_ref"]},
    "recipients": [PANTRY],
    "items": ["need", "priority", "area", "alias", "household-size", "contact-rule", "family-name"],
    "signed": "Cabinet 3",
}


def shelter_csv() -> LocalMapping:
    return load(shipped("shelter-csv"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A shelter's node, which may refer to the pantry."""
    return agencies_in(tmp_path)[SHELTER].config


def consented(config: Path, **other: Any) -> str:
    """The id of a release that the shelter's node keeps."""
    node = Node(settings.read(config))
    end = (clock.now() + timedelta(days=10)).date().isoformat()
    resource = cli_consent.build(node.settings, RELEASE | {"end": end} | other)
    made, _ = record_consent(node, Ask("operator", node.home, "r"), resource)
    node.close()
    return made


def leaving(config: Path, *arguments: str) -> dict[str, set[str]]:
    """The fields that can leave, by view."""
    told = run("lineage", "shelter-csv", "--recipient", PANTRY, "--config", config, "--json", *arguments)
    assert told.exit_code == 0, told.output
    views: dict[str, set[str]] = {"offer": set(), "dossier": set()}
    for row in json.loads(told.stdout):
        assert row["referral_type"] == "food-insecurity" and row["recipient"] == organization(PANTRY)
        views[row["view"]].add(row["field"])
    return views


# ---------------------------------------------------------------- of the mapping alone


def test_the_way_of_every_field_and_why_others_stay() -> None:
    shown = run("lineage", "shelter-csv", columns=200)
    assert shown.exit_code == 0
    (phone,) = [line for line in shown.stdout.splitlines() if line.startswith("safe_phone")]
    assert phone.split()[1:3] == ["phone", "Patient.telecom[0].value"]
    (site,) = [line for line in shown.stdout.splitlines() if line.startswith("shelter_site")]
    assert "stays" in site and "confidential in law" in site


def test_as_csv_as_json_and_as_provenance() -> None:
    rows = list(csv.DictReader(io.StringIO(run("lineage", "shelter-csv", "--csv").stdout)))
    told = json.loads(run("lineage", "shelter-csv", "--json").stdout)
    made = [json.loads(line) for line in run("lineage", "shelter-csv", "--provenance").stdout.splitlines()]
    assert {row["field"] for row in rows} == {row["field"] for row in told["lineage"]} == FIELDS
    assert all(errors(validate(one)) == [] and one["resourceType"] == "Provenance" for one in made)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--csv", "--json"), "choose one"),
        (("--consent", "x"), "a --recipient is asked about"),
        (("--recipient", "x", "--provenance"), "no --recipient"),
    ],
)
def test_what_does_not_go_together(arguments: tuple[str, ...], says: str) -> None:
    result = run("lineage", "shelter-csv", *arguments, columns=200)
    assert result.exit_code == 2 and says in result.stderr


# ---------------------------------------------------------------- to one recipient


def test_without_a_consent_nothing_leaves_a_victim_service_provider(config: Path) -> None:
    assert leaving(config) == {"offer": set(), "dossier": set()}


def test_what_the_agreement_the_minimum_set_and_the_consent_all_allow_can_leave(config: Path) -> None:
    made = consented(config)
    offer = {"need", "urgency", "county"}
    dossier = offer | {"first_name_or_alias", "household_size", "safe_contact_rule"}
    person = "|".join(RELEASE["patient"].values())  # type: ignore[attr-defined]
    assert (
        leaving(config, "--consent", made)
        == leaving(config, "--person", person)
        == {
            "offer": offer,
            "dossier": dossier,
        }
    )
    assert leaving(config, "--person", f"{person}9") == {"offer": set(), "dossier": set()}


def test_a_withdrawn_consent_lets_nothing_leave(config: Path) -> None:
    made = consented(config)
    node = Node(settings.read(config))
    withdraw_consent(node, Ask("operator", node.home, "r"), made)
    node.close()
    assert leaving(config, "--consent", made) == {"offer": set(), "dossier": set()}


def test_people_are_told_why_and_what_never_leaves(config: Path) -> None:
    made = consented(config)
    shown = run(
        "lineage", "shelter-csv", "--recipient", PANTRY, "--config", config, "--consent", made, columns=200
    ).stdout
    assert "What can leave to Harbor Food Pantry now:" in shown
    assert "food-insecurity, once it has accepted" in shown
    assert "The consent does not list: preferred language, telephone number, dietary needs." in shown
    (never,) = [line for line in shown.splitlines() if "never leaves:" in line]
    assert {"advocate_name", "shelter_site", "danger_level", "referral_ref", "notes"} <= set(
        never.split(": ")[1].split(", ")
    )
    assert "birth_date" not in never


def test_as_rows_for_a_spreadsheet(config: Path) -> None:
    made = consented(config)
    told = run(
        "lineage", "shelter-csv", "--recipient", PANTRY, "--config", config, "--csv", "--consent", made
    )
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    assert {row["item"]: row["field"] for row in rows}["alias"] == "first_name_or_alias"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--consent", "no-such-consent"), "There is no consent no-such-consent here"),
        (("--person", "C-1"), "SYSTEM|VALUE"),
    ],
)
def test_a_consent_or_person_that_cannot_be_found(
    config: Path, arguments: tuple[str, ...], says: str
) -> None:
    result = run("lineage", "shelter-csv", "--recipient", PANTRY, "--config", config, *arguments, columns=200)
    assert result.exit_code == 2 and says in result.stderr


def test_an_item_that_another_keeps_back_can_leave_where_that_one_is_empty(tmp_path: Path) -> None:
    """A pantry gets the alias, or where a record has none the first name: both columns can leave."""
    config = agencies_in(tmp_path)[HOSPITAL].config
    made = consented(config, items=["need", "alias", "given-name"])
    told = run("lineage", "case-json", "--recipient", PANTRY, "--config", config, "--json", "--consent", made)
    fields = {row["field"] for row in json.loads(told.stdout) if row["view"] == "dossier"}
    assert {"client.alias", "client.name.first"} <= fields


# ---------------------------------------------------------------- the claim itself


def _served(mapping: LocalMapping, values: dict[str, str], item: str) -> str:
    """All that is disclosed of a record when this one item may go, as text."""
    mapped = mapping.map(Record(values, 2))
    policy = consent.load_policy()
    decision = Decision(True, "dossier", "COC", frozenset({item}), {}, (), (), (), (), "permit", None)
    names = consent.served_names(mapped.resources, policy)
    ids = {name: f"id-{number}" for number, name in enumerate(names)}
    disclosed = consent.minimise(mapped.resources, decision, policy, ids).resources
    return json.dumps(list(disclosed.values()))


@pytest.mark.parametrize("item", list(shipped_items().entries))
def test_what_really_leaves_with_an_item_is_what_is_claimed_of_it(item: str) -> None:
    mapping = shelter_csv()
    claimed = item_fields(mapping.kinds[0], shipped_items())
    served = _served(mapping, dict(GOOD), item)
    copied = {
        name for name in GOOD if name not in ("need", "urgency", "language", "household_size", "safe_phone")
    }
    out = {
        name for name in copied if GOOD[name] in served and name not in ("exported_at", "safe_contact_rule")
    }
    fields = {way.field for way in claimed.get(item, ())}
    assert out <= fields
    assert (fields & copied) - out <= {"safe_contact_rule"}


def test_an_item_of_which_no_field_can_be_part_is_not_claimed() -> None:
    claimed = item_fields(shelter_csv().kinds[0], shipped_items())
    assert {"gender", "eligibility", "condition", "email", "period", "given-name"}.isdisjoint(claimed)
    assert {"advocate_name", "exported_at", "partner"} <= set(staying_fields(shelter_csv(), shipped_items()))


def test_offers_are_for_normal_data_and_dossiers_for_the_most_confidential() -> None:
    told = destinations(shipped_items())
    assert told["ServiceRequest.priority"] == told["ServiceRequest.category"] == "N"
    assert told["Patient.birthDate"] == told["Patient.name"] == told["ServiceRequest.note"] == "V"
    assert "ServiceRequest" not in told and "ServiceRequest.authoredOn" not in told


# ---------------------------------------------------------------- export


def test_a_structure_map_for_each_kind_that_makes_something_and_what_is_not_in_it() -> None:
    result = run("export", "shelter-csv", "--structuremap")
    made = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["resourceType"] for one in made] == ["StructureMap"]
    assert errors(validate(made[0])) == []
    assert "Patient.telecom[0].value has no transform" in result.stderr.replace("\n", " ")


def test_the_code_tables_as_concept_maps_and_as_csv_that_a_mapping_reads(tmp_path: Path) -> None:
    made = [json.loads(line) for line in run("export", "shelter-csv", "--conceptmap").stdout.splitlines()]
    tables = shelter_csv().concept_maps
    assert len(made) == len(tables) and all(one["url"] and errors(validate(one)) == [] for one in made)
    written = tmp_path / "need.csv"
    written.write_text(run("export", "shelter-csv", "--conceptmap", "--table", "need", "--csv").stdout)
    assert read_csv_table(written).data == tables["need"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Choose --structuremap"),
        (("--structuremap", "--conceptmap"), "Choose --structuremap"),
        (("--structuremap", "--csv"), "Choose --structuremap"),
        (("--conceptmap", "--csv"), "A CSV holds one code table"),
        (("--conceptmap", "--table", "hats"), "There is no code table hats"),
    ],
)
def test_an_export_that_is_not_clear_is_refused(arguments: tuple[str, ...], says: str) -> None:
    result = run("export", "shelter-csv", *arguments, columns=200)
    assert result.exit_code == 2 and says in result.stderr
