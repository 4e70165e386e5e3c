"""`/openapi.json` describes what is there, all of it and nothing else, and says of each what it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import described
import pytest
import yaml
from callers_world import PLACES, Doorstep
from sample_records import SHELTER_CLIENTS, shelter_release, shelter_row
from starlette.testclient import TestClient
from two_worlds import START
from unserved import agencies_in

from gateway import openapi, settings, status
from gateway.app import create_app
from gateway.demo.agencies import HOSPITAL, SHELTER, Agency
from gateway.node import Identity, Node

TABLE = Path(__file__).parents[1] / "cases" / "authorization.yaml"
ADDRESSES: dict[str, dict[str, Any]] = yaml.safe_load(TABLE.read_text("utf-8"))["addresses"]


@pytest.fixture(scope="module")
def agencies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Agency]:
    return agencies_in(tmp_path_factory.mktemp("agencies"))


@pytest.fixture(scope="module")
def hospital(agencies: dict[str, Agency]) -> Iterator[Node]:
    node = Node(settings.read(agencies[HOSPITAL].config))
    yield node
    node.close()


@pytest.fixture(scope="module")
def shelter(agencies: dict[str, Agency]) -> Iterator[Node]:
    node = Node(settings.read(agencies[SHELTER].config))
    yield node
    node.close()


def described_by(node: Node, identity: Identity) -> dict[str, Any]:
    """What an identity says of itself, asked without a token."""
    answer = TestClient(create_app(node, identity), base_url=identity.address).get("/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    said: dict[str, Any] = answer.json()
    assert said["servers"] == [{"url": identity.address}]
    return said


def operations(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each operation by method and path, as the table of who may call names them."""
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_a_hospital_describes_every_address_that_there_is(hospital: Node) -> None:
    assert operations(described_by(hospital, hospital.home)).keys() == ADDRESSES.keys()


def test_nothing_is_described_that_no_node_has(hospital: Node) -> None:
    assert operations(openapi.whole()).keys() == ADDRESSES.keys()


def test_an_alias_describes_what_it_has_and_does_not_tell_what_else_there_could_be(shelter: Node) -> None:
    alias = next(one for one in shelter.identities.values() if one.alias)
    said = described_by(shelter, alias)
    assert operations(said).keys() == {
        one for one, row in ADDRESSES.items() if "alias" not in row.get("without", ())
    }
    assert "safe-haven" not in json.dumps(said)


@pytest.mark.parametrize("address", ADDRESSES)
def test_it_says_who_may_call_as_the_table_does(hospital: Node, address: str) -> None:
    operation, row = operations(described_by(hospital, hospital.home))[address], ADDRESSES[address]
    needed = operation["security"]
    if row["class"] == "open":
        # Whoever asks about a token may prove himself by one of his own.
        assert needed in ([], [{}, {"token": []}])
    else:
        ((scheme, scopes),) = needed[0].items()
        assert len(needed) == 1 and scheme == "token"
        assert row.get("scope", "") in ("", *scopes)
        assert bool(scopes) == (row["class"] != "any")
        assert {"401", "404", "429"} <= operation["responses"].keys()
    assert operation["tags"] == ["oauth" if "/oauth/" in address else row["class"]]
    assert (str(row["answer"]) in operation["responses"]) or row["answer"] == 415


def test_everything_that_is_referred_to_is_there(hospital: Node) -> None:
    document = described_by(hospital, hospital.home)
    named = set(references(document))
    assert len(named) > 40
    for reference in named:
        part: Any = document
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
    there = {
        f"#/components/{kind}/{name}"
        for kind, parts in document["components"].items()
        for name in parts
        if kind != "securitySchemes"
    }
    assert there == named


# -- what is really answered -----------------------------------------------------------------------------


def test_what_the_agencys_own_systems_get_is_what_is_described(tmp_path: Path) -> None:
    """Every answer that `Doorstep` gets is held against the description (tests/described.py)."""
    doorstep = Doorstep(tmp_path, PLACES["hospital"])

    def post(path: str, body: Any) -> int:
        return doorstep.visit("POST", path, "own system", body=body)

    rows = [shelter_row(referral_ref=ref).decode() for ref in ("R-1", "R-2")]
    assert post("/records/shelter-csv", rows[0]) == 201
    assert post("/records/shelter-csv", rows[0] + rows[1].splitlines()[1]) == 201
    assert post("/records/shelter-csv", shelter_row(referral_ref="R-3", birth_date="soon").decode()) == 422
    mixed = shelter_row(referral_ref="R-4").decode() + shelter_row(referral_ref="").decode().splitlines()[1]
    assert post("/records/shelter-csv", mixed) == 207
    assert post("/records/shelter-csv", "not a row") == 400

    answers = shelter_release("C-9") | {"end": (START + timedelta(days=20)).date().isoformat()}
    assert post("/records/consent", answers) == 201
    (consent,) = [one.id for one in status.consents_of(doorstep.node, (SHELTER_CLIENTS, "C-9"))]
    assert post("/records/consent", {"withdraw": consent}) == 200
    assert post("/records/consent", {"withdraw": "nobody"}) == 404
    resource = doorstep.world.release(patient={"system": SHELTER_CLIENTS, "value": "C-10"}, items=["need"])
    assert post("/fhir/Consent", resource) == 201
    doorstep.close()


@pytest.mark.parametrize(
    ("code", "headers", "body", "why"),
    [
        (200, {"content-type": "application/fhir+json"}, {"resourceType": "Patient"}, "not as described"),
        (200, {"content-type": "text/plain"}, {"resourceType": "Task"}, "is not described as text/plain"),
        (201, {"content-type": "application/fhir+json"}, {"resourceType": "Task"}, "is not described"),
        (304, {}, {"resourceType": "Task"}, "without a body"),
    ],
    ids=["another resource", "another type", "another status", "a body where there is none"],
)
def test_what_is_not_described_would_be_noticed(
    code: int, headers: Mapping[str, str], body: Any, why: str
) -> None:
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    with pytest.raises(AssertionError, match=why):
        described.check("GET", "/fhir/Task/x?_format=json", code, sent, json.dumps(body).encode())


def test_an_address_without_a_description_is_noticed() -> None:
    with pytest.raises(KeyError):
        openapi.description([("GET", "/new")], "https://node.example.org")
