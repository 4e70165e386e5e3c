"""A token for stated purposes: the hl7-b2b extension of the FAST security guide (UDAP)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc import jws
from oauth_world import CLAIMS, INTAKE, NODE_KEY, PANTRY, SECRET, Node, fresh, refused, request

from gateway.oauth.key_sources import KeySource

BUSINESS: dict[str, Any] = {"version": "1", "organization_id": PANTRY, "purpose_of_use": ["TREAT"]}


@pytest.fixture
def node() -> Node:
    return Node()


def asking(extension: Any = BUSINESS, **changes: Any) -> list[tuple[str, str]]:
    """A token request whose assertion carries the extension, but for what is stated."""
    if isinstance(extension, dict):
        extension = {name: value for name, value in (extension | changes).items() if value is not None}
    return request(claims=fresh(extensions={"hl7-b2b": extension}))


def test_a_token_is_narrowed_to_the_purposes_that_were_stated(node: Node) -> None:
    token = node.ask(asking())["access_token"]
    assert node.caller(token).purposes == {"TREAT"}
    claims = json.loads(jws.deserialize_compact(token, NODE_KEY, algorithms=["ES384"]).payload)
    assert claims["purpose_of_use"] == ["TREAT"]


def test_a_token_without_it_is_for_all_that_is_registered(node: Node) -> None:
    token = node.token()
    assert node.caller(token).purposes == {"TREAT", "COC"}
    assert "purpose_of_use" not in json.loads(
        jws.deserialize_compact(token, NODE_KEY, algorithms=["ES384"]).payload
    )


@pytest.mark.parametrize(
    ("codes", "purposes"),
    [
        (["urn:oid:2.16.840.1.113883.5.8#TREAT"], {"TREAT"}),
        (["http://terminology.hl7.org/CodeSystem/v3-ActReason#COC"], {"COC"}),
        (["TREAT", "urn:oid:2.16.840.1.113883.5.8#TREAT"], {"TREAT"}),
        (["TREAT", "COC"], {"TREAT", "COC"}),
    ],
)
def test_a_code_may_come_bare_or_with_its_code_system(
    codes: list[str], purposes: set[str], node: Node
) -> None:
    token = node.ask(asking(purpose_of_use=codes))["access_token"]
    assert node.caller(token).purposes == purposes


def test_a_purpose_that_is_no_longer_registered_is_gone_at_the_next_request(node: Node) -> None:
    token = node.ask(asking(purpose_of_use=["TREAT", "COC"]))["access_token"]
    node.register(purposes=frozenset({"COC", "HOPERAT"}))
    assert node.caller(token).purposes == {"COC"}


def test_a_narrower_purpose_is_held_by_a_wider_one_and_not_the_other_way(node: Node) -> None:
    node.register(purposes=frozenset({"TREAT"}))
    token = node.ask(asking(purpose_of_use=["COC"]))["access_token"]
    assert node.caller(token).purposes == {"COC"}
    node.register(purposes=frozenset({"COC"}))
    refused(node, asking(purpose_of_use=["TREAT"]), "invalid_grant", "registered only")


def test_what_else_stands_in_the_extension_is_not_kept(node: Node) -> None:
    token = node.ask(
        asking(
            subject_name="Dr. Example",
            subject_id="urn:oid:2.16.840.1.113883.4.6#1",
            consent_policy=["urn:x"],
            consent_reference=["https://elsewhere.example.org/fhir/Consent/1"],
        )
    )["access_token"]
    shown = jws.deserialize_compact(token, NODE_KEY, algorithms=["ES384"]).payload.decode()
    assert "Example" not in shown
    assert "elsewhere" not in shown
    assert node.fetched == [], "no URL in it is followed"


def test_other_extensions_are_not_acted_on(node: Node) -> None:
    token = node.token(claims=fresh(extensions={"tefca-ias": {"version": "1"}}))
    assert node.caller(token).purposes == {"TREAT", "COC"}


@pytest.mark.parametrize(
    ("form", "rule"),
    [
        pytest.param(asking(purpose_of_use=["HMARKT"]), "registered only", id="not registered"),
        pytest.param(asking(purpose_of_use=["TREAT", "HMARKT"]), "registered only", id="one of two"),
        pytest.param(asking(purpose_of_use=["treat"]), "registered only", id="other case"),
        pytest.param(asking(purpose_of_use=["urn:oid:1.2.3#TREAT"]), "v3-ActReason", id="other system"),
        pytest.param(asking(purpose_of_use=["#TREAT"]), "v3-ActReason", id="empty system"),
        pytest.param(asking(purpose_of_use=[]), "must hold", id="no purpose"),
        pytest.param(asking(purpose_of_use=None), "must hold", id="purposes missing"),
        pytest.param(asking(purpose_of_use="TREAT"), "must hold", id="no array"),
        pytest.param(asking(purpose_of_use=["TREAT"] * 33), "must hold", id="too many"),
        pytest.param(asking(purpose_of_use=[{"code": "TREAT"}]), "must hold", id="no text"),
        pytest.param(asking(organization_id="urn:x:other"), "organization_id", id="other organization"),
        pytest.param(asking(organization_id=None), "must hold", id="organization missing"),
        pytest.param(asking(version="2"), "must hold", id="other version"),
        pytest.param(asking(version=1), "must hold", id="version a number"),
        pytest.param(asking(version=None), "must hold", id="version missing"),
        pytest.param(asking(None), "must hold", id="null"),
        pytest.param(asking("TREAT"), "must hold", id="no object"),
        pytest.param(request(claims=CLAIMS | {"extensions": None}), "must hold", id="extensions null"),
        pytest.param(request(claims=CLAIMS | {"extensions": []}), "must hold", id="extensions a list"),
    ],
)
def test_an_extension_with_one_wrong_fact_is_refused(
    form: list[tuple[str, str]], rule: str, node: Node
) -> None:
    refused(node, form, "invalid_grant", rule)


def test_a_client_that_is_registered_for_no_purpose_cannot_name_one(node: Node) -> None:
    node.register(purposes=frozenset())
    refused(node, asking(), "invalid_grant", "registered only")


def test_a_system_of_the_agencys_own_names_its_organization_as_it_likes(node: Node) -> None:
    keys = node.clients[PANTRY].keys
    assert isinstance(keys, KeySource)
    node.register(INTAKE, secret=None, keys=keys, purposes=frozenset({"TREAT"}))
    claims = fresh(iss=INTAKE, sub=INTAKE, extensions={"hl7-b2b": BUSINESS | {"organization_id": "urn:x"}})
    token = node.token(claims=claims, scope="system/Consent.c")
    assert node.caller(token).purposes == {"TREAT"}


def test_a_secret_narrows_nothing(node: Node) -> None:
    node.register(INTAKE, purposes=frozenset({"TREAT"}))
    form = [
        ("grant_type", "client_credentials"),
        ("scope", "system/Consent.c"),
        ("client_id", INTAKE),
        ("client_secret", SECRET),
    ]
    assert node.caller(node.ask(form)["access_token"]).purposes == {"TREAT"}
