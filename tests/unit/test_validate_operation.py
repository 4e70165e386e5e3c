"""`POST /fhir/{type}/$validate`: 200 whatever the verdict, an error only where nothing was validated."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from partner_calls import FHIR_JSON, OWN_SYSTEM, Door, Who
from sqlalchemy import func, select
from test_cli_profiles import PROFILE, package, profile, waymeet
from unserved import agencies_in

from gateway import settings
from gateway.app import create_app
from gateway.demo.agencies import ALIAS, HOSPITAL, PANTRY, SHELTER, Agency, organization
from gateway.node import Identity, Node
from gateway.signing import keys
from gateway.store.schema import metadata
from profiles import canonical

GOOD: dict[str, Any] = {"resourceType": "Patient", "gender": "female"}
BAD: dict[str, Any] = {"resourceType": "Patient", "gender": "qzx"}

Call = Callable[..., httpx2.Response]


@pytest.fixture(scope="module")
def agencies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Agency]:
    """The demo's agencies, of which the hospital holds a package."""
    folder = tmp_path_factory.mktemp("agencies")
    made = agencies_in(folder)
    added = waymeet("profiles", "add", package(folder / "guide", profile()), "-c", made[HOSPITAL].config)
    assert added.exit_code == 0, added.output
    return made


@pytest.fixture(scope="module")
def node(agencies: dict[str, Agency]) -> Iterator[Node]:
    opened = Node(settings.read(agencies[HOSPITAL].config))
    yield opened
    opened.close()


def ask(node: Node, identity: Identity, method: str, path: str, **sent: Any) -> httpx2.Response:
    """One request to one of a node's names, without a socket."""

    async def request() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=create_app(node, identity))
        async with httpx2.AsyncClient(transport=transport, base_url=identity.address) as client:
            return await client.request(method, path, **sent)

    return asyncio.run(request())


def token(node: Node, who: Who, scope: str) -> str:
    assertion = Door(node.home.address).assertion(who)
    form = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
    }
    answer = ask(node, node.home, "POST", "/oauth/token", data=form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


@pytest.fixture(scope="module")
def call(node: Node, agencies: dict[str, Agency]) -> Call:
    """Asks the hospital, as its own system, to validate."""
    own = Who(OWN_SYSTEM, keys.load(agencies[HOSPITAL].folder / "keys" / f"{OWN_SYSTEM}.pem"))
    authorization = f"Bearer {token(node, own, 'system/Consent.c')}"

    def post(path: str, body: Any, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": authorization, "Content-Type": FHIR_JSON} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return ask(node, node.home, "POST", f"/fhir/{path}", content=content, headers=given)

    return post


def parameters(**values: Any) -> dict[str, Any]:
    kinds = {"resource": "resource", "profile": "valueUri", "mode": "valueCode"}
    named = [{"name": name, kinds.get(name, "valueString"): value} for name, value in values.items()]
    return {"resourceType": "Parameters", "parameter": named}


def issues(answer: httpx2.Response, status: int) -> list[dict[str, Any]]:
    assert answer.status_code == status, answer.text
    assert (
        answer.headers["content-type"].startswith(FHIR_JSON) and answer.headers["cache-control"] == "no-store"
    )
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert "qzx" not in answer.text
    return list(answer.json()["issue"])


# ---------------------------------------------------------------- verdicts: always 200


def test_a_good_resource(call: Call) -> None:
    for body in (GOOD, parameters(resource=GOOD)):
        (issue,) = issues(call("Patient/$validate", body), 200)
        assert issue["severity"] == "information"


def test_a_bad_resource_is_answered_with_200_too(call: Call) -> None:
    for body in (BAD, parameters(resource=BAD)):
        found = issues(call("Patient/$validate", body), 200)
        assert [one["severity"] for one in found] == ["error"]
        assert found[0]["expression"] == ["Patient.gender"]


def test_the_profile_that_is_asked_for_is_applied(call: Call) -> None:
    for answer in (
        call("Patient/$validate", parameters(resource=GOOD, profile=PROFILE)),
        call(f"Patient/$validate?profile={PROFILE}", GOOD),
        call(f"Patient/$validate?profile={PROFILE}%7C1.0.0&_format=json", GOOD),
        call("Patient/$validate", parameters(resource=GOOD, profile=canonical.PATIENT)),
    ):
        assert "error" in [one["severity"] for one in issues(answer, 200)]


def test_mode_create_says_that_only_the_content_was_checked(call: Call) -> None:
    (issue,) = issues(call("Patient/$validate?mode=create", GOOD), 200)
    assert (issue["severity"], issue["code"]) == ("warning", "not-supported")


def test_parameters_can_be_validated_themselves(call: Call) -> None:
    inner = {"resourceType": "Parameters", "parameter": [{"name": "other", "valueString": "x"}]}
    for body in (inner, parameters(resource=inner)):
        assert issues(call("Parameters/$validate", body), 200)[0]["severity"] == "information"


# ---------------------------------------------------------------- calls that cannot be used


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("Qzx/$validate", GOOD, 404, "not-supported"),
        ("Task/$validate", GOOD, 400, "invalid"),
        ("Task/$validate", parameters(resource=GOOD), 400, "invalid"),
        ("Patient/$validate", parameters(profile=PROFILE), 400, "required"),
        ("Patient/$validate", parameters(resource=GOOD, profile="http://x.example/qzx"), 422, "not-found"),
        ("Patient/$validate", parameters(resource=GOOD, profile=7), 400, "structure"),
        ("Patient/$validate", parameters(resource=GOOD, qzx="?"), 400, "not-supported"),
        ("Patient/$validate", parameters(resource="qzx"), 400, "invalid"),
        ("Patient/$validate", {"resourceType": "Parameters", "parameter": "qzx"}, 400, "structure"),
        ("Patient/$validate", parameters(resource=GOOD, mode="delete"), 422, "not-supported"),
        ("Patient/$validate?mode=qzx", GOOD, 422, "not-supported"),
        ("Patient/$validate?qzx=1", GOOD, 400, "not-supported"),
        (f"Patient/$validate?profile={PROFILE}&profile={PROFILE}", GOOD, 400, "structure"),
        ("Patient/$validate?mode=create", parameters(resource=GOOD, mode="create"), 400, "structure"),
        ("Patient/$validate", b"", 400, "structure"),
        ("Patient/$validate", b'{"resourceType": "Patient"', 400, "structure"),
        ("Patient/$validate", b'{"resourceType": "Patient", "resourceType": "Task"}', 400, "structure"),
        ("Patient/$validate", b"[]", 400, "structure"),
        ("Patient/$validate", b'{"resourceType": "Patient", "extension": ' + b"[" * 9999, 400, "structure"),
        ("Patient/$validate", b" " * 1_100_000, 413, "too-long"),
    ],
)
def test_a_call_that_cannot_be_used(call: Call, path: str, body: Any, status: int, code: str) -> None:
    (issue,) = issues(call(path, body), status)
    assert (issue["severity"], issue["code"]) == ("error", code)


def test_another_form_than_json(call: Call) -> None:
    issues(call("Patient/$validate", b"<Patient/>", Content_Type="application/fhir+xml"), 415)


# ---------------------------------------------------------------- who may, and what is left behind


def test_a_token_is_needed_and_any_will_do(node: Node, agencies: dict[str, Agency], call: Call) -> None:
    assert call("Patient/$validate", GOOD, Authorization="").status_code == 401
    assert call("Patient/$validate", GOOD, Authorization="Bearer qzx").status_code == 401
    partner = Who(organization(PANTRY), keys.load(agencies[PANTRY].folder / "keys" / f"{PANTRY}.pem"))
    of_partner = f"Bearer {token(node, partner, 'system/Task.r')}"
    assert call("Patient/$validate", GOOD, Authorization=of_partner).status_code == 200


def test_nothing_is_stored_and_nothing_of_it_is_logged(
    node: Node, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    def rows() -> list[int]:
        with node.store.work() as work:
            tables = metadata.sorted_tables
            return [work.tx.execute(select(func.count()).select_from(table)).scalar_one() for table in tables]

    before = rows()
    with caplog.at_level(logging.DEBUG):
        call("Patient/$validate", BAD)
    assert rows() == before
    assert "qzx" not in caplog.text and "/fhir/{type}/$validate 200" in caplog.text


def test_an_alias_neither_offers_nor_states_it(node: Node, agencies: dict[str, Agency]) -> None:
    shelter = Node(settings.read(agencies[SHELTER].config))
    alias = shelter.identities[organization(ALIAS)]
    assert ask(shelter, alias, "POST", "/fhir/Patient/$validate", json=GOOD).status_code == 405
    assert "$validate" not in ask(shelter, alias, "GET", "/fhir/metadata").text
    assert "Resource-validate" not in ask(shelter, alias, "GET", "/fhir/metadata").text
    shelter.close()

    stated = ask(node, node.home, "GET", "/fhir/metadata").json()["rest"][0]["resource"]
    assert all(one["operation"][0]["name"] == "validate" for one in stated)
